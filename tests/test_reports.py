"""Reports over a state: movements of MRR, churn, lifetime value, cohorts, and the command."""

from __future__ import annotations

import csv
import io
import json
import random
import subprocess
import sys
import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bizrun.errors import UsageError
from bizrun.reports.churn import churn, cohorts, ltv
from bizrun.reports.figures import Figures, Span, span
from bizrun.reports.forecast import outlook
from bizrun.reports.metrics import movements, mrr, tallies
from bizrun.reports.plot import plotted
from bizrun.runtime.tables import SYSTEM
from bizrun.store.base import Column, Table
from bizrun.store.memory import MemoryStore
from bizrun.values import Money, Percent, show

from .conftest import ROOT

UTC_ZONE = ZoneInfo("UTC")
CUSTOMERS = Table(
    "Account",
    (Column("id", "text"), Column("created_at", "time"), Column("updated_at", "time")),
)
PAYMENTS = Table(
    "Payment",
    (
        Column("id", "text"), Column("customer", "text"), Column("amount", "money"),
        Column("refunded", "money"), Column("charged_back", "money"), Column("status", "text"),
        Column("created_at", "time"),
    ),
)  # fmt: skip


BOOKS = Table(
    "Ledger",
    (
        Column("id", "text"), Column("account", "text"), Column("amount", "money"),
        Column("created_at", "time"), Column("starts", "time"), Column("ends", "time"),
    ),
)  # fmt: skip


def usd(amount: int | str) -> Money:
    return Money(amount, "USD")


