"""A meter that is edited in mid-period: what it has counted is billed, or the edit is refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bizrun.cli.main import main
from bizrun.errors import MisfitError
from bizrun.model import Event
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.store.open import open_store

BASE = """\
business "Acme" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key }
event Join { id text }
event Used key account { account Account, n number, m number = 0, of text = "x", at text = "y" }
on Join as e { let account = create Account { id: e.id }
  subscribe { customer: account, plan: pro } }
"""
MUCH = """\
trigger Usage.much for Account when usage(self, calls) reaches 7
on Usage.much as much { create Told { what: "much of {much.subject}" } }
entity Told { what text }
"""
PLAIN = "plan pro { price 30 USD per month, usage calls: 1 USD }\n"
PER = 'plan pro { price 30 USD per month, usage calls per of { "chat": 2 USD, else: 1 USD } }\n'
STATE = ".bizrun/acme.db"
BEFORE = ("2026-01-05", {"n": 3, "m": 10, "of": "chat", "at": "eu"})
AFTER = ("2026-01-12", {"n": 4, "m": 20, "of": "chat", "at": "eu"})
Used = tuple[str, dict[str, object]]


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def meter(what: str, by: str = "") -> str:
    return f"meter calls {{ {what} of Used per account{f' by {by}' if by else ''} }}\n"


def run(spec: str, until: str, *used: Used, base: str = BASE) -> int:
    """Runs a spec up to a day, with events of the customer `a` who joins on 3 January."""
    Path("acme.biz").write_text(base + spec)
    events: list[tuple[str, str, dict[str, object]]] = [("2026-01-03", "Join", {"id": "a"})]
    events += [(day, "Used", {"account": "a", **data}) for day, data in used]
    rows = [
        {"id": f"{day} {type_}", "type": type_, "time": f"{day}T12:00:00Z", "data": data}
        for day, type_, data in events
    ]
    Path("acme.events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return main(["acme.biz", "--out", "none", "--until", until])


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    """The lines of usage that were invoiced, of a state that is sound."""
    assert main(["verify", "--state", STATE]) == 0
    capfd.readouterr()
    every = (
        "[for l in InvoiceLine where .meter != none order by .period_start, .id: "
        "{ what: l.description, quantity: l.quantity, amount: l.amount }]"
    )
    assert main(["query", every, "--state", STATE, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    return [f"{row['what']} {row['quantity']}: {row['amount']}" for row in rows]


@pytest.mark.parametrize("was, now", [("", "of"), ("of", ""), ("of", "at"), ("of, at", "at, of")])
@pytest.mark.parametrize("what, billed", [("sum n", 7), ("max n", 4), ("unique n", 2)])
def test_all_is_billed_by_whichever_dimensions_it_was_counted(
    was: str, now: str, what: str, billed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(MUCH + PLAIN + meter(what, was), "2026-01-10", BEFORE) == 0
    assert run(MUCH + PLAIN + meter(what, now), "2026-02-10", AFTER) == 0
    assert lines(capfd) == [f"calls {billed}: {billed}.00 USD"]
    if what == "sum n":
        assert main(["query", "[for t in Told: t.what]", "--state", STATE]) == 0
        assert "much of a" in capfd.readouterr().out


def test_a_correction_of_what_was_counted_by_other_dimensions(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run(PLAIN + meter("sum n"), "2026-01-10", BEFORE)
    Path("acme.biz").write_text(BASE + PLAIN + meter("sum n", "of"))
    event = {
        "id": "c", "type": "Used", "time": "2026-01-12T12:00:00Z", "corrects": "2026-01-05 Used",
        "data": {"account": "a", "n": 5, "of": "chat"},
    }  # fmt: skip
    Path("acme.events.jsonl").write_text(json.dumps(event) + "\n")
    assert main(["acme.biz", "--out", "none", "--until", "2026-02-10"]) == 0
    assert "below zero" not in "".join(capfd.readouterr())
    assert lines(capfd) == ["calls 5: 5.00 USD"]


@pytest.mark.parametrize("field, more", [
    ("zone text", {"zone": "z"}), ("of number", {"of": 7}), ('of "a" | "b"', {"of": "a"}),
    ("of Account", {"of": "a"}),
])  # fmt: skip
def test_a_correction_of_an_event_that_was_taken_under_other_fields(
    field: str, more: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    run(PLAIN + meter("sum n"), "2026-01-10", BEFORE)
    edited = BASE.replace('of text = "x"', field)
    Path("acme.biz").write_text(edited + PLAIN + meter("sum n"))
    event = {
        "id": "c", "type": "Used", "time": "2026-01-12T12:00:00Z", "corrects": "2026-01-05 Used",
        "data": {"account": "a", "n": 5, **more},
    }  # fmt: skip
    Path("acme.events.jsonl").write_text(json.dumps(event) + "\n")
    assert main(["acme.biz", "--out", "none", "--until", "2026-02-10"]) == 0
    assert lines(capfd) == ["calls 5: 5.00 USD"]


@pytest.mark.parametrize("what, billed", [("sum n", 7), ("max n", 4), ("unique n", 2)])
@pytest.mark.parametrize("was, now", [("of", ""), ("at, of", "at"), ("of, at", "at")])
def test_a_dimension_that_a_kept_price_is_by_goes_on(
    was: str, now: str, what: str, billed: int, capfd: pytest.CaptureFixture[str]
) -> None:
    run(PER + meter(what, was), "2026-01-10", BEFORE)
    assert run(PLAIN + meter(what, now), "2026-02-10", AFTER) == 0
    assert lines(capfd) == [f"calls chat {billed}: {billed * 2}.00 USD"]
    line = "InvoiceLine where .meter != none"
    assert main(["query", line, "--state", STATE, "--json"]) == 0
    id_ = json.loads(capfd.readouterr().out)[0]["id"]
    assert main(["why", id_, "--state", STATE]) == 0
    why = capfd.readouterr().out
    assert "2026-01-05 Used" in why and "2026-01-12 Used" in why


def test_a_dimension_that_no_event_has_any_more_is_told(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run(PER + meter("sum n", "of"), "2026-01-10", BEFORE)
    without = BASE.replace(' of text = "x",', "")
    said = "1 × subscription to pro: there is no `by of` of meter calls any more"
    Path("acme.biz").write_text(without + PLAIN + meter("sum n"))
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    assert said in capfd.readouterr().out
    assert run(PLAIN + meter("sum n"), "2026-02-10", base=without) == 0
    assert said in capfd.readouterr().err
    assert lines(capfd) == []
    assert run(PER + meter("sum n", "of"), "2026-02-10") == 0
    assert run(PER + meter("sum n", "of"), "2026-02-12") == 0
    assert lines(capfd) == ["calls chat 3: 6.00 USD"]


@pytest.mark.parametrize("was, now", [
    ("count", "sum n"), ("sum n", "sum m"), ("sum n", "max n"), ("average n", "average n unit GB"),
])  # fmt: skip
def test_a_meter_that_would_be_another_is_refused(
    was: str, now: str, capfd: pytest.CaptureFixture[str]
) -> None:
    def spec(what: str) -> str:
        if what == "count":
            return "meter calls { count Used per account }\n"
        what, unit, size = what.partition(" unit ")
        return meter(what).replace(" }", f"{unit}{size} }}")

    run(PLAIN + spec(was), "2026-01-10", BEFORE)
    before = Path(STATE).read_bytes()
    Path("acme.biz").write_text(BASE + PLAIN + spec(now))
    capfd.readouterr()
    said = f"meter calls now is `{now}` (was `{was}`)"
    for args in (["check", "acme.biz", "--against", STATE], ["acme.biz", "--out", "none"],
                 ["preview", "a"]):  # fmt: skip
        assert main(args) == 1
        assert said in capfd.readouterr().err
    assert Path(STATE).read_bytes() == before
    assert run(PLAIN + spec(was), "2026-02-10") == 0


def test_nothing_is_changed_by_an_edit_that_is_refused() -> None:
    noted = BASE.replace("text key }", "text key, note text? }", 1)
    programs = []
    for spec in (noted + PLAIN + meter("sum n"), BASE + PLAIN + meter("max n")):
        Path("acme.biz").write_text(spec)
        programs.append(compile_spec("acme.biz")[1])
    old, new = programs
    assert old is not None and new is not None
    store = open_store("state.db")
    engine = open_engine(old, store, Sandbox())
    for type_, data in (("Join", {"id": "a"}), ("Used", {"account": "a", "n": 3})):
        engine.submit(Event(type_, type_, datetime(2026, 1, 3, tzinfo=UTC), data), "{}")
    engine.commit()
    with pytest.raises(MisfitError):
        open_engine(new, store, Sandbox())
    # A server goes on with the one before, whose accounts have notes.
    row = store.get("Account", "a")
    assert row is not None and "note" in row
    store.close()


def test_a_meter_that_has_counted_nothing_may_be_another() -> None:
    run(PLAIN + meter("sum n"), "2026-01-10")
    assert run(PLAIN + meter("sum m"), "2026-01-11") == 0
    assert run(PLAIN + meter("max n"), "2026-01-12") == 0


def test_levels_of_before_are_not_known_by_a_new_dimension(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run(PLAIN + meter("average n"), "2026-01-10", BEFORE)
    said = "meter calls: the levels of before are not known by of"
    Path("acme.biz").write_text(BASE + PLAIN + meter("average n", "of"))
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    assert said in capfd.readouterr().out
    for told in (1, 0):
        assert run(PLAIN + meter("average n", "of"), "2026-01-11") == 0
        assert capfd.readouterr().err.count(said) == told
