"""Invoices, credit notes and receipts as PDF: archivable (PDF/A-3b), the same bytes each time.

The page is `document.typ`, set by typst with the fonts it brings along. Data reaches it as JSON
and is never read as source.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

from ..errors import BizError
from . import einvoice
from .document import Document
from .pages import page

MISSING = "Invoices are HTML pages; for PDF: pip install 'bizrun[pdf]'"
ARCHIVE = "a-3b"
LOOK = "look.typ"  # what all pages have in common
MAX_LOGO = 500_000


class CannotSet(BizError):
    """An invoice can't be set as a page."""


def available() -> bool:
    """Whether the `pdf` extra is installed."""
    return find_spec("typst") is not None


def document_pdf(document: Document, problems: list[str] | None = None) -> bytes:
    """The pages of a document; CannotSet where typst can't set them.

    Text that no embedded font has is set in one of the author's `fonts`, else in one of the
    system's; where none has it, `problems` says so. With `einvoice` in the business the file is a
    Factur-X; where it can't be, it is a plain PDF and `problems` says why.
    """
    said = page(document)
    issued = document.issued
    timestamp = int(issued.timestamp()) if issued is not None else 0
    found: list[str] = []
    if document.business.get("einvoice") and einvoice.has_form(document):
        try:
            said["xml"] = einvoice.document_xml(document).decode()
        except einvoice.NotConforming as error:
            found.append(f"is no e-invoice: {error}")
    fonts = document.business.get("fonts")
    data, complete = _set("document", said, timestamp, fonts)
    if not complete:
        named = "" if fonts else ', and name the folder in the business block: `fonts "fonts"`'
        found.append(
            "has characters that no font here has, and boxes in their place: put a font that has "
            f"them (Noto Sans CJK, Noto Emoji) into {fonts or 'a folder beside the spec'}{named}"
        )
    if problems is not None:
        problems += [f"the {document.name} {problem}" for problem in found]
    return einvoice.declare(data) if said["xml"] else data


def sheet_pdf(said: Mapping[str, Any], written: datetime, fonts: str | None) -> bytes:
    """The pages of a template (`sheets.sheet`); CannotSet where typst can't set them."""
    return _set("sheet", said, int(written.timestamp()), fonts)[0]


def _set(
    page: str, said: Mapping[str, Any], timestamp: int, fonts: str | None
) -> tuple[bytes, bool]:
    """The PDF of what is said, and whether each character has a shape. An archive wants that:
    where no font has one, its text is still in the file, which is none for an archive then."""
    failed = ""
    for system_fonts, standards in ((False, [ARCHIVE]), (True, [ARCHIVE]), (True, [])):
        setter = _setter(page, system_fonts, fonts)
        try:
            return setter.set(said, timestamp, standards), bool(standards)
        except setter.error as error:
            failed = str(error)
    raise CannotSet(failed)


class _Setter:
    """A compiler that keeps fonts and a page between invoices: the function `body` of PAGE.typ.

    Data lies in a file beside the page: as an input of the compiler it would have all of it done
    anew each time, which takes half as long again.
    """

    def __init__(self, page: str, system_fonts: bool, fonts: str | None) -> None:
        # Its threads share pages out; one page is done sooner by one.
        os.environ.setdefault("RAYON_NUM_THREADS", "1")
        import typst

        self.error: type[Exception] = typst.TypstError
        self._lock = Lock()
        self._folder = TemporaryDirectory(prefix="bizrun-")
        folder = Path(self._folder.name)
        self._data = (folder / "data.json").open("w+b", buffering=0)
        self._size = 0
        module = f"{page}.typ"
        for name in {module, LOOK}:
            (folder / name).write_bytes(Path(__file__).with_name(name).read_bytes())
        main = folder / "main.typ"
        main.write_text(f'#import "{module}": body\n#body(json("data.json"))\n')
        self._compiler = typst.Compiler(
            main,
            root=folder,
            font_paths=typst.Fonts(
                include_system_fonts=system_fonts, font_paths=[fonts] if fonts else []
            ),
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
def _setter(page: str, system_fonts: bool, fonts: str | None = None) -> _Setter:
    return _Setter(page, system_fonts, fonts)


# --- the logo ----------------------------------------------------------------------------------


def logo(spec: str | Path, name: str) -> str:
    """A logo as the text of an SVG, from a file in the folder of the spec (of a link, the link's);
    CannotSet where it is none.

    A PNG or JPEG is put into an SVG of its size, for data reaches the page as text.
    """
    folder = Path(spec).parent.resolve()
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
    if not available():
        return text  # a browser shows it as a picture, or shows nothing
    setter = _setter("logo", False)
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
