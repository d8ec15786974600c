"""Emails as files: RFC 5322 messages of text and HTML, byte-identical for the same effect."""

from __future__ import annotations

import base64
import re
from binascii import b2a_qp
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from email.utils import getaddresses
from functools import lru_cache
from typing import Any, NamedTuple

from .templates import Rendered, plain, render

_LINE = 76
_ADDRESS = re.compile(r"[A-Za-z0-9._+-]+@[A-Za-z0-9.-]+")
_PLAIN = re.compile(r"[\x20-\x7e]*\Z")
_ATOM = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+\Z")


class Attachment(NamedTuple):
    """A file of an email: its name, media type and bytes."""

    name: str
    type: str
    content: bytes


def rendered(
    data: Mapping[str, Any],
    templates: Mapping[str, Mapping[str, str]],
    business: Mapping[str, Any],
    now: datetime,
    zone: tzinfo | None = None,
) -> Rendered:
    """What an email effect says; TemplateError where its template can't be filled.

    `templates` has the parts of each template by its name; `now` and `today` are known in them.
    """
    name = data.get("template")
    if name is None:
        return plain(str(data.get("subject") or ""), str(data.get("body") or ""), business)
    today = (now.astimezone(zone) if zone is not None else now).date()
    known = {"now": now, "today": today, **(data.get("data") or {})}
    given = data.get("subject")
    subject = " ".join(given.split()) if isinstance(given, str) else None
    return render(str(name), templates[name], known, business, zone, subject)


def message(
    effect: Mapping[str, Any],
    content: Rendered,
    business: Mapping[str, Any],
    attachments: Sequence[Attachment] = (),
) -> bytes:
    """The message of an email effect's row; what it names comes from the effect alone."""
    data, key = effect["data"], str(effect["id"])
    address = sender(business)
    given = data.get("from")
    head = [
        _mailboxes("From", given) if given else _header("From", _from(business, address)),
        _mailboxes("To", data.get("to")),
    ]
    head += [
        _mailboxes(name, data[field])
        for name, field in (("Cc", "cc"), ("Bcc", "bcc"), ("Reply-To", "reply_to"))
        if data.get(field)
    ]
    head += [
        _header("Subject", content.subject),
        f"Date: {effect['created'].strftime('%a, %d %b %Y %H:%M:%S')} +0000\r\n",
        f"Message-ID: <{key[:32]}@{address.rpartition('@')[2]}>\r\n",
        "Auto-Submitted: auto-generated\r\n",
        "MIME-Version: 1.0\r\n",
    ]
    return "".join(head).encode() + _body(content, attachments, key[:24])


def _body(content: Rendered, attachments: Sequence[Attachment], key: str) -> bytes:
    inner = f"=_alternative_{key}"
    parts = (
        f'Content-Type: multipart/alternative; boundary="{inner}"\r\n\r\n'.encode(),
        f"--{inner}\r\n".encode(),
        _text_part("plain", content.text),
        f"--{inner}\r\n".encode(),
        _text_part("html", content.html),
        f"--{inner}--\r\n".encode(),
    )
    body = b"".join(parts)
    if not attachments:
        return body
    outer = f"=_mixed_{key}"
    pieces = [
        f'Content-Type: multipart/mixed; boundary="{outer}"\r\n\r\n'.encode(),
        f"--{outer}\r\n".encode(),
        body,
    ]
    for file in attachments:
        pieces += [f"--{outer}\r\n".encode(), _file_part(file)]
    return b"".join([*pieces, f"--{outer}--\r\n".encode()])


def _text_part(kind: str, text: str) -> bytes:
    if not text.endswith("\n"):
        text += "\n"
    encoded = b2a_qp(text.replace("\r\n", "\n").replace("\n", "\r\n").encode(), istext=True)
    head = f"Content-Type: text/{kind}; charset=utf-8\r\n"
    return f"{head}Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode() + encoded


def _file_part(file: Attachment) -> bytes:
    name = re.sub(r"[^\w.@+ -]", "_", file.name, flags=re.ASCII)
    coded = base64.b64encode(file.content).decode("ascii")
    lines = "".join(f"{coded[at : at + _LINE]}\r\n" for at in range(0, len(coded), _LINE))
    return (
        f'Content-Type: {file.type}; name="{name}"\r\n'
        f'Content-Disposition: attachment; filename="{name}"\r\n'
        f"Content-Transfer-Encoding: base64\r\n\r\n{lines}"
    ).encode()


# --- headers -----------------------------------------------------------------------------------


def sender(business: Mapping[str, Any]) -> str:
    """The address that a business writes from: its own, else one that can't exist."""
    own = business.get("email")
    if isinstance(own, str) and "@" in own:
        return " ".join(own.split())
    name = re.sub(r"[^a-z0-9]+", "-", str(business.get("title") or "").lower()).strip("-")
    return f"hello@{name or 'business'}.example"


def _from(business: Mapping[str, Any], address: str) -> str:
    if "<" in address:
        return address
    return f"{_phrase(str(business.get('title') or ''))} <{address}>".lstrip()


@lru_cache(maxsize=256)
def _phrase(name: str) -> str:
    name = " ".join(name.split())
    if not name or _ATOM.match(name):
        return name
    if _PLAIN.match(name):
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        return f'"{quoted}"'
    return _words(name)


def _mailboxes(name: str, value: Any) -> str:
    """A header of addresses: only their names may be encoded (RFC 2047, 5), domains are of
    letters that all servers know (RFC 5890)."""
    if isinstance(value, str) and _ADDRESS.fullmatch(value):
        return f"{name}: {value}\r\n"
    found = getaddresses([_one_line(value)])
    if not found or not all("@" in address for _, address in found):
        return _header(name, value)  # it is never sent
    texts = [
        f"{_phrase(shown)} <{_ascii(address)}>" if shown else _ascii(address)
        for shown, address in found
    ]
    line = ", ".join(texts)
    if len(texts) > 1 and (len(line) > 900 or "=?" in line):
        line = ",\r\n ".join(texts)
    return f"{name}: {line}\r\n"


def _ascii(address: str) -> str:
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        return address


def _one_line(value: Any) -> str:
    text = " ".join(str(value).split())
    if text.isprintable():
        return text
    return "".join(char for char in text if char.isprintable())


def _header(name: str, value: Any) -> str:
    """A header's line: never more than one, whatever the value holds."""
    text = _one_line(value)
    if name == "Subject" and "=?" in text:
        return f"{name}: {_encoded(text)}\r\n"  # what only looks like encoded words is not
    if _PLAIN.match(text) and len(text) + len(name) < 900:
        return f"{name}: {text}\r\n"
    named = re.match(r"(.*?)\s*(<[\x21-\x7e]+>)\Z", text)
    if named and name != "Subject":
        return f"{name}: {_words(named[1].strip(chr(34)))} {named[2]}\r\n"
    return f"{name}: {_words(text)}\r\n"


def _words(text: str) -> str:
    """A text as encoded words, unless it is that already."""
    return text if text.startswith("=?") and text.isascii() else _encoded(text)


def _encoded(text: str) -> str:
    """A text as encoded words (RFC 2047), each short enough and of whole characters."""
    words: list[str] = []
    piece = b""
    for char in text:
        coded = char.encode("utf-8", "replace")
        if len(piece) + len(coded) > 42:
            words.append(base64.b64encode(piece).decode("ascii"))
            piece = b""
        piece += coded
    words.append(base64.b64encode(piece).decode("ascii"))
    return "\r\n ".join(f"=?utf-8?B?{word}?=" for word in words)
