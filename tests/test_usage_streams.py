"""However a usage stream is cut and in whatever order it comes, what it costs is the same."""

from datetime import timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.actions.toolbox import Toolbox
from bizrun.ir.lower_program import lower
from bizrun.model import Event
from bizrun.pipeline import check_loaded, load_files
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.store.memory import MemoryStore
from bizrun.values import Money, instant

START, END = instant("2026-04-01T00:00:00Z"), instant("2026-05-01T00:00:00Z")

PRICES = {
    "unit": "usage calls: 0.0137 USD",
    "graduated": "usage calls graduated { up to 10: 1.11 USD + 2 USD flat, above: 0.333 USD }",
    "volume": "usage calls volume { up to 100: 0.07 USD, above: 0.031 USD + 5 USD flat }",
    "stairs": "usage calls stairstep { up to 50: 9 USD, up to 200: 19 USD, above: 39 USD }",
    "package": "usage calls package of 7: 0.99 USD",
    "packed": "usage calls graduated { up to 40: 2 USD per 10, above: 1.50 USD per 10 }",
    "allowed": "includes 25 calls, usage calls: 0.333 USD",
    "bounded": "usage calls: 0.5 USD, minimum 20 USD, maximum 60 USD",
    "capped": "usage calls: 0.5 USD at most 30 USD",
    "billed_at": "usage calls graduated { up to 60: 0.333 USD, above: 0.1 USD }, "
    "bill usage at 10 USD",
    "late": "usage calls graduated { up to 60: 0.333 USD, above: 0.1 USD }",
}

SPEC = """
business "Streams" {{ currency USD, timezone "UTC", bills Account }}
entity Account {{ id text key, plan plan }}
event Called key account {{ account Account, units number }}
event Opened {{ account Account }}
meter calls {{ sum units of Called per account }}
on Opened(account) {{ subscribe {{ customer: account, plan: account.plan }} }}
{plans}
"""


@cache
def program():
    plans = "\n".join(f"plan {name} {{ {price} }}" for name, price in PRICES.items())
    checked = check_loaded(load_files("s.biz", {"s.biz": SPEC.format(plans=plans).encode()}))
    assert checked.ok, checked.diagnostics
    return lower(checked)


def cost(plan, parts, late=False):
    """What all invoices come to of a customer that used these (hour, units), by May or in June."""
    engine = Engine(program(), MemoryStore(), Toolbox(), Sandbox().deliver, True)
    engine.advance(START)
    row = {"id": "a", "plan": plan, "created_at": START, "updated_at": START}
    engine.state.put("Account", "a", row)
    engine.submit(Event("open", "Opened", START, {"account": "a"}), "{}")
    if late:
        engine.advance(END + timedelta(days=1))
    for number, (hour, units) in enumerate(parts):
        at = START + timedelta(hours=hour)
        event = Event(f"e{number}", "Called", at, {"account": "a", "units": units})
        assert engine.submit(event, "{}").status == "handled"
    engine.advance(END + timedelta(days=40))
    invoices = engine.state.select("Invoice", {})
    return sum((row["total"] for row in invoices), Money(0, "USD"))


@st.composite
def cuts(draw):
    """A quantity in hundredths, cut twice in parts that come at some hour of the month."""
    whole = draw(st.integers(1, 30_000))

    def one():
        points = sorted(draw(st.lists(st.integers(0, whole), max_size=5)))
        edges = [0, *points, whole]
        sizes = [b - a for a, b in pairwise(edges) if b > a]
        return [(draw(st.integers(0, 719)), number(size)) for size in sizes]

    return one(), one()


def number(hundredths):
    found = Fraction(hundredths, 100)
    return int(found) if found.denominator == 1 else Money(1, "USD").amount * hundredths / 100


@settings(deadline=None, max_examples=40)
@given(st.sampled_from(sorted(PRICES)), cuts())
def test_cutting_a_stream_differently_changes_nothing(plan, parts):
    left, right = parts
    assert cost(plan, left, plan == "late") == cost(plan, right)


@settings(deadline=None, max_examples=20)
@given(st.sampled_from(sorted(PRICES)), cuts(), st.randoms(use_true_random=False))
def test_nor_does_the_order_of_arrival(plan, parts, random):
    shuffled = list(parts[0])
    random.shuffle(shuffled)
    assert cost(plan, shuffled) == cost(plan, parts[0])
