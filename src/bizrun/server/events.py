"""`POST /events`: events in, and for each what became of it once that is durable.

An ASGI application of its own, without a framework: this is the way that every event takes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..runtime.lines import Line
from .access import Access
from .bodies import read_body
from .cloudevents import mode_of, split
from .desk import Desk
from .problems import Problem, reply
from .writer import Post

STATUS = {"unmatched": "handled", "failed": "handled"}


class Result(msgspec.Struct, gc=False):
    """What became of an event: handled, duplicate or rejected."""

    id: str | None
    status: str
    reason: str | None = None
    reply: Any = None


class Results(msgspec.Struct, gc=False):
    """The answer to a request with events, in their order."""

    results: list[Result]


async def post_events(
    desk: Desk, access: Access, headers: Mapping[bytes, bytes], receive: Any
) -> Results:
    """Takes the events of a request; a Problem where it is none, or nothing can be taken."""
    caller = access.caller(headers, "ingest")
    content_type = headers.get(b"content-type")
    mode = mode_of(content_type.decode("latin-1") if content_type else None, headers)
    body = await read_body(receive, headers)
    events = split(mode, body, headers)
    if not events:
        return Results([])
    plain = not caller.may("admin")
    lines: list[Line] = await desk.ask(lambda key: Post(key, events, caller.customer, plain))
    results = [result_of(line) for line in lines]
    if all(line.reason is not None for line in lines):
        reasons = "; ".join(dict.fromkeys(str(line.reason) for line in lines[:5]))
        raise Problem(400, f"There is no event in the body: {reasons}.", more={"results": results})
    return Results(results)


def result_of(line: Line) -> Result:
    """What is answered of a line."""
    receipt = line.receipt
    if receipt is None:
        if line.reason is not None:
            return Result(line.id or None, "rejected", line.reason)
        return Result(line.id, "handled")
    status = STATUS.get(receipt.status, receipt.status)
    reason = receipt.reason
    if receipt.status == "unmatched":
        reason = f"nothing in the spec looks at {line.type}"
    return Result(receipt.id or None, status, reason, reply(receipt.reply))
