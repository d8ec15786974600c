"""Invoices as PDF: what stands on a page, the same each time, and none is left out."""

from __future__ import annotations

import json
import os
import re
import signal
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pypdf
import pytest

from bizrun.documents import pdf, press
from bizrun.documents.document import Document, Settled
from bizrun.documents.labels import WORDS, labels
from bizrun.documents.pages import page
from bizrun.documents.pdf import CannotSet, document_pdf, logo
from bizrun.documents.sink import FEW, Sink
from bizrun.values import Money

JANUARY = datetime(2026, 1, 1, 8, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, 8, tzinfo=UTC)
BUSINESS = {
    "title": "Acme Analytics", "address": "548 Market Street\nSan Francisco, CA 94104",
    "email": "billing@acme.example", "tax_id": "US 98-7654321",
}  # fmt: skip
CUSTOMER = {"id": "a1", "email": "ada@example.com", "company": "Analytical Engines Ltd."}
SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><circle r="4"/></svg>'


def png() -> bytes:
    parts = [(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0)),
             (b"IDAT", zlib.compress(b"\0" + b"\x1a\x56\xc4" * 2)), (b"IEND", b"")]  # fmt: skip
    chunks = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def line(position: int, description: str, amount: str, **more: Any) -> dict[str, Any]:
    currency = more.pop("currency", "USD")
    return {
        "id": f"l{position}", "invoice": "i1", "subscription": "s1", "position": position,
        "kind": "base", "description": description, "quantity": 1, "unit_amount": None,
        "amount": Money(amount, currency), "discount": Money(0, currency),
        "tax": Money(0, currency), "meter": None, "period_start": JANUARY,
        "period_end": FEBRUARY, "detail": None, **more,
    }  # fmt: skip


def document(*lines: dict[str, Any], **more: Any) -> Document:
    currency = more.get("currency", "USD")
    business = {**BUSINESS, **more.pop("business", {})}
    customer = {**CUSTOMER, **more.pop("customer", {})}
    zone = more.pop("zone", "America/Los_Angeles")
    lines = lines or (line(1, "Professional", "99"),)
    total = sum((x["amount"] for x in lines), Money(0, currency))
    row = {
        "id": "i1", "number": "ACME-2026-00042", "customer": "a1", "currency": currency,
        "status": "final", "subtotal": total, "discount": Money(0, currency),
        "tax": Money(0, currency), "total": total, "credit": Money(0, currency),
        "amount_due": total, "amount_open": total, "period_start": JANUARY,
        "period_end": FEBRUARY, "issued_at": JANUARY, "due_at": FEBRUARY, "paid_at": None,
        "taxes": [], "created_at": JANUARY, "updated_at": JANUARY,
        **{k: Money(v, currency) if k in MONEY else v for k, v in more.items()},
    }  # fmt: skip
    return Document.of(row, lines, business, customer, zone)


MONEY = ("subtotal", "discount", "tax", "total", "credit", "amount_due", "amount_open")
TIERS = [
    {"above": 0, "up_to": 10000, "quantity": 10000, "unit_amount": "0.00 USD", "amount": "0 USD"},
    {"above": 10000, "quantity": 2501, "unit_amount": "0.01 USD", "amount": "25.01 USD"},
]


def test_the_same_invoice_is_the_same_file_and_an_archivable_one() -> None:
    one = document(business={"logo": SVG})
    first = document_pdf(one)
    document_pdf(document(number="ACME-2026-00043"))
    assert document_pdf(one) == first
    assert first.startswith(b"%PDF-1.7")
    metadata = re.search(rb"<pdfaid:part>(\d)</pdfaid:part>", first)
    assert metadata is not None
    assert metadata[1] == b"3"
    assert b"D:20260101080000" in first


def _fonts(data: bytes) -> list[bytes]:
    """The fonts of a file, as they are in it."""
    reader = pypdf.PdfReader(BytesIO(data))
    objects = (reader.get_object(number) for number in range(1, len(reader.xref[0]) + 1))
    return [o.get_data() for o in objects if isinstance(o, pypdf.generic.StreamObject)
            and o.get("/Subtype") == "/CIDFontType0C"]  # fmt: skip


