"""Queries that compare fields are answered by an index; counts are those of the rows."""

from __future__ import annotations

import json
import re
from contextlib import closing
from pathlib import Path
from typing import Any

import bizrun.actions
from bizrun.ir.program import Program
from bizrun.pipeline import compile_spec, open_engine
from bizrun.providers.sandbox import Sandbox
from bizrun.runtime.stream import run_stream
from bizrun.runtime.tables import tables_of
from bizrun.store.base import Range, Store
from bizrun.store.memory import MemoryStore
from bizrun.store.open import open_store
from bizrun.store.sql import shape_of
from bizrun.store.sqlite import SqliteStore

SPEC = """
business "Queries" { language 1
  bills Account }

entity Account { id text key
  email text unique
  team  text?
  seats integer = 1 }
entity Task { account Account
  state "open" | "done" = "open"
  points number }

event Asked { team text }
event Made key id { id text
  team text? }

on Made as made {
  create Account { id: made.id, email: made.id, team: made.team }
  create Task { account: made.id, points: count(Account where .team == made.team) }
  create Task { account: made.id, points: count(Account where .team == made.team and .seats < 2) }
}
on Asked as asked {
  log "{count(Account)} {count(Account where .team == asked.team)}"
  log "{count(Account where .team == none)} {count(Account where .email == asked.team)}"
  log "{count(Task where .state == "open" and .account == asked.team)} {count(Task limit 3)}"
  log "{sum(Task.points where .state == "open")} {count(Task where .points * 2 > 4)}"
}
"""


def program(folder: Path) -> Program:
    path = folder / "queries.biz"
    path.write_text(SPEC)
    checked, found = compile_spec(str(path))
    assert found is not None, checked.diagnostics
    return found


def notes(found: Program, store: Store) -> list[str]:
    """What the spec says of seven accounts, two of a team."""
    made = [{"id": f"a{n}", **({"team": "red"} if n % 3 == 1 else {})} for n in range(7)]
    events: list[tuple[str, dict[str, Any]]] = [("Made", data) for data in made]
    events += [("Asked", {"team": "red"}), ("Asked", {"team": "a4"})]
    lines = [
        json.dumps({"id": f"e{n}", "type": type_, "time": "2026-01-01T00:00:00Z", "data": data})
        for n, (type_, data) in enumerate(events)
    ]
    engine = open_engine(found, store, Sandbox())
    run_stream(engine, [line.encode() for line in lines])
    assert not engine.counts.refusals and not engine.counts.failed
    return [row["text"] for row in store.select("_note", order=[("order", False)])]


def test_each_set_of_compared_fields_has_an_index(tmp_path: Path) -> None:
    entities = program(tmp_path).entities
    # By the unique email, and by the reference alone, rows are found anyway.
    assert entities["Account"].indexes == (("team",),)
    assert entities["Task"].indexes == (("account", "state"), ("state",))


def test_rows_of_billing_are_found_by_what_billing_asks(tmp_path: Path) -> None:
    entities = program(tmp_path).entities
    actions = "\n".join(
        path.read_text() for path in Path(bizrun.actions.__file__).parent.glob("*.py")
    )
    asked = set(re.findall(r'select\(\s*"([A-Z]\w+)", (\w+)=', actions))
    assert len(asked) >= 10
    for entity, field in asked:
        assert (field,) in entities[entity].found_by, f"{entity}.{field}"
    # An erased or deleted customer has all of these.
    assert all(("customer",) in e.found_by for e in entities.values() if "customer" in e.references)
    # What only a spec may ask for has an index where it does.
    assert entities["Subscription"].found_by == (("customer",),)
    path = tmp_path / "asks.biz"
    active = 'count(Subscription where .status == "active")'
    path.write_text(f"{SPEC}metric active: integer = {active} every day\n")
    asks = compile_spec(str(path))[1]
    assert asks is not None and ("status",) in asks.entities["Subscription"].found_by


def test_the_index_serves(tmp_path: Path) -> None:
    with closing(SqliteStore(str(tmp_path / "a.db"), fresh=True)) as store:
        store.prepare(tables_of(program(tmp_path)))
        table = store._tables["Account"]
        for equals in ({"team": "red"}, {"email": "x"}):
            select = table.select(shape_of(equals, ()))
            for statement in (select.sql, select.counted):
                plan = store._connection().execute(f"EXPLAIN QUERY PLAN {statement}", ("x",))
                assert all("SEARCH" in row[3] for row in plan)


def test_counts_are_those_of_the_rows(tmp_path: Path) -> None:
    found = program(tmp_path)
    told = notes(found, MemoryStore())
    assert told[:4] == ["7 2", "5 0", "0 3", "36 6"]
    assert told[4:] == ["7 0", "5 1", "2 3", "36 6"]
    with closing(open_store(str(tmp_path / "b.db"), True)) as file:
        assert notes(found, file) == told
        assert file.count("Account", {}, [Range("seats", "<", None)]) == 0
