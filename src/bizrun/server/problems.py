"""What is answered where a request can't be served: problem details as of RFC 9457."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec

from ..values import plain

JSON = b"application/json"
PROBLEM = b"application/problem+json"

Headers = list[tuple[bytes, bytes]]

# Numbers as they are: exact ones too.
encode = msgspec.json.Encoder(decimal_format="number").encode


class Problem(Exception):
    """Why a request is not served: an HTTP status, a sentence, and what a program may read."""

    def __init__(
        self,
        status: int,
        detail: str,
        retry_after: int | None = None,
        more: Mapping[str, Any] | None = None,
        headers: Headers | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.more = dict(more or {})
        self.headers = list(headers or [])
        if retry_after is not None:
            self.headers.append((b"retry-after", b"%d" % retry_after))
        if status == HTTPStatus.UNAUTHORIZED and not headers:
            self.headers.append(challenge())

    def body(self) -> bytes:
        """The JSON of it."""
        found = {
            "type": "about:blank", "title": HTTPStatus(self.status).phrase,
            "status": self.status, "detail": self.detail, **self.more,
        }  # fmt: skip
        return encode(found)


def challenge(error: str | None = None, scope: str | None = None) -> tuple[bytes, bytes]:
    """The header that asks for a token, and says what was wrong with the one that came (RFC 6750,
    3)."""
    parts = ['Bearer realm="bizrun"', *([f'error="{error}"'] if error else [])]
    parts += [f'scope="{scope}"'] if scope else []
    return b"www-authenticate", ", ".join(parts).encode()


def reply(value: Any) -> Any:
    """What a handler or a route returned, as JSON: a row is an object of its fields."""
    return _without_keys(plain(value))


def _without_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_keys(part) for name, part in value.items() if name != "$key"}
    return [_without_keys(part) for part in value] if isinstance(value, list) else value
