"""The covariates of strata as staff type them, one in a line. Pure."""

import re

from experiments.design import COURSE, MOST_COVARIATES, Covariate
from segmentation.rules import RuleError
from segmentation.rules.refs import find_ref, read_ref
from segmentation.signals import SIGNALS_BY_NAME, SignalRef

_LINE = re.compile(r"(?P<what>.+?)(?:\s+in\s+(?P<parts>\d+)\s+parts?)?")
_TRAIT = re.compile(r"trait\s+(?P<key>.+)")
_SIGNAL = re.compile(r"(?P<name>\w+)(?:\s+(?P<window>\d+))?")


def read_covariates(text: str) -> tuple[Covariate, ...]:
    """Return the covariates of the lines, numbers without their cuts.

    Raise ValueError with a sentence that names the line that cannot be read.
    """
    lines = [" ".join(line.split()) for line in text.splitlines()]
    found = tuple(_read_line(line) for line in lines if line)
    if len(found) > MOST_COVARIATES:
        raise ValueError(
            f"Strata of more than {MOST_COVARIATES} covariates would be nearly empty. Write at "
            f"most {MOST_COVARIATES} lines."
        )
    names = [covariate.name for covariate in found]
    for name, line in zip(names, filter(None, lines), strict=True):
        if names.count(name) > 1:
            raise ValueError(f"“{line}” stands there twice. Write each covariate once.")
    return found


def refs_of(covariates: tuple[Covariate, ...]) -> list[SignalRef]:
    """Return the signals among the covariates. Raise ValueError for one that is not known."""
    found = []
    for covariate in covariates:
        if covariate.name != COURSE:
            ref = find_ref(covariate.name)
            if ref is None:
                raise ValueError(f"This release of Nudgelab does not know {covariate.name}.")
            found.append(ref)
    return found


def _read_line(line: str) -> Covariate:
    match = _LINE.fullmatch(line)
    what, parts = (match["what"], int(match["parts"] or 0)) if match else (line, 0)
    if what == COURSE:
        if parts:
            raise ValueError(f"“{line}” cannot be read: a course is no number. Write “course”.")
        return Covariate(COURSE)
    ref = _signal(what, line)
    if not (parts or ref.signal.is_trait):
        raise ValueError(
            f"“{line}” is a number, and a stratum for each number would hold nearly nobody. Write "
            f"“{line} in 3 parts”."
        )
    try:
        return Covariate(ref.identity, parts)
    except ValueError as error:
        raise ValueError(f"“{line}” cannot be read. {error}") from error


def _signal(what: str, line: str) -> SignalRef:
    trait, signal = _TRAIT.fullmatch(what), _SIGNAL.fullmatch(what)
    if trait is not None:
        shape: dict[str, object] = {"field": "trait", "key": trait["key"]}
    elif signal is not None and signal["name"] in SIGNALS_BY_NAME:
        window = {} if signal["window"] is None else {"window": int(signal["window"])}
        shape = {"field": signal["name"], **window}
    else:
        raise ValueError(
            f"“{line}” cannot be read. Write “course”, “trait” and its key, or a signal and its "
            "days, such as “active_days 7 in 3 parts”."
        )
    try:
        return read_ref(shape, "")
    except RuleError as error:
        raise ValueError(f"“{line}” cannot be read: {error}") from error
