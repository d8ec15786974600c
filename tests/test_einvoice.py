"""E-invoices: EN 16931 as Factur-X, against its schema and its schematron rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import facturx
import pypdf
import pytest
import saxonche

from bizrun.documents import einvoice
from bizrun.documents.document import Document, tax_of
from bizrun.documents.pdf import document_pdf
from bizrun.values import Money

from .test_pdf import FEBRUARY, document, line


def e_invoice(**more: Any) -> Document:
    discounted = {"discount": Money("9.98", "EUR"), "tax": Money("17.06", "EUR")}
    return document(
        line(1, "Team", "99.80", currency="EUR", quantity=2, **discounted,
             unit_amount=Money("49.90", "EUR")),
        line(2, "Unused time on Starter", "-10.02", currency="EUR", kind="proration",
             tax=Money("-1.90", "EUR")),
        line(3, "Books", "20", currency="EUR", tax=Money("1.40", "EUR")),
        **{
            "currency": "EUR", "zone": "Europe/Berlin", "subtotal": "109.78", "discount": "9.98",
            "tax": "16.56", "total": "116.36", "credit": "6.36", "amount_due": "110",
            "amount_open": "110",
            "taxes": [{"name": "vat", "rate": "19%", "amount": Money("15.16", "EUR")},
                      {"name": "reduced", "rate": "7%", "amount": Money("1.40", "EUR")}],
            "business": {"country": "DE", "tax_id": "DE 123 456 789", "einvoice": "en16931",
                         "bank": "IBAN DE12 2005 0550 1234 5678 90\nBIC HASPDEHHXXX"},
            "customer": {"country": "DE", "city": "Köln", "postcode": "50667", "vat_id": "DE9"},
            **more,
        },
    )  # fmt: skip


def test_an_e_invoice_is_what_factur_x_reads_out_of_the_file() -> None:
    one = e_invoice()
    data = document_pdf(one)
    assert data == document_pdf(one)
    assert data.startswith(b"%PDF-1.7")
    name, xml = facturx.get_facturx_xml_from_pdf(data)
    assert name == "factur-x.xml"
    assert facturx.xml_check_xsd(xml, flavor="factur-x", level="en16931")
    for text in ("<ram:DuePayableAmount>110.00<", "<ram:TotalPrepaidAmount>6.36<",
                 "<ram:IBANID>DE12200505501234567890<", "<ram:BasisAmount>79.80<",
                 "<ram:BasisAmount>20.00<", '<ram:ID schemeID="VA">DE123456789<'):  # fmt: skip
        assert text in xml.decode(), text
    metadata = str(pypdf.PdfReader(BytesIO(data)).root_object["/Metadata"].get_object().get_data())
    assert "<fx:ConformanceLevel>EN 16931</fx:ConformanceLevel>" in metadata
    assert metadata.count("<pdfaExtension:schemas>") == 1


@pytest.fixture(scope="module")
def failures() -> Iterator[Callable[[bytes], list[str]]]:
    """Runs the rules of EN 16931 (its schematron, as Factur-X has it) over an XML."""
    rules = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931"
    with saxonche.PySaxonProcessor(license=False) as processor:
        sheet = processor.new_xslt30_processor().compile_stylesheet(
            stylesheet_file=str(rules / "FACTUR-X_EN16931.xslt")
        )

        def run(xml: bytes) -> list[str]:
            found = sheet.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
            assert "svrl:fired-rule" in found
            return re.findall(r"failed-assert.*?<svrl:text>\s*(.*?)</svrl:text>", found, re.S)

        yield run


NOTE = {
    "id": "cn_1", "number": "CN-00007", "invoice": "i1", "customer": "a1", "created_at": FEBRUARY,
    "amount": Money("69.90", "EUR"), "tax": Money("10.88", "EUR"), "total": Money("80.78", "EUR"),
    "reason": "One seat was never used",
    "lines": [
        {"place": 0, "amount": Money("49.90", "EUR"), "tax": Money("9.48", "EUR")},
        {"place": 2, "amount": Money("20", "EUR"), "tax": Money("1.40", "EUR")},
    ],
}  # fmt: skip


@pytest.mark.parametrize("changes", [
    {}, {"status": "paid", "amount_open": "0"}, {"period_start": None, "period_end": None},
    {"customer": {"country": "DE", "address": "Domkloster 4\n50667 Köln"}},
])  # fmt: skip
def test_e_invoices_and_their_credit_notes_keep_all_rules_of_the_norm(
    changes: dict[str, Any], failures: Callable[[bytes], list[str]]
) -> None:
    one = e_invoice(**changes)
    assert failures(einvoice.document_xml(one)) == []
    note = einvoice.document_xml(one.noted(NOTE))
    assert facturx.xml_check_xsd(note, flavor="factur-x", level="en16931")
    assert failures(note) == []
    for text in ("TypeCode>381<", "DuePayableAmount>80.78<", "CalculatedAmount>1.40<",
                 "IssuerAssignedID>ACME-2026-00042<"):  # fmt: skip
        assert f"<ram:{text}" in note.decode(), text


def test_the_rules_would_notice(failures: Callable[[bytes], list[str]]) -> None:
    wrong = einvoice.document_xml(e_invoice(total="116.37"))
    assert any("BR-CO-15" in failure for failure in failures(wrong))


@pytest.mark.parametrize(
    ("customer", "category", "reason"),
    [
        ({"country": "FR", "vat_id": "FR1"}, "AE", "Reverse charge"),
        ({"country": "DE"}, "E", "Exempt from tax"),
        ({"country": "de", "vat_id": "DE1"}, "E", "Exempt from tax"),
        ({"country": "US", "tax_id": "12-3456789"}, "G", "Export outside the EU"),
    ],
)
def test_an_e_invoice_without_tax_says_why(
    customer: dict[str, str], category: str, reason: str, failures: Callable[[bytes], list[str]]
) -> None:
    business = {"country": "DE", "tax_id": "DE123456789", "einvoice": "en16931"}
    xml = einvoice.document_xml(document(business=business, customer=customer))
    assert facturx.xml_check_xsd(xml, flavor="factur-x", level="en16931")
    assert failures(xml) == []
    assert f"<ram:CategoryCode>{category}<".encode() in xml
    assert f"<ram:ExemptionReason>{reason}<".encode() in xml


def test_what_can_be_no_e_invoice_is_a_plain_pdf_and_says_why() -> None:
    problems: list[str] = []
    assert document_pdf(document(business={"einvoice": "en16931"}), problems).startswith(b"%PDF")
    assert problems == [
        "the invoice ACME-2026-00042 is no e-invoice: the business's `country` and the "
        "customer's `country` is not given (a country is a code like DE)"
    ]
    with pytest.raises(einvoice.NotConforming, match="not of one rate"):
        einvoice.document_xml(e_invoice(taxes=[]))
    dinars = document(
        line(1, "Work", "3.334", currency="KWD"),
        currency="KWD",
        business={"country": "DE", "tax_id": "DE1"},
        customer={"country": "KW"},
    )
    with pytest.raises(einvoice.NotConforming, match="KWD have 3 decimals, and the norm allows 2"):
        einvoice.document_xml(dinars)


def test_a_void_invoice_is_nothing_to_be_booked() -> None:
    data = document_pdf(e_invoice(status="void"))
    assert facturx.get_facturx_xml_from_pdf(data) == (False, False)


def test_yen_whose_lines_are_rounded_beside_their_rate() -> None:
    lines = [line(n, "Fee", "4", currency="JPY", tax=Money(1, "JPY")) for n in range(1, 4)]
    taxes = [{"name": "vat", "rate": "19%", "amount": Money(3, "JPY")}]
    business = {"country": "DE", "tax_id": "DE123456789", "einvoice": "en16931"}
    sums = {"subtotal": "12", "tax": "3", "total": "15", "amount_due": "15", "amount_open": "15"}
    yen = document(
        *lines, currency="JPY", taxes=taxes, business=business, customer={"country": "DE"}, **sums
    )
    assert einvoice.document_xml(yen)
    more = [line(n, "Fee", "4", currency="JPY", tax=Money(1, "JPY")) for n in range(1, 6)]
    sums = {"subtotal": "20", "tax": "5", "total": "25", "amount_due": "25", "amount_open": "25"}
    yen = document(
        *more, currency="JPY", taxes=taxes, business=business, customer={"country": "DE"}, **sums
    )
    with pytest.raises(einvoice.NotConforming, match="is 5 JPY, which is not 19% of the 20 JPY"):
        einvoice.document_xml(yen)


def test_a_tax_is_found_to_the_unit_of_its_currency() -> None:
    """An included tax of 19% on 1,110 yen: the net's own share would be a yen beside it."""
    taxes = [{"name": name, "rate": rate, "amount": Money("177", "JPY")}
             for name, rate in (("low", "18.9%"), ("vat", "19%"))]  # fmt: skip
    for net, tax in (("933", "177"), ("932", "178"), ("930", "176")):
        part = line(1, "Pro", net, currency="JPY", tax=Money(tax, "JPY"))
        found = tax_of(part, taxes)
        assert found is not None
        assert found["rate"] == ("18.9%" if net == "930" else "19%")
    assert tax_of(line(1, "Pro", "933", currency="JPY", tax=Money("179", "JPY")), taxes) is None
    assert tax_of(line(1, "Pro", "933", currency="JPY"), taxes) is None
