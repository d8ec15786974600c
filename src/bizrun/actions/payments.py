"""Payments: asked for through the outbox, and given back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..billing import proration, taxes
from ..billing.credits import whole_units
from ..billing.split import spread
from ..errors import Refusal
from ..model import Outcome
from ..values import Money, zero
from . import given_back, marketplace, taxed, wallets
from .customers import customer_row, settings, subscriptions_of
from .desk import Desk, Row

_KEPT = ("invoice", "subscription", "description", "split")
# The processor of what came in without one: nobody can be asked to send it back.
OUTSIDE = "outside"
# Of an effect whose outcome is still to come.
_UNDER_WAY = ("ready", "leased", "sent", "unknown")


def collect(
    desk: Desk,
    invoice: Mapping[str, Any],
    resume: dict[str, Any] | None,
    site: object = "",
    place: Any = "",
    amount: Money | None = None,
) -> str:
    """Charges what is open on an invoice or a part of it; its `attempts` count this one. The
    payment's key."""
    return _charge(
        desk, invoice["customer"], invoice["amount_open"] if amount is None else amount,
        site or f"collect/{invoice['id']}/{invoice['attempts']}", place, resume,
        invoice=invoice["id"], subscription=invoice["subscription"],
        description=f"Invoice {invoice['number']}",
    )  # fmt: skip


def under_way(desk: Desk, invoice: str) -> Row | None:
    """The charge of an invoice whose outcome is still to come: another one beside it would take
    the money twice."""
    made = desk.select("Payment", invoice=invoice)
    open_ = [payment["id"] for payment in made if payment["status"] == "pending"]
    if not open_:
        return None
    effects = (row for status in _UNDER_WAY for row in desk.select("_effect", status=status))
    charges = (row for row in effects if row["kind"] == "charge")
    return next((row for row in charges if row["data"].get("payment") in open_), None)


def join(desk: Desk, effect: Row, resume: dict[str, Any] | None) -> str:
    """Has a handler wait for a charge that is under way; its payment."""
    payment: str = effect["data"]["payment"]
    if resume is not None:
        if effect["resume"] is not None:
            raise Refusal(
                f"{effect['data']['description']} is being paid: a charge of "
                f"{effect['data']['amount']} is under way"
            )
        desk.put("_effect", effect["id"], {**effect, "resume": resume})
    return payment


def _charge(
    desk: Desk,
    customer: str,
    amount: Money,
    site: object,
    place: Any,
    resume: dict[str, Any] | None,
    **more: Any,
) -> str:
    row = customer_row(desk, customer)
    about = {
        "customer": customer, "amount": amount, "status": "pending",
        "refunded": zero(amount.currency),
    }  # fmt: skip
    for name in _KEPT:
        if name in more:
            about[name] = more[name]
    payment: str = desk.insert("Payment", about, f"payment/{site}")["id"]
    data = {
        "payment": payment, "customer": customer, "amount": amount,
        "payment_method": more.pop("card", None) or row.get("payment_method"),
        **{k: v for k, v in more.items() if v is not None},
    }  # fmt: skip
    via = more.get("via") or row.get("processor")
    if via is not None:
        data["via"] = via
    desk.effect("charge", data, site, place, customer, resume)
    return payment


