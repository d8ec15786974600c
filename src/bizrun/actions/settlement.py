"""How an invoice ends: paid, lowered, tried again by the dunning policy, given up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from ..billing import dunning
from ..billing.credits import Payable, use_credit
from ..billing.dunning import Exhausted, Retry
from ..billing.invoicing import going_as
from ..errors import Refusal
from ..model import WALLET_KIND, Outcome
from ..values import Money
from . import ledger, marketplace, payments, wallets
from .customers import grant_of, grants, lives, settings, subscriptions_of, zone_of
from .desk import Desk, Row
from .status import allowed, own, set_status

_OPEN = ("final", "sent")
PAYABLE = ("final", "sent", "uncollectible")


# --- paid ------------------------------------------------------------------------------------


def charge_outcome(desk: Desk, effect: Row, outcome: Outcome) -> str:
    """What follows from a charge: the payment, its invoice, the subscription, dunning."""
    key = str(effect["data"]["payment"])
    payment = desk.row("Payment", key)
    came = outcome.status == "succeeded"
    desk.change(
        "Payment", key, status="succeeded" if came else "failed", error=outcome.error,
        reference=outcome.reference, processor=_processor(desk, effect),
    )  # fmt: skip
    if came:
        succeeded(desk, payment, effect["data"], outcome.data)
    else:
        desk.announce("Payment.failed", key, error=outcome.error, **_names(payment))
        if payment["invoice"]:
            _failed(desk, payment["invoice"], outcome.error)
    return key


def succeeded(
    desk: Desk, payment: Mapping[str, Any], asked: Mapping[str, Any], answer: Any
) -> None:
    """What follows from a payment that has come in: its event, its invoice, dunning."""
    desk.announce("Payment.succeeded", payment["id"], **_names(payment))
    _received(desk, payment, asked, answer)


def _names(payment: Mapping[str, Any]) -> dict[str, Any]:
    """What the events of a payment tell."""
    return {
        "payment": payment["id"], "customer": payment["customer"], "invoice": payment["invoice"],
        "subscription": payment["subscription"],
    }  # fmt: skip


def _processor(desk: Desk, effect: Row) -> str | None:
    """Who did it, where a provider was called; else whom it was to go by."""
    # What is only rehearsed (a preview) has no id, and was never sent.
    delivery = desk.peek("_delivery", str(effect.get("id"))) or {}
    found = delivery.get("provider")
    via = effect["data"].get("via")
    return found if isinstance(found, str) and found != "sandbox" else via


def _received(
    desk: Desk, payment: Mapping[str, Any], asked: Mapping[str, Any], answer: Any
) -> None:
    """Money that came in: for its invoice, as far as that is open; the rest is the customer's."""
    key, amount, customer = payment["id"], payment["amount"], payment["customer"]
    if not payment["invoice"]:
        marketplace.received(desk, payment, bool(asked.get("hold")), answer)
        return
    row = desk.row("Invoice", payment["invoice"])
    used = min(amount, row["amount_open"]) if row["status"] in PAYABLE else amount * 0
    ledger.paid(desk, payment, row, used, answer)
    if used < amount:
        from .credits import grant

        grant(desk, customer, amount - used, f"paid/{key}", f"payment {key}")
    if used:
        reduce(desk, row, used)


def reduce(desk: Desk, row: Mapping[str, Any], amount: Money) -> None:
    """Lowers what is open on an invoice; nothing left means paid."""
    left = row["amount_open"] - amount
    if left:
        desk.change("Invoice", row["id"], amount_open=left)
        return
    changed = desk.change(
        "Invoice", row["id"], status="paid", amount_open=left, paid_at=desk.now, dunning=None
    )
    if row["status"] == "sent":
        desk.drop_timer(f"overdue|{row['id']}")
    stop(desk, changed)
    wallets.activate(desk, changed)
    _announce(desk, "Invoice.paid", changed)


def lower(desk: Desk, invoice: str, amount: Money) -> Money:
    """Lowers what is open on an invoice by up to an amount; by how much it was."""
    row = desk.row("Invoice", invoice)
    if row["status"] not in PAYABLE:
        return amount * 0
    part: Money = min(amount, row["amount_open"])
    if part:
        entry = str(desk.fresh(f"{invoice}/lowered/{desk.base}"))
        ledger.recovered(desk, entry, row, part)
        reduce(desk, row, part)
    return part


def stop(desk: Desk, row: Mapping[str, Any]) -> None:
    """Ends the dunning of an invoice; its subscriptions recover if nothing else is open."""
    if not row["attempts"] and not row["dunning"]:
        return
    desk.drop_timer(f"retry|{row['id']}")
    for key in subscriptions_of(row):
        sub = desk.row("Subscription", key)
        if sub["status"] in ("past_due", "suspended") and not _other_open(desk, sub, row["id"]):
            desk.drop_timer(f"grace|{key}")
            if own(desk) is None:
                recover(desk, key, "active")


