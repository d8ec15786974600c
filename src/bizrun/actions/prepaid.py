"""`credit` and `expire_credit`: account credit that is given or sold, and when it ends."""

from __future__ import annotations

from typing import Any

from ..billing.invoicing import Line
from ..diagnostics import did_you_mean
from ..errors import Refusal
from ..model import LINE_KINDS, WALLET_KIND
from ..values import Money, show
from . import credits, invoices, ledger
from .arguments import above_zero
from .customers import customer_row
from .desk import Desk

MOST = 1_000


def credit(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`credit { customer, amount, expires?, priority?, meters?, kinds?, price? }`."""
    amount, customer, price = args["amount"], args["customer"], args.get("price")
    customer_row(desk, customer)
    amount = above_zero(desk, "credit", amount)
    if price is not None:
        price = above_zero(desk, "the price of credit", price)
    expires = args.get("expires")
    if expires is not None and expires <= desk.now:
        raise Refusal(f"credit that expires at {show(expires)} is over before it begins")
    terms = _terms(desk, args)
    if price is None:
        ledger.post(
            desk, f"{desk.base}/{site}/credit", customer,
            (ledger.GOODWILL, amount), (ledger.CREDIT, -amount),
        )  # fmt: skip
        return credits.grant(desk, customer, amount, site, args.get("reason"), expires, terms)
    if price.currency != amount.currency:
        raise Refusal(f"{amount} of credit is not sold for {price}: both are in one currency")
    wallet = credits.grant(
        desk, customer, amount, site, args.get("reason"), expires,
        {**terms, "balance": amount * 0, "price": price},
    )  # fmt: skip
    line = Line(WALLET_KIND, f"Credit of {show(amount)}", price, unit_amount=price,
                discountable=False)  # fmt: skip
    made = invoices.issue(
        desk, customer, [line], f"{customer}/credit/{site}", "credit", price.currency,
        sells=wallet,
    )  # fmt: skip
    assert made is not None
    return wallet


def expire_credit(desk: Desk, args: dict[str, Any], site: object, place: Any) -> str:
    """`expire_credit { wallet, at? }`: what is left of a grant expires now, or at another time.

    Refused where nothing is left or it has expired, and for what is sold and not paid.
    """
    wallet = desk.row("Wallet", args["wallet"])
    key, at, expires = wallet["id"], args.get("at") or desk.now, wallet["expires"]
    if at < desk.now:
        raise Refusal(f"credit can't expire at {show(at)}: that is over")
    if wallet["price"] is not None and wallet["paid_at"] is None:
        raise Refusal(f"credit {key} is not paid yet: void its invoice")
    if expires is not None and expires <= desk.now:
        raise Refusal(f"credit {key} expired at {show(expires)}")
    if wallet["balance"] <= Money(0, wallet["balance"].currency):
        raise Refusal(f"nothing is left of credit {key}")
    desk.change("Wallet", key, expires=at)
    return str(key)


def _terms(desk: Desk, args: dict[str, Any]) -> dict[str, Any]:
    """In which order a grant is used, and for what."""
    found: dict[str, Any] = {}
    priority = args.get("priority")
    if priority is not None:
        if not 0 <= priority <= MOST:
            raise Refusal(f"a priority is a whole number from 0 to {MOST}, not {show(priority)}")
        found["priority"] = priority
    for name, known in (("meters", desk.program.meters), ("kinds", LINE_KINDS)):
        given = args.get(name)
        for one in given or ():
            if one not in known:
                near = did_you_mean(str(one), known)
                hint = f"; did you mean `{near}`?" if near else ""
                raise Refusal(f"credit can't be for the {name[:-1]} {show(one)!r}{hint}")
        if given is not None:
            found[name] = sorted(given)
    return found
