"""What is wrong with a state: its log, its ledger, its invoices and their numbers, its effects."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from ..actions import ledger
from ..actions.marketplace import of_payment
from ..billing import catalog
from ..errors import StoreError
from ..ir import codec
from ..store.base import Row, Store
from ..values import Money
from .ledger import problems

if TYPE_CHECKING:
    from ..ir.program import Program

MOST = 20  # of one kind
# What rows raise that hold something else than bizrun wrote: others' SQL, or a failing disk.
MALFORMED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_SEQ = re.compile(r"\{seq[^}]*\}")


def verify(store: Store, program: Program) -> list[str]:
    """A sentence for each thing that is wrong; none where the state is sound."""
    found: list[str] = []
    for check in CHECKS:
        try:
            problems = list(check(store, program))
        except StoreError as error:  # it is damaged: nothing more can be read
            return [*found, str(error)]
        except MALFORMED as error:
            what = f"{check.__name__.strip('_')}: a row is not as bizrun wrote it"
            problems = [f"{what} ({type(error).__name__}: {error})"]
        found += problems[:MOST]
        if len(problems) > MOST:
            found.append(f"… and {len(problems) - MOST:,} more like these")
    return found


def _store(store: Store, program: Program) -> Iterable[str]:
    return store.verify()


def _code(store: Store, program: Program) -> Iterator[str]:
    """The code of work that waits has the hash by which it is known; editions can be read."""
    for row in store.select("_unit"):
        if codec.stored_digest(row["code"]) != row["id"]:
            yield f"the code {row['id']}, by which work goes on that waits, is not as it was stored"
    for row in store.select("_plan"):
        try:
            catalog.from_json(json.loads(row["plan"]))
            for rules in json.loads(row["rules"]):
                codec.decode([*rules.values()])
        except MALFORMED:
            yield f"the edition {row['number']} of {row['name']} is not as it was stored"


# --- money -------------------------------------------------------------------------------------


def _ledger(store: Store, program: Program) -> Iterable[str]:
    """Each entry sums to zero, and the accounts are what invoices, wallets and payments say."""
    return problems(store)


def _invoices(store: Store, program: Program) -> Iterator[str]:
    lines: defaultdict[str, list[Row]] = defaultdict(list)
    for line in store.select("InvoiceLine"):
        lines[line["invoice"]].append(line)
    entries = {row["entry"] for row in store.select("Ledger")}
    for row in store.select("Invoice"):
        name = row["number"] or row["id"]
        for problem in _arithmetic(row, lines.pop(row["id"], [])):
            yield f"invoice {name}: {problem}"
        # What was void while it was a draft has no number, and was never issued.
        never = row["status"] == "draft" or (row["status"] == "void" and row["number"] is None)
        if not never and row["total"] and f"{row['id']}/issued" not in entries:
            yield f"invoice {name} is {row['status']}, but the ledger has no entry of it"
    for key in sorted(lines):
        yield f"there are lines of an invoice {key}, which is not there"


def _arithmetic(row: Row, lines: list[Row]) -> Iterator[str]:
    zero = Money(0, row["currency"])
    amounts = [row[n] for n in ("subtotal", "discount", "tax", "total", "credit", "amount_due")]
    amounts += [line[n] for line in lines for n in ("amount", "discount", "tax")]
    strange = {a.currency for a in amounts if a and a.currency != row["currency"]}
    if strange:
        yield f"it is in {row['currency']} and has amounts in {', '.join(sorted(strange))}"
        return
    if not lines:
        yield "it has no lines"
    yield from _equal("its lines", sum((x["amount"] for x in lines), zero), "subtotal", row)
    yield from _equal("their discounts", sum((x["discount"] for x in lines), zero), "discount", row)
    yield from _equal("their tax", sum((x["tax"] for x in lines), zero), "tax", row)
    inclusive = row["subtotal"] - row["discount"]
    if row["total"] not in (inclusive + row["tax"], inclusive):
        yield (
            f"subtotal {row['subtotal']} less discount {row['discount']} plus tax {row['tax']} "
            f"is not its total {row['total']}"
        )
    due = row["total"] - row["credit"]
    if row["amount_due"] != due and not (due < zero and not row["amount_due"]):
        yield (
            f"total {row['total']} less credit {row['credit']} is not its amount due "
            f"{row['amount_due']}"
        )
    if row["status"] in ("paid", "void") and row["amount_open"]:
        yield f"it is {row['status']}, but {row['amount_open']} is open on it"
    if row["amount_open"] > row["amount_due"]:
        yield f"{row['amount_open']} is open on it, more than the {row['amount_due']} due"


def _equal(what: str, found: Money, field: str, row: Row) -> Iterator[str]:
    if found != row[field]:
        yield f"{what} come to {found}, and its {field} is {row[field]}"


def _payments(store: Store, program: Program) -> Iterator[str]:
    """Each payment is for an invoice or says what for; refunds stay within it."""
    given: dict[str, Money] = {}
    for row in store.select("Refund"):
        if row["status"] != "failed":
            held, part = given.get(row["payment"]), of_payment(row)
            given[row["payment"]] = part if held is None else held + part
    invoices: dict[str, Money] = {}
    disputed, kept = _disputed(store), _kept_as_credit(store)
    for row in store.select("Payment"):
        key, amount = row["id"], row["amount"]
        invoice = row["invoice"]
        if invoice is not None and store.get("Invoice", invoice) is None:
            yield f"payment {key} is for the invoice {invoice}, which is not there"
        zero = Money(0, amount.currency)
        back = given.pop(key, zero)
        gone = disputed.pop(key, Disputed(zero, zero, zero))
        if back + gone.held + gone.lost > amount:
            yield f"of payment {key} over {amount}, {back + gone.held + gone.lost} was given back"
        if (row["disputed"] or zero, row["charged_back"] or zero) != gone[:2]:
            yield (
                f"payment {key} says that {row['disputed'] or zero} is disputed and "
                f"{row['charged_back'] or zero} lost, its disputes say {gone.held} and {gone.lost}"
            )
        if row["refunded"] != back:
            yield f"payment {key} says that {row['refunded']} was refunded, its refunds say {back}"
        # What comes in beyond what is open is the customer's credit.
        if invoice is not None and row["status"] in ("succeeded", "refunded"):
            held = invoices.get(invoice)
            paid = amount - gone.lost - gone.credited - kept.get(key, zero)
            invoices[invoice] = paid if held is None else held + paid
    for key in sorted(disputed):
        yield f"there is a dispute of a payment {key}, which is not there"
    for key in sorted(given):
        yield f"there is a refund of a payment {key}, which is not there"
    for key, paid in sorted(invoices.items()):
        row_ = store.get("Invoice", key)
        if row_ is not None and paid > row_["amount_due"]:
            yield (
                f"invoice {row_['number'] or key} was paid {paid}, more than the "
                f"{row_['amount_due']} due"
            )


def _kept_as_credit(store: Store) -> dict[str, Money]:
    """What of each payment its invoice did not need: one that people send may be too much, and a
    charge that had failed may come in after the retry that followed it."""
    found: dict[str, Money] = {}
    for row in store.select("Ledger", {"account": ledger.CREDIT}):
        payment, _, what = row["entry"].rpartition("/")
        if what == "paid":
            found[payment] = -row["amount"]
    return found


class Disputed(NamedTuple):
    """What of a payment is in open disputes, was lost in others, and became account credit as it
    was won back when its invoice had been paid again."""

    held: Money
    lost: Money
    credited: Money


def _disputed(store: Store) -> dict[str, Disputed]:
    """What of each payment is disputed."""
    found: dict[str, Disputed] = {}
    for row in store.select("PaymentDispute"):
        part = row["booked"]["charge"]
        zero = part * 0
        held, lost, credited = found.get(row["payment"], (zero, zero, zero))
        match row["status"]:
            case "open":
                held = held + part
            case "lost":
                lost = lost + part
        credited = credited + row["booked"].get("credited", zero)
        found[row["payment"]] = Disputed(held, lost, credited)
    return found


# --- numbers, effects, references ----------------------------------------------------------------


def _numbers(store: Store, program: Program) -> Iterator[str]:
    """Every number of a series from 1 to its last is there, once."""
    for series in store.select("_number"):
        pattern = _series(series["id"])
        if pattern is None:
            continue
        taken: set[int] = set()
        for table in ("Invoice", "CreditNote"):
            for row in store.select(table):
                number = row["number"]
                if number is None or not (match := pattern.match(number)):
                    continue
                count = int(match[1])
                if count in taken:
                    yield f"the number {number} stands on two documents"
                taken.add(count)
        missing = sorted(set(range(1, series["last"] + 1)) - taken)
        if missing:
            some = ", ".join(str(n) for n in missing[:5])
            yield f"the series {series['id']} has gaps: {some} of {series['last']} are not there"
        if taken and max(taken) > series["last"]:
            yield f"the series {series['id']} counts to {series['last']}, but has {max(taken)}"


def _series(name: str) -> re.Pattern[str] | None:
    """What numbers of a series look like: `ACME-2026-{seq:05}` has one place for the count."""
    if len(_SEQ.findall(name)) != 1:
        return None
    before, after = _SEQ.split(name)
    return re.compile(f"{re.escape(before)}(\\d+){re.escape(after)}\\Z")


def _effects(store: Store, program: Program) -> Iterator[str]:
    """Every effect has a key and an order of its own, and each charge its payment."""
    orders: dict[int, str] = {}
    for row in store.select("_effect"):
        key, order = row["id"], row["order"]
        if order in orders:
            yield f"the effects {orders[order][:16]} and {key[:16]} have the same order {order}"
        orders[order] = key
        if row["status"] not in ("ready", "leased", "sent", "done", "failed", "unknown", "dead"):
            yield f"the effect {key[:16]} has a status that there is not: {row['status']}"
        if row["kind"] == "charge" and store.get("Payment", row["data"]["payment"]) is None:
            yield f"the charge {key[:16]} belongs to no payment"


def _references(store: Store, program: Program) -> Iterator[str]:
    """What billing refers to is there."""
    bills = program.bills
    for table in ("Invoice", "Payment", "Subscription"):
        for row in store.select(table):
            for field, target in (("customer", bills), ("subscription", "Subscription")):
                if field in row and target is not None and _lost(store, target, row[field]):
                    yield f"{table} {row['id']} belongs to the {target} {row[field]}, which is gone"


def _lost(store: Store, table: str, key: Any) -> bool:
    return key is not None and store.get(table, key) is None


CHECKS = (_store, _code, _ledger, _invoices, _numbers, _payments, _effects, _references)
