"""What an invoice, a charge or an email follows from: events, and lines of the spec.

All is read from the state: the log with its causes, the ledger with the work that posted each
entry, the outbox. Places are those of the spec as it is today.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from ..diagnostics import did_you_mean
from ..errors import UsageError
from ..lang import ast
from ..model import base_of
from ..runtime.counting import RECORDED
from ..runtime.head import head_of
from ..store.base import INTERNAL
from ..times import local_date, zone
from ..values import instant_text, show
from .counted import events_of

if TYPE_CHECKING:
    from ..diagnostics import Span
    from ..ir.program import Meter, Program
    from ..lang.symbols import Checked
    from ..store.base import LogEntry, Row, Store

DEPTH = 20
SHOWN = 5
_OUTCOME = re.compile(r"([0-9a-f]{64})/outcome")
_FIRED = re.compile(r"/trigger/([^|/]+)\|(.*)/fired\Z")
_RENEWAL = re.compile(r"renew\|(sub_\w+)@([^/]+)\Z")
_TICK = re.compile(r"(.+)@(\d{4}-\d\d-\d\dT[\d:.]+Z)")


@dataclass(frozen=True, slots=True)
class Reason:
    """One link of the chain: what it is, where the spec says so, and what it follows from."""

    what: str
    place: str | None = None
    because: tuple[Reason, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """`{what, place, because[]}`."""
        return {
            "what": self.what,
            "place": self.place,
            "because": [reason.as_json() for reason in self.because],
        }


def why(store: Store, checked: Checked, program: Program, id: str) -> Reason:
    """The chain behind an invoice (by number or id), a line, a payment, an effect, an event or a
    row (`a17`, `Account a17`, `Account a17 status`).

    Ids may be shortened to their beginning. UsageError where nothing has that id, or several have.
    """
    return _Chain(store, checked, program).of(id)


class _Chain:
    def __init__(self, store: Store, checked: Checked, program: Program) -> None:
        self.store = store
        self.checked = checked
        self.program = program

    @cached_property
    def log(self) -> dict[str, LogEntry]:
        """The log by id; of several sources with one id the first."""
        found: dict[str, LogEntry] = {}
        for entry in self.store.log():
            found.setdefault(entry.id, entry)
        return found

    @cached_property
    def by_seq(self) -> dict[int, LogEntry]:
        return {entry.seq: entry for entry in self.log.values()}

    @cached_property
    def by_base(self) -> dict[str, LogEntry]:
        """The log by what work is called after: an event's id with its source."""
        return {base_of(entry.id, entry.source): entry for entry in self.store.log()}

    def rows(self, table: str, **equals: Any) -> Iterator[Row]:
        return iter(self.store.select(table, equals))

    # --- what is asked for -----------------------------------------------------------------------

    def of(self, id: str) -> Reason:
        """Whatever has that id."""
        for row in self.rows("Invoice", number=id):
            return self.invoice(row)
        entity, *rest = id.split()
        if rest and entity in self.program.entities:
            return self.row(entity, rest[0], " ".join(rest[1:]).removeprefix(".") or None)
        found = dict(self._candidates(id))
        if id in found or len(found) == 1:
            return found.get(id, next(iter(found.values())))()
        if found:
            raise UsageError(f"Several begin with {id}: {', '.join(sorted(found)[:SHOWN])}.")
        raise UsageError(
            f"Nothing has the id {id}: give an invoice's number, or an id that bizrun query, "
            "events or outbox shows."
        )

    def _candidates(self, id: str) -> Iterator[tuple[str, Callable[[], Reason]]]:
        tables: tuple[tuple[str, Callable[[Row], Reason]], ...] = (
            ("Invoice", self.invoice), ("InvoiceLine", self.line), ("Payment", self.payment),
            ("_effect", self.effect),
        )  # fmt: skip
        for table, tell in tables:
            for row in self.rows(table):
                if row["id"].startswith(id):
                    yield row["id"], partial(tell, row)
        if id in self.log:
            yield id, partial(self.event, self.log[id], 0)
            return
        for entity in self.program.entities.values():
            told = any(entity.name == table for table, _ in tables)
            if not told and self.store.get(entity.name, id) is not None:
                yield id, partial(self.row, entity.name, id, None)

    def row(self, entity: str, key: str, field: str | None) -> Reason:
        """What has changed a row, or one field of it, and by which events."""
        from .why_row import brief, changes, tell

        declared = self.program.entities[entity]
        if field is not None and field not in declared.fields:
            near = did_you_mean(field, declared.fields)
            hint = f" Did you mean `{near}`?" if near else ""
            raise UsageError(f"{entity} has no field `{field}`.{hint}")
        found = changes(self.program, self.store, head_of(self.store).at, entity, key)
        row = self.store.get(entity, key)
        if row is None and not found:
            known = [str(other[declared.key]) for other in self.store.select(entity)]
            near = did_you_mean(key, known)
            hint = f" Did you mean {near}?" if near else ""
            raise UsageError(f"There is no {entity} {key}.{hint}")
        names = [
            name for name, value in (row or {}).items()
            if name == field or (field is None and value is not None and name[0] != "_")
        ]  # fmt: skip
        said = ", ".join(f"{name}: {brief(row[name])}" for name in names) if row else "deleted"
        told = tell(found, field, lambda work: tuple(self.cause(work, 1)))
        return Reason(f"{entity} {key}: {said}", None, tuple(Reason(*line) for line in told))

    # --- money -----------------------------------------------------------------------------------

    def invoice(self, row: Row) -> Reason:
        """Its lines, what was taken off and added, and the work that issued it."""
        lines = sorted(self.rows("InvoiceLine", invoice=row["id"]), key=lambda r: r["position"])
        parts = [self.line(line, False) for line in lines]
        for taken in row["discounts"] or ():
            name = str(taken["coupon"])
            parts.append(Reason(f"coupon {name}: -{show(taken['amount'])}", self._coupon(name)))
        if row["discount"] and _inclusive(row):
            # A coupon takes off what a customer sees: tax is in it.
            parts.append(Reason(f"discount: -{show(row['discount'])} before tax"))
        for tax in row["taxes"] or ():
            text = f"tax {tax['name']} {show(tax['rate'])}: {show(tax['amount'])}"
            parts.append(Reason(text, self._declared(self.checked.symbols.taxes, tax["name"])))
        if row["credit"]:
            # Below zero it is what the invoice gives the customer.
            parts.append(Reason(f"account credit: {show(-row['credit'])}"))
        parts += self._posted(f"{row['id']}/issued")
        payments = sorted(self.rows("Payment", invoice=row["id"]), key=_made)
        for payment in payments:
            parts += [Reason(_attempt(payment)), *self._disputes(payment)]
        name = row["number"] or row["id"]
        what = f"invoice {name} of {row['customer']}: {show(row['amount_due'])}, {row['status']}"
        return Reason(what, None, tuple(parts))

    def line(self, row: Row, whole: bool = True) -> Reason:
        """How its amount came about: tiers, and the events that were counted."""
        detail = row["detail"] if isinstance(row["detail"], list) else []
        price = f" at {show(row['unit_amount'])}" if row["unit_amount"] is not None else ""
        if len(detail) == 1 and "bound" not in detail[0]:
            price, detail = _rate(detail[0]), []
        elif price and len(detail) == 1 + sum(map(_is_free, detail)):
            detail = [step for step in detail if _is_free(step)]  # The price says the rest.
        invoice = next(self.rows("Invoice", id=row["invoice"]))
        count = f"{show(row['quantity'])}{price} = "
        if row["kind"] == "proration" and not price and row["quantity"] == 1:
            count = ""  # It is of a stretch of time, which says more.
        what = f"{row['description']}{self._stretch(row)}: {count}{show(row['amount'])}"
        what += " before tax" * _inclusive(invoice)
        parts = [Reason(text) for text in _tiers(detail)]
        meter = self.program.meters.get(row["meter"] or "")
        if meter is not None:
            parts += self._counted(meter, row, invoice)
        if whole:
            parts += self._posted(f"{row['invoice']}/issued")
        return Reason(what, self._priced(row), tuple(parts))

    def _stretch(self, row: Row) -> str:
        """The days that a proration is of."""
        if row["kind"] != "proration" or row["period_start"] is None:
            return ""
        tz = zone(self.program.timezone)
        start, end = (local_date(row[end], tz) for end in ("period_start", "period_end"))
        return f", {start} to {end}"

    def _counted(self, meter: Meter, row: Row, invoice: Row) -> Iterator[Reason]:
        """The events that a meter counted in the period of a line, the newest first."""
        if row["period_start"] is None or row["period_end"] is None:
            return
        log = self.log.values()
        found = list(events_of(self.program, self.store, log, row, invoice))
        said = f"counted by {meter.name} from {len(found)} event{'s' * (len(found) != 1)}"
        told = [
            Reason(f"{entry.id} at {entry.time}" + _value(meter, entry, data))
            for entry, data in sorted(found, key=lambda pair: pair[0].time, reverse=True)[:SHOWN]
        ]
        if len(found) > SHOWN:
            told.append(Reason(f"and {len(found) - SHOWN:,} more"))
        yield Reason(said, self._declared(self.checked.symbols.meters, meter.name), tuple(told))

    def payment(self, row: Row) -> Reason:
        """An attempt to collect money, and what it is for."""
        parts = [
            self.effect(effect)
            for effect in self.rows("_effect", kind="charge")
            if effect["data"].get("payment") == row["id"]
        ]
        parts += self._disputes(row)
        return Reason(f"{_attempt(row)}, by {row['customer']}", None, tuple(parts))

    def _disputes(self, payment: Row) -> Iterator[Reason]:
        """What its customer's bank wanted back of a payment."""
        for row in sorted(self.rows("PaymentDispute", payment=payment["id"]), key=_made):
            why = f" ({row['reason']})" if row["reason"] else ""
            at = instant_text(row["closed_at"] or row["created_at"])
            yield Reason(f"dispute of {show(row['amount'])}{why}: {row['status']} since {at}")

    def _posted(self, entry: str) -> list[Reason]:
        """The work that posted an entry of the ledger."""
        for row in self.rows("Ledger", entry=entry):
            if row["event"]:
                return self.cause(str(row["event"]), 0)
        return []

    # --- effects and events ----------------------------------------------------------------------

    def effect(self, row: Row, depth: int = 0) -> Reason:
        """A charge, an email, a call: how it went, and what asked for it."""
        data, status = row["data"], {"done": "succeeded"}.get(row["status"], row["status"])
        about = data.get("template") or data.get("subject") or data.get("description") or ""
        amount = show(data["amount"]) if "amount" in data else ""
        to = f"to {data['to']}" if "to" in data else ""
        words = " ".join(str(word) for word in (row["kind"], amount, to, about) if word)
        parts: list[Reason] = []
        if row["kind"] == "charge" and data.get("invoice"):
            invoice = next(self.rows("Invoice", id=data["invoice"]), None)
            if invoice is not None and depth == 0:
                parts.append(self.invoice(invoice))
        parts = parts or self.cause(row["event"], depth + 1)
        error = f": {row['error']}" if row["error"] else ""
        return Reason(f"{words}, {status}{error}", row["place"] or None, tuple(parts))

    def event(self, entry: LogEntry, depth: int) -> Reason:
        """An event of the log, and what emitted it."""
        fired = _FIRED.search(entry.id)
        if fired is not None:
            what = f"{fired[1]} turned true for {fired[2]} at {entry.time}"
            place = self._declared(self.checked.symbols.triggers, fired[1])
        else:
            reason = f", {entry.status}: {entry.reason}" if entry.reason else ""
            name = "" if entry.source == INTERNAL else f" ({entry.id})"
            what = f"{entry.type}{name} at {entry.time}{reason}"
            place = None
        parent = self.by_seq.get(entry.cause or 0)
        if parent is not None and depth < DEPTH:
            how = self._handler(entry.id.removeprefix(parent.id))
            return Reason(what, place, (_with(self.event(parent, depth + 1), how),))
        cut = entry.id.rpartition("/")[0]
        parts = self.cause(cut, depth + 1) if parent is None and entry.cause is not None else []
        return Reason(what, place, tuple(parts))

    def cause(self, work: str, depth: int) -> list[Reason]:
        """What a piece of work was done for: an event, an outcome, a renewal, a schedule."""
        if depth > DEPTH or not work:
            return []
        if work in self.by_base:
            return [self.event(self.by_base[work], depth)]
        if outcome := _OUTCOME.match(work):
            return [self.effect(row, depth) for row in self.rows("_effect", id=outcome[1])]
        if renewal := _RENEWAL.match(work):
            return [self._renewal(renewal[1], renewal[2], depth)]
        head, _, tail = work.rpartition("/")
        if head:
            return [_with(found, self._handler("/" + tail)) for found in self.cause(head, depth)]
        if tick := _TICK.match(work):
            for schedule in self.program.schedules:
                if schedule.handler.id == tick[1]:
                    return [Reason(f"{tick[1]}, at {tick[2]}", str(schedule.handler.place))]
        return [Reason(work)]

    def _renewal(self, id: str, at: str, depth: int) -> Reason:
        """A period's end, and the beginning of the subscription whose period it is."""
        parts: list[Reason] = []
        for entry in self.log.values():
            if entry.type == "Subscription.created" and entry.id.endswith(f"/{id}"):
                parts.append(self.event(entry, depth + 1))
        return Reason(f"a period of {id} ended at {at}", None, tuple(parts))

    def _handler(self, path: str) -> str | None:
        """Where the handler stands that a piece of work's path names."""
        for part in path.split("/"):
            for handler in self.program.handlers:
                if handler.id == part:
                    return str(handler.place)
        return None

    # --- places ----------------------------------------------------------------------------------

    def _priced(self, row: Row) -> str | None:
        """Where the price of a line stands: its plan or add-on, or a usage price of that."""
        symbols, name = self.checked.symbols, row["plan"] or ""
        plan = symbols.plans.get(name) or symbols.addons.get(name)
        if plan is None:
            return None
        for item in plan.items:
            if isinstance(item, ast.UsagePrice) and item.meter == row["meter"]:
                return self._at(item.span)
            if isinstance(item, ast.Price) and row["kind"] == "base":
                return self._at(item.span)
        return self._at(plan.span)

    def _coupon(self, name: str) -> str | None:
        return self._declared(self.checked.symbols.coupons, name)

    def _declared(self, table: Mapping[str, Any], name: str) -> str | None:
        found = table.get(name)
        return self._at(found.span) if found is not None else None

    def _at(self, span: Span) -> str:
        line, _ = self.checked.loaded.sources[span.file].position(span.start)
        return f"{span.file}:{line}"


