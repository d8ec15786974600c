"""Documents as web pages: what stands on their printed pages, for a browser."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any

from .document import Document
from .pages import page


def document_html(document: Document) -> bytes:
    """The page of a document, without anything that it would have to load."""
    return str(_template().render(page(document))).encode()


@cache
def _template() -> Any:
    from jinja2 import Environment, StrictUndefined

    env = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    env.filters["base64"] = lambda text: b64encode(text.encode()).decode("ascii")
    source = Path(__file__).with_name("document.html.jinja").read_text(encoding="utf-8")
    return env.from_string(source)