def charge(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> str:
    """`charge { customer, amount, description?, split?, via? }`."""
    amount = args["amount"].rounded(settings(desk).half_even)
    if amount <= Money(0, amount.currency):
        raise Refusal(f"a charge is above zero, and {amount} is not")
    more = {k: v for k, v in args.items() if k not in ("customer", "amount")}
    if more.get("split") is not None:
        more["split"] = marketplace.split(amount, more["split"])
    marketplace.check_hold(more)
    return _charge(desk, args["customer"], amount, site, place, resume, **more)


# --- refunds ---------------------------------------------------------------------------------


def refund(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> str:
    """`refund { payment, amount? }`: never more than is left of the charge."""
    payment = desk.row("Payment", args["payment"])
    if payment["status"] not in ("succeeded", "refunded"):
        raise Refusal(f"payment {payment['id']} is {payment['status']}: there is nothing to refund")
    left = left_of(payment)
    if payment["invoice"]:
        left = max(min(left, still_charged(desk, payment["invoice"])), left * 0)
    amount = left if args.get("amount") is None else args["amount"]
    amount = amount.rounded(settings(desk).half_even)
    if amount.currency != left.currency or amount <= left * 0 or amount > left:
        raise Refusal(f"{amount} can't be refunded: {left} of the charge is left")
    args = {**args, "amount": amount}
    made = send_refund(desk, payment, args, str(site), place, resume)
    wallets.refunded(desk, made, payment, amount)
    uncharge_share(desk, payment, amount)
    return made


def left_of(payment: Mapping[str, Any]) -> Money:
    """What is left of a charge, less refunds and what its customer's bank holds or took back."""
    left: Money = payment["amount"] - payment["refunded"]
    for held in (payment["disputed"], payment["charged_back"]):
        left = left if held is None else left - held
    return left


def is_outside(desk: Desk, payment: Any) -> bool:
    """Whether a payment came in without a processor: a refund of it is noted at once."""
    return bool(desk.row("Payment", payment)["processor"] == OUTSIDE)


def send_refund(
    desk: Desk,
    payment: Mapping[str, Any],
    args: Mapping[str, Any],
    site: str,
    place: Any,
    resume: dict[str, Any] | None,
) -> str:
    """Asks for a refund that is in bounds."""
    key, amount = payment["id"], args["amount"]
    made: str = desk.insert(
        "Refund",
        {"payment": key, "customer": payment["customer"], "amount": amount, "status": "pending",
         "reason": args.get("for")},
        f"refund/{site}/{key}",
    )["id"]  # fmt: skip
    desk.change("Payment", key, refunded=payment["refunded"] + amount)
    data = {
        "refund": made, "payment": key, "customer": payment["customer"], "amount": amount,
        "reference": payment["reference"], "reason": args.get("reason"),
    }  # fmt: skip
    if payment["processor"] == OUTSIDE:
        refund_outcome(desk, {"data": data}, Outcome("succeeded"))
        return made
    if payment["processor"] is not None:
        data["via"] = payment["processor"]  # back the way it came
    desk.effect("refund", data, site, place, payment["customer"], resume)
    return made


def refund_outcome(desk: Desk, effect: Row, outcome: Outcome) -> str:
    """What follows from a refund."""
    data = effect["data"]
    made, key, amount = str(data["refund"]), data["payment"], data["amount"]
    payment = desk.row("Payment", key)
    names = {"refund": made, "payment": key, "customer": payment["customer"]}
    if outcome.status == "succeeded":
        desk.change("Refund", made, status="succeeded")
        if payment["refunded"] == payment["amount"]:
            desk.change("Payment", key, status="refunded")
        marketplace.refunded(desk, made, payment, amount)
        desk.announce("Refund.succeeded", made, **names)
    else:
        if desk.row("Refund", made)["status"] == "succeeded":
            # The customer's bank has sent it back, days after (docs.stripe.com/refunds).
            marketplace.came_back(desk, made, payment)
            desk.change("Payment", key, status="succeeded")
        desk.change("Refund", made, status="failed", error=outcome.error)
        desk.change("Payment", key, refunded=payment["refunded"] - amount)
        if desk.row("Refund", made)["reason"] is None:
            wallets.refunded(desk, made, payment, -amount)
        uncharge_share(desk, payment, -amount)
        desk.announce("Refund.failed", made, error=outcome.error, **names)
    return made


# --- what is still charged -------------------------------------------------------------------


def still_charged(desk: Desk, invoice: str) -> Money:
    """What an invoice has charged, with tax, less all that was given back of it since: by credit
    notes, by changes and cancellations, and by refunds of their own."""
    row = desk.row("Invoice", invoice)
    left: Money = row["total"] - (row["returned"] or row["total"] * 0)
    for note in desk.select("CreditNote", invoice=invoice):
        left = left - note["total"]
    for payment in desk.select("Payment", invoice=invoice):
        for made in desk.select("Refund", payment=payment["id"]):
            if made["reason"] is None and made["status"] != "failed":
                left = left - made["amount"]
    return left


def left_of_charges(desk: Desk, key: str) -> Money:
    """What an invoice asked for that was not given back since, with tax: its credit lines, which
    gave back something of earlier invoices, take nothing off it."""
    invoice = desk.row("Invoice", key)
    credited: Money = _asked(desk, invoice) - invoice["total"]
    return credited - _of_its_own(desk, invoice) + still_charged(desk, key)


def _of_its_own(desk: Desk, invoice: Mapping[str, Any]) -> Money:
    """What an invoice's credit lines gave back of its own charges, as one that had waited was ended
    before it was invoiced: what is more than earlier invoices know of, but for rounding."""
    zero: Money = invoice["total"] * 0
    lines = desk.select("InvoiceLine", invoice=invoice["id"])
    credits = [line for line in lines if line["kind"] == "proration" and line["amount"] < zero]
    own: Money = sum((line["discount"] - line["amount"] - line["tax"] for line in credits), zero)
    if not own:
        return zero
    subs = set(subscriptions_of(invoice))
    for row in desk.select("Invoice", customer=invoice["customer"]):
        earlier = row["id"] != invoice["id"] and row["returned"] is not None
        if earlier and row["currency"] == own.currency and subs & set(subscriptions_of(row)):
            own = own - row["returned"]
    return own if own.minor_units() > len(lines) else zero


def give_back(
    desk: Desk, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> None:
    """Notes on their invoices what a change gives back of charges, with its tax: that of charges
    taxed alike is rounded once, as their credit line has it."""
    together: dict[Any, tuple[Mapping[str, Any], Money]] = {}
    for old, new in zip(before, after, strict=True):
        back = old["amount"] - new["amount"]
        if not back or old["invoice"] is None or old["line"] is None:
            continue
        alike = taxed.from_rows(old.get("taxes")) or old["line"]
        _, held = together.get((old["invoice"], alike), (old, back * 0))
        together[old["invoice"], alike] = old, held + back
    for old, back in together.values():
        invoice = desk.row("Invoice", old["invoice"])
        returned = (invoice["returned"] or back * 0) + _with_tax(desk, old, back)
        desk.change("Invoice", invoice["id"], returned=returned)


def within_invoices(desk: Desk, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Charges of which no more is left than of their invoices: a note may have given back of these
    what a change of another subscription had given back before. What rounding leaves is the tax's.
    """
    left: dict[str, Fraction] = {}
    found = []
    for row in rows:
        key, zero = row["invoice"], row["amount"] * 0
        mine = row["amount"] - row["given_back"]
        if key and row["line"] and mine > zero and row["end"] > desk.now:
            if key not in left:
                left[key] = Fraction(max(left_of_charges(desk, key), zero).amount)
            gross = Fraction(mine.amount) * _grossed(desk, row)
            rest = min(gross, left[key])
            left[key] -= rest
            if rest < gross:
                gone = whole_units(mine - proration.portion(mine, rest / gross))
                row = {**row, "given_back": row["given_back"] + gone}
        found.append(row)
    return found


def _grossed(desk: Desk, charge: Mapping[str, Any]) -> Fraction:
    """By how much a charge is more with its tax."""
    line = desk.row("InvoiceLine", charge["line"])
    charged = charge["full"] - line["discount"]
    total = line["amount"] - line["discount"] + line["tax"]
    return _ratio(total, charged) if charged else Fraction(1)


def _with_tax(desk: Desk, charge: Mapping[str, Any], back: Money) -> Money:
    """What of a charge is given back, with the tax that came with it."""
    half_even = settings(desk).half_even
    held = taxed.from_rows(charge.get("taxes"))
    if held is None:
        # It is not known which taxes they were: their part of the line's.
        line = desk.row("InvoiceLine", charge["line"])
        total = line["amount"] - line["discount"] + line["tax"]
        charged = charge["full"] - line["discount"]
        gross = proration.portion(back, _ratio(total, charged)) if charged else back
        return gross.rounded(half_even)
    gross = taxes.added(taxes.given_back(back, held, half_even))
    return max(back, min(gross, left_of_charges(desk, charge["invoice"])))


def uncharge(
    desk: Desk, invoice: Mapping[str, Any], parts: Mapping[str, Money],
    nets: Mapping[str, Money],
) -> None:  # fmt: skip
    """Notes what a credit note took of lines: a later change credits only what is left."""
    half_even = settings(desk).half_even
    for key in subscriptions_of(invoice):
        sub = desk.row("Subscription", key)
        known = dict(sub["billing"] or {})
        rows = known.get("charges") or []
        if not any(row["line"] in parts for row in rows):
            continue
        known["charges"] = [
            {**row, "given_back": row["given_back"] + _in_charge(row, parts, nets, half_even)}
            if row["line"] in parts
            else row
            for row in rows
        ]
        desk.change("Subscription", key, billing=known)


def uncharge_all(desk: Desk, invoice: Mapping[str, Any]) -> None:
    """Notes that a voided invoice charged nothing, and that what it credited stays charged."""
    for key in subscriptions_of(invoice):
        known = dict(desk.row("Subscription", key)["billing"] or {})
        rows = [
            {**row, "given_back": row["amount"]} if row["invoice"] == invoice["id"] else row
            for row in known.get("charges") or []
        ]
        if rows:
            desk.change("Subscription", key, billing={**known, "charges": rows})
    given_back.voided(desk, invoice)
    lines = desk.select("InvoiceLine", invoice=invoice["id"])
    charge_again(desk, invoice, [(row, row["amount"], row["tax"]) for row in lines])


def charge_again(
    desk: Desk, invoice: Mapping[str, Any], taken: Iterable[tuple[Mapping[str, Any], Money, Money]]
) -> None:
    """Notes that what the credit lines of a change gave back stays charged: their invoice is void,
    or a note takes them back. `taken` has lines, what of each, and the tax on it."""
    zero = invoice["total"] * 0
    credits = [
        (row, amount, tax) for row, amount, tax in taken
        if row["kind"] == "proration" and amount < zero
    ]  # fmt: skip
    for key in subscriptions_of(invoice) if credits else ():
        mine = [each for each in credits if each[0]["subscription"] == key]
        back = sum((-amount - tax for _, amount, tax in mine), zero)
        _less_returned(desk, invoice, key, back)
        known = dict(desk.row("Subscription", key)["billing"] or {})
        charges = known.get("charges") or []
        # A change is of the plan or of one add-on: what it gave back is of what it charged.
        items = {row["item"] for row in charges if row["invoice"] == invoice["id"]}
        item = items.pop() if len(items) == 1 else ""
        stopped = _stopped_by(charges, invoice, item)
        again = [
            charge for row, amount, _ in mine if row["period_end"] > desk.now
            for charge in _charged_again(desk, row, -amount, item, stopped)
        ]  # fmt: skip
        if again:
            desk.change("Subscription", key, billing={**known, "charges": [*charges, *again]})


def _less_returned(desk: Desk, invoice: Mapping[str, Any], sub: str, back: Money) -> None:
    """Notes on earlier invoices of a subscription, the newest first, what is not given back."""
    given = (
        row for row in desk.select("Invoice", customer=invoice["customer"])
        if row["returned"] and row["currency"] == invoice["currency"]
        and sub in subscriptions_of(row)
    )  # fmt: skip
    for row in sorted(given, key=lambda row: row["issued_at"], reverse=True):
        part = min(back, row["returned"])
        desk.change("Invoice", row["id"], returned=row["returned"] - part)
        back = back - part


def _stopped_by(
    charges: Sequence[Mapping[str, Any]], invoice: Mapping[str, Any], item: str
) -> list[Mapping[str, Any]]:
    """The charges of an item that ended with the change that an invoice is for: the newest ones
    that others made before it."""
    before = [
        row for row in charges
        if row["item"] == item and row["line"] is not None and row["invoice"] != invoice["id"]
        and row.get("taxes") is not None and row["end"] <= invoice["issued_at"]
    ]  # fmt: skip
    newest = max((row["end"] for row in before), default=None)
    return [row for row in before if row["end"] == newest]


def _charged_again(
    desk: Desk, line: Mapping[str, Any], amount: Money, item: str,
    stopped: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:  # fmt: skip
    """What a credit line gave back, as charges: of the lines that had asked for it, so that what
    is given back of it later, or refunded of their invoice, is of both."""
    again = {
        "item": item, "start": line["period_start"], "end": line["period_end"],
        "given_back": amount * 0,
    }  # fmt: skip
    lines = [desk.row("InvoiceLine", row["line"]) for row in stopped]
    nets = [max(line["amount"] - line["discount"], amount * 0) for line in lines]
    if not any(nets):
        return [{**again, "amount": amount, "line": None, "invoice": None, "full": amount}]
    parts = spread(amount, [net.amount for net in nets])
    half_even = settings(desk).half_even
    return [
        {
            **row, **again, "amount": part,
            "full": proration.portion(part, _ratio(line["amount"], net)).rounded(half_even),
        }
        for row, line, net, part in zip(stopped, lines, nets, parts, strict=True) if part
    ]  # fmt: skip


def _in_charge(
    row: Mapping[str, Any], parts: Mapping[str, Money], nets: Mapping[str, Money], half_even: bool
) -> Money:
    """A part of a line, before tax, in terms of what was charged for it."""
    part, net, amount = parts[row["line"]], nets[row["line"]], row["amount"]
    if not net or amount == net:
        return part
    return proration.portion(amount, _ratio(part, net)).rounded(half_even)


def uncharge_share(
    desk: Desk, payment: Mapping[str, Any], amount: Money, beyond: Money | None = None
) -> None:
    """Notes a refund of a payment on what its invoice charged, less the tax in it; `beyond` is what
    it gave back more than was still charged."""
    if not payment["invoice"]:
        return
    invoice = desk.row("Invoice", payment["invoice"])
    given_back.given(desk, invoice, _ratio(amount, _asked(desk, invoice)))
    for key in subscriptions_of(invoice):
        sub = desk.row("Subscription", key)
        known = dict(sub["billing"] or {})
        rows = known.get("charges") or []
        mine = [row for row in rows if row["invoice"] == invoice["id"]]
        if not mine:
            continue
        part = proration.portion(amount, _share(desk, invoice, mine, amount, beyond))
        known["charges"] = _taken(rows, invoice["id"], part.rounded(settings(desk).half_even))
        desk.change("Subscription", key, billing=known)


def _share(
    desk: Desk, invoice: Mapping[str, Any], mine: Sequence[Mapping[str, Any]], amount: Money,
    beyond: Money | None,
) -> Fraction:  # fmt: skip
    """How much of a refund is of these charges: their part of what its invoice still charged."""
    zero = amount * 0
    if amount > zero:
        left = sum((row["amount"] - row["given_back"] for row in mine), zero)
        before = invoice["total"] - still_charged(desk, invoice["id"]) - amount - (beyond or zero)
        whole = _asked(desk, invoice) - before
    else:
        left = sum((row["amount"] for row in mine), zero)
        whole = _asked(desk, invoice)
    return _ratio(left, whole)


def _ratio(part: Money, whole: Money) -> Fraction:
    """One amount by another, exactly."""
    return Fraction(part.amount) / Fraction(whole.amount)


def _asked(desk: Desk, invoice: Mapping[str, Any]) -> Money:
    """What an invoice asked for with tax, before credit lines took from it."""
    totals = [
        line["amount"] - line["discount"] + line["tax"]
        for line in desk.select("InvoiceLine", invoice=invoice["id"])
    ]
    zero = Money(0, invoice["currency"])
    return sum((total for total in totals if total > zero), zero)


def _taken(rows: list[dict[str, Any]], invoice: str, amount: Money) -> list[dict[str, Any]]:
    mine = [row for row in rows if row["invoice"] == invoice]
    charges = [proration.Charge(r["amount"], r["start"], r["end"], r["given_back"]) for r in mine]
    after = proration.refunded(charges, amount)
    backs = iter(each.given_back for each in after)
    return [
        {**row, "given_back": next(backs)} if row["invoice"] == invoice else row for row in rows
    ]
