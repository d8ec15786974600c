"""The frame of an email: letterhead and sender around what it says, as mail programs want it.

Styles stand on the elements, nothing is loaded, and the page reads well without any of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from html import escape
from typing import Any

_FONT = "font-family:-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
# Outlook's Word knows no max-width: it gets a table of that width, which others don't see.
_WIDTH = 560
_TABLE = f'<table role="presentation" width="{_WIDTH}" align="center"><tr><td>'
_QUIET = "font-size:13px;line-height:1.5;color:#59616b"


def framed(subject: str, page: str, business: Mapping[str, Any]) -> str:
    """A whole HTML page of what an email says."""
    before, between, after = _frame(*_sender(business), str(business.get("locale") or "en"))
    return f"{before}{escape(subject)}{between}{page}{after}"


def signed(text: str, business: Mapping[str, Any]) -> str:
    """The text of an email with who sent it below, behind the usual mark (RFC 3676, 4.3)."""
    title, lines = _sender(business)
    return f"{text}\n-- \n{title}\n" + "".join(f"{line}\n" for line in lines) if lines else text


def _sender(business: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """A business's name, and where to find it, as far as it says so."""
    title, address, website = [str(business.get(k) or "") for k in ("title", "address", "website")]
    return _in_lines(title, address, website)


@lru_cache(maxsize=64)
def _in_lines(title: str, address: str, website: str) -> tuple[str, tuple[str, ...]]:
    parts = [line for part in address.splitlines() if (line := part.strip())]
    found = (", ".join(parts), " ".join(website.split()))
    return " ".join(title.split()), tuple(filter(None, found))


@lru_cache(maxsize=64)
def _frame(title: str, lines: tuple[str, ...], language: str) -> tuple[str, str, str]:
    before = (
        f'<!doctype html>\n<html lang="{escape(language.replace("_", "-"))}">\n<head>\n'
        '<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light">\n<title>'
    )
    head = (
        f'<div style="padding:0 0 14px;font-size:15px;font-weight:600;color:#16191d">'
        f"{escape(title)}</div>\n"
        if title
        else ""
    )
    between = (
        f'</title>\n</head>\n<body style="margin:0;padding:24px 12px;background:#f4f5f7;{_FONT};'
        f'font-size:16px;line-height:1.55;color:#2a2f35">\n<!--[if mso]>{_TABLE}<![endif]-->\n'
        f'<div style="max-width:{_WIDTH}px;margin:0 auto">\n{head}<div style="padding:32px 32px '
        '16px;background:#ffffff;border:1px solid #e3e6ea;border-radius:8px">\n'
    )
    foot = "<br>\n".join(escape(line) for line in (title, *lines)) if lines else ""
    below = f'<div style="padding:16px 0 0;{_QUIET}">{foot}</div>\n' if foot else ""
    after = (
        f"</div>\n{below}</div>\n<!--[if mso]></td></tr></table><![endif]-->\n</body>\n</html>\n"
    )
    return before, between, after
