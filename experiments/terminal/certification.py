"""Certificates as lines for a terminal, as JSON, and as tables in a page. Pure."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from math import inf, isinf
from typing import Any

from experiments.stats.certificates.promise import Certificate, Promise, Subject

BEGIN, END = "<!-- certificates: begin -->", "<!-- certificates: end -->"

TITLES = {
    Subject.SECTIONS: "Arms of whole sections without an effect (ICC .15) look different in",
    Subject.RATES: "Rates, counted over every possible table",
    Subject.COUNTS: "Equal arms of skewed counts look different in",
    Subject.AGREEMENT: "Difference, relative lift and p-value disagree about 0 in",
    Subject.BALANCE: "A fair draw ever raises the alarm of arm sizes, counted exactly, in",
    Subject.SEQUENCE: "Looked at after every learner, a confidence sequence ever excludes 0 in",
    Subject.LOOKS: "Five planned looks ever find a difference between equal arms in",
    Subject.ADAPTIVE: "Adaptive draws, their shares changing after 20 or 60 learners",
}


def certificate_lines(certificates: Sequence[Certificate], *, is_full: bool) -> Iterator[str]:
    """Yield the certificates under their titles."""
    width = max(len(each.promise.what) for each in certificates)
    for subject, rows in groupby(certificates, key=lambda each: each.promise.subject):
        yield f"{TITLES[subject]}:"
        for each in rows:
            what, result = f"{each.promise.what:{width}}", verdict(each, is_full=is_full)
            yield f"  {what}  {_measured(each):>18}  {aim(each.promise):16}  {result}"


def certificate_data(certificate: Certificate, *, is_full: bool) -> dict[str, Any]:
    """Return a certificate as plain data, with null for an aim without a limit."""
    promise, measured = certificate.promise, certificate.measured
    return {
        "subject": str(promise.subject),
        "what": promise.what,
        "at_least": None if isinf(promise.low) else promise.low,
        "at_most": None if isinf(promise.high) else promise.high,
        "measured": measured.value,
        "standard_error": measured.error,
        "is_met": is_kept(certificate, is_full=is_full),
    }


def with_tables(page: str, certificates: Sequence[Certificate]) -> str:
    """Return the page with new tables between its two markers. Raise ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page has no place for tables: {BEGIN} and {END} are missing.")
    return f"{before}{BEGIN}\n{_tables(certificates)}\n{END}{after}"


def is_kept(certificate: Certificate, *, is_full: bool) -> bool:
    """Return whether the promise is kept, or with few runs whether it may be."""
    return certificate.is_met if is_full else certificate.is_possible


def verdict(certificate: Certificate, *, is_full: bool) -> str:
    """Return `met`, `MISSED`, or `not clear` if few runs allow both."""
    if certificate.is_met:
        return "met"
    return "not clear" if is_kept(certificate, is_full=is_full) else "MISSED"


def aim(promise: Promise) -> str:
    """Return the aim: `at most 0.05` or `0.03 to 0.065`."""
    if promise.low == -inf:
        return f"at most {promise.high:g}" if promise.high else "none"
    if promise.high == inf:
        return f"at least {promise.low:g}"
    low, high = f"{promise.low:g}", f"{promise.high:g}"
    return low if low == high else f"{low} to {high}"


def _measured(certificate: Certificate) -> str:
    measured = certificate.measured
    value = f"{measured.value:.3g}"
    return f"{value} (± {measured.error:.2g})" if measured.error else value


def _tables(certificates: Sequence[Certificate]) -> str:
    parts = []
    for subject, rows in groupby(certificates, key=lambda each: each.promise.subject):
        parts += [
            "",
            f"**{TITLES[subject]}**",
            "",
            "| what | found | aim | |",
            "| --- | --- | --- | --- |",
        ]
        parts += [
            f"| {each.promise.what} | {_measured(each)} | {aim(each.promise)} "
            f"| {verdict(each, is_full=True)} |"
            for each in rows
        ]
    return "\n".join([*parts, ""])
