"""The five default segments of an OULAD course run, computed with pandas from the raw files.

It is written only from the definitions, as an independent check of the engine.
It has no memberships: a learner is in a segment if its rule is true at the end of a day.
`data` is the folder with courses.csv.gz; days count from the run's day 0.
"""

from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

ZONE = "Europe/London"
DAY_0 = {
    "2013B": date(2013, 2, 2),
    "2013J": date(2013, 10, 5),
    "2014B": date(2014, 2, 1),
    "2014J": date(2014, 10, 4),
}
SECONDS_A_DAY = 86_400
SECONDS_AN_HOUR = 3_600
PASS_MARK = 40
NOON, ONE_O_CLOCK = 12, 13
# An activity is owed from this many days after its due day. A module stays open for this many days
# after it. A quiz that is due in more than a week is not missed yet.
GRACE, STAYS_OPEN, FAR_AHEAD = 2, 14, 7


class Run(NamedTuple):
    """One course run: its calendar, its units, its enrollments and every event of its log."""

    day_0: date
    ends_on: int
    units: pd.DataFrame
    enrollments: pd.DataFrame
    events: pd.DataFrame


def five_segments(data: Path, run: str, day: int, day0: date | None = None) -> dict[str, set[str]]:
    """Return the external ids in each segment at the end of the day."""
    table = signals(data, run, day, day0)
    # Nullable columns give Kleene logic: comparing a null gives NA, and NA or true is true.
    rules = {
        "AP": (table.active_days_7 >= 3) & (table.modules_completed_14 >= 1),
        "VO": (table.content_views_14 >= 1) & (table.quiz_attempt_rate_14 < 0.30),
        "AR": (table.activities_completed_rate_14 < 0.50) | (table.quiz_pass_rate_14 < 0.60),
        "SP": (table.modules_open >= 1) & (table.days_since_activity >= 7),
        "VC": (table.quiz_pass_rate_all >= 0.85)
        & (table.pace_percentile < 0.25)
        & (table.active_days_14 >= 1),
    }
    return {key: set(table.index[rule.fillna(value=False)]) for key, rule in rules.items()}


def in_scope(data: Path, run: str, day: int, day0: date | None = None) -> set[str]:
    """Return the external ids of the learners in scope at the end of the day."""
    course = load_run(data, run, day0)
    return set(external_ids(scope(course, day)))


def signals(data: Path, run: str, day: int, day0: date | None = None) -> pd.DataFrame:
    """Return one row per learner in scope, indexed by external id. An unknown signal is NA."""
    course = load_run(data, run, day0)
    students = scope(course, day)
    past = course.events[course.events.day <= day]
    columns = {
        "active_days_7": last_days(past, day, 7).groupby("student").day.nunique(),
        "active_days_14": last_days(past, day, 14).groupby("student").day.nunique(),
        "modules_completed_14": last_days(completions(past), day, 14).groupby("student").size(),
        "content_views_14": content_views(last_days(past, day, 14)),
        "modules_open": modules_open(course, past, students, day),
    }
    counts = pd.DataFrame(columns, index=students).fillna(0).astype("Int64")
    shares = {
        "quiz_attempt_rate_14": quiz_attempt_rate(course, past, day, 14),
        "activities_completed_rate_14": activities_completed_rate(course, past, students, day, 14),
        "quiz_pass_rate_14": quiz_pass_rate(last_days(past, day, 14)),
        "quiz_pass_rate_all": quiz_pass_rate(past),
        "days_since_activity": days_since_activity(course, past, students, day),
        "pace_percentile": pace_percentile(past, day),
    }
    rates = pd.DataFrame(shares, index=students).astype("Float64")
    return counts.join(rates).set_axis(external_ids(students))


# The raw files, mapped as the importer maps them.


@cache
def raw(data: Path, name: str) -> pd.DataFrame:
    """Return one table of the data set, missing values as NaN, with its run in a column."""
    table = pd.read_csv(data / f"{name}.csv.gz", na_values=["NA", ""])
    if "code_module" in table:
        table["run"] = table.code_module + "_" + table.code_presentation
    return table


