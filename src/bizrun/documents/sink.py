"""Writes what a run has sent as files: emails, invoices, and a line for every other effect.

What stands in the folder follows from the state alone, so what a crash left out is written by
the next run. `.written` remembers how far that has come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from zoneinfo import ZoneInfo

from ..errors import BizError
from ..model import Effect, Outcome
from ..values import instant_text, plain
from .email import Attachment, message, rendered
from .invoice import invoice_html

Row = Mapping[str, Any]
MARK = ".written"
MAX_NAME = 120
MAX_PROBLEMS = 100
_UNSAFE = re.compile(r"[^A-Za-z0-9@+=_.-]+|\.{2,}")


class _Bound(NamedTuple):
    """A bound of a select, as stores take it."""

    column: str
    op: str
    value: Any


class Rows(Protocol):
    """What the sink reads of a store."""

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


class Business(Protocol):
    """What the sink reads of a program."""

    title: str
    timezone: str
    bills: str | None
    templates: dict[str, Any]
    about: dict[str, str]


class Sink:
    """The files of one business under a folder. Every write can be done again."""

    def __init__(self, folder: str | Path, program: Business) -> None:
        self.folder = Path(folder)
        self.program = program
        self.business = {"title": program.title, "name": program.title, **program.about}
        self.templates = {name: t.parts for name, t in program.templates.items()}
        self.zone = ZoneInfo(program.timezone)
        self.written: dict[str, int] = {"emails": 0, "invoices": 0, "effects": 0}
        self.problems: list[str] = []
        self.failed = 0
        self._waiting: list[Row] = []
        self._order = 0
        self._size = 0
        self._last = ""
        self._at: str | None = None
        self._marked = ""

    # --- while it runs -------------------------------------------------------------------------

    def watch(self, deliver: Callable[[Effect], Outcome]) -> Callable[[Effect], Outcome]:
        """A provider that does the same, and whose effects `write_new` then knows of."""
        waiting = self._waiting

        def delivered(effect: Effect) -> Outcome:
            outcome = deliver(effect)
            waiting.append(
                {
                    "id": effect.id, "order": effect.order, "kind": effect.kind,
                    "data": effect.data, "created": effect.created, "event": effect.event,
                    "place": effect.place, "error": outcome.error,
                }
            )  # fmt: skip
            return outcome

        return delivered

    def begin(self, store: Rows) -> None:
        """Makes the folder fit the state: what a crash left out is written, what is not of this
        state goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mark = self._read_mark()
        last = store.get("_effect", mark["last"]) if mark["last"] else None
        if mark["last"] and (last is None or last["order"] != mark["order"]):
            self._clear()
            mark = _NOTHING
        self._order, self._size = mark["order"], mark["size"]
        self._last, self._at = mark["last"], mark["at"]
        self._cut()
        left = store.select("_effect", {}, [_Bound("order", ">", self._order)], (("order", False),))
        self._write([row for row in left if row["status"] in ("done", "failed")], store)

    def write_new(self, store: Rows) -> None:
        """Writes what was delivered since the last call: call it after each commit."""
        if self._waiting:
            rows = list(self._waiting)
            self._waiting.clear()
            self._write(rows, store)

    def finish(self, store: Rows) -> None:
        """Writes invoices that are new or have changed since this was done last."""
        self.write_new(store)
        ranges = [_Bound("updated_at", ">=", datetime.fromisoformat(self._at))] if self._at else []
        newest = self._at
        for row in store.select("Invoice", {}, ranges, (("updated_at", False),)):
            if row["status"] != "draft":
                self._invoice(row, store)
            newest = instant_text(row["updated_at"])
        self._at = newest
        self._write_mark()

    # --- files ---------------------------------------------------------------------------------

    def _write(self, rows: Iterable[Row], store: Rows) -> None:
        lines: list[str] = []
        for row in rows:
            if row["kind"] == "email":
                if row.get("error") is None:
                    self._email(row, store)
            elif row["kind"] != "charge":
                lines.append(json.dumps(_told(row), ensure_ascii=False, default=str) + "\n")
            self._order, self._last = row["order"], str(row["id"])
        if lines:
            data = "".join(lines).encode("utf-8", "replace")
            with (self.folder / "effects.jsonl").open("ab") as file:
                file.write(data)
            self._size += len(data)
            self.written["effects"] += len(lines)
        self._write_mark()

    def _email(self, row: Row, store: Rows) -> None:
        data = row["data"]
        name = data.get("template") or "message"
        try:
            content = rendered(data, self.templates, self.business, row["created"], self.zone)
        except (BizError, KeyError) as error:
            self._problem(f"an email to {data.get('to')} was not written: {error}")
            return
        files = [f for a in data.get("attachments") or () if (f := self._attachment(a, store))]
        bytes_ = message(row, content, self.business, files)
        file = f"{row['order']:06}-{safe_name(data.get('to'))}-{safe_name(name)}"
        self._put("emails", f"{file[:MAX_NAME]}.eml", bytes_)

    def _attachment(self, value: Any, store: Rows) -> Attachment | None:
        if not isinstance(value, Mapping):
            return None
        if value.get("attachment") == "invoice":
            invoice = value["invoice"]
            key = invoice.get("$key") if isinstance(invoice, Mapping) else invoice
            row = store.get("Invoice", str(key))
            if row is None:
                return None
            page = self._page(row, store)
            return Attachment(f"{row['number'] or key}.html", "text/html; charset=utf-8", page)
        content = value.get("content")
        if isinstance(content, str):
            return Attachment(str(value.get("name", "file.txt")), "text/plain", content.encode())
        return None

    def _page(self, row: Row, store: Rows) -> bytes:
        lines = list(store.select("InvoiceLine", {"invoice": row["id"]}))
        bills = self.program.bills
        customer = store.get(bills, row["customer"]) if bills else None
        return invoice_html(row, lines, self.business, customer, self.zone).encode()

    def _invoice(self, row: Row, store: Rows) -> None:
        number = str(row["number"] or row["id"])
        name = safe_name(number)
        if name != number:
            name = f"{name}-{sha256(number.encode()).hexdigest()[:6]}"
        self._put("invoices", f"{name}.html", self._page(row, store))

    def _put(self, kind: str, name: str, data: bytes) -> None:
        path = f"{self.folder}/{kind}/{name}"
        try:
            file = open(path, "wb")  # noqa: PTH123, SIM115
        except FileNotFoundError:
            (self.folder / kind).mkdir(parents=True, exist_ok=True)
            file = open(path, "wb")  # noqa: PTH123, SIM115
        with file:
            file.write(data)
        self.written[kind] += 1

    def _problem(self, sentence: str) -> None:
        self.failed += 1
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(sentence)

    # --- the mark --------------------------------------------------------------------------------

    def _read_mark(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / MARK).read_bytes())
            return {
                "order": int(found["order"]), "size": int(found["size"]),
                "last": str(found["last"]), "at": found["at"],
            }  # fmt: skip
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return dict(_NOTHING)

    def _write_mark(self) -> None:
        mark = {"order": self._order, "size": self._size, "last": self._last, "at": self._at}
        text = json.dumps(mark) + "\n"
        if text != self._marked:
            temporary = self.folder / f"{MARK}.new"
            temporary.write_text(text)
            temporary.replace(self.folder / MARK)
            self._marked = text

    def _cut(self) -> None:
        """Takes away the lines that were written after the mark: they come again."""
        path = self.folder / "effects.jsonl"
        with suppress(FileNotFoundError), path.open("r+b") as file:
            if file.seek(0, 2) > self._size:
                file.truncate(self._size)
            self._size = min(self._size, file.seek(0, 2))

    def _clear(self) -> None:
        """Takes away what an earlier state left here, and nothing else."""
        for pattern in ("emails/*.eml", "invoices/*.html", "effects.jsonl"):
            for path in self.folder.glob(pattern):
                path.unlink(missing_ok=True)


_NOTHING: dict[str, Any] = {"order": 0, "size": 0, "last": "", "at": None}


def safe_name(value: Any) -> str:
    """A text as part of a file's name."""
    text = _UNSAFE.sub("-", str(value)).strip("-.")
    return text[:60] or "none"


def _told(row: Row) -> dict[str, Any]:
    """An effect as a line of `effects.jsonl`."""
    return {
        "order": row["order"],
        "kind": row["kind"],
        "at": instant_text(row["created"].astimezone(UTC)),
        "event": row["event"],
        "place": row["place"],
        "error": row.get("error"),
        "data": plain(row["data"]),
    }
