"""Random rules and signals for property tests, with many edge cases."""

from hypothesis import strategies as st

from activity.payloads import storable
from segmentation.rules import OPERATORS
from segmentation.rules.operators import Takes
from segmentation.signals import SIGNALS, Signal, SignalKind, Window

# Numbers in traits, including whole numbers of any size.
TRAIT_NUMBERS = (0, 17, 17.0, -2, 0.1, 1e-7, 2.50, -0.0, 1e300, 5e-324, 2**53 + 1, 10**400)
TEXTS = ("Wales", "Scotland", "", "a%b", "it's", "ünï", "Wal", "\\")
# Names from importers and admins, and names that nobody should use. All are bound as values.
NAMES = (
    "region",
    "imd-band",
    "región",
    "assessment-1752",
    "two words",
    "it's",
    'a"b',
    "100%",
    "%s",
    "%(p0)s",
    "%(s0)s",
    "{0}",
    "\\",
    "a:b",
    "a%3Ab",
    "'; DROP TABLE x; --",
    "x" * 200,
)
names = st.sampled_from(NAMES) | st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), min_size=1, max_size=200
)
NUMBERS = st.one_of(
    st.integers(-2, 20),
    st.sampled_from((0.0, -0.0, 0.25, 0.3, 0.5, 0.85, 1.0, 7.0, 1e-9, 1e300, 5e-324, 2**53 + 1)),
    st.floats(allow_nan=False, allow_infinity=False),
)


_members = st.sampled_from((*TEXTS, *TRAIT_NUMBERS, True, False, "17", "0.1"))
# An empty list and null are unknown before a rule is evaluated.
traits = _members | st.lists(_members | st.none(), min_size=1, max_size=3) | st.just({"a": 1})
# Traits of an enrollment or a learner, often with names that rules use.
trait_sets = st.dictionaries(st.sampled_from(NAMES), traits, max_size=4)
# A roster accepts no number of 30 or more digits, but older rows may have one.
roster_trait_sets = trait_sets.filter(lambda values: storable(values) == values)


def values_for(signal: Signal):
    """Return a strategy of the signal's values, including unknown."""
    by_kind = {
        SignalKind.COUNT: st.integers(0, 20),
        SignalKind.CHANGE: st.integers(-20, 20),
        SignalKind.RATE: st.sampled_from((0.0, 0.25, 0.3, 1 / 3, 0.5, 0.6, 0.85, 1.0)),
        SignalKind.DAYS: st.one_of(
            st.integers(0, 30 * 86_400 * 10**6).map(lambda micros: micros / 10**6 / 86_400.0),
            st.sampled_from((0.0, 1.0, 7.0, 14.0)),
        ),
        SignalKind.SCORE: st.integers(1, 5),
        SignalKind.AMOUNT: st.sampled_from((-20.0, 0.0, 0.3, 9.99, 29.97)),
        SignalKind.NUMBER: st.sampled_from((0.0, 0.5, 2 / 3, 1.0, 3.0, 12.5)),
        SignalKind.TRAIT: traits,
    }
    return st.one_of(st.none(), by_kind[signal.kind])


def _meant(signal: Signal):
    """Return a strategy of the signal's numbers over any window."""
    if signal.kind in (SignalKind.CHANGE, SignalKind.AMOUNT):
        return NUMBERS
    if signal.kind is SignalKind.RATE:
        return st.floats(0, 1)
    if signal.kind is SignalKind.SCORE:
        return st.integers(1, 5)
    most = 1 if signal.within_window else 20
    return st.integers(0, most) | st.floats(0, most)


def _trait_operands(takes: Takes, symbol: str):
    """Return a value with which a rule may compare a trait: often a text or a number."""
    texts = st.sampled_from([*(text for text in TEXTS if text), "17", "true"])
    if not OPERATORS[symbol].suits(text=True):
        return NUMBERS
    return texts if symbol == "contains" else texts | NUMBERS | st.sampled_from(TRAIT_NUMBERS[:-1])


def _operands(signal: Signal, symbol: str, meant: bool):
    takes = OPERATORS[symbol].takes
    numbers = _meant(signal) if meant else NUMBERS
    one = _trait_operands(takes, symbol) if signal.is_trait else numbers
    return {
        Takes.NOTHING: st.none(),
        Takes.ONE: one,
        Takes.TWO: st.tuples(one, one).map(lambda pair: sorted(pair, key=float)),
        Takes.MANY: st.lists(one, min_size=1, max_size=3),
    }[takes]


# What the random courses have.
ARGUMENTS = {
    "verb": ("LOGIN", "ATTEMPT_QUIZ", "PURCHASE", "VIEW_ITEM", "EMAIL_SENT"),
    "without": ("COMPLETE_MODULE", "VIEW_ITEM", "ATTEMPT_QUIZ"),
    "kind": ("quiz", "page", "module"),
    "property": ("plan", "cart.size", "cart.of.0", "cart.of.-1", "cart.of", "plan.x"),
    "equals": ("gift", "2", "true"),
}


@st.composite
def arguments(draw, signal: Signal):
    """Return the arguments of a condition: those that are required, and some filters."""
    found = {
        # Only known verbs and kinds can be saved.
        each.key: draw(st.sampled_from(ARGUMENTS[each.key]) if each.key in ARGUMENTS else names)
        for each in signal.args
        if each.required or draw(st.booleans())
    }
    alone = [each.key for each in signal.args if each.together and each.together not in found]
    return {key: text for key, text in found.items() if key not in alone}


@st.composite
def condition_shapes(draw, signals=SIGNALS, windows=(1, 2, 7, 14), meant=False):
    signal = draw(st.sampled_from(signals))
    suitable = [entry for entry in OPERATORS.values() if signal.is_trait or entry.suits(text=False)]
    entry = draw(st.sampled_from(suitable))
    shape = {"field": signal.name, "operator": entry.symbol}
    shape |= draw(arguments(signal))
    window = draw(
        st.sampled_from((*windows, None) if signal.window is Window.OPTIONAL else windows)
    )
    if signal.window is not Window.NONE and window is not None:
        shape["window"] = window
    if entry.takes is not Takes.NOTHING:
        shape["value"] = draw(_operands(signal, entry.symbol, meant))
    return shape


def rule_shapes(signals=SIGNALS, windows=(1, 2, 7, 14), *, meant=False):
    """Return a strategy of rules as JSON data, nested up to a few levels.

    `meant`: only values that the signal can have, as in a rule that can be saved.
    """

    def group(parts):
        return st.fixed_dictionaries(
            {
                "combinator": st.sampled_from(("and", "or")),
                "not": st.booleans(),
                "rules": st.lists(parts, min_size=1, max_size=3),
            }
        )

    return group(st.recursive(condition_shapes(signals, windows, meant), group, max_leaves=8))
