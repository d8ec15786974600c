"""Electronic invoices: EN 16931 as Cross Industry Invoice XML, inside the PDF as Factur-X.

The file is written by typst, which attaches the XML; only the metadata that says so is put in
afterwards. A document that lacks what the norm requires is refused with what is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from importlib.util import find_spec
from io import BytesIO
from typing import Any
from xml.etree import ElementTree as Tree

from ..currencies import exponent
from ..values import Money
from .document import (
    Document,
    Party,
    business_party,
    customer_party,
    in_union,
    is_reverse_charge,
    tax_of,
)

MISSING = "Invoices are plain PDF; for e-invoices: pip install 'bizrun[einvoice]'"
NAME = "factur-x.xml"
GUIDELINE = "urn:cen.eu:en16931:2017"
_PLACES = 2
_CENT = Decimal(1).scaleb(-_PLACES)
_MOMENT = timedelta(microseconds=1)
_IBAN = re.compile(r"\b([A-Z]{2}\d{2}(?: ?[A-Z0-9]{2,4}){3,8})\b")
_SPACES = {
    "rsm": "urn:un:unece:uncefact:data:standard:CrossIndustryInvoice:100",
    "ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100",
    "udt": "urn:un:unece:uncefact:data:standard:UnqualifiedDataType:100",
}
# Why no tax is due: the norm's words for each category.
_REASONS = {"AE": "Reverse charge", "E": "Exempt from tax", "G": "Export outside the EU"}

Category = tuple[str, Decimal]


class NotConforming(Exception):
    """An invoice lacks what EN 16931 requires; the text says what, without a full stop."""


def available() -> bool:
    """Whether the `einvoice` extra is installed."""
    return find_spec("pypdf") is not None


def has_form(document: Document) -> bool:
    """Whether it is an invoice that stands or a credit note: the norm knows no drafts and receipts,
    and one that is void is nothing to be booked."""
    return document.kind != "receipt" and document.row["status"] not in ("draft", "void")


def document_xml(document: Document) -> bytes:
    """An invoice or credit note as XML of EN 16931; NotConforming where that has no form for it."""
    seller = business_party(document.business)
    buyer = customer_party(document.customer, str(document.row["customer"]))
    _require(document, seller, buyer)
    for prefix, uri in _SPACES.items():
        Tree.register_namespace(prefix, uri)
    root = Tree.Element(f"{{{_SPACES['rsm']}}}CrossIndustryInvoice")
    _put(root, "rsm:ExchangedDocumentContext/GuidelineSpecifiedDocumentContextParameter/ID",
         GUIDELINE)  # fmt: skip
    head = _put(root, "rsm:ExchangedDocument")
    _put(head, "ID", document.number)
    _put(head, "TypeCode", "381" if document.kind == "credit_note" else "380")
    _date(_put(head, "IssueDateTime"), document.row["issued_at"], document)
    trade = _put(root, "rsm:SupplyChainTradeTransaction")
    untaxed = _untaxed(seller, buyer)
    bases: dict[Category, tuple[Decimal, Decimal]] = {}
    for line in document.lines:
        category = _category(line, document, untaxed)
        basis, tax = bases.get(category, (Decimal(0), Decimal(0)))
        net = _net(line)
        bases[category] = (basis + net, tax + line["tax"].amount)
        _line(trade, line, category)
    _require_rates(document, bases)
    agreement = _put(trade, "ApplicableHeaderTradeAgreement")
    _party(_put(agreement, "SellerTradeParty"), seller, True)
    _party(_put(agreement, "BuyerTradeParty"), buyer, False)
    delivery = _put(trade, "ApplicableHeaderTradeDelivery/ActualDeliverySupplyChainEvent")
    _date(_put(delivery, "OccurrenceDateTime"), _delivered(document.row), document)
    _settlement(_put(trade, "ApplicableHeaderTradeSettlement"), document, bases)
    Tree.indent(root)
    return bytes(Tree.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _delivered(row: Mapping[str, Any]) -> datetime:
    """The day of the service: the last of its period, else that of the document."""
    issued, end = row["issued_at"], row["period_end"]
    found: datetime = issued if end is None else max(row["period_start"], end - _MOMENT)
    return found


def _require(document: Document, seller: Party, buyer: Party) -> None:
    lacks = [
        what
        for what, there in (
            ("the business's `country`", len(seller.country) == 2),
            ("the business's `tax_id`", seller.tax_id),
            ("the customer's `country`", len(buyer.country) == 2),
            ("a date of issue", document.row["issued_at"]),
        )
        if not there
    ]
    if lacks:
        raise NotConforming(f"{' and '.join(lacks)} is not given (a country is a code like DE)")
    currency = document.row["currency"]
    if exponent(currency) > _PLACES:
        digits = exponent(currency)
        raise NotConforming(
            f"amounts in {currency} have {digits} decimals, and the norm allows {_PLACES}"
        )


def _require_rates(document: Document, bases: Mapping[Category, tuple[Decimal, Decimal]]) -> None:
    """The tax of a rate is that rate of its lines together, within a unit (BR-CO-17): tax that is
    rounded line by line to whole yen may be beside it."""
    for (_, rate), (basis, tax) in bases.items():
        if abs(tax - basis * rate / 100) >= 1:
            currency = document.row["currency"]
            raise NotConforming(
                f"the tax of its lines at {rate}% is {Money(tax, currency)}, which is not {rate}% "
                f"of the {Money(basis, currency)} that they come to"
            )


# --- tax ---------------------------------------------------------------------------------------


def _untaxed(seller: Party, buyer: Party) -> str:
    """The category of what bears no tax: reverse charge to a business in another country of the
    Union, export from it, else exempt."""
    if is_reverse_charge(seller, buyer) and _registered(buyer)[1] == "VA":
        return "AE"
    return "G" if in_union(seller) and not in_union(buyer) else "E"


def _category(line: Mapping[str, Any], document: Document, untaxed: str) -> Category:
    """The rate that a line bears, found from its tax, which is all that a line keeps."""
    found = tax_of(line, document.row["taxes"] or ())
    if found is not None:
        return "S", Decimal(str(found["rate"]).removesuffix("%"))
    if line["tax"]:
        raise NotConforming(f"the tax of `{line['description']}` is not of one rate")
    return untaxed, Decimal(0)


def _net(line: Mapping[str, Any]) -> Decimal:
    net: Money = line["amount"] - line["discount"]
    return net.amount


# --- the parts of the XML ------------------------------------------------------------------------


def _put(parent: Tree.Element, path: str, text: str = "", **attributes: str) -> Tree.Element:
    """A new element at the end of a parent, with those that its path names around it."""
    for name in path.split("/"):
        prefix, _, local = name.rpartition(":")
        parent = Tree.SubElement(parent, f"{{{_SPACES[prefix or 'ram']}}}{local}")
    if text:
        parent.text = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", "", text)
    for name, value in attributes.items():
        parent.set(name, value)
    return parent


def _date(parent: Tree.Element, instant: datetime, document: Document) -> None:
    day = instant.astimezone(document.tz)
    _put(parent, "udt:DateTimeString", f"{day:%Y%m%d}", format="102")


def _decimal(value: Decimal) -> str:
    return format(value.quantize(_CENT, ROUND_HALF_UP) + 0, "f")


def _line(trade: Tree.Element, line: Mapping[str, Any], category: Category) -> None:
    """A line; where its quantity times its price is not its amount it is said as one piece."""
    item = _put(trade, "IncludedSupplyChainTradeLineItem")
    _put(item, "AssociatedDocumentLineDocument/LineID", str(line["position"]))
    _put(item, "SpecifiedTradeProduct/Name", str(line["description"]) or "—")
    unit, quantity, amount = line["unit_amount"], Decimal(line["quantity"]), line["amount"].amount
    fits = unit is not None and unit.amount * quantity == amount and unit.amount >= 0
    piece = (abs(amount), Decimal(-1 if amount < 0 else 1))
    price, count = (unit.amount, quantity) if fits else piece
    _put(item, "SpecifiedLineTradeAgreement/NetPriceProductTradePrice/ChargeAmount",
         format(price, "f"))  # fmt: skip
    _put(item, "SpecifiedLineTradeDelivery/BilledQuantity", format(count, "f"), unitCode="C62")
    settled = _put(item, "SpecifiedLineTradeSettlement")
    _tax(settled, category)
    discount = line["discount"].amount
    if discount:
        allowance = _put(settled, "SpecifiedTradeAllowanceCharge")
        _put(allowance, "ChargeIndicator/udt:Indicator", "false" if discount > 0 else "true")
        _put(allowance, "ActualAmount", _decimal(abs(discount)))
        _put(allowance, "Reason", "Discount")
    _put(settled, "SpecifiedTradeSettlementLineMonetarySummation/LineTotalAmount",
         _decimal(_net(line)))  # fmt: skip


def _tax(
    parent: Tree.Element, category: Category, amounts: tuple[Decimal, Decimal] | None = None
) -> None:
    code, rate = category
    found = _put(parent, "ApplicableTradeTax")
    if amounts is not None:
        _put(found, "CalculatedAmount", _decimal(amounts[1]))
    _put(found, "TypeCode", "VAT")
    if amounts is not None:
        if code in _REASONS:
            _put(found, "ExemptionReason", _REASONS[code])
        _put(found, "BasisAmount", _decimal(amounts[0]))
    _put(found, "CategoryCode", code)
    _put(found, "RateApplicablePercent", format(rate, "f"))


def _party(parent: Tree.Element, party: Party, seller: bool) -> None:
    _put(parent, "Name", party.name)
    if party.tax_id and not seller and _registered(party)[1] != "VA":
        _put(parent, "SpecifiedLegalOrganization/ID", party.tax_id)
    address = _put(parent, "PostalTradeAddress")
    free = [line for line in party.lines if line != party.country]
    for name, text in (
        ("PostcodeCode", party.postcode),
        ("LineOne", party.street or (free[0] if free and not party.city else "")),
        ("LineTwo", "" if party.city else (free[1] if len(free) > 1 else "")),
        ("CityName", party.city),
        ("CountryID", party.country.upper()),
        ("CountrySubDivisionName", party.region),
    ):
        if text:
            _put(address, name, text)
    if party.email:
        _put(parent, "URIUniversalCommunication/URIID", party.email, schemeID="EM")
    number, scheme = _registered(party)
    if scheme == "VA" or (number and seller):
        _put(parent, "SpecifiedTaxRegistration/ID", number, schemeID=scheme)


def _registered(party: Party) -> tuple[str, str]:
    """A tax id and its scheme: VA where a country's code is before it, else FC (BR-CO-09)."""
    from babel import Locale

    number = re.sub(r"[^A-Z0-9]", "", party.tax_id.upper())
    prefix = {"EL": "GR", "XI": "GB"}.get(number[:2], number[:2])
    known = len(number) > 2 and prefix in Locale("en").territories
    return number, "VA" if known and prefix.isalpha() else "FC"


