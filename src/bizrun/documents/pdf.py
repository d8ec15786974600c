"""Invoices as PDF: archivable (PDF/A-3b), and byte-identical for the same invoice.

The page is `invoice.typ`, set by typst with the fonts it brings along. Data reaches it as JSON
and is never read as source.
"""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any
from urllib.parse import quote

from ..errors import BizError
from ..values import Money, number
from . import einvoice
from .document import InvoiceDocument, Party, business_party, customer_party
from .labels import Labels, labels

MISSING = "Invoices are HTML pages; for PDF: pip install 'bizrun[pdf]'"
ARCHIVE = "a-3b"
MAX_TEXT = 4_000
MAX_LOGO = 500_000
_DIGIT = 185  # hundredths of a mm, at 10 pt
_SMALL_DIGIT = 157
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufdd0-\ufdef\ufffe\uffff]|[\ud800-\udfff]"
)
_LONG = re.compile(r"\S{30,}")
_UNIT = re.compile(r"(.+) per ([\w-]+)\Z")
# The paper that an invoice will be printed on goes with where the business is.
_LETTER = ("USD", "CAD", "MXN")


class CannotSet(BizError):
    """An invoice can't be set as a page."""


def available() -> bool:
    """Whether the `pdf` extra is installed."""
    return find_spec("typst") is not None


def invoice_pdf(document: InvoiceDocument, problems: list[str] | None = None) -> bytes:
    """The pages of an invoice; CannotSet where typst can't set them.

    Text that no embedded font has is set in one of the system's. With `einvoice` in the business
    the file is a Factur-X; where it can't be, it is a plain PDF and `problems` says why.
    """
    said = page(document)
    issued = document.row["issued_at"] or document.row["created_at"]
    timestamp = int(issued.timestamp()) if isinstance(issued, datetime) else 0
    if document.business.get("einvoice") and document.row["status"] != "draft":
        try:
            said["xml"] = einvoice.invoice_xml(document).decode()
        except einvoice.NotConforming as error:
            if problems is not None:
                problems.append(f"the invoice {document.number} is no e-invoice: {error}")
    data = _set(said, timestamp)
    return einvoice.declare(data) if said["xml"] else data


def _set(said: Mapping[str, Any], timestamp: int) -> bytes:
    """The PDF of what is said. An archive wants the shape of each character: where no font has
    one, its text is still in the file, which is none for an archive then."""
    failed = ""
    for system_fonts, standards in ((False, [ARCHIVE]), (True, [ARCHIVE]), (True, [])):
        setter = _setter("invoice.typ", system_fonts)
        try:
            return setter.set(said, timestamp, standards)
        except setter.error as error:
            failed = str(error)
    raise CannotSet(failed)


class _Setter:
    """A compiler that keeps fonts and a page between invoices.

    Data lies in a file beside the page: as an input of the compiler it would have all of it done
    anew each time, which takes half as long again.
    """

    def __init__(self, page: str, system_fonts: bool) -> None:
        import typst

        self.error: type[Exception] = typst.TypstError
        self._lock = Lock()
        self._folder = TemporaryDirectory(prefix="bizrun-")
        folder = Path(self._folder.name)
        self._data = (folder / "data.json").open("w+b", buffering=0)
        self._size = 0
        (folder / page).write_bytes(Path(__file__).with_name(page).read_bytes())
        self._compiler = typst.Compiler(
            folder / page,
            root=folder,
            font_paths=typst.Fonts(include_system_fonts=system_fonts),
            ignore_system_fonts=not system_fonts,
        )

    def set(self, data: Mapping[str, Any], timestamp: int, standards: list[Any]) -> bytes:
        """The page with that data."""
        text = json.dumps(data, ensure_ascii=False).encode("utf-8", "replace")
        with self._lock:
            # Blanks instead of a shorter file: file systems write a truncated file out at once.
            text = text.ljust(self._size)
            self._size = len(text)
            self._data.seek(0)
            self._data.write(text)
            found = self._compiler.compile(
                format="pdf", timestamp=timestamp, pdf_standards=standards
            )
        assert isinstance(found, bytes)
        return found


@cache
def _setter(page: str, system_fonts: bool) -> _Setter:
    return _Setter(page, system_fonts)


# --- the logo ----------------------------------------------------------------------------------


