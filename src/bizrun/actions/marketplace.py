"""Marketplaces: charges split between the platform and sellers, held funds, transfers.

What a seller is owed and what is held for it is kept twice: as postings, and as a row of `_seller`
that a transfer is checked against without adding them up; `bizrun verify` compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ..billing.split import reverse, share_out
from ..errors import BizError, EvalError, Refusal
from ..model import Outcome
from ..values import Money, Percent, money, number, show
from . import ledger
from .arguments import above_zero
from .desk import Desk, Row
from .ledger import Posting

# Who runs the marketplace: its part of a charge is revenue.
PLATFORM = "platform"
REST = "rest"


# --- splitting -------------------------------------------------------------------------------


def split(amount: Money, shares: Any) -> dict[str, Money]:
    """Who gets how much of a charge: parts that add up to it, by the keys of the parties.

    `{ platform: 15%, rest: seller }`, or `[{ to: seller, share: 85% }]` and the platform gets
    the rest.
    """
    fixed, rest = _shares(shares)
    fixed = {name: _read(share) for name, share in fixed.items()}
    for name, share in fixed.items():
        if not isinstance(share, Percent | Money):
            raise Refusal(f"a share is a percentage or money; that of `{name}` is {show(share)}")
        if isinstance(share, Money) and share.currency != amount.currency:
            raise Refusal(f"{share} is no share of {amount}: it is in another currency")
        if (share.rate if isinstance(share, Percent) else share.amount) < 0:
            raise Refusal(f"a share can't be below zero, and that of `{name}` is {show(share)}")
    try:
        return share_out(amount, fixed, rest)
    except EvalError as problem:
        raise Refusal(str(problem)) from None


def _read(share: Any) -> Any:
    """A share that arrived from outside, as text: `15%`, `20.00 USD`."""
    if not isinstance(share, str):
        return share
    try:
        if share.endswith("%"):
            return Percent.of(Decimal(number(share[:-1])))
        return money(share)
    except BizError:
        return share


def _shares(shares: Any) -> tuple[dict[str, Any], str | None]:
    if isinstance(shares, Mapping):
        fixed = {str(name): share for name, share in shares.items() if name != REST}
        return fixed, party(shares[REST]) if REST in shares else None
    if not isinstance(shares, list) or not all(isinstance(one, Mapping) for one in shares):
        raise Refusal("a split is written like { platform: 15%, rest: seller }")
    found: dict[str, Any] = {}
    for one in shares:
        name = party(one.get("to"))
        if name in found:
            raise Refusal(f"the split names `{name}` twice")
        found[name] = one.get("share")
    return found, PLATFORM


def party(value: Any) -> str:
    """The key of who gets money: an entity, its row, or a name."""
    if isinstance(value, Mapping):
        value = value.get("$key", value.get("id"))
    if not isinstance(value, str) or not value:
        raise Refusal("a part of the money needs somebody who gets it, and there is none")
    return value


def check_hold(args: Mapping[str, Any]) -> None:
    """`hold: true` is for parts that go to somebody; without a split it holds the whole."""
    if args.get("hold") not in (None, True, False):
        raise Refusal("`hold` is true or false")


def received(desk: Desk, payment: Mapping[str, Any], hold: bool, answer: Any) -> None:
    """Posts a charge that succeeded: the platform's part earned, the sellers' parts owed."""
    amount = payment["amount"]
    parts = payment["split"] or {PLATFORM: amount}
    postings = [Posting(ledger.CASH, amount)]
    held: dict[str, Money] = {}
    for name, part in parts.items():
        if hold and (name != PLATFORM or not payment["split"]):
            held[name] = part
        elif name == PLATFORM:
            postings.append(Posting(ledger.REVENUE, -part))
        else:
            postings.append(Posting(ledger.SELLERS, -part, name))
            _owe(desk, name, "payable", part)
    for name, part in held.items():
        postings.append(Posting(ledger.HELD, -part, name))
        _owe(desk, name, "held", part)
    ledger.post(desk, f"{payment['id']}/paid", payment["customer"], *postings)
    if held:
        desk.change("Payment", payment["id"], held=held)
    ledger.fee(desk, payment["id"], payment["customer"], answer, amount.currency)


def _owe(desk: Desk, name: str, what: str, amount: Money) -> None:
    """Adds to what is payable to a party, or held for it, in a currency."""
    row = desk.peek("_seller", name) or {"id": name, "payable": {}, "held": {}}
    sums = dict(row[what])
    before = sums.get(amount.currency)
    sums[amount.currency] = amount if before is None else before + amount
    desk.put("_seller", name, {**row, what: sums})


# --- held funds ------------------------------------------------------------------------------


def release(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`release { payment, to?, amount? }`: held parts become payable, the platform's is earned.

    `to` names one party; of a charge without a split it says who gets the money.
    """
    payment, held = _held(desk, args["payment"])
    to = None if args.get("to") is None else party(args["to"])
    whole = set(held) == {PLATFORM} and to is not None
    names = [PLATFORM] if whole else list(held) if to is None else [to]
    postings = []
    for name, part in zip(names, _parts_of(args, names, held), strict=True):
        held[name] = held[name] - part
        getter = to if whole and to is not None else name
        postings.append(Posting(ledger.HELD, part, name))
        _owe(desk, name, "held", -part)
        if getter == PLATFORM:
            postings.append(Posting(ledger.REVENUE, -part))
        else:
            postings.append(Posting(ledger.SELLERS, -part, getter))
            _owe(desk, getter, "payable", part)
            if whole:
                _assign(desk, payment["id"], getter, part)
    ledger.post(desk, f"{desk.base}/{site}/released", payment["customer"], *postings)
    _keep_held(desk, payment["id"], held)
    return str(payment["id"])