def recover(desk: Desk, key: str, status: str) -> None:
    """A subscription goes on after failed payments; one that slept pays for what is left."""
    before = desk.row("Subscription", key)["status"]
    desk.drop_timer(f"grace|{key}")
    set_status(desk, key, status, "Subscription.recovered")
    if before == "suspended":
        from .changes import bill_rest

        bill_rest(desk, key, "recovery")


def _other_open(desk: Desk, sub: Mapping[str, Any], invoice: str) -> bool:
    """Whether another invoice of the subscription still waits after failed attempts."""
    return any(
        row["id"] != invoice and row["status"] in _OPEN and row["dunning"]
        and sub["id"] in subscriptions_of(row)
        for row in desk.select("Invoice", customer=sub["customer"])
    )  # fmt: skip


def pay_invoice(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> tuple[Any, bool]:
    """`pay_invoice { invoice, amount?, from_credit? }`: a try by hand uses up no step of the
    policy; a charge that is under way is that try."""
    row = desk.row("Invoice", args["invoice"])
    if row["status"] not in PAYABLE:
        raise Refusal(
            f"invoice {row['number'] or row['id']} is {row['status']}: nothing is open on it"
        )
    amount = _part(desk, row, args)
    if args.get("from_credit"):
        _from_credit(desk, row)
        return None, False
    if (charge := payments.under_way(desk, row["id"])) is not None:
        return payments.join(desk, charge, resume), True
    changed = desk.change("Invoice", row["id"], attempts=row["attempts"] + 1)
    return payments.collect(desk, changed, resume, site, place, amount), True


def _part(desk: Desk, row: Mapping[str, Any], args: Mapping[str, Any]) -> Money | None:
    """The part of what is open that is to be paid; None: all of it."""
    wanted: Money | None = args.get("amount")
    if wanted is None:
        return None
    if args.get("from_credit"):
        raise Refusal("`from_credit` pays as much as the credit goes: leave out `amount`")
    amount = wanted.rounded(settings(desk).half_even)
    left = row["amount_open"]
    if amount.currency != left.currency or amount <= left * 0 or amount > left:
        raise Refusal(f"{amount} can't be paid: {left} of invoice {row['number']} is open")
    return amount


def _from_credit(desk: Desk, row: Mapping[str, Any]) -> None:
    """Pays from account credit, in the order of its use, as far as that goes."""
    zero = row["amount_open"] * 0
    lines = _open_lines(desk, row)
    found = use_credit(lines, grants(desk, row["customer"], row["currency"]), desk.now)
    uses = [{"wallet": use.grant, "amount": use.amount} for use in found.uses]
    for use in found.uses:
        balance = desk.row("Wallet", use.grant)["balance"]
        desk.change("Wallet", use.grant, balance=balance - use.amount)
    used = sum((use.amount for use in found.uses), zero)
    if not used:
        raise Refusal(f"{row['customer']} has no credit for invoice {row['number']}")
    entry = str(desk.fresh(f"{row['id']}/from_credit/{desk.base}"))
    ledger.recovered(desk, entry, row, used)
    ledger.post(
        desk, entry, row["customer"],
        (ledger.CREDIT, used), (ledger.RECEIVABLE, -used),
    )  # fmt: skip
    changed = desk.change("Invoice", row["id"], credits=[*(row["credits"] or ()), *uses])
    reduce(desk, changed, used)


def _open_lines(desk: Desk, row: Mapping[str, Any]) -> list[Payable]:
    """What is open of an invoice's lines, less the notes on them and the credit that paid them."""
    rows = sorted(desk.select("InvoiceLine", invoice=row["id"]), key=lambda r: int(r["position"]))
    noted = [row["total"] * 0] * len(rows)
    for note in desk.select("CreditNote", invoice=row["id"]):
        for part in note["lines"] or ():
            noted[part["place"]] += part["amount"] + part["tax"]
    lines = [
        Payable(
            back * 0 if line["kind"] == WALLET_KIND
            else line["amount"] - line["discount"] + line["tax"] - back,
            going_as(line["kind"], line["meter"]), line["meter"],
        )
        for line, back in zip(rows, noted, strict=True)
    ]  # fmt: skip
    before = [
        grant_of(desk.row("Wallet", use["wallet"]), use["amount"]) for use in row["credits"] or ()
    ]
    paid = use_credit(lines, before, row["issued_at"]).by_line
    left = [
        replace(line, amount=line.amount - part) for line, part in zip(lines, paid, strict=True)
    ]
    # Whatever else lowered what is open, it is of all lines.
    other = row["amount_open"] - row["total"] + sum((*noted, *paid), row["total"] * 0)
    return [*left, Payable(other, "settled")]


def _announce(desk: Desk, event: str, row: Mapping[str, Any], **more: Any) -> None:
    desk.announce(
        event, row["id"], invoice=row["id"], customer=row["customer"],
        subscription=row["subscription"], **more,
    )  # fmt: skip


# --- not paid --------------------------------------------------------------------------------


def _failed(desk: Desk, invoice: str, error: str | None) -> None:
    """Notes the failure; the policy says when to try again, or what ends it."""
    row = desk.row("Invoice", invoice)
    if row["status"] not in _OPEN:
        return
    _announce(desk, "Invoice.payment_failed", row, error=error)
    _past_due(desk, row)
    held = row["dunning"] or {"first": desk.now, "used": 0}
    if held.get("over"):
        return
    step = dunning.after_failure(
        desk.program.dunning, held["first"], desk.now, held["used"], error,
        zone_of(desk, row["customer"]),
    )  # fmt: skip
    match step:
        case Retry(at=at):
            desk.change("Invoice", invoice, dunning=held)
            desk.set_timer(f"retry|{invoice}", at, what="retry", invoice=invoice)
        case Exhausted():
            changed = desk.change("Invoice", invoice, dunning={**held, "over": True})
            _exhaust(desk, changed, step)


def _past_due(desk: Desk, row: Mapping[str, Any]) -> None:
    """The subscriptions of an invoice that nobody has paid are past due."""
    for key in subscriptions_of(row) if own(desk) is None else ():
        if desk.row("Subscription", key)["status"] in ("active", "trialing"):
            set_status(desk, key, "past_due")


def give_up(desk: Desk, invoice: str) -> None:
    """Ends the dunning of an open invoice as its policy does, with nothing tried before: the
    customer's bank has taken its payment back, and would do so again."""
    row = desk.row("Invoice", invoice)
    if row["status"] not in _OPEN:
        return
    _past_due(desk, row)
    over = {"first": desk.now, "used": 0, "over": True}
    changed = desk.change("Invoice", invoice, dunning=over)
    policy, zone = desk.program.dunning, zone_of(desk, row["customer"])
    end = dunning.exhausted(policy, desk.now, zone) if policy else Exhausted(None, None, None)
    _exhaust(desk, changed, end)


def retry(desk: Desk, invoice: str) -> None:
    """A retry of the policy is due: it uses up a step. One beside a charge that is under way is
    left out; if that fails, its failure says what follows."""
    row = desk.row("Invoice", invoice)
    if row["status"] in _OPEN and payments.under_way(desk, invoice) is None:
        held = row["dunning"] or {"first": desk.now, "used": 0}
        changed = desk.change(
            "Invoice", invoice, attempts=row["attempts"] + 1,
            dunning={**held, "used": held["used"] + 1},
        )  # fmt: skip
        payments.collect(desk, changed, None)


def _exhaust(desk: Desk, invoice: Mapping[str, Any], end: Exhausted) -> None:
    desk.drop_timer(f"retry|{invoice['id']}")
    if desk.program.dunning is None:
        return
    _announce(desk, "Dunning.exhausted", invoice)
    _give_up(desk, invoice, end.action)
    if end.grace_at is not None:
        # Of each subscription: one may end before, and the others' grace goes on.
        for key in subscriptions_of(invoice) or [invoice["id"]]:
            desk.set_timer(
                f"grace|{key}", end.grace_at, what="grace", invoice=invoice["id"], of=key,
                action=end.grace_action,
            )  # fmt: skip


def _give_up(
    desk: Desk, invoice: Mapping[str, Any], action: str | None, of: str | None = None
) -> None:
    """Does what a policy ends with, to all subscriptions of an invoice or to one `of` them."""
    from .subscriptions import end

    match action:
        case "suspend":
            for key in _who_may(desk, invoice, "suspended"):
                if of in (None, key):
                    set_status(desk, key, "suspended")
        case "cancel":
            for key in _who_may(desk, invoice, "cancelled"):
                if of in (None, key):
                    end(desk, key, "cancelled")
        case "mark_uncollectible" if invoice["status"] in _OPEN:
            _write_off(desk, invoice)


def mark_uncollectible(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`mark_uncollectible { invoice }`: what is open on it is a bad debt, and not tried again."""
    row = desk.row("Invoice", args["invoice"])
    if row["status"] not in _OPEN:
        raise Refusal(f"invoice {row['number'] or row['id']} is {row['status']}, and not open")
    if payments.under_way(desk, row["id"]) is not None:
        raise Refusal(f"invoice {row['number']} is being paid: a charge is under way")
    for timer in ("retry", "overdue"):
        desk.drop_timer(f"{timer}|{row['id']}")
    _write_off(desk, row)
    return str(row["id"])


def _write_off(desk: Desk, invoice: Mapping[str, Any]) -> None:
    desk.change("Invoice", invoice["id"], status="uncollectible")
    ledger.written_off(desk, invoice)


def _who_may(desk: Desk, invoice: Mapping[str, Any], status: str) -> list[str]:
    """The subscriptions of an invoice that live and may take a status."""
    subs = [desk.row("Subscription", key) for key in subscriptions_of(invoice)]
    return [sub["id"] for sub in subs if lives(sub) and allowed(desk, sub["status"], status)]


def grace_over(desk: Desk, task: Mapping[str, Any]) -> None:
    """The grace period after the last retry is over."""
    row = desk.row("Invoice", task["invoice"])
    if row["status"] in PAYABLE:
        _give_up(desk, row, task["action"], task.get("of"))
