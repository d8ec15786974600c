"""Corrections: usage periods that an invoice has billed, and what late counts change of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from .. import times
from ..billing import catalog
from . import carried
from .billed import Billed, Metered, billed_of
from .customers import lives, zone_of
from .desk import Desk, Row
from .terms import PLAN, Item, addon_of, dated, items
from .usage import meter_window
from .windows import SAME, part_key


def due(desk: Desk, sub: Mapping[str, Any]) -> list[Metered]:
    """What late counts change on periods that were billed: rate(all) − rate(billed)."""
    found = []
    for key in (sub["billing"] or {}).get("late") or ():
        row = desk.peek("_usage", key)
        if row is not None and (metered := _again(desk, row)) is not None:
            found.append(metered)
    return found


def again(desk: Desk, row: Mapping[str, Any], kind: str, billed: Billed) -> Metered | None:
    """A window that was rated before, rated anew by the terms that held then."""
    sub, then = desk.row("Subscription", row["subscription"]), row["terms"]
    known = {**(sub["billing"] or {}), "since": then["since"], "versioned": None,
             "edition": then.get("edition", 1)}  # fmt: skip
    if "zone" in known:
        known |= {name: then.get(name) for name in ("zone", "made_in")}
    if "begun" in then:
        known["moved"] = {part_key(then["item"], row["meter"]): then["begun"]}
    past = {
        **sub, "plan": then["plan"], "period_start": row["start"], "billing": known,
        "interval": then["interval"], "anchor": then["anchor"],
        "addons": then.get("addons", sub["addons"]),
    }  # fmt: skip
    if then["item"] == PLAN:
        plan = items(desk, past, row["start"])[0].plan
    elif (addon := desk.program.addons.get(then["item"])) is not None:
        plan = dated(desk, past, addon, row["start"], addon_of(past, addon.name))
    else:
        return None
    for price in catalog.choose_usages(plan, sub["currency"]):
        if price.meter == row["meter"]:
            item = Item(then["item"], plan, 1)
            made = meter_window(desk, past, item, price, row["start"], row["end"], billed, kind,
                                empty=then.get("empty", False))  # fmt: skip
            if "left" in made.row["terms"]:
                then = {**then, "left": made.row["terms"]["left"]}
            return replace(made, row={**made.row, "id": row["id"], "terms": then})
    return None


def _again(desk: Desk, row: Mapping[str, Any]) -> Metered | None:
    return again(desk, row, "correction", billed_of(row["billed"]))


def counted_late(
    desk: Desk, meter: str, customer: str, at: datetime, place: int | None = None
) -> None:
    """Notes a count for periods that an invoice has billed: the next invoice corrects them."""
    found = [] if place is None else cut_behind(desk, meter, customer, at, place)
    cut = {row["subscription"] for row in found}
    late = billed_windows(desk, meter, customer, at) if at < desk.now else []
    for row in (*found, *(row for row in late if row["subscription"] not in cut)):
        _late(desk, row, customer)
        _carry_on(desk, row, customer)


def _carry_on(desk: Desk, row: Row, customer: str) -> None:
    """Has the billed periods behind one know what it leaves them, now that more has counted."""
    for each in carried.chain(desk, row):
        if each["id"] != row["id"]:
            _late(desk, each, customer)
        made = _again(desk, each)
        if made is None or made.row["terms"].get("left") == each["terms"]["left"]:
            return
        desk.put("_usage", each["id"], {**each, "terms": made.row["terms"]})


def _late(desk: Desk, row: Row, customer: str) -> None:
    invoice = desk.peek("Invoice", row["invoice"]) if row["invoice"] else None
    if invoice is not None and invoice["status"] == "draft":
        return
    sub = desk.row("Subscription", row["subscription"])
    if not lives(sub):
        # Its own invoices are over; another subscription of the customer carries the line.
        live = [s for s in desk.subscriptions(customer)
                if lives(s) and s["currency"] == sub["currency"]]  # fmt: skip
        sub = live[0] if live else sub
        if not live and desk.peek("_timer", f"tail|{sub['id']}") is None:
            # Nor does one come: what came in during the day stands on one of its own.
            zone = times.zone(zone_of(desk, customer))
            day = times.local_date(desk.now, zone) + timedelta(days=1)
            desk.set_timer(f"tail|{sub['id']}", times.midnight(day, zone),
                           what="tail", sub=sub["id"])  # fmt: skip
    known = dict(sub["billing"] or {})
    late = list(known.get("late") or ())
    if row["id"] not in late:
        known["late"] = [*late, row["id"]]
        desk.change("Subscription", sub["id"], billing=known)


def billed_windows(desk: Desk, meter: str, customer: str, at: datetime) -> list[Row]:
    """The billed usage periods of a customer's meter that an instant falls in, newest first: one,
    or one of each item of each subscription that has a price for it. What ended where it began
    held for no time: what comes late for that instant is of what held after it."""
    rows = desk.rows(
        "_usage", {"customer": customer, "meter": meter},
        [("start", "<", at + SAME), ("end", ">", at)], (("start", True),), None,
    )  # fmt: skip
    begun = ((row, row["terms"].get("begun", row["start"])) for row in rows)
    return [row for row, start in begun if start <= at and row["end"] - start >= SAME]


def cut_behind(
    desk: Desk, meter: str, customer: str, at: datetime, place: int
) -> list[Row]:  # fmt: skip
    """The billed usage periods that ended at an instant, each the first of its item to end after an
    event of that instant which stands at a place of the log: it had counted in them."""
    rows = desk.rows(
        "_usage", {"customer": customer, "meter": meter},
        [("end", ">=", at), ("end", "<", at + SAME)], (("start", True),), None,
    )  # fmt: skip
    found: dict[tuple[str, str], Row] = {}
    for row in rows:
        if row["terms"].get("closed", 0) > place:  # the newest first
            found[row["subscription"], row["terms"]["item"]] = row
    return list(found.values())


def billed_until(desk: Desk, meter: str, customer: str, at: datetime) -> datetime | None:
    """Where the last billed usage period of a customer's meter ends that is over at an instant."""
    about = {"customer": customer, "meter": meter}
    rows = desk.rows("_usage", about, [("end", "<=", at)], (("end", True),), 1)
    return rows[0]["end"] if rows else None
