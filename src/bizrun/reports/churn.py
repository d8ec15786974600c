"""Who leaves and who stays: churn by month, lifetime value, cohorts by month of sign-up."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from typing import Any

from ..billing.recurring import lifetime_value, percent
from ..store.base import Store
from ..times import local_date
from ..values import Money
from .figures import Figures, Span
from .metrics import movements, tallies

MAX_COHORT_MONTHS = 36


def churn(store: Store, span: Span) -> Figures:
    """By month and currency: customers and revenue at its start, and what of both was lost."""
    columns = (
        "month", "currency", "customers", "gained", "lost", "customer_churn", "mrr", "lost_mrr",
        "contraction", "expansion", "revenue_churn", "net_retention",
    )  # fmt: skip
    rows = []
    for month, found in tallies(store, span):
        for currency, tally in found.items():
            lost = tally.count("churn")
            rows.append(
                {
                    "month": month, "currency": currency, "customers": tally.customers,
                    "gained": tally.count("new", "reactivation"), "lost": lost,
                    "customer_churn": tally.customer_churn, "mrr": tally.opening,
                    "lost_mrr": -tally.amount("churn"), "contraction": -tally.amount("contraction"),
                    "expansion": tally.amount("expansion"),
                    "revenue_churn": tally.revenue_churn,
                    "net_retention": tally.net_retention,
                }
            )  # fmt: skip
    note = "customers and mrr: at the month's start; the rates are what became of these"
    return Figures("Churn", columns, tuple(rows), note)


def ltv(store: Store, span: Span) -> Figures:
    """By currency: ARPA, the average monthly churn, the lifetime value that both come to."""
    columns = ("currency", "customers", "mrr", "arpa", "churn", "ltv", "payers", "paid_per_payer")
    months = tallies(store, span)
    paid = _paid(store, span)
    newest = months[-1][1] if months else {}
    rows = []
    for currency in sorted({*newest, *paid}):
        row: dict[str, Any] = dict.fromkeys(columns) | {"currency": currency}
        if (tally := newest.get(currency)) is not None:
            at_risk = sum(found[currency].customers for _, found in months)
            lost = sum(len(found[currency].gone) for _, found in months)
            arpa = tally.arpa
            row |= {
                "customers": tally.left, "mrr": tally.closing,
                "arpa": arpa.rounded() if arpa is not None else None,
                "churn": percent(lost, at_risk),
                "ltv": lifetime_value([found[currency] for _, found in months]),
            }  # fmt: skip
        by_customer = paid.get(currency, {})
        if by_customer:
            whole = sum(by_customer.values(), Money(0, currency))
            row |= {"payers": len(by_customer),
                    "paid_per_payer": (whole / len(by_customer)).rounded()}  # fmt: skip
        rows.append(row)
    note = (
        "churn: lost customers over customers at the start, all months together; "
        "ltv: arpa / churn, none while nobody has left"
    )
    return Figures("Lifetime value", columns, tuple(rows), note)


def _paid(store: Store, span: Span) -> dict[str, dict[str, Money]]:
    """What each customer has paid until the span's end, less refunds, by currency."""
    found: defaultdict[str, dict[str, Money]] = defaultdict(dict)
    for row in store.select("Payment"):
        if row["status"] in ("succeeded", "refunded") and row["created_at"] < span.end:
            amount = row["amount"] - row["refunded"] - (row["charged_back"] or row["amount"] * 0)
            sums = found[amount.currency]
            held = sums.get(row["customer"])
            sums[row["customer"]] = amount if held is None else held + amount
    return found


def cohorts(store: Store, span: Span, bills: tuple[str, str] | None) -> Figures:
    """By month of sign-up: how many customers, and which share of them brought something at the
    end of that month (m0), of the next one (m1), and so on until the span's end.

    `bills` is the customers' entity and its key.
    """
    history = _history(store)
    months = list(span.months())
    signed_up: defaultdict[str, list[str]] = defaultdict(list)
    for customer, at in _sign_ups(store, bills, history).items():
        signed_up[f"{local_date(at, span.tz):%Y-%m}"].append(customer)
    ends = [month.end for month in months]
    columns = ("cohort", "customers", *(f"m{n}" for n in range(len(months[:MAX_COHORT_MONTHS]))))
    rows = []
    for place, month in enumerate(months):
        members = signed_up.get(month.name, [])
        if not members:
            continue
        row: dict[str, Any] = {"cohort": month.name, "customers": len(members)}
        for number, end in enumerate(ends[place : place + MAX_COHORT_MONTHS]):
            active = sum(_active(history.get(customer), end) for customer in members)
            row[f"m{number}"] = percent(active, len(members))
        rows.append(row)
    note = "m0: at the end of the month of sign-up, m1: of the one after it"
    return Figures("Cohorts by month of sign-up", columns, tuple(rows), note)


History = tuple[list[Any], list[bool]]  # instants, and whether something was brought from then on


def _history(store: Store) -> dict[str, History]:
    now: defaultdict[str, dict[str, Money]] = defaultdict(dict)
    found: dict[str, History] = {}
    for moved in movements(store):
        now[moved.customer][moved.after.currency] = moved.after
        instants, active = found.setdefault(moved.customer, ([], []))
        instants.append(moved.at)
        active.append(any(now[moved.customer].values()))
    return found


def _active(history: History | None, at: Any) -> bool:
    if history is None:
        return False
    place = bisect_left(history[0], at)
    return place > 0 and history[1][place - 1]


def _sign_ups(
    store: Store, bills: tuple[str, str] | None, history: dict[str, History]
) -> dict[str, Any]:
    """When each customer came: its own row says so, else the first thing it brought."""
    found = {customer: instants[0] for customer, (instants, _) in history.items()}
    if bills is not None:
        entity, key = bills
        for row in store.select(entity):
            came = row["created_at"]
            found[row[key]] = min(found.get(row[key], came), came)
    return found