def logo(spec: str | Path, name: str) -> str:
    """A logo as the text of an SVG, from a file in the spec's folder; CannotSet where it is none.

    A PNG or JPEG is put into an SVG of its size, for data reaches the page as text.
    """
    folder = Path(spec).resolve().parent
    path = (folder / name).resolve()
    if not path.is_relative_to(folder):
        raise CannotSet(f"the logo {name} is not in the folder of the spec")
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_LOGO else b""
    except OSError as error:
        raise CannotSet(f"the logo {name} can't be read: {error.strerror}") from None
    if not data:
        raise CannotSet(f"the logo {name} is empty, or has more than {MAX_LOGO:,} bytes")
    text = _svg(data)
    setter = _setter("logo.typ", False)
    try:
        setter.set({"logo": text}, 0, [])
    except setter.error as error:
        raise CannotSet(f"the logo {name} can't be set: {error}") from None
    return text


def _svg(data: bytes) -> str:
    if data.startswith(b"\x89PNG") and len(data) > 24:
        width, height = struct.unpack(">II", data[16:24])
        return _framed("png", width, height, data)
    if data.startswith(b"\xff\xd8"):
        width, height = _jpeg_size(data)
        return _framed("jpeg", width, height, data)
    return data.decode("utf-8", "replace")


def _framed(kind: str, width: int, height: int, data: bytes) -> str:
    coded = base64.b64encode(data).decode("ascii")
    size = f'width="{width}" height="{height}"'
    image = f'<image {size} href="data:image/{kind};base64,{coded}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{image}</svg>'


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Width and height from the frame header; square where there is none."""
    at = 2
    while at + 9 < len(data) and data[at] == 0xFF:
        if 0xC0 <= data[at + 1] <= 0xCF and data[at + 1] not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return width, height
        at += 2 + int(struct.unpack(">H", data[at + 2 : at + 4])[0])
    return 100, 100


# --- what stands on the page -------------------------------------------------------------------


def page(document: InvoiceDocument) -> dict[str, Any]:
    """All that stands on the pages of an invoice, as texts in the customer's language."""
    row, business = document.row, document.business
    own = document.customer.get("locale") or document.customer.get("language")
    said = labels(own or business.get("locale"))
    seller = business_party(business)
    buyer = customer_party(document.customer, str(row["customer"]))
    due = _open(row)
    bank = str(business.get("bank") or "").splitlines() if due else []
    lines = [_line(line, document, said) for line in document.lines]
    found = {
        "language": said.language,
        "paper": _paper(document),
        "title": said["invoice"],
        "number": clean(document.number),
        "xml": "",
        "logo": business.get("logo") or "",
        "seller": {"name": clean(seller.name), "lines": _seller(seller, business, said)},
        "buyer": {"name": clean(buyer.name), "lines": _buyer(buyer, said)},
        "facts": _facts(document, said),
        "status": row["status"],
        "stamp": _stamp(row, said),
        "headline": clean(_headline(document, said)),
        "words": {
            word: said[word]
            for word in (
                "from",
                "bill_to",
                "description",
                "quantity",
                "price",
                "amount",
                "pay",
                "page",
            )
        },
        "widths": _widths(lines, said),
        "lines": lines,
        "sums": _sums(document, said),
        "notes": [clean(note) for note in _notes(document, said)],
        "bank": [clean(text) for text in bank],
        "pay_url": _pay_url(document) if due else "",
        "footer": clean(str(business.get("footer") or f"{seller.name} · {document.number}")),
    }
    return {**found, "short": _short(found)}