@cache
def clicks(data: Path, run: str) -> pd.DataFrame:
    """Return the click rows of the run, from its own file if it exists."""
    own_file = data / "studentVle" / f"{run}.csv.gz"
    if own_file.exists():
        return pd.read_csv(own_file)
    module, presentation = run.split("_")
    wanted = [("code_module", "==", module), ("code_presentation", "==", presentation)]
    columns = ["id_student", "id_site", "date", "sum_click"]
    return pd.read_parquet(data / "studentVle.parquet", filters=wanted, columns=columns)


@cache
def load_run(data: Path, run: str, day0: date | None = None) -> Run:
    """Return the run as the importer would store it, with day 0 moved if `day0` is given."""
    day_0 = day0 or DAY_0[run.split("_")[1]]
    courses = raw(data, "courses").set_index("run")
    units = load_units(data, run)
    events = pd.concat(
        [click_events(data, run, units), submission_events(data, run)], ignore_index=True
    )
    events["at"] = instants(day_0, events.day, events.hour)
    ends_on = int(courses.module_presentation_length[run])
    return Run(day_0, ends_on, units, load_enrollments(data, run), events)


def load_units(data: Path, run: str) -> pd.DataFrame:
    """Return the dated assessments, each a module with one activity, by due day and then id."""
    assessments = raw(data, "assessments")
    dated = assessments[(assessments.run == run) & assessments.date.notna()]
    units = pd.DataFrame(
        {
            # Float like the units of events, where a site without one has NaN.
            "unit": dated.id_assessment.astype(float),
            "due_on": dated.date.astype(int),
            "is_quiz": dated.assessment_type == "CMA",
        }
    ).sort_values(["due_on", "unit"], ignore_index=True)
    # Units due on one day were assigned on the same day, so only a strictly earlier due day counts.
    earlier = [units.due_on[units.due_on < due].max() for due in units.due_on]
    units["assigned_on"] = pd.Series(earlier, dtype=float).add(1).fillna(0).astype(int)
    return units


def load_enrollments(data: Path, run: str) -> pd.DataFrame:
    """Return the day each student enrolled and withdrew, and whether the course was completed."""
    registrations = raw(data, "studentRegistration")
    info = raw(data, "studentInfo")
    enrolled = registrations[registrations.run == run].set_index("id_student")
    results = info[info.run == run].set_index("id_student").final_result
    return pd.DataFrame(
        {
            "enrolled_on": enrolled.date_registration.fillna(0).astype(int),
            "withdrew_on": enrolled.date_unregistration,
            "completes": results.isin(["Pass", "Distinction"]),
        }
    )


def click_events(data: Path, run: str, units: pd.DataFrame) -> pd.DataFrame:
    """Return one view or download per student, site and day, with the unit of the site."""
    keys = ["id_student", "id_site", "date"]
    summed = clicks(data, run).groupby(keys, as_index=False).sum_click.sum()
    return pd.DataFrame(
        {
            "student": summed.id_student,
            "day": summed.date,
            "hour": NOON,
            "verb": "VIEW",
            "unit": summed.id_site.map(site_units(data, run, units)),
            "count": summed.sum_click,
            "score": np.nan,
        }
    )


def site_units(data: Path, run: str, units: pd.DataFrame) -> pd.Series:
    """Return the unit of each planned site: the first one due on or after its week starts."""
    sites = raw(data, "vle")
    planned = sites[(sites.run == run) & sites.week_from.notna()].set_index("id_site")
    position = np.searchsorted(units.due_on, 7 * planned.week_from, side="left")
    return pd.Series([*units.unit, np.nan], dtype=float).iloc[position].set_axis(planned.index)


