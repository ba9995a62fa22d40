"""A signal reads exactly the sources that its row declares."""

from dataclasses import replace

import pytest

from segmentation.compiler import compile_signals
from segmentation.norms import NormsValues
from segmentation.queries import read_signals
from segmentation.signals import (
    SIGNALS,
    SIGNALS_BY_NAME,
    Need,
    SignalRef,
    Subject,
    UndeclaredNeedError,
    Window,
)
from tests.factories import NOW, make_cast

NORMS = NormsValues({1: 3600.0}, [0.5, 1.0, 1.5], [2], [1, 2, 3, 4], [1, 2, 3, 4])
TABLES = {
    Need.DAILY: "activity_dailyactivity",
    Need.PROGRESS: "progress g",
    Need.PACE: "pace w",
    Need.TRAITS: "activity_learner",
    Need.LOG: "log b",
}
OF_PART = {Need.NORMS, Need.SCORES}
DECLARED = [(signal, need) for signal in SIGNALS for need in sorted(signal.needs)]


def ref(signal):
    window = 7 if signal.window is Window.REQUIRED else None
    return SignalRef(
        signal, window, tuple("region" if each.required else "" for each in signal.args)
    )


def statement(signal, norms=NORMS):
    return compile_signals([ref(signal)], Subject(1, NOW, None, norms)).sql


@pytest.mark.parametrize(
    ("signal", "need"), DECLARED, ids=[f"{signal.name}-{need}" for signal, need in DECLARED]
)
def test_undeclared_need_is_an_error(signal, need):
    forgetful = replace(signal, needs=signal.needs - {need})
    with pytest.raises(UndeclaredNeedError, match=need):
        statement(forgetful)


@pytest.mark.parametrize("signal", SIGNALS, ids=lambda signal: signal.name)
def test_the_statement_reads_what_the_row_declares_and_nothing_else(signal):
    sql = statement(signal)
    assert {need for need, table in TABLES.items() if table in sql} == signal.needs - OF_PART
    assert ("activity_progress" in sql) is bool(signal.needs & {Need.PROGRESS, Need.PACE})


@pytest.mark.parametrize(
    "signal", [signal for signal in SIGNALS if OF_PART & signal.needs], ids=lambda one: one.name
)
def test_norms_that_were_not_read_are_an_error(signal):
    with pytest.raises(UndeclaredNeedError, match="norms"):
        statement(signal, norms=None)


@pytest.mark.django_db
@pytest.mark.parametrize("companion", ["activities_overdue", "logins"])
def test_a_signal_never_reads_the_norms_of_another(companion):
    # Beside a signal that declares norms, they are read. Alone, this signal would be unknown.
    cast = make_cast()
    pace = SIGNALS_BY_NAME["pace_percentile"]
    forgetful = replace(pace, name="charm", needs=pace.needs - {Need.NORMS})
    refs = [ref(SIGNALS_BY_NAME[companion]), ref(forgetful)]
    with pytest.raises(UndeclaredNeedError):
        list(read_signals(cast.course, refs, as_of=NOW))
    assert list(read_signals(cast.course, [ref(pace)], as_of=NOW))