def _assign(desk: Desk, payment: str, name: str, part: Money) -> None:
    """A charge without a split gets one by what is released of it: a refund reverses that."""
    row = desk.row("Payment", payment)
    shares = dict(row["split"] or {PLATFORM: row["amount"]})
    shares[PLATFORM] = shares[PLATFORM] - part
    shares[name] = shares[name] + part if name in shares else part
    desk.change("Payment", payment, split=shares)


def hold(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`hold { payment, to?, amount? }`: what is payable of a charge, and not paid out, is held."""
    payment = desk.row("Payment", args["payment"])
    if payment["status"] != "succeeded" or not payment["split"]:
        raise Refusal(f"nothing of payment {payment['id']} can be held: it owes no seller anything")
    held = dict(payment["held"] or {})
    gone, zero = _given_back(desk, payment), payment["amount"] * 0
    parts = {
        name: part - gone.get(name, zero) - held.get(name, zero)
        for name, part in payment["split"].items()
    }
    to = None if args.get("to") is None else party(args["to"])
    names = [to] if to is not None else [n for n, part in parts.items() if n != PLATFORM and part]
    if not names:
        raise Refusal(f"everything of payment {payment['id']} is held already")
    postings = []
    for name, part in zip(names, _parts_of(args, names, parts), strict=True):
        left = payable(desk, name, part.currency)
        if part > left:
            raise Refusal(f"{part} can't be held: only {left} is payable to {name}")
        held[name] = held[name] + part if name in held else part
        postings += [Posting(ledger.SELLERS, part, name), Posting(ledger.HELD, -part, name)]
        _owe(desk, name, "payable", -part)
        _owe(desk, name, "held", part)
    ledger.post(desk, f"{desk.base}/{site}/held", payment["customer"], *postings)
    _keep_held(desk, payment["id"], held)
    return str(payment["id"])


def _held(desk: Desk, key: Any) -> tuple[Mapping[str, Any], dict[str, Money]]:
    payment = desk.row("Payment", key)
    held = dict(payment["held"] or {})
    if not held:
        raise Refusal(f"nothing of payment {key} is held")
    return payment, held


def _parts_of(args: Mapping[str, Any], names: list[str], there: Mapping[str, Money]) -> list[Money]:
    """What of each party's part is meant: all, or the `amount` of the one that is named."""
    for name in names:
        if name not in there or not there[name]:
            raise Refusal(f"the charge has nothing for {name}")
    amount = args.get("amount")
    if amount is None:
        return [there[name] for name in names]
    if len(names) > 1:
        raise Refusal("the parts of several parties: say whose with `to`")
    most, amount = there[names[0]], amount.rounded()
    if amount.currency != most.currency or not most * 0 < amount <= most:
        raise Refusal(f"{amount} is not between nothing and the {most} of {names[0]}")
    return [amount]


def _keep_held(desk: Desk, payment: str, held: Mapping[str, Money]) -> None:
    left = {name: part for name, part in held.items() if part}
    desk.change("Payment", payment, held=left or None)


# --- refunds ---------------------------------------------------------------------------------


def refunded(desk: Desk, refund: str, payment: Mapping[str, Any], amount: Money) -> None:
    """Posts a refund of a charge: the split reversed in proportion, held parts first."""
    before = _given_back(desk, payment, refund)
    _reverse(desk, f"{refund}/refunded", payment, amount, before, ledger.CASH, ledger.REFUNDS)


def charged_back(desk: Desk, dispute: str, payment: Mapping[str, Any], amount: Money) -> None:
    """Posts a lost dispute of a charge: it takes from the parties what a refund would."""
    before = _given_back(desk, payment, dispute)
    _reverse(desk, f"{dispute}/lost", payment, amount, before, ledger.DISPUTED, ledger.LOST)


def of_payment(refund: Mapping[str, Any]) -> Money:
    """What of a refund is its payment's: one made at the processor may be of more than is left."""
    amount: Money = refund["amount"]
    return amount - refund["outside"]["beyond"] if refund["outside"] else amount


def _given_back(desk: Desk, payment: Mapping[str, Any], but: str = "") -> dict[str, Money]:
    """What each party has given back of a charge, by refunds and lost disputes but for one."""
    found: dict[str, Money] = {}
    refunds = desk.select("Refund", payment=payment["id"])
    disputes = desk.select("PaymentDispute", payment=payment["id"])
    entries = [f"{row['id']}/refunded" for row in refunds if row["status"] == "succeeded"]
    entries += [f"{row['id']}/lost" for row in disputes if row["status"] == "lost"]
    for entry in entries:
        if entry.rpartition("/")[0] == but:
            continue
        for row in ledger.postings(desk, entry):
            if row["account"] in (ledger.HELD, ledger.SELLERS):
                name = row["customer"]
            elif row["account"] in (ledger.REFUNDS, ledger.LOST):
                name = PLATFORM
            else:
                continue
            found[name] = found[name] + row["amount"] if name in found else row["amount"]
    return found


def _reverse(
    desk: Desk, entry: str, payment: Mapping[str, Any], amount: Money,
    before: Mapping[str, Money], source: str, cost: str,
) -> None:  # fmt: skip
    """Takes an amount of a charge from its parties, and from the account that it went from; the
    business's own part is a cost. `before` is what each has given back: together it is their part
    of all that was given back, so that the whole takes back each part exactly."""
    held = dict(payment["held"] or {})
    postings = [Posting(source, -amount)]
    zero = amount * 0
    parts = payment["split"] or {PLATFORM: payment["amount"]}
    for name, all_of_it in reverse(parts, sum(before.values(), amount), zero).items():
        part = all_of_it - before.get(name, zero)
        # Rounding can move a unit back to a party: then there is nothing to take from.
        kept = max(min(part, held.get(name, zero)), zero)
        if kept:
            held[name] = held[name] - kept
            postings.append(Posting(ledger.HELD, kept, name))
            _owe(desk, name, "held", -kept)
        if name == PLATFORM:
            postings.append(Posting(cost, part - kept))
        elif part - kept:
            postings.append(Posting(ledger.SELLERS, part - kept, name))
            _owe(desk, name, "payable", kept - part)
    ledger.post(desk, entry, payment["customer"], *postings)
    if payment["held"]:
        _keep_held(desk, payment["id"], held)


def came_back(desk: Desk, cause: str, payment: Mapping[str, Any], how: str = "refunded") -> None:
    """Posts that a refund came back, or a lost dispute was won after all: what it took is there
    again, held or payable as before."""
    held = dict(payment["held"] or {})
    postings = []
    for row in ledger.postings(desk, f"{cause}/{how}"):
        amount, name = row["amount"], row["customer"]
        # Postings of the business itself name the customer: a party is another.
        match row["account"]:
            case ledger.HELD:
                held[name] = held[name] + amount if name in held else amount
                _owe(desk, name, "held", amount)
            case ledger.SELLERS:
                _owe(desk, name, "payable", amount)
        postings.append(Posting(row["account"], -amount, name))
    ledger.post(desk, f"{cause}/came_back", payment["customer"], *postings)
    if held:
        _keep_held(desk, payment["id"], held)


# --- transfers -------------------------------------------------------------------------------


def payable(desk: Desk, name: str, currency: str) -> Money:
    """What a seller can be paid out now."""
    row = desk.peek("_seller", name)
    found: Money | None = row["payable"].get(currency) if row else None
    return found if found is not None else Money(0, currency)


def transfer(
    desk: Desk, args: dict[str, Any], site: object, place: Any, resume: dict[str, Any] | None
) -> None:
    """`transfer { to, amount }`: never more than is payable; without a marketplace, a payout."""
    amount, name = above_zero(desk, "a transfer", args["amount"]), party(args["to"])
    seller = desk.program.marketplace
    if seller:
        left = payable(desk, name, amount.currency)
        if amount > left:
            raise Refusal(f"{amount} can't be transferred: {left} is payable to {name}")
        _owe(desk, name, "payable", -amount)
    account = ledger.SELLERS if seller else ledger.PAYOUTS
    said = {**args, "amount": amount, "to": name, "account": account}
    sent = desk.effect("transfer", said, site, place, None, resume)
    ledger.post(desk, f"{sent.id}/transfer", name, (account, amount), (ledger.TRANSIT, -amount))


def transfer_outcome(desk: Desk, effect: Row, outcome: Outcome) -> dict[str, Any]:
    """What follows from a transfer: the money has gone, or is payable again."""
    data = effect["data"]
    amount, name, account = data["amount"], data["to"], data["account"]
    succeeded = outcome.status == "succeeded"
    back = ledger.CASH if succeeded else account
    ledger.post(
        desk, f"{effect['id']}/{outcome.status}", name, (ledger.TRANSIT, amount), (back, -amount)
    )
    if not succeeded and account == ledger.SELLERS:
        _owe(desk, name, "payable", amount)
    return {"status": outcome.status, "error": outcome.error, "reference": outcome.reference}
