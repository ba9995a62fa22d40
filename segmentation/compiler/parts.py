"""The table `part` of a reading: one row for each course with all that is given about it."""

# Every value is bound; only constants of this module are put into the text.
# ruff: noqa: S608

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from segmentation.norms import NormsValues
from segmentation.signals import Need, Sources, Subject, UndeclaredNeedError
from segmentation.sql import Params

# Half of the billionth to which paces are rounded.
_NEARLY = "5e-10::float8"


@dataclass(frozen=True)
class _Norm:
    """A column of norms: its value for one course, and its SQL from the stored row n.

    p has the sorted paces, once for all their uses.
    """

    name: str
    type: str
    value: Callable[[NormsValues], Any]
    stored: str
    need: Need = Need.NORMS


_NORMS = (
    _Norm(
        "module_ids",
        "bigint[]",
        lambda norms: list(norms.module_medians),
        "ARRAY(SELECT key::bigint FROM jsonb_each_text(n.figures -> 'module_medians'))",
    ),
    _Norm(
        "module_medians",
        "float8[]",
        lambda norms: list(norms.module_medians.values()),
        "ARRAY(SELECT value::float8 FROM jsonb_each_text(n.figures -> 'module_medians'))",
    ),
    _Norm(
        "completed_items",
        "bigint[]",
        lambda norms: norms.completed_items,
        "translate(n.figures ->> 'completed_items', '[]', '{}')::bigint[]",
    ),
    # Null if ranks have no meaning, as NormsValues.has_ranks says.
    _Norm(
        "paces",
        "float8[]",
        lambda norms: list(norms.paces) if norms.has_ranks else None,
        "CASE WHEN 2 * (width_bucket(p.middle, p.paces)"
        f" - width_bucket(p.middle - {_NEARLY}, p.paces)) <= cardinality(p.paces) THEN p.paces END",
    ),
    *(
        _Norm(
            name,
            "bigint[]",
            attrgetter(name),
            f"translate(n.figures ->> '{name}', '[]', '{{}}')::bigint[]",
            Need.SCORES,
        )
        for name in ("recency_cuts", "frequency_cuts")
    ),
)
_NORMS_NEEDS = {each.need for each in _NORMS}
_STORED = """JOIN segmentation_norms n ON n.course_id = u.course_id AND n.day = u.norms_on
        CROSS JOIN LATERAL (
            SELECT x.paces, x.paces[cardinality(x.paces) / 2 + 1] AS middle
            FROM (SELECT translate(n.figures ->> 'paces', '[]', '{}')::float8[] AS paces OFFSET 0) x
            OFFSET 0
        ) p"""


def part_table(subjects: Sequence[Subject], sources: Sources) -> str:
    """Return the table `part` with the alias k: one row for each subject.

    One row is written as constants, so that the plan can go by them. The text for several rows is
    the same for any number of them, and their norms are the stored ones. A course without stored
    norms of its day is left out then, with all its enrollments.
    """
    if len(subjects) == 1:
        return _one(subjects[0], sources)
    return _several(subjects, sources)


def _one(subject: Subject, sources: Sources) -> str:
    bind = sources.params.bind
    norms = _values(subject.norms, sources)
    columns = {
        "course_id": bind(subject.course_id, "bigint"),
        "as_of": bind(subject.as_of, "timestamptz"),
        "enrollment_ids": bind(subject.enrollment_ids, "bigint[]"),
        **{each.name: bind(each.value(norms), each.type) for each in _NORMS},
    }
    return f"(VALUES ({', '.join(columns.values())})) AS k ({', '.join(columns)})"


def _values(norms: Any, sources: Sources) -> NormsValues:
    if isinstance(norms, NormsValues):
        return norms
    if _NORMS_NEEDS & sources.needs:
        raise UndeclaredNeedError("the norms of the day were not read")
    return NormsValues()


def _several(subjects: Sequence[Subject], sources: Sources) -> str:
    is_stored = bool(_NORMS_NEEDS & sources.needs)
    columns = [
        f"{each.stored if each.need in sources.needs else f'NULL::{each.type}'} AS {each.name}"
        for each in _NORMS
    ]
    # OFFSET 0: each row is made once, and not again wherever a column of it is used.
    return f"""(
        SELECT u.course_id, u.as_of, u.enrollment_ids::bigint[] AS enrollment_ids,
            {", ".join(columns)}
        FROM unnest({", ".join(_arrays(subjects, sources.params))})
            AS u (course_id, as_of, enrollment_ids, norms_on)
        {_STORED if is_stored else ""}
        OFFSET 0
    ) k"""


def _arrays(subjects: Sequence[Subject], params: Params) -> list[str]:
    days = [None if isinstance(each.norms, NormsValues) else each.norms for each in subjects]
    return [
        params.bind([each.course_id for each in subjects], "bigint[]"),
        params.bind([each.as_of for each in subjects], "timestamptz[]"),
        # An array of arrays of different lengths does not exist, so each is passed as its text.
        params.bind([_text(each.enrollment_ids) for each in subjects], "text[]"),
        params.bind(days, "date[]"),
    ]


def _text(ids: Sequence[int] | None) -> str | None:
    return None if ids is None else f"{{{','.join(map(str, ids))}}}"
