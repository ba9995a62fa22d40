"""Write the ledger of an experiment to a file, and make a stopped experiment of such a file.

The restored experiment is for proof alone: its courses, learners and sections are stand-ins where
the database has none with these keys, and nothing is live.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from activity.models import Course, Enrollment, Learner, Section
from common.json_text import canonical_json
from experiments.ledger import (
    DrawRecord,
    Draws,
    Entry,
    LedgerError,
    SectionRecord,
    State,
    chain_fault,
    read_protocol_content,
    state_in,
)
from experiments.models import (
    Arm,
    Assignment,
    EntryKind,
    Experiment,
    ExperimentStatus,
    LedgerEntry,
    SectionDraw,
    SharePeriod,
    Stratum,
)
from experiments.operations.ledger import BATCH_SIZE, seal_draws
from experiments.protocol import ExperimentProtocol, ProtocolError, read_protocol
from experiments.queries.ledger import entries_of, entry_row
from segmentation.models import Playbook


def ledger_lines(key: str, *, now: datetime) -> Iterator[str]:
    """Yield the entries as lines of JSON, after sealing the draws that the ledger lacks.

    Raise ProtocolError if there is no such experiment, or if it was never started.
    """
    experiment = Experiment.objects.filter(key=key).first()
    if experiment is None or not experiment.protocol:
        raise ProtocolError(f"There is no started experiment with the key {key}.")
    while seal_draws(experiment.pk, now=now) == BATCH_SIZE:
        continue
    return (canonical_json(asdict(entry)) for entry in entries_of(experiment))


@transaction.atomic
def restore_ledger(lines: Iterable[str]) -> Experiment:
    """Return a stopped experiment with the protocol and the draws of the entries.

    Raise LedgerError, and restore nothing, if the file or its chain has a fault, or if there is an
    experiment with this key.
    """
    entries = [_read(line) for line in lines if line.strip()]
    fault = chain_fault(entries)
    if fault:
        raise LedgerError(fault)
    first = read_protocol_content(entries[0])
    experiment = _experiment(first, _last_state(entries), ended_at=entries[-1].at)
    restored = _Restored(experiment)
    for entry in entries:
        row = entry_row(experiment.pk, entry)
        row.save()
        if entry.kind == EntryKind.DRAWS:
            restored.add(Draws.read(entry), row)
    return experiment


def _read(line: str) -> Entry:
    try:
        return Entry(**json.loads(line))
    except (TypeError, ValueError) as error:
        raise LedgerError(f"This line is no entry of a ledger: {line[:60]}") from error


def _last_state(entries: Sequence[Entry]) -> State | None:
    kinds = (EntryKind.PROTOCOL, EntryKind.STATE)
    return state_in([each for each in entries if each.kind in kinds][-1])


def _experiment(first: dict[str, str], state: State | None, *, ended_at: str) -> Experiment:
    """Return the experiment as it was last; with that of an earlier release, as far as is known."""
    key, protocol = first["experiment"], read_protocol(first["protocol"])
    if Experiment.objects.filter(key=key).exists():
        raise LedgerError(f"There is an experiment with the key {key} already.")
    name = protocol.promise.name if protocol.promise else key
    playbook = Playbook.objects.create(key=f"restored-{key}"[:100], name=f"Restored: {name}"[:200])
    experiment = Experiment.objects.create(
        key=key,
        name=name,
        seed=protocol.seed,
        playbook=playbook,
        unit=protocol.design.unit,
        method=protocol.design.method,
        is_restored=True,
        **_adapting_fields(protocol),
    )
    if state is not None:
        experiment.name, experiment.coverage = state.name, Decimal(state.coverage)
        experiment.ended_because, experiment.winner = state.ended_because, state.winner
        ended_at = state.stopped_at or ended_at
    Arm.objects.bulk_create(_arms(experiment, protocol))
    started_at = datetime.fromisoformat(first["started_at"])
    experiment.protocol, experiment.protocol_sha256 = first["protocol"], first["sha256"]
    experiment.started_at = started_at
    experiment.stopped_at = datetime.fromisoformat(ended_at)
    # The states follow one another, also here.
    for status in (ExperimentStatus.CHECKED, ExperimentStatus.RUNNING, ExperimentStatus.STOPPED):
        experiment.status = status
        experiment.save(update_fields=["status"] if status == "checked" else None)
    return experiment


def _adapting_fields(protocol: ExperimentProtocol) -> dict[str, Any]:
    adapting = protocol.design.adapting
    if adapting is None:
        return {}
    return {
        "burn_in": adapting.burn_in,
        "share_batch": adapting.batch,
        "share_floor": adapting.floor,
    }


def _arms(experiment: Experiment, protocol: ExperimentProtocol) -> list[Arm]:
    return [
        Arm(
            experiment=experiment,
            key=arm.key,
            name=arm.name,
            weight=arm.weight,
            is_control=arm.is_control,
            position=position,
        )
        for position, arm in enumerate(protocol.arms)
    ]


class _Restored:
    """The rows of a restored experiment, by their keys."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._arms = dict(experiment.arms.values_list("key", "pk"))
        self._strata: dict[str, Stratum] = {}
        self._sections: dict[str, SectionDraw] = {}
        self._periods: dict[int, SharePeriod] = {}
        self._courses: dict[str, Course] = {}

    def add(self, draws: Draws, entry: LedgerEntry) -> None:
        """Write the draws of one entry."""
        for section in draws.sections:
            self._sections[section.section] = self._section(section, entry)
        for each in draws.shares:
            self._periods[each.position] = SharePeriod.objects.create(
                experiment=self._experiment,
                position=each.position,
                at=datetime.fromisoformat(each.at),
                shares=each.shares,
                counts=each.counts,
                entry=entry,
            )
        enrollments = self._enrollments(draws.units)
        rows = [self._unit(each, enrollments[each.unit], entry) for each in draws.units]
        Assignment.objects.bulk_create(rows)
        for stratum in self._strata.values():
            stratum.save(update_fields=["drawn"])

    def _section(self, record: SectionRecord, entry: LedgerEntry) -> SectionDraw:
        course, _, key = record.section.partition("\n")
        section, _ = Section.objects.get_or_create(course=self._course(course, record.at), key=key)
        return SectionDraw.objects.create(
            experiment=self._experiment,
            section=section,
            unit=record.section,
            arm_id=self._arms[record.arm],
            stratum=self._stratum(record.stratum, record.position),
            position=record.position,
            bucket=record.bucket,
            size=record.size,
            at=datetime.fromisoformat(record.at),
            entry=entry,
        )

    def _unit(self, record: DrawRecord, enrollment_id: int, entry: LedgerEntry) -> Assignment:
        stratum = None
        if record.stratum is not None and record.position is not None:
            stratum = self._stratum(record.stratum, record.position)
        return Assignment(
            experiment=self._experiment,
            arm_id=self._arms[record.arm],
            enrollment_id=enrollment_id,
            unit_key=UUID(record.unit),
            bucket=record.bucket,
            assigned_at=datetime.fromisoformat(record.at),
            stratum=stratum,
            position=record.position,
            section_draw=self._sections.get(record.section or ""),
            layer_unit=record.layer_unit,
            period=None if record.period is None else self._periods[record.period],
            entry=entry,
        )

    def _enrollments(self, records: Sequence[DrawRecord]) -> dict[str, int]:
        """Return the enrollments by unit key. Stand-ins are made where there are none."""
        keys = [each.unit for each in records]
        known = Enrollment.objects.filter(unit_key__in=keys).values_list("unit_key", "pk")
        found = {str(unit_key): pk for unit_key, pk in known}
        missing = [each for each in records if each.unit not in found]
        learners = Learner.objects.bulk_create(
            [Learner(external_id=f"restored-{each.unit}") for each in missing]
        )
        made = Enrollment.objects.bulk_create(
            [
                Enrollment(
                    learner=learner,
                    course=self._course(each.course, each.at),
                    unit_key=UUID(each.unit),
                    enrolled_at=datetime.fromisoformat(each.at),
                )
                for each, learner in zip(missing, learners, strict=True)
            ]
        )
        return found | {str(enrollment.unit_key): enrollment.pk for enrollment in made}

    def _stratum(self, key: str, position: int) -> Stratum:
        if key not in self._strata:
            self._strata[key] = Stratum.objects.create(experiment=self._experiment, key=key)
        stratum = self._strata[key]
        stratum.drawn = max(stratum.drawn, position + 1)
        return stratum

    def _course(self, key: str, at: str) -> Course:
        if key not in self._courses:
            day = at[:10]
            values = {"title": key, "time_zone": "UTC", "starts_on": day, "ends_on": day}
            self._courses[key], _ = Course.objects.get_or_create(key=key, defaults=values)
        return self._courses[key]
