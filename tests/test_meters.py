"""Running meters against the plain rule: `billing.metering.measure` over all readings at once."""

import json
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bizrun.actions.toolbox import Toolbox
from bizrun.billing.metering import Reading, measure
from bizrun.ir.lower_program import lower
from bizrun.model import Event
from bizrun.pipeline import check_loaded, load_files
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.engine import Engine
from bizrun.store.memory import MemoryStore
from bizrun.values import instant

from .streams import feed, open_on, run_once, write_spec

AGGREGATES = ("count", "sum", "max", "min", "last", "average", "unique")
START, END = instant("2026-04-01T00:00:00Z"), instant("2026-05-01T00:00:00Z")

SPEC = """
business "Meters" {{ currency USD, timezone "UTC", bills Account }}
entity Account {{ id text key }}
event Seen key account {{ account Account, value number, by text = "x" }}
{meters}
"""
METERS = "\n".join(
    f"meter {name}_ {{ {name} {'' if name == 'count' else 'value of '}Seen per account by by }}"
    for name in AGGREGATES
)


@cache
def program():
    checked = check_loaded(load_files("m.biz", {"m.biz": SPEC.format(meters=METERS).encode()}))
    assert not [d for d in checked.diagnostics if d.severity == "error"], checked.diagnostics
    return lower(checked)


def run(events, store=None):
    """An engine that took these events of one customer, in this order, by the end of the month."""
    engine = Engine(program(), store or MemoryStore(), Toolbox(), Sandbox().deliver, True)
    engine.advance(START)
    row = {"id": "a", "created_at": START, "updated_at": START}
    engine.state.put("Account", "a", row)
    for event in events:
        data = {"account": "a", "value": event["value"], "by": event["by"]}
        at = START + timedelta(hours=event["hour"])
        made = Event(event["id"], "Seen", at, data, corrects=event["corrects"])
        assert engine.submit(made, raw_of(data)).status in ("handled", "unmatched")
    engine.advance(END)
    return engine


def raw_of(data):
    return json.dumps({"data": data}, default=float)


def figures(engine):
    meters = engine.program.meters
    return {
        name: sum(f.quantity for f in engine.metering.figures(meters[f"{name}_"], "a", START, END))
        for name in AGGREGATES
    }


@st.composite
def streams(draw):
    """Events of one month in any order of arrival, some of which correct others."""
    events = []
    for number in range(draw(st.integers(1, 9))):
        events.append({
            "id": f"e{number}",
            "hour": draw(st.integers(0, 700)),
            "value": draw(st.integers(-3, 9) | st.decimals(0, 5, places=2)),
            "by": draw(st.sampled_from("xy")),
            "corrects": draw(st.none() | st.sampled_from([f"e{n}" for n in range(number)]))
            if number else None,
        })  # fmt: skip
    return draw(st.permutations(events))


@settings(deadline=None)
@given(streams())
def test_running_figures_are_those_of_all_readings_at_once(events):
    readings = [
        Reading(START + timedelta(hours=e["hour"]), e["id"], e["value"], e["corrects"])
        for e in events
    ]
    found = figures(run(events))
    for name in AGGREGATES:
        expected = measure(name, readings, START, END)
        assert abs(found[name] - expected) < Decimal("1e-17"), name


@settings(deadline=None)
@given(streams(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_changes_nothing(events, random):
    shuffled = list(events)
    random.shuffle(shuffled)
    assert figures(run(events)) == figures(run(shuffled))


class CountingStore(MemoryStore):
    """Counts the rows that are read."""

    rows = 0

    def get(self, *args):
        self.rows += 1
        return super().get(*args)

    def select(self, *args):
        for row in super().select(*args):
            self.rows += 1
            yield row


def test_an_event_costs_the_same_whatever_came_before():
    """Rows that a late event reads: as many after 400 others as after 40."""
    costs = []
    for before in (40, 400):
        events = [
            {"id": f"e{n:04}", "hour": n, "value": n % 7, "by": "x", "corrects": None}
            for n in range(before)
        ]
        engine = run(events, CountingStore())
        engine.commit()
        store = engine.state.store
        store.rows = 0
        data = {"account": "a", "value": 5, "by": "x"}
        at = START + timedelta(hours=3, minutes=1)
        engine.metering.count_all(Event("late", "Seen", at, data))
        engine.state.flush()
        costs.append(store.rows)
    assert costs[0] == costs[1]


UNDECLARED = """
business "M" { bills Account, currency USD }
entity Account { id text key }
event Joined { id text }
on Joined as j { create Account { ...j } }
meter calls { count A.b per account }
meter sums { sum n of A.b per account }
"""


def test_events_that_are_not_declared_say_what_they_like(tmp_path: Path) -> None:
    said: list[Any] = [
        {"id": "a"},
        {"account": "a"},
        {"account": "a", "n": 3},
        {"account": None},
        {},
        None,
    ]
    lines: list[Any] = [
        {"id": "j", "type": "Joined", "time": "2026-01-01T00:00:00Z", "data": {"id": "a"}}
    ]
    for number, data in enumerate(said):
        lines.append({**lines[0], "id": f"e{number}", "type": "A.b", "data": data})
    lines[-1].pop("data")
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    spec = write_spec(tmp_path, UNDECLARED, "m.biz")
    engine = open_on(spec, MemoryStore())
    counts = feed(engine, text, 1000)
    assert (counts.handled, counts.rejected) == (7, 0)
    engine.metering.flush()
    rows = engine.state.select("_meter", {})
    figures = {row["meter"]: (row["count"], row["total"]) for row in rows}
    assert figures == {"calls": (2, 0), "sums": (1, 3)}
    assert run_once(spec, text, 1)[0] == run_once(spec, text, 1000)[0]
