"""The table expressions that a reading draws from, each left out where nothing asks for it."""

# Every value is bound; what is put into the text are constants of this package.
# ruff: noqa: S608

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from activity.queries import daily_activity_select, progress_select
from segmentation.compiler.sql import Params, indent, midnight
from segmentation.norms import NormsValues


@dataclass(frozen=True)
class Subject:
    """Who is read, and as of when: one course, perhaps only some of its enrollments."""

    course_id: int
    as_of: datetime
    enrollment_ids: list[int] | None
    norms: NormsValues


@dataclass
class Columns:
    """Named SQL expressions; asking for the same one again gives the same name."""

    prefix: str
    names: dict[str, str] = field(default_factory=dict)

    def add(self, expression: str) -> str:
        """Return the expression's column name."""
        return self.names.setdefault(expression, f"{self.prefix}{len(self.names)}")

    def select(self) -> list[str]:
        return [f"{expression} AS {name}" for expression, name in self.names.items()]


@dataclass
class Sources:
    """What the signals of one reading need, collected while they are compiled.

    `facts` are about the course (one row); `daily` and `progress` are aggregates an enrollment,
    over the aliases a (a DailyActivity row) and p (a Progress row with its item's columns).
    """

    subject: Subject
    params: Params = field(default_factory=Params)
    facts: Columns = field(default_factory=lambda: Columns("f"))
    daily: Columns = field(default_factory=lambda: Columns("d"))
    progress: Columns = field(default_factory=lambda: Columns("g"))
    # How many days back the daily rows are needed; None: all of them.
    reach: int | None = 0
    # Which items matter, as SQL conditions over the alias i of activity_item.
    items: set[str] = field(default_factory=set)
    needs_pace: bool = False
    needs_traits: bool = False

    @property
    def as_of(self) -> str:
        return self.params.bind(self.subject.as_of, "timestamptz")

    def days(self, window: int) -> str:
        return self.params.bind(window, "int")

    def fact(self, expression: str) -> str:
        """Return SQL for a fact of the course; the expression may use the alias c of `course`."""
        return f"(SELECT {self.facts.add(expression)} FROM fact)"

    def day(self) -> str:
        """Return SQL for D, the course-local date of as_of."""
        return "(SELECT day_on FROM course)"

    def since(self, window: int) -> str:
        """Return SQL for the instant at which the last N days begin."""
        return self.fact(midnight(f"(c.day_on - {self.days(window)} + 1)", "c.time_zone"))

    def sum_of_day(self, expression: str, window: int | None, *, skip: int = 0) -> str:
        """Return the aggregate of daily rows over the last N days, or over the N before `skip`."""
        oldest = None if window is None else window + skip
        self.reach = None if None in (oldest, self.reach) else max(oldest or 0, self.reach or 0)
        if oldest is None:
            return f"d.{self.daily.add(expression)}"
        within = f"a.day > {self.day()} - {self.days(oldest)}"
        if skip:
            within += f" AND a.day <= {self.day()} - {self.days(skip)}"
        return f"d.{self.daily.add(f'{expression} FILTER (WHERE {within})')}"

    def of_progress(self, aggregate: str, *, items: str) -> str:
        """Return the aggregate over the Progress rows of the items that the condition names."""
        self.items.add(items)
        return f"g.{self.progress.add(aggregate)}"


def with_clause(sources: Sources) -> str:
    """Return the WITH clause of everything that was asked for."""
    parts: list[tuple[str, bool, Callable[[Sources], str]]] = [
        ("course AS MATERIALIZED", True, _course),
        ("fact AS MATERIALIZED", bool(sources.facts.names), _fact),
        ("scope AS MATERIALIZED", True, _scope),
        ("live AS", _reads_days(sources) or _reads_progress(sources), _live),
        ("cut AS", _reads_days(sources) or _reads_progress(sources), _cut),
        ("item AS MATERIALIZED", _reads_progress(sources), _item),
        ("daily AS", _reads_days(sources), _daily),
        ("progress_row AS", _reads_progress(sources), _progress_row),
        ("progress AS", bool(sources.progress.names), _progress),
        ("pace AS", sources.needs_pace, _pace),
    ]
    texts = [f"{name} ({write(sources)})" for name, wanted, write in parts if wanted]
    return "WITH " + ",\n".join(texts)


def from_clause(sources: Sources) -> str:
    """Return the FROM clause: the enrollments `s` with their aggregates `d`, `g` and pace `w`."""
    joins = ["scope s"]
    if _reads_days(sources):
        joins.append("LEFT JOIN daily d ON d.enrollment_id = s.enrollment_id")
    if sources.progress.names:
        joins.append("LEFT JOIN progress g ON g.enrollment_id = s.enrollment_id")
    if sources.needs_pace:
        joins.append("LEFT JOIN pace w ON w.enrollment_id = s.enrollment_id")
    if sources.needs_traits:
        joins.append("LEFT JOIN activity_learner t ON t.id = s.learner_id")
    return "FROM " + "\n    ".join(joins)


def _reads_days(sources: Sources) -> bool:
    return bool(sources.daily.names)


def _reads_progress(sources: Sources) -> bool:
    return bool(sources.progress.names) or sources.needs_pace


def _course(sources: Sources) -> str:
    starts_at = midnight("c.starts_on", "c.time_zone")
    next_day_at = midnight("(x.day_on + 1)", "c.time_zone")
    over_at = midnight("(c.ends_on + 1)", "c.time_zone")
    return f"""
        SELECT c.id, c.time_zone, c.ends_on, x.day_on, {starts_at} AS starts_at,
            {next_day_at} AS next_day_at, {over_at} AS over_at
        FROM activity_course c
        CROSS JOIN LATERAL (SELECT ({sources.as_of} AT TIME ZONE c.time_zone)::date AS day_on) x
        WHERE c.id = {sources.params.bind(sources.subject.course_id, "bigint")}"""


