"""What a document is made from: plain rows, the same for every form that it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any, Literal, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from ..values import Money

Row = Mapping[str, Any]


class Bound(NamedTuple):
    """A bound of a select, as stores take it."""

    column: str
    op: str
    value: Any


class Rows(Protocol):
    """What documents read of a store."""

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        """The row with that key."""

    def select(
        self,
        table: str,
        equals: Mapping[str, Any] = {},
        ranges: Sequence[Any] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Rows that match."""

    def last_seq(self) -> int:
        """The number of the newest entry of the log: nothing changes without one."""


class Settled(NamedTuple):
    """What lowered what is open on an invoice, and by how much; a credit note has a number."""

    by: Literal["paid", "credit", "credit_note"]
    amount: Money
    number: str = ""


_TAX_IDS = ("tax_id", "vat_id", "vat_number", "tax_number")


@dataclass(frozen=True, slots=True)
class Document:
    """An invoice's row with its lines in order, who sends it and who gets it; `zone` is IANA.

    A credit note and a receipt are the same with their own sums: `kind` says which of them it is,
    `about` is the row of the note or payment, and `row` keeps what they have of the invoice.
    `business` has the texts of the business block (`title`, `address`, `email`, `website`,
    `tax_id`, `pay_url`, `bank`, `logo` as the text of an SVG); `customer` is its row, or empty.
    `settled` is what lowered the amount due to what is open, in its order; without it, that is a
    payment. `units` are those of meters that have one.
    """

    row: Row
    lines: tuple[Row, ...]
    business: Row
    customer: Row
    zone: str
    settled: tuple[Settled, ...] = ()
    units: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["invoice", "credit_note", "receipt"] = "invoice"
    about: Row = field(default_factory=dict)

    @staticmethod
    def of(
        row: Row, lines: Iterable[Row], business: Row, customer: Row | None, zone: str
    ) -> Document:
        """The document of rows as a store has them."""
        ordered = sorted(lines, key=lambda line: int(line["position"]))
        own = (customer or {}).get("timezone")
        known = own if isinstance(own, str) and _is_zone(own) else zone
        return Document(row, tuple(ordered), business, customer or {}, known)

    def noted(self, note: Row) -> Document:
        """The credit note of this invoice whose row that is."""
        zero = Money(0, self.row["currency"])
        lines = [
            {**self.lines[part["place"]], "quantity": 1, "unit_amount": None, "detail": None,
             "amount": part["amount"], "discount": zero, "tax": part["tax"]}
            for part in note["lines"] or ()
            if part["place"] < len(self.lines)
        ]  # fmt: skip
        sums = {"subtotal": note["amount"], "tax": note["tax"], "total": note["total"]}
        row = {
            **self.row, **sums, "discount": zero, "credit": zero, "amount_due": zero,
            "amount_open": zero, "issued_at": note["created_at"], "status": "final",
            "taxes": _shares(lines, self.row["taxes"] or (), note["tax"]), "discounts": None,
            "period_start": None, "period_end": None,
        }  # fmt: skip
        return replace(self, row=row, lines=tuple(lines), kind="credit_note", about=note)

    def received(self, payment: Row) -> Document:
        """The receipt of a payment of this invoice."""
        return replace(self, kind="receipt", about=payment)

    @property
    def number(self) -> str:
        """Its number, its id while it has none; a receipt has its invoice's."""
        row = self.about if self.kind == "credit_note" else self.row
        return str(row["number"] or row["id"])

    @property
    def name(self) -> str:
        """What it is, with its number, for a sentence."""
        return f"{self.kind.replace('_', ' ')} {self.number}"

    @property
    def tz(self) -> tzinfo:
        """The zone of the dates on the document."""
        return ZoneInfo(self.zone)

    @property
    def issued(self) -> datetime | None:
        """When it was issued: a receipt, when the payment was made."""
        row = self.row if self.kind == "invoice" else self.about
        found: datetime | None = row.get("issued_at") or row["created_at"]
        return found


def unbilled(payment: Row) -> tuple[Row, Row]:
    """The row and line of a receipt for a payment that no invoice asked for."""
    amount = payment["amount"]
    zero = Money(0, amount.currency)
    row = {
        "id": payment["id"], "number": None, "customer": payment["customer"],
        "currency": amount.currency, "status": "paid", "subtotal": amount, "discount": zero,
        "tax": zero, "total": amount, "credit": zero, "amount_due": amount, "amount_open": zero,
        "taxes": None, "period_start": None, "period_end": None, "issued_at": None, "due_at": None,
        "paid_at": payment["created_at"], "created_at": payment["created_at"],
    }  # fmt: skip
    line = {
        "id": payment["id"], "position": 1, "kind": "one_off", "meter": None, "detail": None,
        "description": payment["description"] or "Payment", "quantity": 1, "unit_amount": None,
        "amount": amount, "discount": zero, "tax": zero, "period_start": None, "period_end": None,
    }  # fmt: skip
    return row, line


def tax_of(line: Row, taxes: Iterable[Row]) -> Row | None:
    """The one tax of an invoice that a line bears, found from its amount, all that a line keeps.

    An included tax may be a minor unit beside its share of the net; of several the nearest holds.
    """
    net, due = line["amount"] - line["discount"], line["tax"]
    unit = Money.of_minor(1, due.currency) if due else due
    found: tuple[Money, Row] | None = None
    for tax in taxes:
        rate = Decimal(str(tax["rate"]).removesuffix("%")) / 100
        off = abs(Money(net.amount * rate, due.currency).rounded() - due)
        if rate and off <= unit and (found is None or off < found[0]):
            found = off, tax
    return found[1] if found is not None else None


