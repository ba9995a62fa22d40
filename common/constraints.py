"""Database constraints that many tables share."""

from typing import Any

from django.db.models import BooleanField, CheckConstraint, Expression, F, Func, Q

from common.clock import END_OF_INSTANTS, FIRST_DAY, FIRST_INSTANT, LAST_DAY

OUT_OF_RANGE = "A date must lie in the years 1900 to 2199. Leave it empty where there is none."


class _IsComposed(Func):
    # Nearly every key is ASCII. Checking Unicode for each key would slow ingest down noticeably.
    template = (
        "(octet_length(%(expressions)s) = char_length(%(expressions)s)"
        " OR %(expressions)s IS NFC NORMALIZED)"
    )
    output_field = BooleanField()

    def as_postgresql(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, list[Any]]:
        """Return the SQL. A value that is checked before it is saved occurs three times in it."""
        sql, params = self.as_sql(compiler, connection, **context)
        return sql, [*params] * 3


class _IsObject(Func):
    template = "jsonb_typeof(%(expressions)s) = 'object'"
    output_field = BooleanField()


def instants_in_range(*columns: str, table: str) -> CheckConstraint:
    """Return the constraint that the instants are null or in a range that Python can read.

    PostgreSQL can store the year 10000 and the first hours of year 1 in UTC, but Python cannot read
    them. Every page that shows such a row would fail.
    """
    return _constraint(
        f"{table}_instants_in_range",
        *(Q((f"{each}__gte", FIRST_INSTANT), (f"{each}__lt", END_OF_INSTANTS)) for each in columns),
    )


def days_in_range(*columns: str, table: str) -> CheckConstraint:
    """Return the constraint that the days are null or in the years of the zone periods."""
    return _constraint(
        f"{table}_days_in_range",
        *(Q((f"{each}__gte", FIRST_DAY), (f"{each}__lte", LAST_DAY)) for each in columns),
    )


def is_composed(column: str, *, table: str) -> CheckConstraint:
    """Return the constraint that the text is in the composed form of Unicode (NFC)."""
    return CheckConstraint(condition=_IsComposed(F(column)), name=f"{table}_{column}_is_composed")


def is_object(column: str, *, table: str) -> CheckConstraint:
    """Return the constraint that the JSON is an object. It may be empty."""
    return CheckConstraint(condition=_IsObject(F(column)), name=f"{table}_{column}_is_an_object")


def _constraint(name: str, *conditions: Q) -> CheckConstraint:
    condition: Q | Expression = conditions[0]
    for other in conditions[1:]:
        condition &= other
    return CheckConstraint(condition=condition, name=name, violation_error_message=OUT_OF_RANGE)