def _fact(sources: Sources) -> str:
    return f"SELECT\n        {indent(sources.facts.select())}\n    FROM course c"


def _scope(sources: Sources) -> str:
    ids = sources.subject.enrollment_ids
    only = "" if ids is None else f" AND e.id = ANY({sources.params.bind(ids, 'bigint[]')})"
    return f"""
        SELECT x.*, x.began_at <= {sources.as_of} AND NOT x.over AS in_scope FROM (
            SELECT e.id AS enrollment_id, e.learner_id, e.withdrew_at, e.completed_at,
                greatest(e.enrolled_at, c.starts_at) AS began_at,
                (e.enrolled_at AT TIME ZONE c.time_zone)::date AS enrolled_on,
                coalesce(e.last_event_at > {sources.as_of}, false) AS is_past,
                coalesce(e.withdrew_at <= {sources.as_of}, false)
                    OR coalesce(e.completed_at <= {sources.as_of}, false)
                    OR c.day_on > c.ends_on AS over
            FROM activity_enrollment e JOIN course c ON c.id = e.course_id
            WHERE e.course_id = {sources.params.bind(sources.subject.course_id, "bigint")}{only}
        ) x"""


def _live(_: Sources) -> str:
    return "SELECT enrollment_id, enrolled_on, is_past FROM scope WHERE in_scope"


def _cut(sources: Sources) -> str:
    """Return the event log, cut at as_of, of those whose read models have gone past it."""
    return f"""
        SELECT v.* FROM live l JOIN activity_event v ON v.enrollment_id = l.enrollment_id
        WHERE l.is_past AND v.occurred_at <= {sources.as_of}"""


def _daily(sources: Sources) -> str:
    reach = sources.reach
    recent = "true" if reach is None else f"a.day > {sources.day()} - {sources.days(reach)}"
    return f"""
        SELECT a.enrollment_id,
        {indent(sources.daily.select())}
        FROM (
            SELECT {_DAY_COLUMNS} FROM live l
            JOIN activity_dailyactivity a ON a.enrollment_id = l.enrollment_id
            WHERE NOT l.is_past AND {recent}
            UNION ALL
            SELECT {_DAY_COLUMNS} FROM ({daily_activity_select("cut")}) a WHERE {recent}
        ) a GROUP BY a.enrollment_id"""


_DAY_COLUMNS = (
    "a.enrollment_id, a.day, a.acts, a.last_act_at, a.logins, a.views, a.plays, a.downloads,"
    " a.starts, a.submissions, a.attempts, a.scored, a.passed, a.score_sum"
)


def _item(sources: Sources) -> str:
    """Return the items that matter, with what the aggregates ask about them."""
    norms = sources.subject.norms
    ids = sources.params.bind(list(norms.module_medians), "bigint[]")
    medians = sources.params.bind(list(norms.module_medians.values()), "float8[]")
    return f"""
        SELECT i.id, i.kind = 'module' AS is_module,
            i.kind = 'quiz' AND u.id IS NOT NULL AS is_quiz,
            i.assigned_on IS NULL OR i.assigned_on <= c.day_on AS is_assigned,
            CASE WHEN i.kind <> 'module' THEN coalesce(i.due_on, i.assigned_on) END AS owed_on,
            coalesce(q.quizzes, 0) AS quizzes, m.median
        FROM activity_item i JOIN course c ON c.id = i.course_id
        LEFT JOIN activity_item u ON u.id = i.parent_id AND u.kind = 'module'
        LEFT JOIN (
            SELECT z.parent_id, count(*) AS quizzes
            FROM activity_item z JOIN course c ON c.id = z.course_id
            WHERE z.kind = 'quiz' AND (z.assigned_on IS NULL OR z.assigned_on <= c.day_on)
            GROUP BY z.parent_id
        ) q ON q.parent_id = i.id
        LEFT JOIN unnest({ids}, {medians}) AS m(item_id, median) ON m.item_id = i.id
        WHERE {" OR ".join(f"({condition})" for condition in sorted(sources.items))}"""


def _progress_row(_: Sources) -> str:
    columns = (
        "p.enrollment_id, p.first_touched_at, p.last_touched_at, p.last_attempt_at,"
        " p.first_completed_at, l.enrolled_on,"
        " i.is_module, i.is_quiz, i.is_assigned, i.owed_on, i.quizzes, i.median"
    )
    return f"""
        SELECT {columns} FROM live l
        JOIN activity_progress p ON p.enrollment_id = l.enrollment_id
        JOIN item i ON i.id = p.item_id
        WHERE NOT l.is_past
        UNION ALL
        SELECT {columns} FROM ({progress_select("cut")}) p
        JOIN live l ON l.enrollment_id = p.enrollment_id
        JOIN item i ON i.id = p.item_id"""


def _progress(sources: Sources) -> str:
    return f"""
        SELECT p.enrollment_id,
        {indent(sources.progress.select())}
        FROM progress_row p GROUP BY p.enrollment_id"""


def _pace(_: Sources) -> str:
    """Return each learner's pace: the median of the completed modules' times against the norm."""
    # On its own: an ordered aggregate among the others would sort every row, not hash them.
    return """
        SELECT p.enrollment_id, percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(
            extract(epoch FROM p.first_completed_at - p.first_touched_at)::float8, 3600
        ) / p.median) AS pace
        FROM progress_row p
        WHERE p.median IS NOT NULL AND p.first_completed_at IS NOT NULL
        GROUP BY p.enrollment_id"""