def test_invoices_carry_one_font_and_none_of_the_letters_that_make_it_one() -> None:
    first = document_pdf(document(line(0, "Zebra crossing", "30"), number="A-17"))
    second = document_pdf(document(line(0, "quick brown fox", "4"), number="B-3"))
    assert _fonts(first) and _fonts(first) == _fonts(second)
    text = pypdf.PdfReader(BytesIO(first)).pages[0].extract_text()
    assert "ABC" not in text and "xyz" not in text


def test_a_page_says_who_what_and_how_much() -> None:
    said = page(document(line(1, "api_calls", "25.01", kind="usage", meter="api_calls",
                              quantity=12501, detail=TIERS)))  # fmt: skip
    assert said["headline"] == "$25.01 due February 1, 2026"
    assert said["buyer"] == {"name": "Analytical Engines Ltd.", "lines": ["ada@example.com"]}
    assert said["seller"]["lines"][-1] == "Tax ID US 98-7654321"
    assert ["Period", "Jan 1\u2009–\u200931, 2026"] in said["facts"]
    (found,) = said["lines"]
    assert found["description"] == "API calls"
    assert found["quantity"] == "12,501"
    assert [list(step.values()) for step in found["steps"]] == [
        ["1 – 10,000", "10,000", "free", "$0.00"],
        ["over 10,000", "2,501", "$0.01", "$25.01"],
    ]
    assert said["sums"] == [["due", [["Amount due", "$25.01"]]]]


def test_sums_add_up_on_the_page() -> None:
    said = page(
        document(
            line(1, "Team per seat", "100"), discount="10", tax="17.10", total="107.10",
            credit="7.10", amount_due="100", amount_open="0", status="paid", paid_at=JANUARY,
            taxes=[{"name": "vat_de", "rate": "19%", "amount": Money("17.10", "USD")}],
            business={"pay_url": "https://x.example/{number}"},
        )
    )  # fmt: skip
    assert said["sums"] == [
        ["", [["Subtotal", "$100.00"], ["Discount", "−$10.00"], ["VAT DE 19%", "$17.10"]]],
        ["total", [["Total", "$107.10"]]],
        ["", [["Account credit", "−$7.10"], ["Paid", "−$100.00"]]],
        ["due", [["Amount due", "$0.00"]]],
    ]
    assert said["stamp"] == "PAID"
    assert said["headline"] == "$100.00 paid on January 1, 2026"
    assert said["pay_url"] == ""


def test_what_credit_notes_have_settled_is_not_said_to_be_paid() -> None:
    row = {"amount_due": "100", "amount_open": "0", "status": "paid", "paid_at": JANUARY}
    one = document(line(1, "Team", "100"), **row)
    noted = replace(one, settled=(Settled("credit_note", Money(100, "USD"), "CN-1"),))
    said = page(noted)
    assert (said["stamp"], said["status"]) == ("", "credited")
    assert said["headline"] == "$100.00 credited"
    assert "Date paid" not in dict(said["facts"])
    both = (Settled("paid", Money(70, "USD")), Settled("credit_note", Money(30, "USD"), "CN-1"))
    said = page(replace(one, settled=both))
    assert said["stamp"] == "PAID"
    assert said["headline"] == "$70.00 paid on January 1, 2026"


def test_credit_larger_than_the_total() -> None:
    unused = line(1, "Unused time on Pro", "-30", kind="proration")
    nothing = {"amount_due": "0", "amount_open": "0", "status": "paid", "paid_at": JANUARY}
    said = page(document(unused, credit="-30", **nothing))
    assert said["headline"] == "Nothing is due"
    assert said["notes"][0] == "$30.00 was added to your account credit."
    full = page(document(credit="99", amount_due="0", amount_open="0", status="paid"))
    assert full["headline"] == "Settled by account credit"


def test_a_quantity_is_one_that_a_reader_can_read() -> None:
    said = page(
        document(
            line(1, "Storage", "6.02", quantity=Decimal("261.61021505376344086")),
            line(2, "Dust", "0.01", quantity=Decimal("0.000000004")),
            line(3, "Unused time on Pro", "-30", kind="proration"),
            line(4, "Remaining time on Pro", "70", kind="proration", quantity=7),
        )
    )
    assert [found["quantity"] for found in said["lines"]] == ["261.610215", "0.000000004", "", "7"]


