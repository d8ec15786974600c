"""Other people's ways of doing the same work; each returns a `Timing`, as a limit does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from .clock import Timing, timed
from .limits import (
    BATCH,
    QUOTA,
    SPECS,
    batches,
    conditions,
    count_usage,
    database,
    decoded,
    renewed_lines,
    subscribers,
)


def rules_zen(path: Path, folder: Path) -> Timing:
    """W1: zen-engine (Rust), each rule a compiled expression, over decoded dicts."""
    import zen

    payloads = [item["data"] for item in decoded(path)]
    rules = [zen.compile_expression(_zen(rule)) for rule in conditions()]
    with timed(len(payloads)) as timing:
        timing.result = sum(sum(bool(rule.evaluate(data)) for rule in rules) for data in payloads)
    return timing


def rules_zen_one(path: Path, folder: Path) -> Timing:
    """W1: zen-engine, all rules in one expression that gives a list: its best form."""
    import zen

    payloads = [item["data"] for item in decoded(path)]
    rules = zen.compile_expression("[" + ", ".join(map(_zen, conditions())) + "]")
    with timed(len(payloads)) as timing:
        timing.result = sum(sum(map(bool, rules.evaluate(data))) for data in payloads)
    return timing


def rules_compiled(path: Path, folder: Path) -> Timing:
    """W1: bizrun's own rules, the function alone, over decoded dicts: no peer, but comparable."""
    from bizrun.ir.compile import compile_matches
    from bizrun.ir.nodes import Unit
    from bizrun.pipeline import compile_spec

    _, program = compile_spec(str(SPECS / "rules.biz"))
    assert program is not None
    matches = compile_matches([Unit(handler, (), ()) for handler in program.handlers])
    payloads = [item["data"] for item in decoded(path)]
    with timed(len(payloads)) as timing:
        found = [matches(None, data)[0] for data in payloads]  # type: ignore[arg-type]
    timing.result = sum(map(len, found))
    return timing


def _zen(rule: str) -> str:
    """A Python condition as zen writes it."""
    return re.sub(r"in \((.*?)\)", r"in [\1]", rule)


def usage_lines(path: Path, folder: Path) -> Timing:
    """W2 in memory: the hand-written counters with decoding (msgspec, untyped) before them."""
    decode = msgspec.json.Decoder().decode
    with path.open("rb") as file:
        count = sum(1 for _ in file)
    with path.open("rb") as file, timed(count) as timing:
        items = map(decode, file)
        timing.result = count_usage(item for item in items if item["type"] == "API.called")
    return timing


def usage_sqlite(path: Path, folder: Path) -> Timing:
    """W2 durable: by hand on SQLite: a row and an upsert an event, a commit each thousand, FULL."""
    db = database(
        folder,
        "CREATE TABLE event (id TEXT PRIMARY KEY, raw TEXT) WITHOUT ROWID",
        "CREATE TABLE counter (account TEXT, month TEXT, units INTEGER, "
        "PRIMARY KEY (account, month)) WITHOUT ROWID",
    )
    with path.open("rb") as file:
        lines = file.readlines()
    alerts = 0
    with timed(len(lines)) as timing:
        for some in batches(lines):  # type: ignore[arg-type]
            db.execute("BEGIN")
            alerts += sum(_count_in(db, line) for line in some)
            db.execute("COMMIT")
        timing.result = alerts
    return timing