def _short(found: Mapping[str, Any]) -> bool:
    """Whether all surely stands on one page, and each row in one line: estimated with room."""
    lines = found["lines"]
    rows = [line["description"] for line in lines if line["period"]]
    rows += [text for line in lines for text in (line["description"], *_bounds(line))]
    parties = [found["seller"], found["buyer"]]
    beside = 3 + max(sum(1 + len(text) // 28 for text in x["lines"]) for x in parties)
    below = len(found["bank"]) + len(found["notes"]) + (5 if found["pay_url"] else 0)
    sums = sum(len(group) + 1 for _, group in found["sums"])
    height = 60 + 5 * (beside + len(rows) + len(lines) + sums + below)
    flat = all(len(text) <= 50 and "\n" not in text for text in rows)
    return flat and height <= 215 and sum(found["widths"]) <= 10_000


def _bounds(line: Mapping[str, Any]) -> list[str]:
    return [step["bounds"] for step in line["steps"]]


def clean(text: str) -> str:
    """A text that can be set: no control characters, a bounded length, words that may break."""
    text = _CONTROL.sub("", text)[:MAX_TEXT]
    return _LONG.sub(_breakable, text)


def _breakable(found: re.Match[str]) -> str:
    word = found[0]
    return "\u200b".join(word[at : at + 10] for at in range(0, len(word), 10))


def _paper(document: InvoiceDocument) -> str:
    american = document.zone.startswith("America/") and document.row["currency"] in _LETTER
    return "us-letter" if american else "a4"


def _open(row: Mapping[str, Any]) -> bool:
    return row["status"] in ("final", "sent", "uncollectible") and bool(row["amount_open"])


def _seller(seller: Party, business: Mapping[str, Any], said: Labels) -> list[str]:
    found = [*seller.lines, seller.email, str(business.get("website") or "")]
    if seller.tax_id:
        found.append(f"{said['tax_id']} {seller.tax_id}")
    return [clean(line) for line in found if line]


def _buyer(buyer: Party, said: Labels) -> list[str]:
    lines = [*buyer.lines]
    if lines and lines[-1] == buyer.country and len(buyer.country) == 2:
        lines[-1] = said.locale.territories.get(buyer.country.upper(), buyer.country)
    if buyer.email != buyer.name:
        lines.append(buyer.email)
    if buyer.tax_id:
        lines.append(f"{said['tax_id']} {buyer.tax_id}")
    return [clean(line) for line in lines if line]


def _facts(document: InvoiceDocument, said: Labels) -> list[list[str]]:
    row, tz = document.row, document.tz
    found = [[said["number"], clean(document.number)]]
    found.append([said["date"], said.day(row["issued_at"], tz)])
    if row["status"] == "paid":
        found.append([said["paid_date"], said.day(row["paid_at"], tz)])
    elif row["status"] != "void":
        found.append([said["due"], said.day(row["due_at"], tz)])
    found.append([said["period"], _period(row, document, said)])
    return [fact for fact in found if fact[1]]


def _period(row: Mapping[str, Any], document: InvoiceDocument, said: Labels) -> str:
    """The first and the last day of a half-open period."""
    start, end = row["period_start"], row["period_end"]
    if start is None or end is None:
        return ""
    return said.days(start, max(start, end - timedelta(microseconds=1)), document.tz)


def _stamp(row: Mapping[str, Any], said: Labels) -> str:
    word = {"paid": "stamp_paid", "void": "stamp_void", "draft": "stamp_draft"}.get(row["status"])
    return said[word].upper() if word else ""


def _headline(document: InvoiceDocument, said: Labels) -> str:
    """What the customer wants to know first: how much, and by when."""
    row, tz = document.row, document.tz
    match row["status"]:
        case "void":
            return said["voided"]
        case "draft":
            return said["draft"]
        case "paid" if row["amount_due"]:
            amount = said.money(row["amount_due"])
            return said["paid_on"].format(amount=amount, day=said.day(row["paid_at"], tz))
    if not row["amount_open"]:
        return said["by_credit" if row["credit"].amount > 0 else "nothing_due"]
    day = said.day(row["due_at"] or row["issued_at"], tz)
    return said["due_on"].format(amount=said.money(row["amount_open"]), day=day)


def _notes(document: InvoiceDocument, said: Labels) -> list[str]:
    row = document.row
    found = []
    if row["total"].amount < 0 and row["credit"].amount < 0:
        found.append(said["credited"].format(amount=said.money(-row["credit"])))
    if row["status"] == "uncollectible":
        found.append(said["uncollectible"])
    elif _open(row) and document.business.get("bank"):
        found.append(f"{said['reference'].format(number=document.number)}.")
    elif row["status"] not in ("void", "draft"):
        found.append(said["thanks"])
    return found


def _pay_url(document: InvoiceDocument) -> str:
    """Where an invoice is paid: `{number}`, `{id}`, `{amount}`, `{currency}` filled in."""
    url = str(document.business.get("pay_url") or "")
    if not url.startswith(("https://", "http://")):
        return ""
    row = document.row
    amount = str(row["amount_open"]).split(" ")[0]
    known = {
        "number": document.number, "id": str(row["id"]), "amount": amount,
        "currency": row["currency"],
    }  # fmt: skip
    return re.sub(r"\{(\w+)\}", lambda m: quote(known.get(m[1], ""), safe=""), url)


# --- lines and sums ----------------------------------------------------------------------------


def _line(line: Mapping[str, Any], document: InvoiceDocument, said: Labels) -> dict[str, Any]:
    unit = line["unit_amount"]
    period = _period(line, document, said)
    return {
        "description": clean(_description(line, said)),
        # Where all lines are about the invoice's own period it is not said again on each.
        "period": "" if period == _period(document.row, document, said) else period,
        "quantity": said.number(line["quantity"]),
        "price": said.money(unit) if unit is not None else "",
        "amount": said.money(line["amount"]),
        "steps": [_step(step, said) for step in line["detail"] or ()],
    }


def _widths(lines: list[dict[str, Any]], said: Labels) -> list[int]:
    """The widths, in hundredths of a mm, of the columns of figures: enough for the longest."""
    found = []
    for name in ("quantity", "price", "amount"):
        plain = max((len(line[name]) for line in lines), default=0)
        small = max((len(step[name]) for line in lines for step in line["steps"]), default=0)
        widest = max(plain * _DIGIT, max(small, len(said[name])) * _SMALL_DIGIT)
        found.append(min(widest, 6_000) + 600)
    return found


def _description(line: Mapping[str, Any], said: Labels) -> str:
    """A line's own text; what billing itself says is said in the customer's language."""
    text, kind, meter = str(line["description"]), line["kind"], line["meter"]
    if meter and text.startswith(meter):
        name = said.title(meter, text)
        return said["correction"].format(name=name) if kind == "correction" else name
    if kind in ("minimum", "maximum"):
        return said[kind]
    for word, start in (("unused", "Unused time on "), ("remaining", "Remaining time on ")):
        if kind == "proration" and text.startswith(start):
            return said[word].format(name=text.removeprefix(start))
    found = _UNIT.match(text) if kind == "base" else None
    return said["per"].format(name=found[1], unit=found[2]) if found else text


def _step(step: Mapping[str, Any], said: Labels) -> dict[str, str]:
    """A tier: its bounds, how much of the quantity fell into it, at which rate."""
    above, up_to = number(str(step.get("above", 0))), step.get("up_to")
    bound = (
        said["above"].format(bound=said.number(above))
        if up_to is None or str(up_to) == "unlimited"
        else said["to"].format(start=said.number(above + 1), end=said.number(number(str(up_to))))
    )
    return {
        "bounds": bound,
        "quantity": said.number(number(str(step.get("quantity", 0)))),
        "price": _rate(step, said),
        "amount": said.money(_money(step["amount"])),
    }


def _rate(step: Mapping[str, Any], said: Labels) -> str:
    parts = []
    if step.get("percent") is not None:
        parts.append(said.percent(str(step["percent"])))
    if step.get("unit_amount") is not None:
        unit = _money(step["unit_amount"])
        if unit or not step.get("flat"):
            parts.append(said.money(unit) if unit else said["free"])
    if step.get("packages") is not None and parts:
        parts[-1] = f"{said.number(int(step['packages']))} × {parts[-1]}"
    if step.get("flat") is not None:
        parts.append(said.money(_money(step["flat"])))
    return " + ".join(parts) if parts else said["free"]


def _money(value: Any) -> Money:
    if isinstance(value, Money):
        return value
    amount, currency = str(value).split(" ")
    return Money(amount, currency)


def _sums(document: InvoiceDocument, said: Labels) -> list[list[Any]]:
    """From the subtotal to what is due: groups of label and amount, a line above each but ''."""
    row = document.row
    found: list[tuple[str, Money, str]] = []
    if row["subtotal"] != row["total"]:
        found.append((said["subtotal"], row["subtotal"], ""))
    if row["discount"]:
        found.append((said["discount"], -row["discount"], ""))
    found += _taxes(row, said)
    found.append((said["total"], row["total"], "total"))
    if row["credit"]:
        found.append((said["credit"], -row["credit"], ""))
    if document.paid and row["status"] != "void":
        found.append((said["paid"], -document.paid, ""))
    if len(found) > 1 or row["amount_open"] != row["total"]:
        found.append((said["amount_due"], row["amount_open"], "due"))
    else:
        found[-1] = (said["amount_due"], row["amount_open"], "due")
    return [
        [kind, [[clean(label), said.money(amount)] for label, amount, _ in group]]
        for kind, group in groupby(found, key=lambda sum_: sum_[2])
    ]


def _taxes(row: Mapping[str, Any], said: Labels) -> list[tuple[str, Money, str]]:
    """Each tax with its rate; one line where the taxes don't say all of what is due."""
    if not row["tax"] and not row["taxes"]:
        return []
    shares = [(tax, _money(tax["amount"])) for tax in row["taxes"] or ()]
    total = sum((amount for _, amount in shares), Money(0, row["currency"]))
    if not shares or total != row["tax"]:
        return [(said["tax"], row["tax"], "")]
    return [
        (f"{_tax_name(str(tax['name']), said)} {said.percent(str(tax['rate']))}", amount, "")
        for tax, amount in shares
    ]


def _tax_name(name: str, said: Labels) -> str:
    words = name.replace("_", " ").split()
    shown = [word.upper() if len(word) == 2 or word in _TAXES else word for word in words]
    text = " ".join(said["vat"] if word == "VAT" else word for word in shown)
    return text[:1].upper() + text[1:]


_TAXES = ("vat", "gst", "hst", "pst", "qst", "iva", "tva", "mwst", "ust", "btw")