def submission_events(data: Path, run: str) -> pd.DataFrame:
    """Return the attempts, the submissions, and the completions of units by them."""
    assessments = raw(data, "assessments")
    own = assessments[assessments.run == run].set_index("id_assessment")
    handed_in = raw(data, "studentAssessment")
    handed_in = handed_in[handed_in.id_assessment.isin(own.index) & (handed_in.is_banked == 0)]
    is_quiz = handed_in.id_assessment.map(own.assessment_type) == "CMA"
    dated = handed_in.id_assessment.map(own.date).notna()
    acts = pd.DataFrame(
        {
            "student": handed_in.id_student,
            "day": handed_in.date_submitted,
            "hour": ONE_O_CLOCK,
            "verb": np.where(is_quiz, "ATTEMPT_QUIZ", "SUBMIT_ASSIGNMENT"),
            "unit": handed_in.id_assessment.where(dated),
            "count": 1,
            "score": handed_in.score,
        }
    )
    completed = acts[acts.unit.notna()].assign(verb="COMPLETE_MODULE", score=np.nan)
    return pd.concat([acts, completed], ignore_index=True)


# Time and scope.


def instants(day_0: date, days: pd.Series, hour: pd.Series | int) -> pd.Series:
    """Return the Unix seconds of the local hour on each day. A London day may have 23 hours."""
    local = pd.Timestamp(day_0) + pd.to_timedelta(days, "D") + pd.to_timedelta(hour, "h")
    return local.dt.tz_localize(ZONE).astype("datetime64[s, UTC]").astype("int64")


def end_of_day(day_0: date, day: int) -> int:
    """Return the Unix second of 23:59:59 local."""
    last_second = pd.Timestamp(day_0 + timedelta(days=day)) + pd.Timedelta("23:59:59")
    return int(last_second.tz_localize(ZONE).timestamp())


def scope(course: Run, day: int) -> pd.Index:
    """Return the students in scope at the end of the day."""
    who = course.enrollments
    has_started = who.enrolled_on.clip(lower=0) <= day
    has_withdrawn = who.withdrew_on <= day
    has_completed = who.completes & (day >= course.ends_on)
    return who.index[has_started & ~has_withdrawn & ~has_completed & (day <= course.ends_on)]


def external_ids(students: pd.Index) -> pd.Index:
    return pd.Index([f"oulad-{student}" for student in students], dtype=str)


def last_days(rows: pd.DataFrame, day: int, days: int) -> pd.DataFrame:
    """Return the rows on one of the last N days, which are day - N + 1 .. day."""
    return rows[rows.day.between(day - days + 1, day)]


# The signals: each is a series by student. A missing student means 0 or unknown.


def content_views(past: pd.DataFrame) -> pd.Series:
    return past[past.verb == "VIEW"].groupby("student")["count"].sum()


def completions(past: pd.DataFrame) -> pd.DataFrame:
    """Return the first completion of each student and unit."""
    done = past[past.verb == "COMPLETE_MODULE"]
    return done.groupby(["student", "unit"], as_index=False)[["day", "at"]].min()


def touches(past: pd.DataFrame) -> pd.DataFrame:
    """Return the first and last touch (any act on the unit or its items) by student and unit."""
    return past.groupby(["student", "unit"], as_index=False).agg(
        first_at=("at", "min"), last_on=("day", "max")
    )


def assigned(course: Run, day: int) -> pd.DataFrame:
    return course.units[course.units.assigned_on <= day]


def quiz_attempt_rate(course: Run, past: pd.DataFrame, day: int, days: int) -> pd.Series:
    """Return the share attempted of the assigned quizzes in modules touched on those days.

    Quizzes that are due in more than a week are left out.
    """
    units = assigned(course, day)
    units = units[units.due_on <= day + FAR_AHEAD]
    recent = last_days(past, day, days)
    recent = recent[recent.unit.isin(units.unit[units.is_quiz])]
    attempted = recent.verb == "ATTEMPT_QUIZ"
    return attempted.groupby([recent.student, recent.unit]).any().groupby("student").mean()


def quiz_pass_rate(past: pd.DataFrame) -> pd.Series:
    """Return the share passed of the scored attempts."""
    scored = past[(past.verb == "ATTEMPT_QUIZ") & past.score.notna()]
    return (scored.score >= PASS_MARK).groupby(scored.student).mean()