def _inclusive(invoice: Row) -> bool:
    """Whether the prices of an invoice have their tax in them."""
    return any(tax.get("inclusive") for tax in invoice["taxes"] or ())


def _made(row: Row) -> tuple[Any, str]:
    return row["created_at"], row["id"]


def _attempt(row: Row) -> str:
    """`payment of 499.00 USD at 2026-02-17T08:00:00Z: failed, card_declined`."""
    error = f", {row['error']}" if row["error"] else ""
    at = instant_text(row["created_at"])
    return f"payment of {show(row['amount'])} at {at}: {row['status']}{error}"


def _with(reason: Reason, place: str | None) -> Reason:
    return Reason(reason.what, reason.place or place, reason.because)


def _is_free(step: Mapping[str, Any]) -> bool:
    return step.get("bound") in ("included", "carried")


def _tiers(detail: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """`500 at 0.03 USD = 15.00 USD` for each tier; nothing where a line has none."""
    known = {"included": "included", "carried": "carried over"}
    for tier in detail:
        match tier.get("bound"):
            case None:
                yield f"{show(tier['quantity'])}{_rate(tier)} = {show(tier['amount'])}"
            case "billed":
                count = f"{show(tier['quantity'])} = " if "quantity" in tier else ""
                yield f"billed before: {count}{show(tier['amount'])}"
            case bound if "quantity" in tier:
                yield f"{show(tier['quantity'])} {known.get(bound, bound)}"
            case bound:
                yield f"to the {bound}: {show(tier['amount'])}"


def _rate(step: Mapping[str, Any]) -> str:
    """` at 2.9% + 12 × 0.30 USD`: what a step of a line costs; nothing where it says no price."""
    parts = []
    if step.get("percent"):
        parts.append(show(step["percent"]))
    if step.get("unit_amount"):
        times = f"{step['packages']} × " if step.get("packages") is not None else ""
        parts.append(f"{times}{show(step['unit_amount'])}")
    if step.get("each"):
        parts.append(f"{step['events']} × {show(step['each'])}")
    if step.get("flat"):
        parts.append(f"{show(step['flat'])} flat")
    return f" at {' + '.join(parts)}" if parts else ""


def _value(meter: Meter, entry: LogEntry, data: Mapping[str, Any]) -> str:
    field = "quantity" if entry.type == RECORDED else meter.field or ""
    held, unit = data.get(field), "size" if meter.figure == "size" else None
    return f": {field} {show(held, unit)}" if held is not None else ""
