"""Constraints that many tables share."""

from typing import Any

from django.db.models import BooleanField, CheckConstraint, Expression, F, Func, Q

from common.clock import END_OF_INSTANTS, FIRST_DAY, FIRST_INSTANT, LAST_DAY

OUT_OF_RANGE = "A date must lie in the years 1900 to 2199. Leave it empty where there is none."


class _IsComposed(Func):
    # Nearly every key is ASCII, and asking Unicode of each takes a good part of an ingest.
    template = (
        "(octet_length(%(expressions)s) = char_length(%(expressions)s)"
        " OR %(expressions)s IS NFC NORMALIZED)"
    )
    output_field = BooleanField()

    def as_postgresql(
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, list[Any]]:
        """Return the SQL. A value that is checked before it is saved stands in it three times."""
        sql, params = self.as_sql(compiler, connection, **context)
        return sql, [*params] * 3


class _IsObject(Func):
    template = "jsonb_typeof(%(expressions)s) = 'object'"
    output_field = BooleanField()


def instants_in_range(*columns: str, table: str) -> CheckConstraint:
    """Return the constraint that the instants are null or lie in the years that can be read back.

    PostgreSQL keeps the year 10000 and the first hours of year 1 in UTC, and Python cannot read
    them: every page that shows the row would fail.
    """
    return _constraint(
        f"{table}_instants_in_range",
        *(Q((f"{each}__gte", FIRST_INSTANT), (f"{each}__lt", END_OF_INSTANTS)) for each in columns),
    )


def days_in_range(*columns: str, table: str) -> CheckConstraint:
    """Return the constraint that the days are null or lie in the years of the zone periods."""
    return _constraint(
        f"{table}_days_in_range",
        *(Q((f"{each}__gte", FIRST_DAY), (f"{each}__lte", LAST_DAY)) for each in columns),
    )


def is_composed(column: str, *, table: str) -> CheckConstraint:
    """Return the constraint that one text is not kept in two spellings of Unicode."""
    return CheckConstraint(condition=_IsComposed(F(column)), name=f"{table}_{column}_is_composed")


def is_object(column: str, *, table: str) -> CheckConstraint:
    """Return the constraint that the JSON is an object, perhaps an empty one."""
    return CheckConstraint(condition=_IsObject(F(column)), name=f"{table}_{column}_is_an_object")


def _constraint(name: str, *conditions: Q) -> CheckConstraint:
    condition: Q | Expression = conditions[0]
    for other in conditions[1:]:
        condition &= other
    return CheckConstraint(condition=condition, name=name, violation_error_message=OUT_OF_RANGE)
