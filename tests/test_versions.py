"""Work that waits goes on with the version of the spec it began with; new events use the new."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bizrun.runtime.engine import Engine
from bizrun.store.base import Store
from bizrun.store.memory import MemoryStore
from bizrun.store.open import open_store

from .streams import digest, feed, open_on, write_spec

HEAD = """
business "V" { bills Account, currency USD }
entity Account { id text key, said text = "", more number = 0 }
event Account.signup key id { id text }
event Asked key account { account Account }
event Answered key account { account Account, text text }
on Account.signup as s { create Account { ...s } }
"""

WAITS = """
const word = "old"
fn greet(a: Account, text: text) -> text = "{word} {a.id} {text}"
on Asked(account) {
  let began = "began {word}"
  wait for Answered as answer where answer.account == account within 10 days
  if answer == none {
    update account { said: "{began}: nothing" }
  } else {
    update account { said: "{began}: {greet(account, answer.text)}" }
  }
}
"""

AFTER = """
const word = "old"
on Asked(account) { after 5 days { update account { said: "{.said}after {word};" } } }
"""

UNLESS = """
const word = "old"
on Asked(account) {
  after 5 days unless Answered as a where a.account == account {
    update account { said: "{.said}unless {word};" }
  }
}
"""

ACTION = """
const word = "old"
on Asked(account) {
  after 1 day {
    let payment = charge { customer: account, amount: 5 USD }
    wait for Answered as a where a.account == account within 9 days
    let second = charge { customer: account, amount: 7 USD }
    update account { said: "{payment.status} {second.status} {word}" }
  }
}
"""

Line = dict[str, Any]


def line(day: int, type_: str, **data: Any) -> Line:
    return {"id": f"{type_}{day}", "type": type_, "time": f"2026-01-{day:02}T12:00:00Z",
            "data": data}  # fmt: skip


SIGNUP = line(1, "Account.signup", id="a")
ASKED = line(2, "Asked", account="a")


class Story:
    """One state over several versions of a spec, each run in an engine of its own."""

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self.store = folder, store
        self.engine: Engine | None = None

    def run(self, text: str, *lines: Line, until: str | None = None) -> Engine:
        spec = write_spec(self.folder, text, "v.biz")
        engine = self.engine = open_on(spec, self.store)
        feed(engine, "\n".join(map(json.dumps, lines)).encode(), until=until)
        return engine

    def account(self, name: str = "a") -> Any:
        row = self.store.get("Account", name)
        assert row is not None
        return row

    def count(self, table: str) -> int:
        return self.store.count(table)


@pytest.fixture(params=["memory", "sqlite"])
def story(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "memory":
        yield Story(tmp_path, MemoryStore())
        return
    store = open_store(str(tmp_path / "v.db"), True)
    yield Story(tmp_path, store)
    assert store.verify() == []
    store.close()


EDITS = {
    "the constant": lambda text: text.replace('word = "old"', 'word = "new"'),
    "the body": lambda text: text.replace("update account {", "update account { more: 1,"),
    "a step before": lambda text: text.replace(
        "on Asked(account) {", 'on Asked(account) {\n  log "new"\n'
    ),
    "the handler is gone": lambda text: text.partition("on Asked")[0],
    "all is gone": lambda text: "",
    "an entity more": lambda text: "entity Other { id text key }\n" + text,
    "comments and lines": lambda text: "\n\n# first\n" + text.replace("{\n", "{   # moved\n"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_wait_for_an_event(story: Story, edit: Any) -> None:
    story.run(HEAD + WAITS, SIGNUP, ASKED)
    assert story.count("_wait") == 1
    story.run(HEAD + edit(WAITS), line(4, "Answered", account="a", text="yes"))
    assert story.account()["said"] == "began old: old a yes"
    assert story.account()["more"] == 0
    assert story.count("_wait") == story.count("_wait_on") == story.count("_wait_count") == 0


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_wait_that_times_out(story: Story, edit: Any) -> None:
    story.run(HEAD + WAITS, SIGNUP, ASKED)
    story.run(HEAD + edit(WAITS), until="2026-02-01T00:00:00Z")
    assert story.account()["said"] == "began old: nothing"
    assert story.count("_timer") == 0


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_timer(story: Story, edit: Any) -> None:
    story.run(HEAD + AFTER, SIGNUP, ASKED)
    story.run(HEAD + edit(AFTER), until="2026-02-01T00:00:00Z")
    assert story.account()["said"] == "after old;"
    assert story.account()["more"] == 0


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
@pytest.mark.parametrize("answered", [True, False])
def test_a_timer_with_unless(story: Story, edit: Any, answered: bool) -> None:
    story.run(HEAD + UNLESS, SIGNUP, ASKED)
    lines = [line(4, "Answered", account="a", text="yes")] if answered else []
    story.run(HEAD + edit(UNLESS), *lines, until="2026-02-01T00:00:00Z")
    assert story.account()["said"] == ("" if answered else "unless old;")
    assert story.count("_wait") == story.count("_timer") == 0


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_actions_on_the_way(story: Story, edit: Any) -> None:
    """Each wait of old work that goes on is again one of the old version."""
    story.run(HEAD + ACTION, SIGNUP, ASKED)
    story.run(HEAD + edit(ACTION), line(5, "Answered", account="a", text="yes"))
    assert story.account()["said"] == "succeeded succeeded old"
    assert story.count("Payment") == 2


def test_an_action_that_a_worker_answers_later(story: Story) -> None:
    """Where effects wait in the outbox, their outcomes find the version that asked."""
    from bizrun.model import Outcome

    spec = write_spec(story.folder, HEAD + ACTION, "v.biz")
    engine = open_on(spec, story.store)
    engine.outbox.deliver = None
    feed(engine, "\n".join(map(json.dumps, (SIGNUP, ASKED))).encode())
    feed(engine, b"", until="2026-01-04T00:00:00Z")
    (effect,) = story.store.select("_effect")
    edited = write_spec(story.folder, HEAD + EDITS["the handler is gone"](ACTION), "v.biz")
    engine = open_on(edited, story.store)
    engine.outbox.settle(effect["id"], Outcome("succeeded"))
    engine._end_step()
    engine.drain()
    engine.commit()
    answer = json.dumps(line(5, "Answered", account="a", text="x")).encode()
    feed(engine, answer)
    assert story.account()["said"] == "succeeded succeeded old"


def test_new_events_use_the_new_version(story: Story) -> None:
    story.run(HEAD + WAITS, SIGNUP, line(1, "Account.signup", id="b") | {"id": "b"}, ASKED)
    new = HEAD + EDITS["the constant"](WAITS)
    story.run(new, line(3, "Asked", account="b"))
    assert story.count("_unit") == 2
    answers = [line(4, "Answered", account=name, text="yes") | {"id": name * 9} for name in "ab"]
    story.run(new, *answers)
    assert story.account("a")["said"] == "began old: old a yes"
    assert story.account("b")["said"] == "began new: new b yes"


def test_an_entity_gets_a_field(story: Story) -> None:
    """Old work writes rows without it: an optional field is none, another has its default."""
    makes = """