def _settlement(
    parent: Tree.Element,
    document: Document,
    bases: Mapping[Category, tuple[Decimal, Decimal]],
) -> None:
    row = document.row
    _put(parent, "InvoiceCurrencyCode", row["currency"])
    iban = _IBAN.search(str(document.business.get("bank") or ""))
    if iban:
        means = _put(parent, "SpecifiedTradeSettlementPaymentMeans")
        _put(means, "TypeCode", "58")
        _put(means, "PayeePartyCreditorFinancialAccount/IBANID", iban[1].replace(" ", ""))
    for category, amounts in sorted(bases.items()):
        _tax(parent, category, amounts)
    if row["period_start"] and row["period_end"]:
        period = _put(parent, "BillingSpecifiedPeriod")
        _date(_put(period, "StartDateTime"), row["period_start"], document)
        _date(_put(period, "EndDateTime"), _delivered(row), document)
    if row["due_at"] is not None and document.kind == "invoice":
        due = _put(parent, "SpecifiedTradePaymentTerms/DueDateDateTime")
        _date(due, row["due_at"], document)
    sums = _put(parent, "SpecifiedTradeSettlementHeaderMonetarySummation")
    basis = row["subtotal"] - row["discount"]
    _put(sums, "LineTotalAmount", _decimal(basis.amount))
    _put(sums, "TaxBasisTotalAmount", _decimal(basis.amount))
    _put(sums, "TaxTotalAmount", _decimal(row["tax"].amount), currencyID=row["currency"])
    _put(sums, "GrandTotalAmount", _decimal(row["total"].amount))
    prepaid = row["total"] - row["amount_open"]
    if document.kind == "credit_note":
        prepaid = row["total"] * 0
    _put(sums, "TotalPrepaidAmount", _decimal(prepaid.amount))
    _put(sums, "DuePayableAmount", _decimal((row["total"] - prepaid).amount))
    if document.kind == "credit_note":
        _put(parent, "InvoiceReferencedDocument/IssuerAssignedID", str(row["number"]))