def test_prices_with_their_tax_in_them_are_said_to_be() -> None:
    vat = [{"name": "vat", "rate": "19%", "amount": Money("19", "EUR"), "inclusive": True}]
    inclusive = line(1, "Pro", "100", unit_amount=Money(119, "EUR"), currency="EUR")
    more: dict[str, Any] = {"currency": "EUR", "tax": "19", "total": "119", "taxes": vat}
    assert "Unit prices include tax." in page(document(inclusive, **more))["notes"]
    outside = [{**vat[0], "inclusive": False}]
    exclusive = {**inclusive, "unit_amount": Money("100.004", "EUR")}
    assert (
        "Unit prices include tax."
        not in page(document(exclusive, **{**more, "taxes": outside}))["notes"]
    )
    coupon = [{"coupon": "HALF", "amount": "59.50 EUR"}]
    halved = page(document(inclusive, **more, discount="50", discounts=coupon))
    assert ["Discount HALF", "−50,00 €"] in page(
        document(inclusive, **more, discount="50", discounts=coupon, customer={"locale": "de"})
    )["sums"][0][1] or ["Discount HALF", "−€50.00"] in halved["sums"][0][1]


@pytest.mark.parametrize(
    ("language", "currency", "amount", "shown", "day"),
    [
        ("en", "USD", "1234.5", "$1,234.50", "January 1, 2026"),
        ("de_DE", "EUR", "1234.5", "1.234,50\u00a0€", "1. Januar 2026"),
        ("fr-FR", "EUR", "1234.5", "1\u202f234,50\u00a0€", "1 janvier 2026"),
        ("es", "EUR", "12345.6", "12.345,60\u00a0€", "1 de enero de 2026"),
        ("Deutsch", "JPY", "128000", "128.000\u00a0¥", "1. Januar 2026"),
        ("xx-nonsense", "KWD", "12.3", "KWD\u00a012.300", "January 1, 2026"),
        ("en", "USD", "-5", "−$5.00", "January 1, 2026"),
        ("en", "USD", "0.00035", "$0.00035", "January 1, 2026"),
        ("en", "UGX", "1500", "UGX\u00a01,500", "January 1, 2026"),
    ],
)
def test_languages_write_money_and_dates(
    language: str, currency: str, amount: str, shown: str, day: str
) -> None:
    said = labels(language)
    assert said.money(Money(amount, currency)) == shown
    assert said.day(JANUARY, UTC) == day


def test_every_language_has_every_word_and_its_holes() -> None:
    holes = {key: set(re.findall(r"\{\w+\}", text)) for key, text in WORDS["en"].items()}
    for words in WORDS.values():
        assert {key: set(re.findall(r"\{\w+\}", text)) for key, text in words.items()} == holes
        assert all(words.values())


def test_a_german_customer_reads_german() -> None:
    address = {"street": "Lange Reihe 117", "postcode": "80331", "city": "München", "country": "DE"}
    said = page(
        document(
            line(1, "Team per seat", "49.90", currency="EUR"),
            line(2, "Unused time on Starter", "-9.90", currency="EUR", kind="proration"),
            line(3, "Minimum", "5", currency="EUR", kind="minimum"),
            currency="EUR", zone="Europe/Berlin",
            customer={"locale": "de_DE", "address": address, "vat_id": "DE987654321"},
        )
    )  # fmt: skip
    assert said["title"] == "Rechnung"
    assert said["paper"] == "a4"
    assert [x["description"] for x in said["lines"]] == [
        "Team je Lizenz", "Nicht genutzte Zeit: Starter", "Aufschlag zum Mindestbetrag",
    ]  # fmt: skip
    assert said["buyer"]["lines"] == [
        "Lange Reihe 117", "80331 München", "Deutschland", "ada@example.com",
        "USt-IdNr. DE987654321",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '#panic("x") $x$ *b* _i_ \\ #import "/etc/passwd" @ref <label> `raw` // comment',
        '"}, {"a": #sys.inputs.data',
        "W" * 3_000,
        "東京都渋谷区", "شركة المثال", "שלום עולם", "😀 emoji", "ไทย", "\x00\x07\ud800\ufffe",
        "", " ", "a\u200bb\u2028c",
    ],
)  # fmt: skip
def test_no_text_is_read_as_markup_or_breaks_the_page(text: str) -> None:
    hostile = document(
        line(1, text, "1", meter=text or None, kind="usage"),
        customer={"company": text, "name": text, "address": text, "locale": text, "email": text},
        business={"title": text, "address": text, "footer": text, "bank": text},
        number=text or None,
    )
    assert document_pdf(hostile).startswith(b"%PDF")