event Made key account { account Account }
entity Thing { id text key, account Account, note text? }
on Asked(account) { after 5 days { create Thing { id: "t1", account } } }
on Made(account) { create Thing { id: "t2", account } }
"""
    story.run(HEAD + makes, SIGNUP, ASKED, line(3, "Made", account="a"))
    more = makes.replace("note text?", 'note text?, tier text = "basic", extra number?')
    told = story.run(HEAD + more, until="2026-02-01T00:00:00Z").migrated
    assert any("tier" in sentence for sentence in told), told
    rows = {name: story.store.get("Thing", name) for name in ("t1", "t2")}
    for name, row in rows.items():
        assert row is not None, name
        assert (row["tier"], row["extra"]) == ("basic", None), name


def test_change_events_that_only_old_work_waits_for(story: Story) -> None:
    """Nobody of the new version listens to a change that the old work waits for."""
    text = """
event Renamed key account { account Account, to text }
on Renamed(account, to) { update account { said: to } }
"""
    waits = """
on Asked(account) {
  wait for Account.said_changed as c where c.account == account within 9 days
  update account { more: if c == none then 1 else 2 }
}
"""
    story.run(HEAD + text + waits, SIGNUP, ASKED)
    story.run(HEAD + text, line(3, "Renamed", account="a", to="x"))
    assert story.account()["more"] == 2
    # The change that woke it is the last one to be told of, in this engine as in a later one.
    before = story.store.last_seq()
    assert story.engine is not None
    feed(story.engine, json.dumps(line(4, "Renamed", account="a", to="y")).encode())
    assert story.store.last_seq() == before + 1
    story.run(HEAD + text, line(5, "Renamed", account="a", to="z"))
    assert story.store.last_seq() == before + 2


TIMES = """
lifecycle Account.state {
  start "fresh"
  "fresh" -> "stale" after 3 days
  "stale" -> "gone" after 3 days
}
trigger Account.old for Account when age(self) reaches 5 days
every day at 09:00 { log "tick" }
metric accounts: number = count(Account) every day
on Account.old as o { log "old" }
"""
STATEFUL = HEAD.replace(
    'said text = ""', 'said text = "", state "fresh" | "stale" | "gone" = "fresh"'
)


def test_timers_of_removed_declarations(story: Story) -> None:
    """Arrows, triggers, schedules and metrics that are no more: their timers do nothing."""
    story.run(STATEFUL + TIMES, SIGNUP, ASKED)
    assert story.count("_timer") == 4
    story.run(STATEFUL, until="2026-02-01T00:00:00Z")
    assert story.account()["state"] == "fresh"
    assert story.count("_note") == 1
    assert story.count("_timer") == 0
    # And when they come back, they begin anew.
    story.run(STATEFUL + TIMES, until="2026-02-03T00:00:00Z")
    assert story.count("_note") == 3


OLD = """
const patience = 20 days
fn late(a: Account) -> bool = age(a) >= patience
trigger Account.old for Account when late(self)
on Account.old as o { log "{o.subject}" }
"""
NEW = OLD.replace("20 days", "5 days")


def told(story: Story) -> list[tuple[str, str]]:
    """Who a log was written of, and when."""
    assert story.engine is not None
    times = {e.id: e.time for e in story.store.log()}
    notes = sorted(story.store.select("_note"), key=lambda row: row["order"])
    return [(row["text"], times[row["event"]][:10]) for row in notes]


def test_an_edited_trigger_is_due_by_what_it_says_now(story: Story) -> None:
    story.run(HEAD + OLD, line(1, "Account.signup", id="a"), line(6, "Account.signup", id="b"))
    story.run(HEAD + NEW, line(8, "Asked", account="a"), until="2026-01-20T00:00:00Z")
    # It had turned for one of them by then; for the other it does on the eleventh.
    assert told(story) == [("a", "2026-01-06"), ("b", "2026-01-11")]
    story.run(HEAD + OLD, until="2026-02-20T00:00:00Z")
    # It was false again by what it said then.
    assert told(story)[2:] == [("a", "2026-01-21"), ("b", "2026-01-26")]


def test_a_new_trigger_tells_nothing_of_before(story: Story) -> None:
    story.run(HEAD, line(1, "Account.signup", id="a"), line(6, "Account.signup", id="b"))
    story.run(HEAD + NEW, line(8, "Asked", account="a"), until="2026-01-20T00:00:00Z")
    assert told(story) == [("b", "2026-01-11")]
    # Gone and back: as if it were new.
    story.run(HEAD + NEW, line(20, "Account.signup", id="c"), line(21, "Account.signup", id="d"))
    story.run(HEAD, until="2026-01-26T00:00:00Z")
    story.run(HEAD + NEW, until="2026-02-26T00:00:00Z")
    assert told(story) == [("b", "2026-01-11"), ("d", "2026-01-26")]


def test_an_edited_trigger_with_very_many_subjects(story: Story) -> None:
    many = [{**line(1, "Account.signup", id=f"a{n:04}"), "id": f"s{n}"} for n in range(1_234)]
    story.run(HEAD + OLD, *many)
    story.run(HEAD + NEW, until="2026-01-20T00:00:00Z")
    assert len(set(told(story))) == story.count("_note") == 1_234
    assert story.count("_timer") == 0


ARROWS = (
    '"fresh" -> "gone" after 3 days',
    '"stale" -> "gone" after 20 days',
    '"fresh" -> "stale" on Asked',
    '"stale" -> "fresh" on Answered',
)


def test_the_time_of_a_state_ends_with_it_wherever_its_arrow_stands(story: Story) -> None:
    def spec(*arrows: str) -> str:
        said = "\n".join(('start "fresh"', *arrows))
        return f"{STATEFUL}lifecycle Account.state {{\n{said}\n}}\n"

    story.run(spec(*ARROWS), SIGNUP)
    # Left on the third day: it was gone on the fourth, since the arrow's number is another.
    story.run(spec(*ARROWS[::-1]), line(3, "Asked", account="a"), until="2026-01-05T00:00:00Z")
    assert story.account()["state"] == "stale"
    story.run(spec(*ARROWS), line(5, "Answered", account="a", text=""))
    # Back on the fifth: three days from then on, and those of before are over.
    edited = ARROWS[0].replace('"gone"', '"stale"')
    story.run(spec(edited, *ARROWS[1:]), until="2026-01-08T11:00:00Z")
    assert story.account()["state"] == "fresh"
    assert story.count("_timer") == 1


def test_a_state_keeps_the_time_that_it_began_with(story: Story) -> None:
    def spec(days: int) -> str:
        said = f'start "fresh"\n"fresh" -> "stale" after {days} days'
        return f"{STATEFUL}lifecycle Account.state {{\n{said}\n}}\n"

    story.run(spec(9), SIGNUP)
    b = line(2, "Account.signup", id="b")
    story.run(spec(3), b, until="2026-01-06T00:00:00Z")
    assert (story.account("a")["state"], story.account("b")["state"]) == ("fresh", "stale")
    story.run(spec(3), until="2026-01-11T00:00:00Z")
    assert story.account("a")["state"] == "stale"


def test_a_bills_entity_that_is_gone(story: Story) -> None:
    """Renewals of subscriptions go on, also where their plan is no longer sold."""
    plan = "plan gold { price 9 USD per month }\nplan iron { price 1 USD per month }\n"
    starts = "on Asked(account) { subscribe { customer: account, plan: gold } }\n"
    story.run(HEAD + plan + starts, SIGNUP, ASKED)
    without = "plan iron { price 1 USD per month }\n"
    story.run(HEAD + without, until="2026-04-01T00:00:00Z")
    assert story.count("Invoice") >= 1


# --- the code that is kept ---------------------------------------------------------------------


def test_only_needed_code_is_kept(story: Story) -> None:
    story.run(HEAD + WAITS, SIGNUP, ASKED)
    (old,) = (row["id"] for row in story.store.select("_unit"))
    new = HEAD + EDITS["the constant"](WAITS)
    story.run(new, line(3, "Asked", account="a"))
    assert story.count("_unit") == 2
    story.run(new, line(4, "Answered", account="a", text="yes"))
    assert old not in {row["id"] for row in story.store.select("_unit")}
    story.run(HEAD)
    assert story.count("_unit") == 0


def test_code_of_failed_work_is_kept(story: Story) -> None:
    """Failed work can be retried, on its version."""
    fails = AFTER.replace("update account {", "update account { more: 1 / .more,")
    story.run(HEAD + fails, SIGNUP, ASKED)
    story.run(HEAD, until="2026-02-01T00:00:00Z")
    assert story.count("_unit") == 1
    assert story.count("_dead") == 1


def test_a_refused_handler_keeps_no_code(story: Story) -> None:
    """Two waits in one handler that is then refused: the next one found no code to go on with."""
    text = """