def day(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def kept(*changes: tuple[str, str, int, int]) -> MemoryStore:
    """A state with movements: (date, customer/subscription, before, after) in whole USD."""
    store = MemoryStore()
    store.prepare([*SYSTEM, CUSTOMERS, PAYMENTS, BOOKS])
    rows = {}
    for number, (at, who, before, after) in enumerate(changes):
        key = f"{who}|{number}"
        rows[key] = {
            "id": key, "at": day(at), "customer": who.partition("/")[0], "subscription": who,
            "before": usd(before), "after": usd(after),
        }  # fmt: skip
    store.write({"_mrr": rows})
    return store


def months(first: str, last: str) -> Span:
    return Span(date.fromisoformat(first), date.fromisoformat(last), day(last), UTC_ZONE)


STORY = (
    ("2026-01-05", "a/1", 0, 100),
    ("2026-01-20", "b/1", 0, 50),
    ("2026-02-01", "a/1", 100, 150),
    ("2026-02-10", "b/1", 50, 0),
    ("2026-02-20", "a/2", 0, 30),
    ("2026-03-01", "a/1", 150, 90),
    ("2026-03-02", "b/1", 0, 60),
    ("2026-03-03", "a/1", 90, 0),
    ("2026-03-03", "a/3", 0, 90),
)


def test_movements_are_of_customers() -> None:
    found = [(m.customer, m.kind, str(m.change)) for m in movements(kept(*STORY))]
    assert found == [
        ("a", "new", "100.00 USD"), ("b", "new", "50.00 USD"), ("a", "expansion", "50.00 USD"),
        ("b", "churn", "-50.00 USD"), ("a", "expansion", "30.00 USD"),
        ("a", "contraction", "-60.00 USD"), ("b", "reactivation", "60.00 USD"),
    ]  # fmt: skip


def test_mrr_by_month() -> None:
    rows = mrr(kept(*STORY), months("2026-01-01", "2026-04-30")).rows
    shown = [[show(value) for value in row.values()] for row in rows]
    assert [[cell.removesuffix(".00 USD") for cell in row] for row in shown] == [
        ["2026-01", "USD", "0", "150", "0", "0", "0", "0", "150", "1800"],
        ["2026-02", "USD", "150", "0", "0", "80", "0", "-50", "180", "2160"],
        ["2026-03", "USD", "180", "0", "60", "0", "-60", "0", "180", "2160"],
        ["2026-04", "USD", "180", "0", "0", "0", "0", "0", "180", "2160"],
    ]
    late = mrr(kept(*STORY), months("2026-03-01", "2026-03-31")).rows
    assert late == rows[2:3]


def test_churn_by_month() -> None:
    rows = churn(kept(*STORY), months("2026-01-01", "2026-03-31")).rows
    told = [
        (r["customers"], r["gained"], r["lost"], show(r["customer_churn"]),
         show(r["revenue_churn"]), show(r["net_retention"]))
        for r in rows
    ]  # fmt: skip
    assert told == [
        (0, 2, 0, "none", "none", "none"),
        (2, 0, 1, "50%", "33.3%", "120%"),
        (1, 1, 0, "0%", "33.3%", "66.7%"),
    ]


def test_lifetime_value() -> None:
    store = kept(*STORY)
    made = {
        "refunded": usd(6),
        "charged_back": usd(4),
        "status": "succeeded",
        "created_at": day("2026-02-01"),
    }
    store.write({"Payment": {
        "p": {"id": "p", "customer": "a", "amount": usd(110), **made},
        "q": {"id": "q", "customer": "a", "amount": usd(60), **made},
        "r": {"id": "r", "customer": "b", "amount": usd(999), **made, "status": "failed"},
    }})  # fmt: skip
    (row,) = ltv(store, months("2026-01-01", "2026-03-31")).rows
    # 180 of 2 customers; 1 of 3 customer-months was lost.
    assert row["arpa"] == usd(90) and show(row["churn"]) == "33.3%" and row["ltv"] == usd(270)
    assert row["payers"] == 1 and row["paid_per_payer"] == usd(150)
    (young,) = ltv(kept(*STORY[:2]), months("2026-01-01", "2026-01-31")).rows
    assert young["ltv"] is None and young["churn"] is None


def test_cohorts_by_sign_up() -> None:
    store = kept(*STORY)
    rows = {
        name: {"id": name, "created_at": day(at), "updated_at": day(at)}
        for name, at in (("a", "2026-01-01"), ("b", "2025-12-31"), ("c", "2026-01-09"))
    }
    store.write({"Account": rows})
    found = cohorts(store, months("2025-12-01", "2026-03-31"), ("Account", "id"))
    told = [[show(row.get(name)) for name in found.columns] for row in found.rows]
    assert told == [
        ["2025-12", "1", "0%", "100%", "0%", "100%"],
        ["2026-01", "2", "50%", "50%", "50%", "none"],
    ]
    without = cohorts(store, months("2026-01-01", "2026-01-31"), None)
    assert [row["customers"] for row in without.rows] == [2]


@pytest.mark.parametrize("seed", range(20))
def test_movements_add_up(seed: int) -> None:
    """Each month's movements lead from its opening to its closing, whatever happened."""
    rng = random.Random(seed)
    held: dict[str, int] = {}
    changes = []
    at = day("2026-01-01")
    for _ in range(200):
        at += timedelta(hours=rng.randint(0, 80))
        who = f"{rng.choice('abcd')}/{rng.randint(1, 3)}"
        after = rng.choice((0, 0, 10, 25, 40))
        if after != held.get(who, 0):
            changes.append((at.isoformat()[:19], who, held.get(who, 0), after))
            held[who] = after
    store = kept(*changes)
    about = months("2026-01-01", f"{at:%Y-%m-%d}")
    before = usd(0)
    for _, found in tallies(store, about):
        tally = found["USD"]
        assert tally.opening == before
        before = tally.closing
        assert tally.amount("new") >= usd(0) and tally.amount("churn") <= usd(0)
    assert before == usd(sum(held.values()))
    active = {who.partition("/")[0] for who, amount in held.items() if amount}
    assert tally.left == len(active)


def test_forecast_goes_on_along_the_line() -> None:
    store = kept(
        ("2026-01-10", "a/1", 0, 100), ("2026-02-10", "b/1", 0, 100), ("2026-03-10", "c/1", 0, 40)
    )  # fmt: skip
    rows = outlook(store, months("2026-01-01", "2026-03-31"), 3).rows
    assert [row["mrr"].amount for row in rows[:3]] == [100, 200, 240]
    assert [str(row["mrr"]) for row in rows[3:]] == ["320.00 USD", "390.00 USD", "460.00 USD"]
    assert [row["month"] for row in rows[3:]] == ["2026-04", "2026-05", "2026-06"]
    assert [row["forecast"] for row in rows] == [False] * 3 + [True] * 3
    assert rows[3]["arr"] == usd(3840)


def test_forecast_is_never_below_nothing() -> None:
    store = kept(("2026-01-10", "a/1", 0, 100), ("2026-02-10", "a/1", 100, 10))
    rows = outlook(store, months("2026-01-01", "2026-02-28"), 2).rows
    assert [row["mrr"] for row in rows[2:]] == [usd(0), usd(0)]


def test_spans() -> None:
    clock = day("2026-03-15")
    found = span(day("2026-01-20"), clock, UTC_ZONE, None, None)
    assert (found.first, found.last) == (date(2026, 1, 1), date(2026, 3, 15))
    assert [m.name for m in found.months()] == ["2026-01", "2026-02", "2026-03"]
    ends = [m.end for m in found.months()]
    assert ends[-1] == found.end == day("2026-03-16") and ends[0] == day("2026-02-01")
    assert span(None, clock, UTC_ZONE, None, None).first == date(2026, 3, 1)
    for first, last in ((date(2026, 4, 1), None), (date(1, 1, 1), date(9999, 1, 1))):
        with pytest.raises(UsageError):
            span(None, clock, UTC_ZONE, first, last)


def test_plot() -> None:
    picture = plotted(mrr(kept(*STORY), months("2026-01-01", "2026-04-30")))
    lines = [node for node in ET.fromstring(picture) if node.tag.endswith("polyline")]
    assert len(lines) == 1 and len(lines[0].attrib["points"].split()) == 4
    assert plotted(ltv(kept(*STORY), months("2026-01-01", "2026-04-30"))).count("<rect") > 1
    rows = [{"cohort": f"2026-{n:02}", "customers": 1, "m0": Percent.of(100)} for n in range(1, 13)]
    picture = plotted(Figures("Cohorts", ("cohort", "customers", "m0", "m1"), tuple(rows)))
    assert picture.count("<polyline") == 6
    assert ">100%</text>" in picture and ">50%</text>" in picture
    money = [Money(n, "USD") for n in ("22520.50", "-310", "9999", "30000")]
    row = [{"month": f"2026-0{n}", "currency": "USD", "mrr": amount, "forecast": n > 2}
           for n, amount in enumerate(money, 1)]  # fmt: skip
    picture = plotted(Figures("Forecast", ("month", "currency", "mrr", "forecast"), tuple(row)))
    assert [f">{n}</text>" in picture for n in ("-10,000", "0", "30,000", "22,520")] == [
        True, True, True, False,
    ]  # fmt: skip
    assert picture.count("<polyline") == 2 and picture.count("stroke-dasharray") == 1
    with pytest.raises(UsageError):
        plotted(Figures("Nothing", ("account",), ()))


# --- the command -------------------------------------------------------------------------------

SPEC = """
business "Acme" { currency USD, bills User }
entity User { id text key }
plan pro { price 30 USD per month }
plan big { price 100 USD per month }
event User.joined { id text }
event User.grew   { user User }
event User.left   { user User }
on User.joined as j { let user = create User { id: j.id }  subscribe { customer: user, plan: pro } }
on User.grew(user) {
  for each s in Subscription where .customer == user { change_plan { subscription: s, plan: big } }
}
on User.left(user) {
  for each s in Subscription where .customer == user { cancel { subscription: s, prorate: true } }
}
""".replace("  subscribe", "\n  subscribe")

EVENTS = (
    ("User.joined", "2026-01-01", {"id": "a"}),
    ("User.joined", "2026-01-16", {"id": "b"}),
    ("User.grew", "2026-02-01", {"user": "a"}),
    ("User.left", "2026-02-16", {"user": "b"}),
)


@pytest.fixture(scope="module")
def state(bizrun: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    spec, events, state = folder / "acme.biz", folder / "acme.events.jsonl", folder / "acme.db"
    spec.write_text(SPEC, encoding="utf-8")
    lines = [
        json.dumps({"id": f"e{n}", "type": type_, "time": f"{at}T00:00:00Z", "data": data})
        for n, (type_, at, data) in enumerate(EVENTS)
    ]
    events.write_text("\n".join(lines) + "\n", encoding="utf-8")
    done = subprocess.run(
        [bizrun, spec, "--state", state, "--until", "2026-03-01T00:00:00Z", "--out", "none"],
        capture_output=True, text=True, timeout=60, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return state


@pytest.fixture(scope="module")
def report(bizrun: Path, state: Path) -> Any:
    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [bizrun, "report", *args, "--state", state], capture_output=True, text=True, timeout=60
        )

    return run


def rows(report: Any, *args: str) -> list[dict[str, Any]]:
    done = report(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_command_mrr(report: Any) -> None:
    january, february, _ = rows(report, "mrr")
    assert (january["new"], january["mrr"]) == ("60.00 USD", "60.00 USD")
    assert (february["expansion"], february["churn"]) == ("70.00 USD", "-30.00 USD")
    assert february["arr"] == "1200.00 USD"


def test_command_forecast(bizrun: Path, state: Path) -> None:
    def asked(*args: str) -> subprocess.CompletedProcess[str]:
        call = [bizrun, "forecast", "--state", state, *args]
        return subprocess.run(call, capture_output=True, text=True, timeout=60)

    told = json.loads(asked("--months", "3", "--json").stdout)
    assert [row["forecast"] for row in told][-4:] == [False, True, True, True]
    assert "--months takes 1 to 1200" in asked("--months", "0").stderr


def test_command_revenue(report: Any) -> None:
    january, february, *_ = rows(report, "revenue", "--to", "2026-02-28")
    # a: 30.00 for January; b: 16 of the 31 days from 16 January.
    assert january["recognised"] == "45.48 USD"
    assert january["deferred"] == "14.52 USD"
    # a: 100.00 for February; b: the other 15 days, and nothing of the period it left.
    assert february["recognised"] == "114.52 USD"
    assert february["deferred"] == "0.00 USD"


def test_command_ledger(report: Any) -> None:
    *accounts, total = rows(report, "ledger", "--to", "2026-02-28")
    assert total["debit"] == total["credit"]
    found = {row["account"]: (row["debit"], row["credit"]) for row in accounts}
    assert found["revenue"] == ("0.00 USD", "160.00 USD")


@pytest.mark.parametrize("kind", ("revenue", "ledger", "mrr", "churn", "ltv", "cohorts"))
def test_command_forms(report: Any, kind: str) -> None:
    table = report(kind)
    assert table.returncode == 0 and "\n\n" in table.stdout, table.stderr
    found = list(csv.DictReader(io.StringIO(report(kind, "--csv").stdout)))
    assert len(found) == len(list(rows(report, kind)))
    again = report(kind, "--format", "json")
    assert json.loads(again.stdout) == rows(report, kind)


def test_command_beancount(report: Any, tmp_path: Path) -> None:
    path = tmp_path / "books.beancount"
    done = report("ledger", "--format", "beancount", "--out", str(path))
    assert done.returncode == 0 and not done.stdout, done.stderr
    checked = subprocess.run(
        [Path(sys.executable).parent / "bean-check", path], capture_output=True, text=True,
        timeout=60,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr


def test_command_plot(report: Any, tmp_path: Path) -> None:
    path = tmp_path / "mrr.svg"
    assert report("mrr", "--plot", str(path)).returncode == 0
    assert ET.parse(path).getroot().tag.endswith("svg")


@pytest.mark.parametrize(
    ("args", "says"),
    (
        (("sales",), "sales"),
        (("mrr", "--from", "soon"), "--from takes a date"),
        (("mrr", "--from", "2026-05-01", "--to", "2026-04-01"), "is after --to"),
        (("mrr", "--json", "--csv"), "one form"),
        (("mrr", "--format", "beancount"), "report ledger"),
        (("ledger", "--plot", "x.svg"), "nothing to plot"),
    ),
)
def test_command_refuses(report: Any, args: tuple[str, ...], says: str) -> None:
    done = report(*args)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_the_year_of_saas(bizrun: Path, tmp_path: Path) -> None:
    """The metric that the spec declares, and the report from the movements, agree."""
    state = tmp_path / "saas.db"
    done = subprocess.run(
        [bizrun, "run", ROOT / "specs" / "saas.biz", "--state", state, "--out", "none", "--json"],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    told = json.loads(done.stdout)["metrics"]["mrr"]
    found = subprocess.run(
        [bizrun, "report", "mrr", "--json", "--state", state, "--spec", "specs/saas.biz"],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    newest = json.loads(found.stdout)[-1]
    past_due = subprocess.run(
        [bizrun, "query", 'sum(Subscription.monthly_amount where .status == "past_due")',
         "--json", "--state", state, "--spec", "specs/saas.biz"],
        capture_output=True, text=True, timeout=60, cwd=ROOT,
    )  # fmt: skip
    late = json.loads(past_due.stdout)
    whole = Money(str(told).split()[0], "USD") + Money(str(late).split()[0], "USD")
    assert newest["mrr"] == str(whole)
