"""How many learners of each course a holdout keeps without messages."""

from collections import Counter
from dataclasses import dataclass

from activity.access import Viewer, for_user
from activity.models import Course, Enrollment
from experiments.randomize.hash import bucket_of_many
from interventions.models import Holdout
from interventions.policy.holdouts import buckets_of

# The draw of a learner takes a few microseconds, so this many take about a second.
MOST_COUNTED = 200_000
MOST_COURSES = 50


@dataclass(frozen=True)
class HeldOut:
    """The learners of a course who have not left it, and how many of them are held out."""

    course: Course
    learners: int
    held_out: int


def held_out_by_course(holdout: Holdout, *, viewer: Viewer) -> list[HeldOut]:
    """Return the courses of the holdout that the viewer may see, and their learners. Two queries.

    Of very many courses or learners only the first are counted.
    """
    courses = for_user(Course.objects.all(), viewer)
    if holdout.course_id is not None:
        courses = courses.filter(pk=holdout.course_id)
    shown = {course.pk: course for course in courses.order_by("-starts_on", "pk")[:MOST_COURSES]}
    rows = Enrollment.objects.filter(course__in=shown, withdrew_at=None)
    pairs = list(rows.order_by("pk").values_list("course_id", "learner_id")[:MOST_COUNTED])
    drawn = bucket_of_many([str(learner) for _, learner in pairs], seed=holdout.seed)
    of_course = Counter(course for course, _ in pairs)
    held = Counter(
        course
        for (course, _), bucket in zip(pairs, drawn.tolist(), strict=True)
        if bucket < buckets_of(float(holdout.share))
    )
    return [HeldOut(shown[pk], number, held[pk]) for pk, number in of_course.items()]