def test_three_hundred_lines_go_over_pages() -> None:
    many = document(*(line(n, f"Item {n}", "1", kind="one_off") for n in range(1, 301)))
    read = pypdf.PdfReader(BytesIO(document_pdf(many)))
    texts = [p.extract_text() for p in read.pages]
    assert len(texts) > 5
    for n, text in enumerate(texts, 1):
        assert f"Page {n} of {len(texts)}" in text
    # The sums may have a page of their own; every page of lines repeats the head.
    assert all("Description" in text for text in texts if "Item " in text)
    found = [int(n) for text in texts for n in re.findall(r"Item (\d+)", text)]
    assert found == list(range(1, 301))


@pytest.mark.parametrize("tiers", [[], TIERS * 3])
@pytest.mark.parametrize("address", ["", "\n".join(f"Line {n}" for n in range(7))])
def test_what_is_set_as_one_page_is_one_page(tiers: list[Any], address: str) -> None:
    seen = set()
    business = {"pay_url": "https://x.example", "bank": "a\nb\nc"}
    for count in range(1, 30):
        lines = [line(n, f"Item {n} {'wide words ' * 3}", "1", detail=tiers) for n in range(count)]
        one = document(*lines, customer={"address": address}, business=business)
        seen.add(short := page(one)["short"])
        if short:
            (only,) = pypdf.PdfReader(BytesIO(document_pdf(one))).pages
            assert "Page 1 of 1" in only.extract_text()
    assert seen == {True, False}


def test_a_link_where_an_invoice_can_be_paid() -> None:
    link = {"pay_url": "https://pay.example/{number}?a={amount}&c={currency}&x={id}"}
    said = page(document(number="A/1 #2", business=link))
    assert said["pay_url"] == "https://pay.example/A%2F1%20%232?a=99.00&c=USD&x=i1"
    assert b"pay.example/A%2F1%20%232" in document_pdf(document(number="A/1 #2", business=link))
    assert page(document(business={"pay_url": "javascript:alert(1)"}))["pay_url"] == ""
    assert page(document(status="void", business=link))["pay_url"] == ""


def test_logos(tmp_path: Path) -> None:
    spec = tmp_path / "spec" / "a.biz"
    spec.parent.mkdir()
    (tmp_path / "outside.svg").write_text(SVG)
    (spec.parent / "logo.svg").write_text(SVG)
    (spec.parent / "logo.png").write_bytes(png())
    (spec.parent / "logo.txt").write_text("hello")
    (spec.parent / "broken.png").write_bytes(png()[:-20])
    (spec.parent / "big.svg").write_bytes(b" " * (pdf.MAX_LOGO + 1))
    for name in ("logo.svg", "logo.png"):
        held = {"logo": logo(spec, name)}
        assert document_pdf(document(business=held)) != document_pdf(document())
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "a.biz"
    link.symlink_to(spec)
    with pytest.raises(CannotSet):  # what a link names stands beside the link
        logo(link, "logo.svg")
    (link.parent / "logo.svg").write_text(SVG)
    assert logo(link, "logo.svg")
    for name in ("../outside.svg", "/etc/passwd", "none.svg", "logo.txt", "broken.png", "big.svg"):
        with pytest.raises(CannotSet):
            logo(spec, name)


# --- as files ----------------------------------------------------------------------------------


class Rows:
    """Invoices as the sink finds them in a store."""

    def __init__(self, *documents: Document) -> None:
        self.documents = {str(d.row["id"]): d for d in documents}

    def last_seq(self) -> int:
        return 0

    def get(self, table: str, key: str) -> Any:
        if table == "Invoice":
            return self.documents[key].row if key in self.documents else None
        return CUSTOMER if table == "Account" else None

    def select(self, table: str, equals: Any = None, ranges: Any = (), *_: Any, **__: Any) -> Any:
        if table == "InvoiceLine":
            return iter(self.documents[equals["invoice"]].lines)
        since = ranges[0][2] if ranges else None
        rows = [d.row for d in self.documents.values() if table == "Invoice"]
        return iter([r for r in rows if since is None or r["updated_at"] >= since])


def invoices(count: int) -> list[Document]:
    one = document()
    return [
        replace(one, row={**one.row, "id": f"i{n}", "number": f"ACME-{n:05}"}) for n in range(count)
    ]


