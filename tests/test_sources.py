"""An event's id is unique with its source: the same id from two sources is two events, in all
that follows from them (RELIABILITY.md 9)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from bizrun.model import INTERNAL, Event
from bizrun.pipeline import compile_spec
from bizrun.runtime.engine import Engine
from bizrun.runtime.lines import Line
from bizrun.server.business import Business
from bizrun.store.memory import MemoryStore
from bizrun.values import Money, instant

from .conftest import Command
from .streams import feed, open_on, write_spec

SPEC = """
business "Two" { currency USD, bills Shop }
entity Shop { id text key }
entity Visit { shop Shop, stage text }
event Shop.opened key id { id text }
event Shop.seen key shop { shop Shop, level number, amount money = 0 USD }
event Visit.over { visit Visit }
meter level { last level of Shop.seen per shop }
meter mean { average level of Shop.seen per shop }
on Shop.opened as opened {
  let shop = create Shop { ...opened }
  charge { customer: shop, amount: 1 USD }
  charge { customer: shop, amount: 2 USD }
}
on Shop.seen(shop, amount) {
  let visit = create Visit { shop, stage: "new" }
  if amount > 0 USD { charge { customer: shop, amount } }
  email { to: "a@example.com", subject: "s", body: "b" }
  after 1 day {
    update visit { stage: "over" }
    emit Visit.over { visit }
  }
}
"""
SOURCES = ("", "till", "web", "https://shop.example/a@b", "naïve")


def seen(source: str, level: int, hour: int, **more: Any) -> dict[str, Any]:
    data = {"shop": "s", "level": level, "amount": f"{level} USD"}
    return {
        "id": "e1", "source": source, "type": "Shop.seen", "data": data,
        "time": f"2026-01-02T{hour:02}:00:00Z", **more,
    }  # fmt: skip


def run(folder: Path, events: list[dict[str, Any]]) -> Engine:
    opened = {"id": "o", "type": "Shop.opened", "time": "2026-01-01T00:00:00Z", "data": {"id": "s"}}
    engine = open_on(write_spec(folder, SPEC, "two.biz"), MemoryStore())
    lines = [json.dumps(event) for event in (opened, *events)]
    counts = feed(engine, "\n".join(lines).encode(), until="2026-01-05T00:00:00Z")
    assert not counts.refusals
    return engine


def test_each_has_its_own_rows_effects_and_timers(tmp_path: Path) -> None:
    engine = run(tmp_path, [seen(source, 10 + n, n) for n, source in enumerate(SOURCES)])
    store, expected = engine.state.store, len(SOURCES)
    visits = list(store.select("Visit"))
    assert [visit["stage"] for visit in visits] == ["over"] * expected
    effects = list(store.select("_effect"))
    amounts = [row["data"]["amount"] for row in effects if row["kind"] == "charge"]
    assert sorted(amounts) == [Money(n, "USD") for n in (1, 2, 10, 11, 12, 13, 14)]
    assert sum(row["kind"] == "email" for row in effects) == expected
    emitted = [entry.id for entry in store.log() if entry.type == "Visit.over"]
    assert len(set(emitted)) == expected


def test_each_counts_on_meters_of_levels(tmp_path: Path) -> None:
    events = [seen("till", 10, 0), seen("web", 30, 12), seen("", 20, 18)]
    start, end = instant("2026-01-02T00:00:00Z"), instant("2026-01-03T00:00:00Z")
    rows = list(run(tmp_path, events).state.store.select("_reading"))
    levels = [row["value"] for row in rows if start <= row["at"] < end]
    assert sorted(levels) == [10, 10, 20, 20, 30, 30]


def test_a_correction_replaces_the_event_of_its_own_source(tmp_path: Path) -> None:
    events = [seen("till", 10, 0), seen("web", 30, 12)]
    corrected = {**seen("till", 50, 13), "id": "e2", "corrects": "e1"}
    rows = list(run(tmp_path, [*events, corrected]).state.store.select("_reading"))
    assert sorted(row["value"] for row in rows) == [30, 30, 50, 50]


def test_the_one_that_failed_is_handled_again(command: Command) -> None:
    spec = """
    business "Two" { currency USD }
    entity Shop { id text key, visits number = 0 }
    event Shop.opened key id { id text }
    event Shop.seen key shop { shop Shop, level number }
    on Shop.opened as opened { create Shop { ...opened } }
    on Shop.seen(shop, level) { update shop { visits: .visits + 100 / level } }
    """
    opened = {"id": "o", "type": "Shop.opened", "time": "2026-01-01T00:00:00Z", "data": {"id": "s"}}
    levels = (("till", 0), ("web", 50))
    events = [
        {"id": "e1", "source": source, "type": "Shop.seen", "time": f"2026-01-0{day}T00:00:00Z",
         "data": {"shop": "s", "level": level}}
        for day, (source, level) in enumerate(levels, 2)
    ]  # fmt: skip
    Path("two.biz").write_text(spec)
    Path("e.jsonl").write_text("".join(json.dumps(e) + "\n" for e in (opened, *events)))
    command("run", "two.biz", "--events", "e.jsonl", "--state", "s.db")
    Path("two.biz").write_text(spec.replace("100 / level", "level + 1"))
    assert "e1: handled" in command("events", "retry", "e1", "--spec", "two.biz", "--state", "s.db")
    [shop] = json.loads(command("query", "Shop", "--state", "s.db", "--json"))
    assert shop["visits"] == 2 + 1


texts = st.text("ae1@:/ %\0", max_size=6)


@given(st.tuples(texts, texts), st.tuples(texts, texts))
@example(("e1@a", ""), ("e1", "a"))
@example(("e1@", ""), ("e1", ""))
@example(("e1", "a@b"), ("e1@a", "b"))
def test_no_two_events_work_under_one_name(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = (
        Event(id_, "A.b", instant("2026-01-01T00:00:00Z"), {}, source).base
        for id_, source in (one, other)
    )
    assert (first == second) == (one == other)


def test_the_engine_names_its_own_as_they_are() -> None:
    event = Event("e1/h@2026", "A.b", instant("2026-01-01T00:00:00Z"), {}, INTERNAL)
    assert event.base == event.id


ANSWERING = """
business "Desk" { currency USD, bills User }
entity User { id text key, payment_method text? }
event Never.told {}
event Late.asked { user User, word text, amount money = 0 USD }
on Late.asked(word, user, amount) where amount == 0 USD {
  wait for Never.told within 1 day
  return { word }
}
on Late.asked(user, amount) where amount > 0 USD {
  let paid = charge { customer: user, amount }
  if paid.status == "failed" { reject "no money" }
}
"""


def asked(source: str, day: int, **data: Any) -> Line:
    found = Line(1, "{}", "e1", "Late.asked", instant(f"2026-01-0{day}T00:00:00Z"), source=source)
    found.data = {"user": "u", **data}
    return found


def desk(folder: Path) -> Business:
    spec = write_spec(folder, ANSWERING, "desk.biz")
    checked, program = compile_spec(str(spec))
    assert program is not None, checked.diagnostics
    business = Business(checked, program, MemoryStore(), ":memory:", None)
    refused = {"id": "u", "payment_method": "pm_card_visa_chargeDeclined"}
    business.engine.state.put("User", "u", {**refused, "created_at": None, "updated_at": None})
    business.engine.state.put("User", "v", {"id": "v", "payment_method": None})
    business.engine.state.settle()
    return business


def test_a_late_reply_is_that_of_its_own_source(tmp_path: Path) -> None:
    """The till's handler ends while the event of the web is handled, whose id is the same."""
    engine = desk(tmp_path).engine
    for source, day, word in (("till", 1, "one"), ("web", 2, "two")):
        event = Event("e1", "Late.asked", instant(f"2026-01-0{day}T00:00:00Z"), {}, source)
        event.data = {"user": "u", "word": word}
        receipt = engine.submit(event, "{}")
        assert (receipt.status, receipt.reply) == ("handled", None)


def test_a_late_refusal_is_told_to_its_own_source(tmp_path: Path) -> None:
    business = desk(tmp_path)
    lines = [asked("till", 1, word="", amount="5 USD"), asked("web", 1, word="", user="v")]
    business.handle(lines)
    assert lines[0].receipt is not None and lines[0].receipt.reason == "no money"
    assert lines[1].receipt is None or lines[1].receipt.status == "handled"
