"""What the same work costs without an engine: the limit that a workload is measured by.

Each function takes the stream's path and a folder for files. It returns a `Timing` of the work
alone; where it says `decoded` or `prebuilt`, what it works on was made before the clock began.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from .clock import Timing, timed

BATCH = 1_000
TIERS = ((500, 0), (1_500, 10), (5_000, 8), (None, 5))  # up to, thousandths of a dollar
QUOTA = 2_000
SPECS = Path(__file__).parent / "specs"

Row = tuple[Any, ...]


def decoded(path: Path) -> list[dict[str, Any]]:
    """The stream as dicts, as a peer gets it that decodes for itself."""
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        return [decode(line) for line in file]


def batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """A thousand rows at a time."""
    left = iter(rows)
    while some := list(islice(left, BATCH)):
        yield some


def database(folder: Path, *statements: str) -> sqlite3.Connection:
    """A new database as durable as a state of bizrun is."""
    path = folder / "limit.db"
    for suffix in ("", "-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    for statement in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", *statements):
        db.execute(statement)
    return db


# --- W1 --------------------------------------------------------------------------------------


def conditions() -> list[str]:
    """The rules of rules.biz as Python expressions over local names."""
    text = (SPECS / "rules.biz").read_text()
    found = re.findall(r"^on Order\.placed as order where (.*) \{ ?\}$", text, re.MULTILINE)
    assert len(found) == text.count("\non "), "a rule is written in another way"
    rules = [rule.replace("order.", "").replace("_000", "000") for rule in found]
    return [re.sub(r"in \[(.*?)\]", r"in (\1)", rule) for rule in rules]


def rules_function() -> Callable[[dict[str, Any]], list[int]]:
    """One function for all rules: the fastest that Python has."""
    names = ("country", "channel", "tier", "amount", "quantity", "discount", "first")
    lines = ["def fired(data):", " found = []"]
    lines += [f" {name} = data[{name!r}]" for name in names]
    lines += [f" if {rule}: found.append({n})" for n, rule in enumerate(conditions())]
    scope: dict[str, Any] = {}
    exec("\n".join([*lines, " return found"]), scope)
    function: Callable[[dict[str, Any]], list[int]] = scope["fired"]
    return function


def rules(path: Path, folder: Path) -> Timing:
    """W1: one generated function over decoded dicts."""
    fired = rules_function()
    payloads = [item["data"] for item in decoded(path)]
    with timed(len(payloads)) as timing:
        found = [fired(data) for data in payloads]
    timing.result = sum(map(len, found))
    return timing


# --- W2 --------------------------------------------------------------------------------------


def graduated(units: int) -> Decimal:
    """What a month's units cost, in dollars."""
    total, low = 0, 0
    for high, price in TIERS:
        top = units if high is None else min(units, high)
        if top > low:
            total += (top - low) * price
        low = high or low
    return Decimal(total) / 1000


def usage_decoded(path: Path, folder: Path) -> Timing:
    """W2 in memory: counters, alerts and invoices by hand over decoded dicts."""
    items = [item for item in decoded(path) if item["type"] == "API.called"]
    with timed(len(items)) as timing:
        timing.result = count_usage(items)
    return timing