def activities_completed_rate(
    course: Run, past: pd.DataFrame, students: pd.Index, day: int, days: int
) -> pd.Series:
    """Return the share completed of the activities that are owed since one of the last N days.

    An activity is owed if its days of grace are over and somebody had completed it before this day.
    """
    handed_in = past[past.verb.isin(["ATTEMPT_QUIZ", "SUBMIT_ASSIGNMENT"])]
    known = handed_in.unit[handed_in.day < day]
    due = course.units[course.units.due_on.between(day - days - GRACE + 1, day - GRACE)]
    due = due[due.unit.isin(known)]
    enrolled_on = course.enrollments.enrolled_on.loc[students].rename_axis("student").reset_index()
    owed = enrolled_on.merge(due, how="cross").query("due_on >= enrolled_on")
    # An undated assessment gives no unit and is no activity, so the units name all of them.
    done = pd.MultiIndex.from_frame(handed_in[["student", "unit"]])
    is_done = pd.MultiIndex.from_frame(owed[["student", "unit"]]).isin(done)
    return pd.Series(is_done, owed.index).groupby(owed.student).mean()


def days_since_activity(course: Run, past: pd.DataFrame, students: pd.Index, day: int) -> pd.Series:
    """Return the 24-hour days since the latest of last act, enrollment and course start."""
    starts = course.enrollments.enrolled_on.loc[students].clip(lower=0)
    started_at = instants(course.day_0, starts, 0)
    last_at = past.groupby("student")["at"].max().reindex(students)
    latest = np.fmax(last_at, started_at)
    return (end_of_day(course.day_0, day) - latest) / SECONDS_A_DAY


def modules_open(course: Run, past: pd.DataFrame, students: pd.Index, day: int) -> pd.Series:
    """Return the number of assigned modules not completed, until two weeks after their due day."""
    units = assigned(course, day)
    units = units.unit[units.due_on >= day - STAYS_OPEN]
    done = completions(past)
    closed = done[done.unit.isin(units)].groupby("student").size()
    return len(units) - closed.reindex(students, fill_value=0)


def pace_percentile(past: pd.DataFrame, day: int) -> pd.Series:
    """Return the mid-rank of each student's pace among the course's, 0 for the fastest.

    Module medians and the course's paces use the events before the day began. A module
    that nobody had completed by then has no median and is left out of the student's pace. The
    student's own earlier pace is not counted. If more than half are equal, nobody has a rank.
    """
    before = unit_durations(past[past.day < day])
    medians = median_by(before.seconds, before.unit)
    earlier = paces(before, medians)
    course_paces = np.sort(earlier.to_numpy())
    if not len(course_paces) or 2 * earlier.value_counts().max() > len(course_paces):
        return pd.Series(dtype=float)
    own = paces(unit_durations(past), medians)
    below = np.searchsorted(course_paces, own, side="left")
    ties = np.searchsorted(course_paces, own, side="right") - below
    others = ties - (earlier.reindex(own.index) == own)
    return (below + others / 2) / len(course_paces)


def unit_durations(past: pd.DataFrame) -> pd.DataFrame:
    """Return the seconds from first touch to completion, at least an hour."""
    done = completions(past).merge(touches(past), on=["student", "unit"])
    seconds = (done["at"] - done.first_at).clip(lower=SECONDS_AN_HOUR)
    return done[["student", "unit"]].assign(seconds=seconds)


def paces(durations: pd.DataFrame, medians: pd.Series) -> pd.Series:
    relative = (durations.seconds / durations.unit.map(medians)).dropna()
    # Rounded, so that two equal paces do not differ in the last bit of a float.
    return median_by(relative, durations.student.loc[relative.index]).round(9)


def median_by(values: pd.Series, keys: pd.Series) -> pd.Series:
    """Return the median per key, rounded like PostgreSQL's percentile_cont."""
    order = np.lexsort((values, keys))
    ordered = values.to_numpy(dtype=float)[order]
    names, start, size = np.unique(keys.to_numpy()[order], return_index=True, return_counts=True)
    low, high = ordered[start + (size - 1) // 2], ordered[start + size // 2]
    return pd.Series(low + 0.5 * (high - low), index=names)