# --- inside the PDF ----------------------------------------------------------------------------


def declare(pdf: bytes) -> bytes:
    """A PDF/A-3 that has the XML attached, with the metadata that makes it a Factur-X."""
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf)))
    writer.pdf_header = "%PDF-1.7"
    held: Any = writer.root_object["/Metadata"].get_object()
    text = held.get_data().decode()
    text = text.replace(_SCHEMAS, _SCHEMAS + _SCHEMA, 1).replace(
        "</rdf:RDF>", f"{_FACTS}</rdf:RDF>"
    )
    held.set_data(text.encode())
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


_FX = "urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#"
_PROPERTIES = {
    "DocumentFileName": ("The name of the embedded XML document", NAME),
    "DocumentType": ("The type of the hybrid document in capital letters", "INVOICE"),
    "Version": ("The actual version of the standard applying to the embedded XML document", "1.0"),
    "ConformanceLevel": ("The conformance level of the embedded XML document", "EN 16931"),
}
_SCHEMAS = "<pdfaExtension:schemas><rdf:Bag>"
_SCHEMA = (
    '<rdf:li rdf:parseType="Resource"><pdfaSchema:schema>Factur-X PDFA Extension Schema'
    f"</pdfaSchema:schema><pdfaSchema:namespaceURI>{_FX}</pdfaSchema:namespaceURI>"
    "<pdfaSchema:prefix>fx</pdfaSchema:prefix><pdfaSchema:property><rdf:Seq>"
    + "".join(
        f'<rdf:li rdf:parseType="Resource"><pdfaProperty:name>{name}</pdfaProperty:name>'
        "<pdfaProperty:valueType>Text</pdfaProperty:valueType><pdfaProperty:category>external"
        f"</pdfaProperty:category><pdfaProperty:description>{text}</pdfaProperty:description>"
        "</rdf:li>"
        for name, (text, _) in _PROPERTIES.items()
    )
    + "</rdf:Seq></pdfaSchema:property></rdf:li>"
)
_FACTS = (
    f'<rdf:Description rdf:about="" xmlns:fx="{_FX}">'
    + "".join(f"<fx:{name}>{value}</fx:{name}>" for name, (_, value) in _PROPERTIES.items())
    + "</rdf:Description>"
)