def count_usage(items: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Counts by account and month; an alert at 80, 90 and 100 %; then the invoices."""
    counters: dict[str, int] = {}
    alerts: list[tuple[str, int]] = []
    levels = (QUOTA * 8 // 10, QUOTA * 9 // 10, QUOTA)
    month, invoices = "", []
    for item in items:
        data = item["data"]
        if item["time"][:7] != month:
            invoices += [(month, who, graduated(units)) for who, units in counters.items()]
            counters.clear()
            month = item["time"][:7]
        account = data["account"]
        before = counters.get(account, 0)
        counters[account] = after = before + data["units"]
        if after >= levels[0] and before < levels[2]:
            alerts += [(account, level) for level in levels if before < level <= after]
    invoices += [(month, who, graduated(units)) for who, units in counters.items()]
    return {"invoices": len(invoices), "alerts": len(alerts)}


def usage_rows(path: Path, folder: Path) -> Timing:
    """W2 durable: prebuilt rows, one for each event, by executemany; a commit each thousand."""
    db = database(
        folder, "CREATE TABLE event (id TEXT, time TEXT, account TEXT, units INTEGER, raw TEXT)"
    )
    with path.open("rb") as file:
        lines = file.read().decode().splitlines()
    rows = [
        (item["id"], item["time"], item["data"].get("account"), item["data"].get("units"), line)
        for item, line in zip(decoded(path), lines, strict=True)
    ]
    with timed(len(rows)) as timing:
        for some in batches(rows):
            db.execute("BEGIN")
            db.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", some)
            db.execute("COMMIT")
    return timing


# --- W3 --------------------------------------------------------------------------------------

_TABLES = (
    "CREATE TABLE account (id TEXT PRIMARY KEY, email TEXT, plan TEXT, status TEXT) WITHOUT ROWID",
    "CREATE TABLE subscription (id TEXT PRIMARY KEY, account TEXT, plan TEXT, status TEXT, "
    "started TEXT, period_end TEXT) WITHOUT ROWID",
    "CREATE TABLE email (id INTEGER PRIMARY KEY, recipient TEXT, subject TEXT, body TEXT, "
    "status TEXT)",
    "CREATE TABLE timer (id INTEGER PRIMARY KEY, due TEXT, account TEXT)",
)
_INSERTS = (
    "INSERT INTO account VALUES (?, ?, ?, ?)",
    "INSERT INTO subscription VALUES (?, ?, ?, ?, ?, ?)",
    "INSERT INTO email VALUES (?, ?, ?, ?, ?)",
    "INSERT INTO timer VALUES (?, ?, ?)",
)


def _signup_rows(path: Path) -> list[tuple[Row, Row, Row, Row]]:
    found = []
    for number, item in enumerate(decoded(path)):
        id_, email, at = item["data"]["id"], item["data"]["email"], item["time"]
        body = f"Your account {id_} is ready."
        found.append((
            (id_, email, "starter", "trial"),
            (f"sub_{number:09}", id_, "starter", "active", at, "2026-02-01T00:00:00Z"),
            (number, email, "Welcome", body, "done"),
            (number, at.replace("2026-01-0", "2026-01-1"), id_),
        ))  # fmt: skip
    return found


def signups_rows(path: Path, folder: Path) -> Timing:
    """W3: prebuilt rows by executemany, a commit each thousand; then all timers likewise."""
    rows = _signup_rows(path)
    db = database(folder, *_TABLES)
    with timed(len(rows)) as timing:
        for some in batches(rows):
            db.execute("BEGIN")
            for statement, part in zip(_INSERTS, zip(*some, strict=True), strict=True):
                db.executemany(statement, part)
            db.execute("COMMIT")
        timers = db.execute("SELECT id, account FROM timer ORDER BY due").fetchall()
        for some in batches(timers):
            db.execute("BEGIN")
            accounts = [(account,) for _, account in some]
            db.executemany("UPDATE account SET status = 'active' WHERE id = ?", accounts)
            db.executemany("DELETE FROM timer WHERE id = ?", [(id_,) for id_, _ in some])
            db.execute("COMMIT")
    return timing


def signups_commits(path: Path, folder: Path) -> Timing:
    """W3, a transaction for each sign-up: raw commits of prebuilt rows."""
    rows = _signup_rows(path)
    db = database(folder, *_TABLES)
    with timed(len(rows)) as timing:
        for four in rows:
            db.execute("BEGIN")
            for statement, row in zip(_INSERTS, four, strict=True):
                db.execute(statement, row)
            db.execute("COMMIT")
    return timing


# --- W4 --------------------------------------------------------------------------------------

_BOOKS = (
    "CREATE TABLE subscription (id TEXT PRIMARY KEY, account TEXT, seats INTEGER, "
    "period_start TEXT, period_end TEXT) WITHOUT ROWID",
    "CREATE TABLE invoice (id TEXT PRIMARY KEY, number TEXT, account TEXT, subscription TEXT, "
    "total TEXT, status TEXT, issued TEXT) WITHOUT ROWID",
    "CREATE TABLE line (id TEXT PRIMARY KEY, invoice TEXT, description TEXT, quantity INTEGER, "
    "amount TEXT, period_start TEXT, period_end TEXT) WITHOUT ROWID",
    "CREATE TABLE charge (id TEXT PRIMARY KEY, invoice TEXT, account TEXT, amount TEXT, "
    "status TEXT) WITHOUT ROWID",
)
_RENEWALS = (
    "INSERT INTO invoice VALUES (?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO line VALUES (?, ?, ?, ?, ?, ?, ?)",
    "INSERT INTO charge VALUES (?, ?, ?, ?, ?)",
    "UPDATE subscription SET period_start = ?, period_end = ? WHERE id = ?",
)
SEAT = 12


def subscribers(path: Path) -> list[tuple[str, str, int]]:
    """Account, local date of the start, and seats at the first renewal; W4's stream."""
    seats = {
        item["data"]["account"]: item["data"]["seats"]
        for item in decoded(path)
        if item["type"] == "Seats.changed"
    }
    return [
        (item["data"]["id"], item["time"][:10], seats.get(item["data"]["id"], 3))
        for item in decoded(path)
        if item["type"] == "Customer.signup"
    ]


def renewed_lines(number: int, seats: int, start: str) -> list[tuple[Any, ...]]:
    """The lines of a renewal's invoice: the next month, and half a month of a seat more."""
    invoice, end = f"inv_{number:09}", start.replace("-02-", "-03-")
    lines: list[tuple[Any, ...]] = [
        (f"li_{number:09}_1", invoice, "Team per seat", seats, f"{seats * SEAT}.00", start, end)
    ]
    if seats != 3:
        old, new = "Unused time on Team", "Remaining time on Team"
        lines.append((f"li_{number:09}_2", invoice, old, 1, "-18.00", start, end))
        lines.append((f"li_{number:09}_3", invoice, new, seats, "24.00", start, end))
    return lines


def renewals_rows(path: Path, folder: Path) -> Timing:
    """W4: prebuilt rows of invoice, lines and charge by executemany, a commit each thousand."""
    subscribed = subscribers(path)
    db = database(folder, *_BOOKS)
    db.execute("BEGIN")
    db.executemany(
        "INSERT INTO subscription VALUES (?, ?, ?, ?, ?)",
        [
            (f"sub_{n:09}", account, seats, day, day.replace("-01-", "-02-"))
            for n, (account, day, seats) in enumerate(subscribed)
        ],
    )
    db.execute("COMMIT")
    rows = []
    for number, (account, day, seats) in enumerate(subscribed):
        start = day.replace("-01-", "-02-")
        lines = renewed_lines(number, seats, start)
        total = f"{sum(float(line[4]) for line in lines):.2f}"
        invoice, sub = f"inv_{number:09}", f"sub_{number:09}"
        rows.append((
            (invoice, f"INV-2026-{number:05}", account, sub, total, "paid", start),
            lines,
            (f"ch_{number:09}", invoice, account, total, "succeeded"),
            (start, start.replace("-02-", "-03-"), sub),
        ))  # fmt: skip
    with timed(len(rows)) as timing:
        for some in batches(rows):
            invoices, lines_of, charges, periods = zip(*some, strict=True)
            made = [line for lines in lines_of for line in lines]
            db.execute("BEGIN")
            for statement, part in zip(_RENEWALS, (invoices, made, charges, periods), strict=True):
                db.executemany(statement, part)
            db.execute("COMMIT")
    return timing
