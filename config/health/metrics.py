"""The health of the installation as Prometheus metrics, read again for each scrape."""

from collections.abc import Iterable, Iterator, Mapping
from math import inf

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from config.health.faults import BROKER, DATABASE, Health
from config.health.reading import HostRun, Reading
from interventions.queries.waiting import MOST_COUNTED

__all__ = ["CONTENT_TYPE_LATEST", "metrics_of"]


def metrics_of(state: Health) -> bytes:
    """Return the metrics in Prometheus's text format.

    No process has counters of its own, so several web servers give the same numbers.
    """
    return generate_latest(_Collector(state))


class _Collector(Collector):
    def __init__(self, state: Health) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        yield from _parts(self._state)
        if self._state.reading is not None:
            yield from _stages(self._state.reading)
            yield from _hosts(self._state.reading.runs)
            yield from _waiting(self._state.reading)
            yield from _messages(self._state.reading)
            yield _gauge(
                "nudgelab_feeds_held",
                "Courses whose messages wait, because their events do not come as usual.",
                self._state.reading.held_feeds,
            )


def _parts(state: Health) -> Iterator[Metric]:
    yield _gauge("nudgelab_healthy", "1 if /health answers 200.", not state.is_red)
    parts = {DATABASE: state.is_well(DATABASE), BROKER: state.is_well(BROKER)}
    yield _by("part", "nudgelab_up", "1 if the part answers.", parts)


def _stages(reading: Reading) -> Iterator[Metric]:
    # Infinite, so that an alert on the age also finds a stage that has never run.
    ages = {stage: inf if age is None else age for stage, age in reading.stages.items()}
    yield _by(
        "stage",
        "nudgelab_stage_last_run_age_seconds",
        "Seconds since the stage last finished a run on any host. +Inf means never.",
        ages,
    )


def _hosts(runs: Iterable[HostRun]) -> Iterator[Metric]:
    labels = ("stage", "host")
    failed = GaugeMetricFamily(
        "nudgelab_stage_last_run_failed",
        "1 if the last run on the host failed or was skipped because of the host's clock.",
        labels=labels,
    )
    clock = GaugeMetricFamily(
        "nudgelab_host_clock_difference_seconds",
        "Seconds by which the host's clock was ahead of the database's at the stage's last start.",
        labels=labels,
    )
    outcomes = CounterMetricFamily(
        "nudgelab_stage_outcomes",
        "Counts of the stage's runs on the host, such as messages by new state.",
        labels=(*labels, "outcome"),
    )
    by_reason = CounterMetricFamily(
        "nudgelab_stage_reasons",
        "Counts of the stage's outcomes that have a reason, such as messages deferred by a cap.",
        labels=(*labels, "outcome", "reason"),
    )
    for run in runs:
        failed.add_metric((run.stage, run.host), float(run.has_error))
        clock.add_metric((run.stage, run.host), run.clock_difference)
        for name, count in sorted(run.totals.items()):
            outcome, _, reason = name.partition(":")
            family = by_reason if reason else outcomes
            given = (outcome, reason) if reason else (outcome,)
            family.add_metric((run.stage, run.host, *given), count)
    yield from (failed, clock, outcomes, by_reason)


def _waiting(reading: Reading) -> Iterator[Metric]:
    waiting = reading.waiting
    ages = {
        "due": (waiting.due_seconds, "an enrollment that is due for evaluation"),
        "transition": (waiting.transition_seconds, "a transition for react"),
        "message": (waiting.message_seconds, "a due message that is not held"),
        "step": (waiting.step_seconds, "a step that is due to be planned"),
        "opt_out": (waiting.opt_out_seconds, "an opt-out that is not applied yet"),
    }
    for name, (seconds, words) in ages.items():
        text = f"Longest waiting time of {words}, in seconds. 0 means that none waits."
        yield _gauge(f"nudgelab_oldest_{name}_age_seconds", text, seconds or 0.0)


def _messages(reading: Reading) -> Iterator[Metric]:
    messages = reading.messages
    states = {
        "planned": messages.planned,
        "claimed": messages.claimed,
        "in_doubt": messages.in_doubt,
    }
    words = f"Unfinished messages by state. {MOST_COUNTED} means that many or more."
    yield _by("state", "nudgelab_deliveries", words, states)
    failed = "Messages that failed in the last hour."
    yield _gauge("nudgelab_deliveries_failed_last_hour", failed, messages.failed_recently)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=float(value))


def _by(label: str, name: str, words: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    gauge = GaugeMetricFamily(name, words, labels=(label,))
    for key, value in values.items():
        gauge.add_metric((key,), float(value))
    return gauge