const word = "old"
event Sure key account { account Account, ok bool }
on Sure(account, ok) {
  after 1 day { update account { said: "{.said}one;" } }
  after 2 days { update account { said: "{.said}two;" } }
  if not ok { reject "no" }
}
"""
    story.run(HEAD + text, SIGNUP, line(2, "Sure", account="a", ok=False),
              line(3, "Sure", account="a", ok=True))  # fmt: skip
    story.run(HEAD, until="2026-02-01T00:00:00Z")
    assert story.account()["said"] == "one;two;"


def test_a_crash_while_an_old_version_goes_on(tmp_path: Path) -> None:
    """Run in parts or at once, a state over two versions is the same."""
    hashes = set()
    asked = [line(2, "Asked", account="a"), line(3, "Asked", account="a")]
    after = [line(day, "Answered", account="a", text=f"{day}") for day in (4, 5, 6, 7)]
    new = HEAD + EDITS["the body"](WAITS)
    for cuts in ([4], [1, 4], [1, 2, 3, 4], [0, 4]):
        story = Story(tmp_path, MemoryStore())
        story.run(HEAD + WAITS, SIGNUP, *asked)
        for cut in cuts:
            engine = story.run(new, *after[:cut])
        hashes.add(digest(engine))
    assert len(hashes) == 1


# --- fields that are called something else ----------------------------------------------------

RENAMED = """
business "V" { bills Account, currency USD }
entity Account { id text key, said text = "", city text = "Oslo", friends [Account], index city }
event Account.signup key id { id text, city text = "Oslo" }
event Asked key account { account Account }
event Answered key account { account Account, text text }
fn near(a: Account) -> number = count(Account where .city == a.city and .city != "")
on Account.signup as s { create Account { ...s } }
on Asked(account) {
  wait for Answered as answer where answer.account == account
  let others = Account where .city in ["Oslo", "Rome"] order by .city
  update account { said: "{account.city} {near(account)} {len(others)}", city: "{.city}!" }
  add account to account.friends
  create Account { ...answer, id: "{account.id}2", city: "Rome" }
  for each each_one in Account where .city == "Rome" { update each_one { city: "Rome?" } }
  return account
}
"""
NEW_NAMES = """
business "V" { bills Account, currency USD }
entity Account { id text key, said text = "", town text was city = "-", pals [Account] was friends }
event Asked key account { account Account }
event Answered key account { account Account, text text }
event Account.signup key id { id text, town text = "Oslo" }
"""


def test_fields_under_other_names(story: Story) -> None:
    story.run(RENAMED, line(1, "Account.signup", id="a", city="Rome"), ASKED)
    engine = story.run(NEW_NAMES, line(4, "Answered", account="a", text="yes"))
    assert {"Account.town was city", "Account.pals was friends"} <= {*engine.migrated}
    assert not engine.counts.failed and not engine.counts.late
    row = story.account()
    assert (row["said"], row["town"], row["pals"]) == ("Rome 1 1", "Rome!", ["a"])
    assert story.account("a2")["town"] == "Rome?"
    assert "city" not in row and "friends" not in row


def test_a_name_that_is_used_again_is_another_field(story: Story) -> None:
    story.run(RENAMED, line(1, "Account.signup", id="a", city="Rome"))
    story.run(NEW_NAMES)
    again = NEW_NAMES.replace("town text was city", "town text").replace(
        "pals [Account]", 'city text = "new", pals [Account]'
    )
    story.run(again)
    assert (story.account()["town"], story.account()["city"]) == ("Rome", "new")
