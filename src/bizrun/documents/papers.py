"""What a business writes: emails with what is attached to them, and invoices.

The sandbox keeps them as files, live delivery hands them to a mail server: the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ..errors import BizError
from . import einvoice, pdf
from .document import InvoiceDocument, Rows, details_at
from .email import Attachment, message, rendered
from .invoice import invoice_html
from .templates import TemplateError

Row = Mapping[str, Any]
MAX_ATTACHED = 20_000_000


class Business(Protocol):
    """What is read of a program."""

    title: str
    path: str
    timezone: str
    bills: str | None
    templates: dict[str, Any]
    about: dict[str, str]


class Papers:
    """The papers of one business. `problems` are what its logo lacks, `missing` an extra that its
    invoices ask for, as a sentence."""

    def __init__(self, program: Business) -> None:
        self.program = program
        self.business: dict[str, Any] = {
            "title": program.title, "name": program.title, **program.about
        }  # fmt: skip
        self.templates = {name: t.parts for name, t in program.templates.items()}
        self.zone = ZoneInfo(program.timezone)
        self.problems: list[str] = []
        self.missing = "" if pdf.available() else pdf.MISSING
        self._set_logo()
        if "einvoice" in self.business and not einvoice.available():
            self.missing = einvoice.MISSING
            del self.business["einvoice"]

    def _set_logo(self) -> None:
        name = self.business.pop("logo", "")
        if name and pdf.available():
            try:
                self.business["logo"] = pdf.logo(self.program.path, name)
            except pdf.CannotSet as error:
                self.problems.append(str(error))

    # --- invoices ------------------------------------------------------------------------------

    def invoice(self, row: Row, store: Rows) -> InvoiceDocument:
        """What stands on an invoice."""
        lines = store.select("InvoiceLine", {"invoice": row["id"]})
        bills = self.program.bills
        found = store.get(bills, row["customer"]) if bills else None
        customer = details_at(store, row["customer"], found, row["issued_at"])
        return InvoiceDocument.of(row, lines, self.business, customer, self.program.timezone)

    def page(self, document: InvoiceDocument) -> bytes:
        """An invoice as a web page."""
        page = invoice_html(
            document.row, document.lines, self.business, document.customer, document.tz
        )
        return page.encode()

    # --- emails --------------------------------------------------------------------------------

    def email(self, row: Row, store: Rows) -> bytes:
        """The message of an email effect's row; BizError where its template can't be filled."""
        data = row["data"]
        name = data.get("template")
        if name is not None and name not in self.templates:
            raise TemplateError(f"there is no template `{name}` any more")
        content = rendered(data, self.templates, self.business, row["created"], self.zone)
        given = [self.attachment(value, store) for value in data.get("attachments") or ()]
        files = [file for file in given if file is not None]
        if sum(len(file.content) for file in files) > MAX_ATTACHED:
            raise BizError(f"what is attached is larger than {MAX_ATTACHED // 1_000_000} MB")
        return message(row, content, self.business, files)

    def attachment(self, value: Any, store: Rows) -> Attachment | None:
        """A file of an email: an invoice (`pdf(invoice)`), or a text under a name."""
        if not isinstance(value, Mapping):
            return None
        if value.get("attachment") == "invoice":
            invoice = value["invoice"]
            key = invoice.get("$key") if isinstance(invoice, Mapping) else invoice
            row = store.get("Invoice", str(key))
            if row is None:
                return None
            return self._attached(self.invoice({**row, **value.get("row", {})}, store))
        content = value.get("content")
        if isinstance(content, str):
            return Attachment(str(value.get("name", "file.txt")), "text/plain", content.encode())
        return None

    def _attached(self, document: InvoiceDocument) -> Attachment:
        number = document.number
        if not pdf.available():
            return Attachment(f"{number}.html", "text/html; charset=utf-8", self.page(document))
        return Attachment(f"{number}.pdf", "application/pdf", pdf.invoice_pdf(document))