def _shares(lines: Iterable[Row], taxes: Sequence[Row], tax: Money) -> list[Row] | None:
    """The taxes of a note by those of its invoice; none where they don't say all of it."""
    sums: dict[int, Money] = {}
    for line in lines:
        found = tax_of(line, taxes)
        place = taxes.index(found) if found is not None else -1
        sums[place] = sums.get(place, tax * 0) + line["tax"]
    if not sums or -1 in sums:
        return None
    return [{**taxes[place], "amount": sums[place]} for place in sorted(sums)]


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        return False
    return True


def details_at(store: Rows, customer: str, row: Row | None, at: datetime | None) -> Row | None:
    """A customer's row with the details as they were when an invoice was issued.

    A final invoice never changes (BILLING.md), so neither does whom it was made out to.
    """
    if at is None:
        return row
    changes = store.select("_billed_as", {"customer": customer}, [Bound("until", ">", at)])
    first = min(changes, key=lambda change: (change["until"], change["id"]), default=None)
    return row if first is None else {**(row or {}), **first["details"]}


@dataclass(frozen=True, slots=True)
class Party:
    """A name and address as far as a row says: `country` a code of ISO 3166, or nothing."""

    name: str
    lines: tuple[str, ...]
    street: str
    postcode: str
    city: str
    region: str
    country: str
    email: str
    tax_id: str


def customer_party(row: Row, key: str) -> Party:
    """Who the invoice is for: its `company` or `name`, else its email, else its key."""
    said = (_text(row.get(field)) for field in ("company", "name"))
    names = list(dict.fromkeys(name for name in said if name))
    email = _text(row.get("email"))
    held = row.get("billing_address") or row.get("address")
    address = {**row, **held} if isinstance(held, Mapping) else row
    free = _lines(held) if isinstance(held, str) else []
    place = {name: _first(address, fields) for name, fields in _PLACE.items()}
    if not free:
        free = _written(place, [_text(address.get(f)) for f in ("line2", "street2")])
    name = (names or [email or key])[0]
    tax_id = next((t for field in _TAX_IDS if (t := _text(row.get(field)))), "")
    return Party(name, (*names[1:], *free), **place, email=email, tax_id=tax_id)


def business_party(business: Row) -> Party:
    """Who the invoice is from; the last line of its address may be its country."""
    free = _lines(business.get("address"))
    place = dict.fromkeys(_PLACE, "")
    place["street"] = free[0] if free else ""
    place["country"] = _text(business.get("country"))
    return Party(
        _text(business.get("title")), tuple(free), **place,
        email=_text(business.get("email")), tax_id=_text(business.get("tax_id")),
    )  # fmt: skip


# Where letters are written on US Letter: CLDR's `paperSize` of a territory, and of those whose
# currency says where it is. The dollar is taken for that of the United States.
_LETTER = frozenset(
    ("BZ", "CA", "CL", "CO", "CR", "GT", "MX", "NI", "PA", "PH", "PR", "SV", "US", "VE")
)
_LETTER_CURRENCIES = frozenset(
    ("BZD", "CAD", "CLP", "COP", "CRC", "GTQ", "MXN", "NIO", "PAB", "PHP", "USD", "VES")
)


def paper_size(business: Row) -> str:
    """The paper of all that a business prints, by typst's name (`a4`, `us-letter`): that of its
    `country`, or of its `currency` where it says no country."""
    country = _text(business.get("country"))
    letter = country in _LETTER if country else business.get("currency") in _LETTER_CURRENCIES
    return "us-letter" if letter else "a4"


# The VAT area of the European Union (Directive 2006/112/EC).
_UNION = frozenset(
    ("AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU",
     "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK")
)  # fmt: skip


def is_reverse_charge(seller: Party, buyer: Party) -> bool:
    """Whether the buyer owes the VAT (Directive 2006/112/EC, articles 44 and 196): a business with
    a tax id in another country of the Union."""
    abroad = seller.country.upper() != buyer.country.upper()
    both = in_union(seller) and in_union(buyer)
    return abroad and both and bool(seller.tax_id and buyer.tax_id)


def in_union(party: Party) -> bool:
    """Whether somebody is in the VAT area of the European Union."""
    return party.country.upper() in _UNION


_PLACE = {
    "street": ("street", "line1", "address_line1"),
    "postcode": ("postcode", "postal_code", "zip", "zip_code"),
    "city": ("city", "town"),
    "region": ("region", "state", "province"),
    "country": ("country", "country_code"),
}


# The fields of a customer that stand on a document, or decide how it is written.
PRINTED = frozenset(
    ("company", "name", "email", "billing_address", "address", "line2", "street2", "locale",
     "language", "timezone", *_TAX_IDS, *(field for fields in _PLACE.values() for field in fields))
)  # fmt: skip


def _written(place: Mapping[str, str], more: list[str]) -> list[str]:
    """An address by the lines, as the post of its country wants it."""
    if place["country"] in ("US", "CA", "AU", "USA") or place["region"]:
        town = " ".join(filter(None, (place["region"], place["postcode"])))
        town = ", ".join(filter(None, (place["city"], town)))
    else:
        town = " ".join(filter(None, (place["postcode"], place["city"])))
    return [line for line in (place["street"], *more, town, place["country"]) if line]


def _first(row: Row, fields: tuple[str, ...]) -> str:
    return next((text for field in fields if (text := _text(row.get(field)))), "")


def _text(value: Any) -> str:
    return " ".join(value.split()) if isinstance(value, str) else ""


def _lines(value: Any) -> list[str]:
    if not isinstance(value, str):
        return []
    return [line for part in value.splitlines() if (line := " ".join(part.split()))]
