"""A plan that is edited in place: who has it keeps the prices of then, through later runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bizrun.cli.main import main

SPEC = """\
business "Acme" { language 1, currency USD, timezone "UTC", bills Account }
entity Account { id text key }
event Join { id text, plan plan = pro, help bool = false, from time? }
event Used key account { account Account, n number }
event Move { id text, to plan, when text = "now" }
meter calls { sum n of Used per account }
on Join as e {
  let account = create Account { id: e.id }
  let sub = subscribe { customer: account, plan: e.plan, start: e.from ?? now }
  if e.help { add_addon { subscription: sub, addon: help } }
}
on Move as e {
  for each s in Subscription where .customer == Account(e.id) {
    change_plan { subscription: s, plan: e.to, when: e.when }
  }
}
"""
PLANS = """\
plan pro { price 30 USD per month, usage calls: 1 USD }
plan base { price 10 USD per month }
addon help { price 5 USD per month }
"""
DEARER = PLANS.replace("30 USD", "36 USD").replace("1 USD", "2 USD").replace("5 USD", "6 USD")
STATE = ".bizrun/acme.db"
Data = dict[str, object]
Run = Callable[..., list[str]]


def joins(day: str, who: str, **data: object) -> tuple[str, str, Data]:
    return day, "Join", {"id": who, **data}


def uses(day: str, who: str, n: int) -> tuple[str, str, Data]:
    return day, "Used", {"account": who, "n": n}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Runs plans over events (day, type, data), up to a day; the lines that were invoiced."""
    monkeypatch.chdir(tmp_path)
    numbers = iter(range(1000))

    def go(plans: str, until: str, *events: tuple[str, str, Data]) -> list[str]:
        Path("acme.biz").write_text(SPEC + plans)
        rows = [
            {"id": f"{next(numbers)}", "type": type_, "time": f"{day}T12:00:00Z", "data": data}
            for day, type_, data in events
        ]
        Path("acme.events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        before = set(_lines(capfd)) if Path(STATE).exists() else set()
        assert main(["acme.biz", "--out", "none", "--until", until]) == 0
        assert main(["verify", "--state", STATE]) == 0
        return sorted(set(_lines(capfd)) - before)

    return go


def _lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    capfd.readouterr()
    every = (
        "[for l in InvoiceLine: { day: l.period_start, of: Invoice(l.invoice.id).customer, "
        "what: l.description, quantity: l.quantity, amount: l.amount, kind: l.kind, id: l.id }]"
    )
    assert main(["query", every, "--state", STATE, "--json"]) == 0
    rows = json.loads(capfd.readouterr().out)
    return [
        f"{row['day'][5:10]} {row['of']} {row['what']} {row['quantity']}: "
        + row["amount"].removesuffix(" USD").removesuffix(".00")
        + (f" ({row['kind']})" if row["kind"] == "correction" else "")
        for row in rows
    ]


def test_who_has_a_plan_keeps_its_prices(run: Run) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a", help=True), uses("2026-01-05", "a", 3))
    assert run(DEARER, "2026-03-11", joins("2026-02-10", "b", help=True),
               uses("2026-02-10", "b", 1), uses("2026-02-12", "a", 1),
               uses("2026-01-20", "a", 1)) == [
        "01-03 a calls 1: 1 (correction)", "01-03 a calls 3: 3",
        "02-03 a calls 1: 1", "02-03 a help 1: 5", "02-03 a pro 1: 30",
        "02-10 b calls 1: 2", "02-10 b help 1: 6", "02-10 b pro 1: 36",
        "03-03 a help 1: 5", "03-03 a pro 1: 30",
        "03-10 b help 1: 6", "03-10 b pro 1: 36",
    ]  # fmt: skip


def test_what_comes_late_is_rated_as_it_was_then(run: Run) -> None:
    run(PLANS, "2026-03-10", joins("2026-01-03", "a"), uses("2026-01-05", "a", 3))
    move = ("2026-03-11", "Move", {"id": "a", "to": "base"})
    back = ("2026-03-11", "Move", {"id": "a", "to": "pro"})
    late = uses("2026-01-20", "a", 1)
    assert run(DEARER, "2026-04-04", move, back, uses("2026-03-12", "a", 1), late) == [
        "01-03 a calls 1: 1 (correction)",
        "03-11 a Remaining time on base 1: 7.42", "03-11 a Remaining time on pro 1: 26.71",
        "03-11 a Unused time on base 1: -7.42", "03-11 a Unused time on pro 1: -22.26",
        "03-11 a calls 1: 2",
        "04-03 a pro 1: 36",
    ]  # fmt: skip


def test_who_comes_back_has_the_price_of_now(run: Run) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"), joins("2026-01-03", "b"))
    later = ("2026-01-11", "Move", {"id": "a", "to": "base", "when": "period_end"})
    back = ("2026-02-11", "Move", {"id": "a", "to": "pro", "when": "period_end"})
    assert run(DEARER, "2026-03-10", later, back) == [
        "02-03 a base 1: 10", "02-03 b pro 1: 30", "03-03 a pro 1: 36", "03-03 b pro 1: 30",
    ]  # fmt: skip


def test_whoever_begins_after_the_edit_has_the_new_price_however_it_is_dated(run: Run) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    dated = joins("2026-01-12", "b", **{"from": "2026-01-05T00:00:00Z"})
    assert run(DEARER, "2026-01-12", dated) == ["01-05 b pro 1: 36"]


def test_a_dated_version_with_migrate_brings_them_over(run: Run) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    run(DEARER, "2026-01-11", joins("2026-01-11", "b"))
    dated = DEARER.replace(
        "2 USD }", "2 USD, from 2026-02-10 { price 40 USD per month, migrate on renewal } }"
    )
    assert run(dated, "2026-03-20") == [
        "02-03 a pro 1: 30", "02-11 b pro 1: 40", "03-03 a pro 1: 40", "03-11 b pro 1: 40",
    ]  # fmt: skip


def test_versions_that_have_come_may_be_written_into_the_plan(run: Run) -> None:
    versions = (
        "30 USD per month, from 2026-02-01 { price 36 USD per month }, "
        "from 2026-03-01 { price 7 USD per month, migrate where is_first(.customer) }"
    )
    rule = 'const first = "a"\nfn is_first(account: Account) -> bool = account.id == first\n'
    run(rule + PLANS.replace("30 USD per month", versions), "2026-04-01",
        joins("2026-01-03", "a"), joins("2026-01-03", "b"), joins("2026-02-03", "c"))  # fmt: skip
    folded = PLANS.replace("30 USD", "7 USD")
    assert run(folded, "2026-04-05", joins("2026-04-04", "d")) == [
        "04-03 a pro 1: 7", "04-03 b pro 1: 30", "04-03 c pro 1: 36", "04-04 d pro 1: 7",
    ]  # fmt: skip


def test_a_version_that_was_withdrawn_does_not_come(run: Run) -> None:
    planned = PLANS.replace(
        "30 USD per month",
        "30 USD per month, from 2026-02-01 { price 90 USD per month, migrate on renewal }",
    )
    run(planned, "2026-01-10", joins("2026-01-03", "a"))
    assert run(PLANS, "2026-02-05") == ["02-03 a pro 1: 30"]


def test_several_edits_and_one_that_is_taken_back(run: Run) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    run(DEARER, "2026-01-11", joins("2026-01-11", "b"))
    run(PLANS, "2026-01-12", joins("2026-01-12", "c"))
    assert run(PLANS.replace("30", "50"), "2026-02-15", joins("2026-01-13", "d")) == [
        "01-13 d pro 1: 50",
        "02-03 a pro 1: 30", "02-11 b pro 1: 36", "02-12 c pro 1: 30", "02-13 d pro 1: 50",
    ]  # fmt: skip


def test_what_is_told(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a", help=True), joins("2026-01-03", "b"))
    told = [
        "1 × addon help: 5.00 USD a month as before, 6.00 USD for who comes now",
        "2 × subscription to pro: 30.00 USD a month as before, 36.00 USD for who comes now",
        "`from DATE { price …, migrate on renewal }` in the plan brings them over",
    ]
    Path("acme.biz").write_text(SPEC + DEARER)
    capfd.readouterr()
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    assert [line.strip() for line in capfd.readouterr().out.splitlines()[2:]] == told
    assert main(["acme.biz", "--out", "none"]) == 0
    said = capfd.readouterr().err.splitlines()
    assert [line.removeprefix(f"{STATE}: ") for line in said] == told
    # Once: the state knows the plan as it is by now.
    assert main(["acme.biz", "--out", "none"]) == 0
    assert capfd.readouterr().err == ""


def test_usage_alone_that_is_edited(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    Path("acme.biz").write_text(SPEC + PLANS.replace("1 USD", "1 USD, includes 5 calls"))
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    out = capfd.readouterr().out
    assert "1 × subscription to pro: the prices of before stay, other ones for who comes" in out


def test_a_meter_that_is_gone_stops_who_is_charged_by_it_until_it_is_back(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"), uses("2026-01-05", "a", 3))
    free, meter = PLANS.replace(", usage calls: 1 USD", ""), "meter calls { sum n of Used per"
    unmetered = SPEC.replace(f"{meter} account }}\n", "") + free
    Path("acme.biz").write_text(unmetered)
    assert main(["preview", "a"]) == 1
    assert "There is no meter `calls` any more: declare it again" in capfd.readouterr().err
    for _ in range(2):
        assert main(["acme.biz", "--out", "none", "--until", "2026-02-10"]) == 0
        said = (
            "1 × subscription to pro: there is no meter calls any more, which they are charged by"
        )
        assert said in capfd.readouterr().err
    # Nothing of it is lost, and once nobody pays for it the meter may go.
    ending = "from 2026-02-03 { usage calls: free, migrate on renewal } }"
    over = free.replace("30 USD per month }", f"30 USD per month, {ending}")
    assert run(over, "2026-03-04") == [
        "01-03 a calls 3: 3",
        "02-03 a pro 1: 30",
        "03-03 a pro 1: 30",
    ]
    Path("acme.biz").write_text(unmetered)
    assert main(["acme.biz", "--out", "none", "--until", "2026-04-04"]) == 0
    out, err = capfd.readouterr()
    assert "invoices  4, 123.00 USD" in out
    assert "meter" not in err


def test_a_plan_that_is_gone_is_told_at_each_run(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    Path("acme.biz").write_text(
        (SPEC + PLANS).replace("pro {", "best {").replace("= pro", "= best")
    )
    for _ in range(2):
        assert main(["acme.biz", "--out", "none"]) == 0
        said = "1 × subscription to pro: there is no such plan any more, and no renewal"
        assert said in capfd.readouterr().err


def test_an_addon_that_is_gone_is_told_at_each_run(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a", help=True), joins("2026-01-03", "b"))
    left = [line for line in (SPEC + PLANS).splitlines(True) if "help {" not in line]
    Path("acme.biz").write_text("".join(line for line in left if "addon: help" not in line))
    said = "1 × addon help: there is no such add-on any more, and nothing is billed for it"
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    assert said in capfd.readouterr().out
    for _ in range(2):
        assert main(["acme.biz", "--out", "none"]) == 0
        assert said in capfd.readouterr().err


def test_customers_of_another_entity_are_told(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    Path("acme.biz").write_text((SPEC + PLANS).replace("Account", "Client"))
    assert main(["check", "acme.biz", "--against", STATE]) == 0
    assert "1 × subscription: there is no Client at all, and no renewal" in capfd.readouterr().out
    assert main(["acme.biz", "--out", "none"]) == 0
    assert "have `bills` name the entity that they belong to" in capfd.readouterr().err


def test_what_a_plan_is_called_and_allows_is_everybodys(
    run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    edited = DEARER.replace("plan pro {", 'plan pro "Professional" { limits { users: 7 }, ')
    assert run(edited, "2026-02-05") == ["02-03 a Professional 1: 30"]
    assert main(["query", 'limit(Account("a"), "users")', "--state", STATE]) == 0
    assert capfd.readouterr().out.strip() == "7"


def test_a_question_sees_what_a_run_would_do(run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    run(PLANS, "2026-01-10", joins("2026-01-03", "a"))
    Path("acme.biz").write_text(SPEC + DEARER)
    before = Path(STATE).read_bytes()
    capfd.readouterr()
    assert main(["preview", "a", "--state", STATE, "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["total"] == "30.00 USD"
    assert Path(STATE).read_bytes() == before