def _count_in(db: Any, line: Any) -> int:
    """One event; the alerts that it raises."""
    item = json.loads(line)
    added = db.execute("INSERT OR IGNORE INTO event VALUES (?, ?)", (item["id"], line.decode()))
    if item["type"] != "API.called" or not added.rowcount:
        return 0
    units, data = item["data"]["units"], item["data"]
    row = db.execute(
        "INSERT INTO counter VALUES (?, ?, ?) ON CONFLICT (account, month) "
        "DO UPDATE SET units = units + excluded.units RETURNING units",
        (data["account"], item["time"][:7], units),
    ).fetchone()
    after = row[0]
    return sum(after - units < QUOTA * share // 10 <= after for share in (8, 9, 10))


def signups_sqlalchemy(path: Path, folder: Path) -> Timing:
    """W3: SQLAlchemy's ORM on SQLite, FULL, a commit each thousand; then all timers."""
    return _sqlalchemy(path, folder, BATCH)


def signups_sqlalchemy_each(path: Path, folder: Path) -> Timing:
    """W3 with a transaction for each sign-up: SQLAlchemy's ORM on SQLite, FULL."""
    return _sqlalchemy(path, folder, 1)


def _base() -> tuple[Any, Any]:
    """A declarative base, and what makes a model of it: its name, its key, its texts."""
    from sqlalchemy import Column, String
    from sqlalchemy.orm import declarative_base

    base = declarative_base()

    def model(name: str, key: Any, *texts: str) -> Any:
        columns = {"id": Column(key, primary_key=True), **{t: Column(String) for t in texts}}
        return type(name.title(), (base,), {"__tablename__": name, **columns})

    return base, model


def _engine(folder: Path) -> Any:
    """An empty database, as durable as a state of bizrun is."""
    from sqlalchemy import create_engine, event

    database(folder).close()
    engine = create_engine(f"sqlite:///{folder / 'limit.db'}")
    event.listen(engine, "connect", lambda db, _: db.execute("PRAGMA synchronous = FULL"))
    return engine


def renewals_sqlalchemy(path: Path, folder: Path) -> Timing:
    """W4: SQLAlchemy's ORM on SQLite, FULL, a commit each thousand."""
    from sqlalchemy import String, select
    from sqlalchemy.orm import Session

    base, model = _base()
    subscription = model("subscription", String, "account", "period_start", "period_end")
    invoice = model("invoice", String, "number", "account", "total", "status", "issued")
    line = model("line", String, "invoice", "description", "quantity", "amount")
    charge = model("charge", String, "invoice", "account", "amount", "status")
    engine = _engine(folder)
    base.metadata.create_all(engine)
    subscribed = subscribers(path)
    with Session(engine) as session:
        for number, (account, day, _) in enumerate(subscribed):
            session.add(subscription(id=f"sub_{number:09}", account=account, period_start=day))
        session.commit()
    with timed(len(subscribed)) as timing, Session(engine) as session:
        for number, (account, day, seats) in enumerate(subscribed):
            key, start = f"inv_{number:09}", day.replace("-01-", "-02-")
            lines = renewed_lines(number, seats, start)
            for id_, _, description, quantity, amount, *_ in lines:
                session.add(line(
                    id=id_, invoice=key, description=description, quantity=str(quantity),
                    amount=amount,
                ))  # fmt: skip
            total = f"{sum(float(each[4]) for each in lines):.2f}"
            session.add(invoice(
                id=key, number=f"INV-2026-{number:05}", account=account, total=total,
                status="paid", issued=start,
            ))  # fmt: skip
            session.add(charge(
                id=f"ch_{number:09}", invoice=key, account=account, amount=total,
                status="succeeded",
            ))  # fmt: skip
            query = select(subscription).where(subscription.id == f"sub_{number:09}")
            session.scalars(query).one().period_start = start
            if number % BATCH == BATCH - 1:
                session.commit()
        session.commit()
    return timing


def _models() -> tuple[Any, ...]:
    from sqlalchemy import Integer, String

    base, model = _base()
    return (
        base,
        model("account", String, "email", "plan", "status"),
        model("subscription", String, "account", "plan", "status", "started"),
        model("email", Integer, "recipient", "subject", "body"),
        model("timer", Integer, "due", "account"),
    )


def _sqlalchemy(path: Path, folder: Path, batch: int) -> Timing:
    from sqlalchemy import select
    from sqlalchemy.orm import Session

    base, account, subscription, email, timer = _models()
    engine = _engine(folder)
    base.metadata.create_all(engine)
    items = decoded(path)
    with timed(len(items)) as timing, Session(engine) as session:
        for number, item in enumerate(items):
            data, at = item["data"], item["time"]
            id_ = data["id"]
            session.add(account(id=id_, email=data["email"], plan="starter", status="trial"))
            session.add(subscription(
                id=f"sub_{number:09}", account=id_, plan="starter", status="active", started=at
            ))  # fmt: skip
            body = f"Your account {id_} is ready."
            session.add(email(id=number, recipient=data["email"], subject="Welcome", body=body))
            session.add(timer(id=number, due=at.replace("2026-01-0", "2026-01-1"), account=id_))
            if number % batch == batch - 1:
                session.commit()
        session.commit()
        if batch > 1:
            for number, due in enumerate(session.scalars(select(timer).order_by(timer.due)).all()):
                found = session.get(account, due.account)
                assert found is not None
                found.status = "active"
                session.delete(due)
                if number % batch == batch - 1:
                    session.commit()
            session.commit()
    return timing
