"""Writes what a run has sent as files: emails, invoices, and a line for every other effect.

What stands in the folder follows from the state alone, so what a crash left out is written by
the next run. `.written` remembers how far that has come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from ..errors import BizError
from ..model import Effect, Outcome
from ..values import instant_text, plain
from .document import Bound, Document, Rows
from .files import HALF, put_away, throw_away, write_file
from .html import document_html
from .papers import Business, Papers
from .press import Press, press

Row = Mapping[str, Any]
MARK = ".written"
PAGES = ("invoices", "credit_notes")
MAX_NAME = 120
MAX_PROBLEMS = 100
FEW = 20  # as many invoices are set before a process of their own has begun
_UNSAFE = re.compile(r"[^A-Za-z0-9@+=_.-]+|\.{2,}")


class Sink:
    """The files of one business under a folder. Every write can be done again."""

    def __init__(self, folder: str | Path, program: Business, form: str = "html") -> None:
        self.folder = Path(folder)
        self.form = form
        self.papers = Papers(program)
        self.written: dict[str, int] = {"emails": 0, "invoices": 0, "credit_notes": 0, "effects": 0}
        self.problems: list[str] = []
        self.failed = 0
        self._waiting: list[Row] = []
        self._press: Press | None = None
        self._few: list[tuple[str, Document]] = []
        self._charged: list[str] = []
        self._pressed: dict[str, tuple[Any, ...]] = {}
        for problem in self.papers.problems:
            self._problem(problem)
        self._order = 0
        self._size = 0
        self._last = ""
        self._at: str | None = None
        self._seq = -1
        self._marked = ""

    @property
    def hint(self) -> str:
        """How to get better files, in a sentence; nothing where they are as good as they get."""
        if not self.written["invoices"]:
            return ""
        return self.papers.missing

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
        if mark["form"] not in ("", self.form):
            self._clear_pages(mark["form"])
            mark = {**mark, "at": None, "seq": -1}
        self._order, self._size = mark["order"], mark["size"]
        self._last, self._at, self._seq = mark["last"], mark["at"], mark["seq"]
        self._cut()
        for half in self.folder.glob(f"*{HALF}"):
            half.unlink(missing_ok=True)
        left = store.select("_effect", {}, [Bound("order", ">", self._order)], (("order", False),))
        self._write([row for row in left if row["status"] in ("done", "failed")], store)

    def write_new(self, store: Rows) -> None:
        """Writes what was delivered since the last call: call it after each commit."""
        if self._press is not None:
            self._press.feed()
        if self._charged and self.form == "pdf":
            self._press_paid(store)
        if self._waiting:
            rows = list(self._waiting)
            self._waiting.clear()
            self._write(rows, store)
        self._write_mark()

    def finish(self, store: Rows) -> None:
        """Writes invoices that are new or have changed since this was done last."""
        self.write_new(store)
        seq = store.last_seq()
        newest = self._at if seq == self._seq else self._pages(store)
        if self._press is not None:
            self._press.close()
            for problem in self._press.problems:
                self._problem(problem)
            self._press = None
        while self._few:
            self._press_here(*self._few.pop(0))
        self._pressed.clear()
        throw_away(self.folder)
        self._at, self._seq = newest, seq
        self._write_mark()

    # --- invoices ------------------------------------------------------------------------------

    def _press_paid(self, store: Rows) -> None:
        """Has the invoices set, beside the run, whose charges came through before this commit."""
        for key in self._charged:
            row = store.get("Invoice", key)
            if row is not None and row["status"] == "paid":
                self._invoice(row, store)
        self._charged.clear()

    def _pages(self, store: Rows) -> str | None:
        """Writes what has changed since the mark; the time of the latest change."""
        since = datetime.fromisoformat(self._at) if self._at else None
        ranges = [Bound("updated_at", ">=", since)] if since else []
        newest = self._at
        for row in store.select("Invoice", {}, ranges, (("updated_at", False),)):
            if row["status"] != "draft":
                self._invoice(row, store)
            newest = instant_text(row["updated_at"])
        for row in store.select("CreditNote", {}, ranges, (("updated_at", False),)):
            note = self.papers.finder.credit_note(row, store)
            if note is not None:
                self._page("credit_notes", note)
            newest = max(newest or "", instant_text(row["updated_at"]))
        return newest

    def _invoice(self, row: Row, store: Rows) -> None:
        state = (row["updated_at"], row["status"], row["amount_open"].amount)
        if self._pressed.get(row["id"]) == state:
            return
        again = row["id"] in self._pressed
        self._pressed[row["id"]] = state
        self._page("invoices", self.papers.finder.invoice(row, store), again)

    def _page(self, kind: str, document: Document, again: bool = False) -> None:
        """Has a document's file written; `again` where this run has done so before."""
        name = safe_name(document.number)
        if name != document.number:
            name = f"{name}-{sha256(document.number.encode()).hexdigest()[:6]}"
        if self.form == "html":
            self._put(kind, f"{name}.html", document_html(document), again)
            return
        self.written[kind] += not again
        path = f"{self.folder}/{kind}/{name}.pdf"
        if self._press is not None:
            self._press.put(path, document)
        else:
            self._few.append((path, document))
            if len(self._few) > FEW:
                self._press = Press()
                while self._few:
                    self._press.put(*self._few.pop(0))

    def _press_here(self, path: str, document: Document) -> None:
        problems: list[str] = []
        press(path, document, problems)
        for problem in problems:
            self._problem(problem)

    # --- files ---------------------------------------------------------------------------------

    def _write(self, rows: Iterable[Row], store: Rows) -> None:
        lines: list[str] = []
        for row in rows:
            if row["kind"] == "email":
                if row.get("error") is None:
                    self._email(row, store)
            elif row["kind"] == "charge":
                if row["data"].get("invoice"):
                    self._charged.append(str(row["data"]["invoice"]))
            else:
                lines.append(json.dumps(_told(row), ensure_ascii=False, default=str) + "\n")
            self._order, self._last = row["order"], str(row["id"])
        if lines:
            data = "".join(lines).encode("utf-8", "replace")
            with (self.folder / "effects.jsonl").open("ab") as file:
                file.write(data)
            self._size += len(data)
            self.written["effects"] += len(lines)

    def _email(self, row: Row, store: Rows) -> None:
        data = row["data"]
        name = data.get("template") or "message"
        try:
            bytes_ = self.papers.email(row, store)
        except BizError as error:
            self._problem(f"an email to {data.get('to')} was not written: {error}")
            return
        file = f"{row['order']:06}-{safe_name(data.get('to'))}-{safe_name(name)}"
        self._put("emails", f"{file[:MAX_NAME]}.eml", bytes_)

    def _put(self, kind: str, name: str, data: bytes, again: bool = False) -> None:
        write_file(f"{self.folder}/{kind}/{name}", data)
        self.written[kind] += not again

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
                "last": str(found["last"]), "at": found["at"], "form": found.get("form", "html"),
                "seq": int(found.get("seq", -1)),
            }  # fmt: skip
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return dict(_NOTHING)

    def _write_mark(self) -> None:
        mark = {"order": self._order, "size": self._size, "last": self._last, "at": self._at}
        mark |= {"form": self.form, "seq": self._seq}
        text = json.dumps(mark) + "\n"
        if text != self._marked:
            temporary = self.folder / f"{MARK}{HALF}"
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
        (self.folder / "effects.jsonl").unlink(missing_ok=True)
        put_away(self.folder, "emails", _is_email)
        for kind in PAGES:
            put_away(self.folder, kind, _is_page)

    def _clear_pages(self, form: str) -> None:
        for kind in PAGES:
            for path in self.folder.glob(f"{kind}/*.{form}"):
                path.unlink(missing_ok=True)


_NOTHING: dict[str, Any] = {"order": 0, "size": 0, "last": "", "at": None, "form": "", "seq": -1}


def _is_email(name: str) -> bool:
    return name.endswith(".eml")


def _is_page(name: str) -> bool:
    return name.endswith((".html", ".pdf"))


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
