"""Runs a world through the engine and lays its invoices beside those of the calculation."""

from __future__ import annotations

import json
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime
from difflib import ndiff
from fractions import Fraction
from pathlib import Path
from typing import Any

from .life import Life
from .scenarios import UNTIL, Maker
from .spec import World, biz, events
from .world import Bill, Buyer


@dataclass
class Difference:
    """A customer whose invoices are not what they should be."""

    buyer: Buyer
    refused: list[str]
    expected: list[str]
    found: list[str]

    def __str__(self) -> str:
        rows = [f"{self.buyer.key} {self.buyer.zone} {self.buyer.country}"]
        rows += [f"    {act.at:%Y-%m-%d %H:%M:%S} {act.kind} {_fields(act.data)}"
                 for act in self.buyer.acts if act.kind != "usage"]  # fmt: skip
        rows += [f"    refused: {reason}" for reason in self.refused]
        marks = {"- ": "  − ", "+ ": "  + ", "  ": "    "}
        delta = [d for d in ndiff(self.expected, self.found) if d[:2] in marks]
        first = next(i for i, d in enumerate(delta) if d[:2] != "  ")
        rows += [marks[d[:2]] + d[2:] for d in delta[max(first - 3, 0) : first + 5]]
        return "\n".join(rows)


@dataclass
class Compared:
    """What comparing worlds found."""

    invoices: int = 0
    differences: list[Difference] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


def _fields(data: dict[str, Any]) -> dict[str, str]:
    return {key: str(value) for key, value in data.items() if value is not None}


def run_engine(text: str, stream: list[dict[str, Any]], until: datetime) -> Any:
    """An engine after all events, with nothing kept on disk."""
    from bizrun.pipeline import compile_spec, open_engine
    from bizrun.providers.sandbox import Sandbox
    from bizrun.runtime.stream import run_stream
    from bizrun.store.memory import MemoryStore

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "world.biz"
        path.write_text(text, encoding="utf-8")
        checked, program = compile_spec(str(path))
    wrong = [f"{d.code} {d.message}" for d in checked.diagnostics if d.code.startswith("E")]
    assert program is not None, "\n".join(wrong)
    engine = open_engine(program, MemoryStore(), Sandbox())
    run_stream(engine, (json.dumps(event).encode() for event in stream), until=until)
    return engine


def found_bills(engine: Any, inclusive: bool) -> dict[str, list[str]]:
    """What the engine billed, by customer, each invoice as one line of text."""
    lines: dict[str, list[Any]] = {}
    for row in engine.state.select("InvoiceLine", {}, (), (("position", False),)):
        lines.setdefault(row["invoice"], []).append(row)
    found: dict[str, list[str]] = {}
    order = (("issued_at", False), ("number", False))
    for row in engine.state.select("Invoice", {}, (), order):
        amounts = [Fraction(line["amount"].amount) for line in lines.get(row["id"], [])]
        figures = {key: Fraction(row[key].amount) for key in _FIGURES}
        if inclusive:
            # Lines show what is left without the tax: their sum is compared, not each.
            amounts, figures["discount"] = [sum(amounts) - figures["discount"]], Fraction(0)
        shown = _shown(row["issued_at"], amounts, *figures.values())
        if any(Fraction(line["amount"].amount) for line in lines.get(row["id"], [])):
            found.setdefault(row["customer"], []).append(shown)
    return found


_FIGURES = ("discount", "tax", "total", "credit", "amount_due")


def _shown(at: datetime, amounts: list[Fraction], *figures: Fraction) -> str:
    lines = " ".join(sorted(_number(a) for a in amounts if a))
    off, tax, total, credit, due = map(_number, figures)
    return f"{at:%Y-%m-%d} [{lines}] −{off} tax {tax} = {total} credit {credit} due {due}"


def _left(grants: list[Fraction]) -> str:
    """What is left of each grant of credit."""
    return f"credit [{' '.join(map(_number, sorted(filter(None, grants))))}]"


