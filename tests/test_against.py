"""`bizrun check --against`: what an edit does to what is stored and under way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bizrun.cli.main import main

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key, email text }
event Member.joined key id { id text, email text }
event Member.paid { member Member }
event Member.left { member Member }
on Member.joined as joined {
  let member = create Member { ...joined }
  after 7 days unless Member.left as left where left.member == member { log "a week" }
}
on Member.paid(member) {
  wait for Member.left as left where left.member == member within 30 days
  log "gone"
}
"""
HAPPENED = (
    ("Member.joined", {"id": "a", "email": "a"}), ("Member.joined", {"id": "b", "email": "b"}),
    ("Member.paid", {"member": "a"}),
)  # fmt: skip
EVENTS = "".join(
    json.dumps({"id": f"{n}", "type": type_, "time": f"2026-04-0{n}T09:00:00Z", "data": data})
    + "\n"
    for n, (type_, data) in enumerate(HAPPENED, 1)
)
STATE = ".bizrun/shop.db"


@pytest.fixture(autouse=True)
def _state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("shop.biz").write_text(SPEC)
    Path("shop.events.jsonl").write_text(EVENTS)
    assert main(["shop.biz", "--out", "none"]) == 0
    capfd.readouterr()


def told(capfd: pytest.CaptureFixture[str], spec: str, code: int = 0) -> str:
    Path("shop.biz").write_text(spec)
    before = Path(STATE).read_bytes()
    assert main(["check", "shop.biz", "--against", STATE]) == code
    assert Path(STATE).read_bytes() == before
    out, err = capfd.readouterr()
    return out + err


def test_what_is_gone_while_a_handler_waits(capfd: pytest.CaptureFixture[str]) -> None:
    kept = """  let order = create Order { id: "o" }
  wait for Member.left as gone where gone.member == member within 30 days
  update member { email: "gone" }
  update order { state: "left" }
"""
    waiting = SPEC.replace("  wait for Member.left", kept + "  wait for Member.left", 1)
    Path("shop.biz").write_text(waiting + 'entity Order { id text key, state text = "new" }\n')
    more = json.dumps({"id": "9", "type": "Member.paid", "time": "2026-04-05T09:00:00Z",
                       "data": {"member": "b"}})  # fmt: skip
    Path("shop.events.jsonl").write_text(EVENTS + more + "\n")
    assert main(["shop.biz", "--out", "none"]) == 0
    capfd.readouterr()
    edited = SPEC.replace("email text }\nevent Member.joined", "}\nevent Member.joined")
    edited = edited.replace("id text, email text }", "id text }")
    assert (
        "1 × on Member.paid: will fail where it comes to Member.email or Order, gone since it began"
    ) in told(capfd, edited)
    left = json.dumps({"id": "10", "type": "Member.left", "time": "2026-04-06T09:00:00Z",
                       "data": {"member": "b"}})  # fmt: skip
    Path("shop.events.jsonl").write_text(left + "\n")
    main(["shop.biz", "--out", "none"])
    assert "Member.email and Order is gone from the spec" in "".join(capfd.readouterr())


def test_nothing_changes(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(capfd, SPEC) == (
        "shop.biz: fine\nagainst .bizrun/shop.db:\n"
        "  2 × on Member.joined: unaffected\n  1 × on Member.paid: unaffected\n"
    )


def test_an_edit(capfd: pytest.CaptureFixture[str]) -> None:
    edited = SPEC.replace("after 7 days", "after 9 days").replace(
        "email text }\nevent Member.joined", 'email text, city text = "x" }\nevent Member.joined'
    )
    said = told(capfd, edited.partition("on Member.paid")[0])
    assert "  Member.city is new\n" in said
    assert "  2 × on Member.joined: goes on with the version it began with\n" in said
    assert "  1 × on Member.paid: needs a decision" in said


def test_a_trigger_over_time(capfd: pytest.CaptureFixture[str]) -> None:
    trigger = "trigger Member.week_old for Member when age(self) reaches 7 days\n"
    assert "× Member: trigger" not in told(capfd, SPEC + trigger)  # it is new: nobody is told of
    assert main(["shop.biz", "--out", "none", "--until", "2026-04-06"]) == 0
    assert "× Member: trigger" not in told(capfd, SPEC + trigger)
    said = told(capfd, SPEC + trigger.replace("7 days", "6 days"))
    assert "  2 × Member: trigger Member.week_old is looked at anew\n" in said


def test_what_does_not_fit(capfd: pytest.CaptureFixture[str]) -> None:
    edited = SPEC.replace("entity Member { id text key,", "entity Member { id text key, city text,")
    said = told(capfd, edited.replace("{ ...joined }", '{ ...joined, city: "x" }'), code=1)
    assert "does not fit shop.biz: Member.city is new and needed" in said
    # The same again would not help: that is what 3 would say.
    for args in (["shop.biz"], ["query", "Member"], ["verify"]):
        assert main(args) == 1
        assert "Member.city is new and needed" in capfd.readouterr().err


def test_a_copy_has_the_name_of_its_spec(capfd: pytest.CaptureFixture[str]) -> None:
    Path("new.biz").write_text(SPEC)
    assert main(["check", "new.biz", "--against", STATE]) == 1
    said = capfd.readouterr().err
    assert "it is the state of `shop`" in said and "edited/shop.biz" in said
    assert "--fresh" not in said
    Path("edited").mkdir()
    Path("edited/shop.biz").write_text(SPEC)
    assert main(["check", "edited/shop.biz", "--against", STATE]) == 0


def test_mistakes(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "shop.biz", "--against", "none.db"]) == 2
    Path("other.biz").write_text(SPEC)
    assert main(["check", ".", "--against", STATE]) == 2
    assert "takes one spec" in capfd.readouterr().err


PLANS = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
entity Member { id text key, email text }
event Member.joined key id { id text, email text }
event Member.paid { member Member }
plan pro { price 30 USD per month, price 300 USD per year }
plan old { price 9 USD per month }
on Member.joined as joined {
  let member = create Member { ...joined }
  subscribe { customer: member, plan: if joined.id == "a" then pro else old }
}
"""


def test_what_an_edited_price_does_to_subscriptions(capfd: pytest.CaptureFixture[str]) -> None:
    Path("plans.biz").write_text(PLANS)
    Path("plans.events.jsonl").write_text(EVENTS)
    assert main(["plans.biz", "--out", "none"]) == 0
    state = ".bizrun/plans.db"

    def said(spec: str) -> str:
        capfd.readouterr()
        Path("plans.biz").write_text(spec)
        assert main(["check", "plans.biz", "--against", state]) == 0
        return capfd.readouterr().out

    assert "× subscription" not in said(PLANS)
    dearer = said(PLANS.replace("price 30 USD", "price 40 USD"))
    assert "1 × subscription to pro: 30.00 USD a month as before, 40.00 USD for who" in dearer
    assert "to old" not in dearer
    for other in ("30 EUR per month", "90 USD per 3 months"):
        elsewhere = said(PLANS.replace("price 30 USD per month", f"price {other}"))
        gone = "30.00 USD a month as before, no price in USD per month for who comes now"
        assert f"1 × subscription to pro: {gone}" in elsewhere
    dated = "price 300 USD per year, from 2026-06-01 { price 40 USD per month, migrate on renewal }"
    assert "× subscription" not in said(PLANS.replace("price 300 USD per year", dated))
    left = PLANS.replace("plan old { price 9 USD per month }\n", "").replace("else old", "else pro")
    assert "1 × subscription to old: there is no such plan any more" in said(left)
