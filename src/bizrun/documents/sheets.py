"""A template set as pages (`pdf("proposal", { quote })`): its Markdown as blocks of plain runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any

from .document import paper_size
from .labels import labels
from .templates import Lists, subject, tokens

# What a run of text is: the letters that stand for it in `sheet.typ`.
_STYLES = {"strong": "b", "em": "i", "s": "s"}
Run = dict[str, str]
Block = dict[str, Any]


@dataclass(slots=True)
class _Reader:
    """Blocks so far, and the lists, quotes and table that are open."""

    put: Callable[[str], str]
    blocks: list[Block] = field(default_factory=list)
    lists: Lists = field(default_factory=Lists)
    mark: str = ""
    quotes: int = 0
    rows: list[list[list[Run]]] | None = None
    sides: list[str] = field(default_factory=list)

    def take(self, token: Any) -> None:
        """Adds what a token stands for."""
        if self.lists.take(token):
            return
        match token.type:
            case "list_item_open":
                self.mark = self.lists.mark("•")
            case "blockquote_open" | "blockquote_close":
                self.quotes += token.nesting
            case "table_open":
                self.rows, self.sides = [], []
            case "th_open":
                self.sides.append(str(token.attrGet("style") or "").removeprefix("text-align:"))
            case "tr_open" if self.rows is not None:
                self.rows.append([])
            case "table_close":
                self._table()
            case "inline" if self.rows is not None:
                self.rows[-1].append(_runs(token, self.put))
            case "heading_open":
                self._add("heading", level=int(token.tag[1]), runs=[])
            case "inline":
                self._text(_runs(token, self.put))
            case "fence" | "code_block":
                self._add("code", text=self.put(token.content.rstrip("\n")))
            case "hr":
                self._add("rule")

    def _add(self, kind: str, **said: Any) -> None:
        self.blocks.append({"kind": kind, "quoted": self.quotes > 0, **said})

    def _text(self, runs: list[Run]) -> None:
        last = self.blocks[-1] if self.blocks else None
        if last is not None and last["kind"] == "heading" and not last["runs"]:
            last["runs"] = runs
        elif self.lists:
            self._add("item", depth=len(self.lists), mark=self.mark, runs=runs)
            self.mark = ""
        else:
            self._add("text", runs=runs)

    def _table(self) -> None:
        rows = self.rows or []
        self.rows = None
        head = rows[:1] if rows and any(rows[0]) else []
        sides = [side or "left" for side in self.sides]
        self._add("table", sides=sides, head=head, rows=rows[1:])


def _runs(token: Any, put: Callable[[str], str]) -> list[Run]:
    """The runs of a paragraph, each with its styles and the address it leads to."""
    runs: list[Run] = []
    styles: list[str] = []
    address = ""
    for child in token.children or ():
        tag = _STYLES.get(child.tag)
        if child.type == "link_open":
            address = put(str(child.attrGet("href") or ""))
        elif child.type == "link_close":
            address = ""
        elif tag is not None and child.nesting == 1:
            styles.append(tag)
        elif tag is not None and child.nesting == -1:
            styles.remove(tag)
        else:
            text = {"softbreak": " ", "hardbreak": "\n"}.get(child.type)
            text = put(child.content) if text is None else text
            style = "".join(styles) + ("c" if child.type == "code_inline" else "")
            runs.append({"text": text, "style": style, "address": _followed(address)})
    return [run for run in runs if run["text"]]


def _followed(address: str) -> str:
    """An address that a reader may follow from a page, or none."""
    return address if address.startswith(("https://", "http://", "mailto:")) else ""


def sheet(
    name: str,
    parts: Mapping[str, str],
    data: Mapping[str, Any],
    business: Mapping[str, Any],
    now: datetime,
    zone: tzinfo | None = None,
) -> dict[str, Any]:
    """What stands on the pages of a template, as the map of texts that `sheet.typ` sets.

    TemplateError where the template can't be filled with the data.
    """
    local = now.astimezone(zone) if zone is not None else now
    known = {"now": now, "today": local.date(), **data}
    found, put = tokens(name, parts, known, business, zone)
    reader = _Reader(put)
    for token in found:
        reader.take(token)
    words = labels(business.get("locale"))
    lines = [part.strip() for part in str(business.get("address") or "").splitlines()]
    title = str(business.get("title") or "")
    return {
        "title": subject(name, parts, known, business, zone),
        "seller": title,
        "address": [line for line in lines if line],
        "date": words.calendar_day(local.date()),
        "page": words["page"],
        "logo": str(business.get("logo") or ""),
        "paper": paper_size(business),
        "language": words.language,
        "footer": " · ".join(part for part in (title, str(business.get("website") or "")) if part),
        "blocks": reader.blocks,
    }