def sink(folder: Path, form: str = "pdf", **about: str) -> Sink:
    program = SimpleNamespace(
        title="Acme", path=str(folder / "a.biz"), timezone="UTC", currency="USD", bills="Account",
        templates={}, about=about, meters={}, titles={},
    )  # fmt: skip
    return Sink(folder, program, form)


@pytest.mark.parametrize("count", [1, FEW + 20])
def test_all_invoices_are_files_before_the_run_ends(tmp_path: Path, count: int) -> None:
    store, made = Rows(*invoices(count)), sink(tmp_path)
    made.begin(store)
    made.finish(store)
    files = sorted((tmp_path / "invoices").iterdir())
    assert [file.name for file in files] == [f"ACME-{n:05}.pdf" for n in range(count)]
    assert made.written["invoices"] == count
    assert made.problems == []
    first, business = store.documents["i0"], made.papers.business
    one = Document.of(first.row, first.lines, business, CUSTOMER, "UTC")
    assert files[0].read_bytes() == document_pdf(one)


def test_a_process_that_dies_is_made_up_for(tmp_path: Path, monkeypatch: Any) -> None:
    started = []
    begin = press._process

    def killed() -> Any:
        started.append(begin())
        os.kill(started[-1].pid, signal.SIGKILL)
        return started[-1]

    monkeypatch.setattr(press, "_process", killed)
    store, made = Rows(*invoices(FEW + 5)), sink(tmp_path)
    made.begin(store)
    made.finish(store)
    assert started
    assert len(list((tmp_path / "invoices").glob("*.pdf"))) == FEW + 5


def test_what_a_crash_left_out_is_written_by_the_next_run(tmp_path: Path) -> None:
    store = Rows(*invoices(3))
    made = sink(tmp_path)
    made.begin(store)
    made.finish(store)
    (tmp_path / "invoices" / "ACME-00001.pdf").unlink()
    mark = json.loads((tmp_path / ".written").read_text())
    (tmp_path / ".written").write_text(json.dumps({**mark, "at": None, "seq": -1}))
    again = sink(tmp_path)
    again.begin(store)
    again.finish(store)
    assert len(list((tmp_path / "invoices").glob("*.pdf"))) == 3


def test_html_pages_say_how_to_get_pdf_and_give_way_to_it(tmp_path: Path) -> None:
    store = Rows(*invoices(2))
    plain = sink(tmp_path, "html")
    plain.begin(store)
    plain.finish(store)
    assert len(list((tmp_path / "invoices").glob("*.html"))) == 2
    assert plain.hint == ""
    better = sink(tmp_path)
    better.begin(store)
    better.finish(store)
    assert [f.suffix for f in (tmp_path / "invoices").iterdir()] == [".pdf", ".pdf"]
    assert better.hint == ""


def test_a_logo_that_is_not_there_is_said_and_the_invoices_come(tmp_path: Path) -> None:
    store, made = Rows(*invoices(1)), sink(tmp_path, logo="none.svg")
    made.begin(store)
    made.finish(store)
    assert made.problems == ["the logo none.svg can't be read: No such file or directory"]
    assert made.written["invoices"] == 1


def test_an_email_has_the_pdf_attached(tmp_path: Path) -> None:
    made = sink(tmp_path)
    asked = {"attachment": "invoice", "invoice": "i0"}
    found = made.papers.attachment(asked, Rows(*invoices(1)), FEBRUARY)
    assert found is not None
    assert (found.name, found.type) == ("ACME-00000.pdf", "application/pdf")
    assert found.content.startswith(b"%PDF")


@pytest.mark.parametrize(("fonts", "where"), [
    ("", 'a folder beside the spec, and name the folder in the business block: `fonts "fonts"`'),
    ("/srv/fonts", "/srv/fonts"),
])  # fmt: skip
def test_what_no_font_has_is_told_with_what_to_do(fonts: str, where: str) -> None:
    """U+F0000 is for private use: no font has it."""
    problems: list[str] = []
    business = {"fonts": fonts} if fonts else {}
    document_pdf(document(business=business, customer={"name": "Ada \U000f0000"}), problems)
    assert problems == [
        "the invoice ACME-2026-00042 has characters that no font here has, and boxes in their "
        f"place: put a font that has them (Noto Sans CJK, Noto Emoji) into {where}"
    ]
