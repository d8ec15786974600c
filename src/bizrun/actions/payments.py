"""Payments: asked for through the outbox, and given back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from ..billing import proration, taxes
from ..billing.credits import whole_units
from ..billing.invoicing import GivenBack
from ..billing.split import spread
from ..errors import Refusal
from ..model import Outcome
from ..values import Money, zero
from . import charged, given_back, ledger, marketplace, taxed, wallets
from .arguments import above_zero
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
    amount = above_zero(desk, "a charge", args["amount"])
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
        left = max(min(left, charged.still_charged(desk, payment["invoice"])), left * 0)
    wanted = args.get("amount")
    amount = left if wanted is None else above_zero(desk, "a refund", wanted)
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
        else:
            _still_owed(desk, made, payment, amount)
        desk.announce("Refund.failed", made, error=outcome.error, **names)
    return made


def _still_owed(desk: Desk, refund: str, payment: Mapping[str, Any], amount: Money) -> None:
    """What a credit note or a change was to refund is owed all the same: it is account credit."""
    from .credits import grant

    ledger.post(
        desk, f"{refund}/owed", payment["customer"],
        (ledger.REFUNDS, amount), (ledger.CREDIT, -amount),
    )  # fmt: skip
    grant(desk, payment["customer"], amount, f"refund/{refund}", f"refund {refund}")


# --- what is still charged -------------------------------------------------------------------


def give_back(
    desk: Desk, before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> list[GivenBack | None]:
    """Notes on their invoices what a change gives back of charges, with its tax: that of charges
    taxed alike is rounded once, as their credit line has it. What of each charge."""
    together: dict[Any, dict[int, Money]] = {}
    noted: list[GivenBack | None] = [None] * len(before)
    for place, (old, new) in enumerate(zip(before, after, strict=True)):
        back = old["amount"] - new["amount"]
        if not back or old["invoice"] is None or old["line"] is None:
            continue
        alike = taxed.from_rows(old.get("taxes")) or old["line"]
        together.setdefault((old["invoice"], alike), {})[place] = back
    for backs in together.values():
        first = before[next(iter(backs))]
        gross = _with_tax(desk, first, sum(backs.values(), first["amount"] * 0))
        charged.note(desk, first["invoice"], gross)
        parts = spread(gross, [back.amount for back in backs.values()])
        for place, part in zip(backs, parts, strict=True):
            row = before[place]
            noted[place] = GivenBack(row["invoice"], part, row["line"], row["item"])
    return noted


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
                left[key] = Fraction(max(charged.left_of_charges(desk, key), zero).amount)
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
    net = charge["full"] - line["discount"]
    total = line["amount"] - line["discount"] + line["tax"]
    return proration.ratio(total, net) if net else Fraction(1)


def _with_tax(desk: Desk, charge: Mapping[str, Any], back: Money) -> Money:
    """What of a charge is given back, with the tax that came with it."""
    half_even = settings(desk).half_even
    held = taxed.from_rows(charge.get("taxes"))
    if held is None:
        # It is not known which taxes they were: their part of the line's.
        line = desk.row("InvoiceLine", charge["line"])
        total = line["amount"] - line["discount"] + line["tax"]
        net = charge["full"] - line["discount"]
        gross = proration.portion(back, proration.ratio(total, net)) if net else back
        return gross.rounded(half_even)
    gross = taxes.added(taxes.given_back(back, held, half_even))
    left: Money = charged.left_of_charges(desk, charge["invoice"])
    return max(back, min(gross, left))


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
    charge_again(desk, invoice, [(row, row["amount"]) for row in lines])


def charge_again(
    desk: Desk, invoice: Mapping[str, Any], taken: Iterable[tuple[Mapping[str, Any], Money]]
) -> None:
    """Notes that what lines below zero gave back of earlier invoices stays charged: their invoice
    is void, or a note takes them back. `taken` has lines, and what of each before tax."""
    zero = invoice["total"] * 0
    credits = [
        (row, charged.take_back(desk, row, amount)) for row, amount in taken if amount < zero
    ]
    prorations = [each for each in credits if each[0]["kind"] == "proration" and each[1]]
    for key in subscriptions_of(invoice) if prorations else ():
        mine = [each for each in prorations if each[0]["subscription"] == key]
        known = dict(desk.row("Subscription", key)["billing"] or {})
        again = [
            charge for row, amount in mine if row["period_end"] > desk.now
            for charge in _charged_again(desk, row, amount)
        ]  # fmt: skip
        if again:
            rows = [*(known.get("charges") or ()), *again]
            desk.change("Subscription", key, billing={**known, "charges": rows})


def _charged_again(desk: Desk, credit: Mapping[str, Any], amount: Money) -> list[dict[str, Any]]:
    """What a credit line gave back, before tax, as charges: of the lines that had asked for it, so
    that what is given back of it later, or refunded of their invoice, is of both."""
    given = [each for each in credit["credited"] or () if each.get("line")]
    parts = spread(amount, [each["amount"].amount for each in given]) if given else ()
    half_even = settings(desk).half_even
    found = []
    for each, part in zip(given, parts, strict=True):
        # The line of a draft is another one when that is final.
        line = desk.peek("InvoiceLine", each["line"]) or credit
        net = line["amount"] - line["discount"]
        if (held := taxed.from_rows(each.get("taxes"))) is not None:
            part = taxes.with_included(part, held).rounded(half_even)
        found.append({
            "item": each["item"], "amount": part, "start": credit["period_start"],
            "end": credit["period_end"], "given_back": amount * 0, "line": each["line"],
            "invoice": each["invoice"], "taxes": each.get("taxes"),
            "full": proration.portion(part, proration.ratio(line["amount"], net)).rounded(half_even)
            if net else part,
        })  # fmt: skip
    return found


def _in_charge(
    row: Mapping[str, Any], parts: Mapping[str, Money], nets: Mapping[str, Money], half_even: bool
) -> Money:
    """A part of a line, before tax, in terms of what was charged for it."""
    part, net, amount = parts[row["line"]], nets[row["line"]], row["amount"]
    if not net or amount == net:
        return part
    return proration.portion(amount, proration.ratio(part, net)).rounded(half_even)


def uncharge_share(
    desk: Desk, payment: Mapping[str, Any], amount: Money, beyond: Money | None = None
) -> None:
    """Notes a refund of a payment on what its invoice charged, less the tax in it; `beyond` is what
    it gave back more than was still charged."""
    if not payment["invoice"]:
        return
    invoice = desk.row("Invoice", payment["invoice"])
    if amount.amount > 0:
        whole = charged.left_of_charges(desk, invoice["id"]) + amount + (beyond or amount * 0)
    else:
        whole = _charged_by(desk, invoice)
    given_back.refunded(desk, invoice, proration.ratio(amount, whole))
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
        whole = charged.left_of_charges(desk, invoice["id"]) + amount + (beyond or zero)
    else:
        left = sum((row["amount"] for row in mine), zero)
        whole = _charged_by(desk, invoice)
    return proration.ratio(left, whole)


def _charged_by(desk: Desk, invoice: Mapping[str, Any]) -> Money:
    """What an invoice asked for with tax, before it gave back something of earlier ones."""
    total: Money = invoice["total"]
    return total + charged.of_earlier(desk, invoice["id"])


def _taken(rows: list[dict[str, Any]], invoice: str, amount: Money) -> list[dict[str, Any]]:
    mine = [row for row in rows if row["invoice"] == invoice]
    charges = [proration.Charge(r["amount"], r["start"], r["end"], r["given_back"]) for r in mine]
    after = proration.refunded(charges, amount)
    backs = iter(each.given_back for each in after)
    return [
        {**row, "given_back": next(backs)} if row["invoice"] == invoice else row for row in rows
    ]
