"""What a business writes: emails with what is attached to them, and invoices.

The sandbox keeps them as files, live delivery hands them to a mail server: the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from ..errors import BizError
from ..model import Effect
from . import einvoice, pdf
from .document import Document, Rows
from .email import Attachment, message, rendered
from .finder import Finder
from .html import document_html
from .sheets import sheet
from .templates import TemplateError, render

Row = Mapping[str, Any]
MAX_ATTACHED = 20_000_000
MAX_SUBJECT = 100


class Business(Protocol):
    """What is read of a program."""

    title: str
    path: str
    timezone: str
    currency: str
    bills: str | None
    templates: dict[str, Any]
    meters: dict[str, Any]
    about: dict[str, str]
    titles: dict[str, dict[str, str]]


class Papers:
    """The papers of one business. `problems` are what its logo lacks, `missing` an extra that its
    invoices ask for, as a sentence."""

    def __init__(self, program: Business) -> None:
        self.program = program
        self.business: dict[str, Any] = {
            "title": program.title, "name": program.title, "currency": program.currency,
            **program.about, "titles": program.titles,
        }  # fmt: skip
        self.templates = {name: t.parts for name, t in program.templates.items()}
        self.zone = ZoneInfo(program.timezone)
        self.problems: list[str] = []
        self.missing = "" if pdf.available() else pdf.MISSING
        self._set_logo()
        self._set_fonts()
        if "einvoice" in self.business and not einvoice.available():
            self.missing = einvoice.MISSING
            del self.business["einvoice"]
        units = {meter.name: meter.unit for meter in program.meters.values() if meter.unit}
        self.finder = Finder(self.business, program.bills, program.timezone, units)

    def _set_logo(self) -> None:
        name = self.business.pop("logo", "")
        if name:
            try:
                self.business["logo"] = pdf.logo(self.program.path, name)
            except pdf.CannotSet as error:
                self.problems.append(str(error))

    def _set_fonts(self) -> None:
        """The author's folder of fonts as an absolute path, where it is one beside the spec."""
        name = self.business.pop("fonts", "")
        if not name:
            return
        spec = Path(self.program.path).parent.resolve()
        folder = (spec / name).resolve()
        if folder.is_dir() and folder.is_relative_to(spec):
            self.business["fonts"] = str(folder)
        else:
            self.problems.append(f"there is no folder {name} with fonts beside the spec")

    # --- emails --------------------------------------------------------------------------------

    def email(self, row: Row, store: Rows) -> bytes:
        """The message of an email effect's row; BizError where its template can't be filled."""
        data = row["data"]
        name = data.get("template")
        if name is not None and name not in self.templates:
            raise TemplateError(f"there is no template `{name}` any more")
        content = rendered(data, self.templates, self.business, row["created"], self.zone)
        held = data.get("attachments") or ()
        given = [self.attachment(value, store, row["created"]) for value in held]
        files = [file for file in given if file is not None]
        if sum(len(file.content) for file in files) > MAX_ATTACHED:
            raise BizError(f"what is attached is larger than {MAX_ATTACHED // 1_000_000} MB")
        return message(row, content, self.business, files)

    def letter(self, effect: Effect, store: Rows, sender: str | None, to: str | None) -> bytes:
        """The message of an `email`, or of a `notify` to an address; `sender` is who writes where
        the effect doesn't say."""
        data: dict[str, Any] = dict(effect.data)
        if effect.kind == "notify":
            text = str(data.get("message") or "")
            subject = text.strip().partition("\n")[0][:MAX_SUBJECT]
            data = {"to": to, "subject": subject, "body": text}
        if sender is not None:
            data.setdefault("from", sender)
        return self.email({"id": effect.id, "created": effect.created, "data": data}, store)

    def attachment(self, value: Any, store: Rows, written: datetime) -> Attachment | None:
        """A file of an email: a document (`pdf(invoice)`), a template that is set as pages, or a
        text under a name."""
        if not isinstance(value, Mapping):
            return None
        if value.get("attachment") == "sheet":
            return self._sheet(str(value["template"]), value["data"], written)
        document = self.finder.attached(value, store)
        if document is not None:
            return _attached(document)
        content = value.get("content")
        if isinstance(content, str):
            return Attachment(str(value.get("name", "file.txt")), "text/plain", content.encode())
        return None

    def _sheet(self, name: str, data: Mapping[str, Any], written: datetime) -> Attachment:
        """A template as a file of its name."""
        if name not in self.templates:
            raise TemplateError(f"there is no template `{name}` any more")
        parts = self.templates[name]
        if not pdf.available():
            about = {"now": written, "today": written.astimezone(self.zone).date(), **data}
            page = render(name, parts, about, self.business, self.zone).html
            return Attachment(f"{name}.html", "text/html; charset=utf-8", page.encode())
        said = sheet(name, parts, data, self.business, written, self.zone)
        content = pdf.sheet_pdf(said, written, self.business.get("fonts"))
        return Attachment(f"{name}.pdf", "application/pdf", content)


def _attached(document: Document) -> Attachment:
    name = document.number if document.kind == "invoice" else document.name.replace(" ", "-")
    if not pdf.available():
        return Attachment(f"{name}.html", "text/html; charset=utf-8", document_html(document))
    return Attachment(f"{name}.pdf", "application/pdf", pdf.document_pdf(document))
