"""The body of a request, bounded in size and in time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .problems import Problem

Receive = Callable[[], Awaitable[Any]]
Grow = Callable[[int], None]

MAX_BODY = 16_000_000
MAX_MEMBERS = 10_000  # of one gzip
PIECE = 16_384
SMALL_BODY = 64_000
BODY_SECONDS = 30
# What is too large is read to its end, up to here, so that its sender gets to read the answer.
MAX_DRAINED = 200_000_000
DRAIN_SECONDS = 10

_CLOSE = [(b"connection", b"close")]


class Gone(Exception):
    """The client has hung up."""


class Room:
    """What bodies of people without a token may take together while they arrive. A small one has
    its place in any case, so that those who send slowly shut out nobody who sends little."""

    def __init__(self, most: int) -> None:
        self._left = most

    @contextmanager
    def place(self) -> Iterator[Grow]:
        """A place for one body, given back at the end: call what this gives with its size so far;
        a Problem (503) where there is no room for it."""
        taken = 0

        def grow(size: int) -> None:
            nonlocal taken
            more = max(0, size - SMALL_BODY) - taken
            if more > self._left:
                raise Problem(503, "Too much is being sent at once.", 1, headers=_CLOSE)
            taken, self._left = taken + more, self._left - more

        try:
            yield grow
        finally:
            self._left += taken


async def read_body(
    receive: Receive,
    headers: Mapping[bytes, bytes],
    most: int = MAX_BODY,
    grow: Grow = lambda size: None,
) -> bytes:
    """The whole body, at most so many bytes; a Problem (408, 413, 415) where it is too slow, too
    large or encoded. `grow` is told how large it is as it arrives."""
    length = headers.get(b"content-length")
    if length is not None and length.isdigit() and int(length) > most:
        if b"expect" not in headers:
            await _drain(receive)
        raise _too_large(most)
    message = await _within(receive(), BODY_SECONDS)
    body: bytes = message["body"]
    grow(len(body))
    if message["more_body"]:
        body = await _within(_rest(receive, body, most, grow), BODY_SECONDS)
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


async def _rest(receive: Receive, first: bytes, most: int, grow: Grow) -> bytes:
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
        grow(size)
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
    return _unzipped(body, most)


def _unzipped(body: bytes, most: int) -> bytes:
    """All members of a gzip (RFC 1952, 2.2): what follows the first one is of the body, too."""
    found = bytearray()
    view, at = memoryview(body), 0
    for _ in range(MAX_MEMBERS):
        at = _member(view, at, found, most)
        if at == len(view):
            return bytes(found)
    raise _too_large(most)


def _member(view: memoryview, at: int, found: bytearray, most: int) -> int:
    """Adds what a member holds; where it ends. Fed by pieces, since zlib copies what is left."""
    unzip = zlib.decompressobj(wbits=31)
    while not unzip.eof:
        piece = view[at : at + PIECE]
        if not piece:
            raise Problem(400, "The body is cut short: its gzip has no end.")
        try:
            found += unzip.decompress(piece, most - len(found) + 1)
        except zlib.error:
            raise Problem(400, "The body is no gzip.") from None
        if len(found) > most:
            raise _too_large(most)
        at += len(piece)
    return at - len(unzip.unused_data)
