"""An invoice as a page: for a browser, for print, and to attach to an email."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from typing import Any

from ..values import Money, number_text

_STATUS = {
    "draft": "Draft", "final": "Due", "sent": "Due", "paid": "Paid", "void": "Void",
    "uncollectible": "Uncollectible",
}  # fmt: skip
_ADDRESS = ("company", "name", "address", "street", "postcode", "zip", "city", "state", "country")


def invoice_html(
    row: Mapping[str, Any],
    lines: Sequence[Mapping[str, Any]],
    business: Mapping[str, Any],
    customer: Mapping[str, Any] | None,
    zone: tzinfo = UTC,
) -> str:
    """The page of an invoice's row with its lines' rows; the same rows make the same page.

    `business` has title, address, email, website, tax_id as far as they are known; dates are
    those of `zone`.
    """
    ordered = sorted(lines, key=lambda line: int(line["position"]))
    return str(
        _template().render(
            title="Invoice",
            number=row["number"] or row["id"],
            status=row["status"],
            status_text=_STATUS.get(row["status"], row["status"]),
            business=business,
            from_lines=_from_lines(business),
            facts=_facts(row, customer or {}, zone),
            lines=[_line(line, zone) for line in ordered],
            sums=_sums(row),
            note=_note(row, business, zone),
        )
    )


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    env = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    source = Path(__file__).with_name("invoice.html.jinja").read_text(encoding="utf-8")
    return env.from_string(source)


def grouped(amount: Money) -> str:
    """Money with its thousands apart: `1,234.50 USD`, `-5.00 USD`."""
    number, currency = str(amount).split(" ")
    whole, point, fraction = number.partition(".")
    sign = "-" if whole.startswith("-") else ""
    return f"{sign}{int(whole.lstrip('-')):,}{point}{fraction} {currency}"


def _count(value: Any) -> str:
    text = number_text(value)
    whole, point, fraction = text.partition(".")
    return f"{int(whole):,}{point}{fraction}" if whole.lstrip("-").isdigit() else text


def _day(instant: datetime | None, zone: tzinfo) -> str:
    if instant is None:
        return ""
    local = instant.astimezone(zone)
    return f"{local.day} {local:%B %Y}"


def _period(row: Mapping[str, Any], zone: tzinfo) -> str:
    """The first and the last day of a half-open period."""
    start, end = row["period_start"], row["period_end"]
    if start is None or end is None:
        return ""
    last = max(start, end - timedelta(microseconds=1))
    first, final = _day(start, zone), _day(last, zone)
    return first if first == final else f"{first} to {final}"


def _from_lines(business: Mapping[str, Any]) -> list[str]:
    found = str(business.get("address") or "").splitlines()
    found += [str(business[name]) for name in ("email", "website") if business.get(name)]
    if business.get("tax_id"):
        found.append(f"Tax ID {business['tax_id']}")
    return found


def _facts(
    row: Mapping[str, Any], customer: Mapping[str, Any], zone: tzinfo
) -> list[tuple[str, str]]:
    found = [("Bill to", "\n".join(_bill_to(row, customer)))]
    found.append(("Number", str(row["number"] or "draft")))
    for name, field in (("Date", "issued_at"), ("Due", "due_at"), ("Paid", "paid_at")):
        if row[field] is not None and not (field == "due_at" and row["paid_at"] is not None):
            found.append((name, _day(row[field], zone)))
    if period := _period(row, zone):
        found.append(("Period", period))
    return found


def _bill_to(row: Mapping[str, Any], customer: Mapping[str, Any]) -> list[str]:
    found: list[str] = []
    for name in _ADDRESS:
        value = customer.get(name)
        if isinstance(value, str):
            found += value.splitlines()
        elif isinstance(value, dict):
            found += [v for v in value.values() if isinstance(v, str)]
    if not found:
        found.append(str(row["customer"]))
    if isinstance(customer.get("email"), str):
        found.append(customer["email"])
    if isinstance(customer.get("tax_id"), str):
        found.append(f"Tax ID {customer['tax_id']}")
    return list(dict.fromkeys(found))


def _line(line: Mapping[str, Any], zone: tzinfo) -> dict[str, Any]:
    unit = line["unit_amount"]
    return {
        "description": line["description"],
        "period": _period(line, zone),
        "steps": [_step(step) for step in line["detail"] or ()],
        "quantity": _count(line["quantity"]),
        "unit": grouped(unit) if unit is not None else "",
        "amount": grouped(line["amount"]),
    }


def _step(step: Mapping[str, Any]) -> str:
    """A tier of a line: `10,000 × 0.00 USD = 0.00 USD`."""
    rate = step.get("unit_amount") or step.get("percent")
    text = _count(step["quantity"]) if _is_number(step.get("quantity")) else ""
    if rate is not None:
        text += f" × {rate}"
    flat = step.get("flat")
    if flat is not None and not str(flat).startswith(("0 ", "0.0 ", "0.00 ", "0.000 ")):
        text += f" + {flat}"
    return f"{text} = {step.get('amount', '')}".strip()


def _is_number(value: Any) -> bool:
    return hasattr(value, "as_tuple") or (isinstance(value, int) and not isinstance(value, bool))


def _sums(row: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Subtotal to what is due; lines that are nothing are left out."""
    found: list[tuple[str, Money, str]] = []
    if row["subtotal"] != row["total"]:
        found.append(("Subtotal", row["subtotal"], ""))
    if row["discount"]:
        found.append(("Discount", -row["discount"], ""))
    for tax in _taxes(row):
        found.append(tax)
    found.append(("Total", row["total"], "total"))
    if row["credit"]:
        found.append(("Account credit", -row["credit"], ""))
    paid = row["amount_due"] - row["amount_open"]
    if paid and row["status"] != "void":
        found.append(("Paid", -paid, ""))
    due = row["amount_open"]
    found.append(("Amount due", due, "strong"))
    return [(name, grouped(amount), kind) for name, amount, kind in found]


def _taxes(row: Mapping[str, Any]) -> list[tuple[str, Money, str]]:
    if not row["tax"]:
        return []
    named = [
        (f"{tax['name'].replace('_', ' ')} {tax['rate']}", tax["amount"], "")
        for tax in row["taxes"] or ()
        if isinstance(tax.get("amount"), Money)
    ]
    total = sum((amount for _, amount, _ in named), Money(0, row["currency"]))
    return named if named and total == row["tax"] else [("Tax", row["tax"], "")]


def _note(row: Mapping[str, Any], business: Mapping[str, Any], zone: tzinfo) -> str:
    title = business.get("title") or ""
    match row["status"]:
        case "paid":
            return f"Paid on {_day(row['paid_at'], zone)}. Thank you for your business. {title}"
        case "void":
            return f"This invoice was voided; nothing is due. {title}"
        case "draft":
            return f"This is a draft. {title}"
    return f"Due on {_day(row['due_at'] or row['issued_at'], zone)}. {title}"