def _number(value: Fraction) -> str:
    return f"{float(value):.3f}"


def should_be(bill: Bill, inclusive: bool) -> str:
    """A bill of the calculation in the same form."""
    amounts, off = [line.amount for line in bill.lines], bill.discount
    if inclusive:
        amounts, off = [bill.total - bill.tax], Fraction(0)
    return _shown(bill.at, amounts, off, bill.tax, bill.total, bill.credit, bill.due)


def _owner(data: dict[str, Any], world: World) -> str:
    if "account" in data or "id" in data:
        return str(data.get("account") or data["id"])
    deals = {act.data["deal"]: b.key for b in world.buyers for act in b.acts if "deal" in act.data}
    return deals[data["deal"]]


def compare(world: World, into: Compared) -> None:
    """Adds what one world shows."""
    stream = events(world)
    engine = run_engine(biz(world), stream, UNTIL)
    found = found_bills(engine, world.rules.inclusive)
    left: dict[str, Fraction] = {}
    for row in engine.state.select("Invoice", {}):
        open_ = Fraction(row["amount_open"].amount)
        left[row["customer"]] = left.get(row["customer"], Fraction(0)) + open_
    back: dict[str, Fraction] = {}
    for row in engine.state.select("Refund", {}):
        if row["status"] == "succeeded":
            amount = Fraction(row["amount"].amount)
            back[row["customer"]] = back.get(row["customer"], Fraction(0)) + amount
    credit: dict[str, list[Fraction]] = {}
    for row in engine.state.select("Wallet", {}):
        credit.setdefault(row["customer"], []).append(Fraction(row["balance"].amount))
    whose = {event["id"]: _owner(event["data"], world) for event in stream}
    dead: dict[str, list[str]] = {}
    for row in engine.state.select("_dead", {}):
        text = f"{row['at']:%Y-%m-%d} {row['type']}: {row['reason']}"
        dead.setdefault(whose.get(row["event"], "?"), []).append(text)
    plans = {plan.name: plan for plan in world.plans}
    coupons = {coupon.name: coupon for coupon in world.coupons}
    addons = {addon.name: addon for addon in world.addons}
    into.refused += [text for texts in dead.values() for text in texts]
    for buyer in world.buyers:
        life = Life(world.rules, plans, coupons, buyer, addons)
        expected = [should_be(b, world.rules.inclusive) for b in life.run(UNTIL)]
        made = found.get(buyer.key, [])
        expected.append(f"refused {life.refused}")
        made.append(f"refused {len(dead.get(buyer.key, []))}")
        expected.append(f"open {_number(sum((b.open for b in life.bills), Fraction(0)))}")
        made.append(f"open {_number(left.get(buyer.key, Fraction(0)))}")
        expected.append(f"back {_number(sum((b.refunded for b in life.bills), Fraction(0)))}")
        made.append(f"back {_number(back.get(buyer.key, Fraction(0)))}")
        expected.append(_left([grant.left for grant in life.purse.grants]))
        made.append(_left(credit.get(buyer.key, [])))
        into.invoices += len(made) - 4
        if sorted(expected) != sorted(made):
            into.differences.append(Difference(buyer, dead.get(buyer.key, []), expected, made))


def main() -> None:
    """Compares worlds `FIRST LAST [BUYERS]` and prints what differs."""
    first, last, buyers = (int(x) for x in (*sys.argv[1:3], *(sys.argv[3:4] or ["60"])))
    for seed in range(first, last):
        world, here = Maker(seed, buyers).world, Compared()
        compare(world, here)
        print(f"## seed {seed}: {here.invoices} invoices, {len(here.differences)} differ")
        print(f"   {world.rules}")
        for refused in here.refused[:5]:
            print("   refused", refused)
        for difference in here.differences[:4]:
            print(difference)


if __name__ == "__main__":
    main()
