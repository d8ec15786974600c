"""The body of a request, bounded in size and in time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from .problems import Problem

Receive = Callable[[], Awaitable[Any]]

MAX_BODY = 16_000_000
BODY_SECONDS = 30
# What is too large is read to its end, up to here, so that its sender gets to read the answer.
MAX_DRAINED = 200_000_000
DRAIN_SECONDS = 10

_CLOSE = [(b"connection", b"close")]


class Gone(Exception):
    """The client has hung up."""


async def read_body(
    receive: Receive, headers: Mapping[bytes, bytes], most: int = MAX_BODY
) -> bytes:
    """The whole body, at most so many bytes; a Problem (408, 413, 415) where it is too slow, too
    large or encoded."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > most:
        if b"expect" not in headers:
            await _drain(receive)
        raise _too_large(most)
    message = await _within(receive(), BODY_SECONDS)
    body: bytes = message["body"]
    if message["more_body"]:
        body = await _within(_rest(receive, body, most), BODY_SECONDS)
    return _decoded(body, headers, most)


async def _within(work: Awaitable[Any], seconds: int) -> Any:
    try:
        async with asyncio.timeout(seconds):
            found = await work
    except TimeoutError:
        text = f"The body did not arrive within {seconds} seconds."
        raise Problem(408, text, headers=_CLOSE) from None
    if isinstance(found, dict) and found["type"] == "http.disconnect":
        raise Gone
    return found


async def _rest(receive: Receive, first: bytes, most: int) -> bytes:
    parts, size = [first], len(first)
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        parts.append(message["body"])
        size += len(message["body"])
        if size > most:
            await _drain(receive)
            raise _too_large(most)
        if not message["more_body"]:
            return b"".join(parts)


async def _drain(receive: Receive) -> None:
    size = 0
    try:
        async with asyncio.timeout(DRAIN_SECONDS):
            while size < MAX_DRAINED:
                message = await receive()
                if message["type"] == "http.disconnect" or not message["more_body"]:
                    return
                size += len(message["body"])
    except TimeoutError:
        return


def _too_large(most: int) -> Problem:
    return Problem(413, f"A body has at most {most:,} bytes: send less at a time.", headers=_CLOSE)


def _decoded(body: bytes, headers: Mapping[bytes, bytes], most: int) -> bytes:
    """The body out of its content encoding: none, or gzip within the same bound."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower()
    if encoding == b"identity":
        return body
    if encoding not in (b"gzip", b"x-gzip"):
        shown = encoding.decode("ascii", "replace")[:40]
        text = f"The content encoding {shown} is not taken: send gzip, or none."
        raise Problem(415, text, headers=[(b"accept-encoding", b"gzip")])
    unzip = zlib.decompressobj(wbits=31)
    try:
        found = unzip.decompress(body, most + 1)
    except zlib.error:
        raise Problem(400, "The body is no gzip.") from None
    if len(found) > most:
        raise _too_large(most)
    if not unzip.eof:
        raise Problem(400, "The body is cut short: its gzip has no end.")
    return found
