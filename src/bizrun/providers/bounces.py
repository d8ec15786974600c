"""Bounces: what a report of a failed delivery (RFC 3464) says, as a pure function of its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.policy import compat32
from typing import Any

from .inbound import SignedWebhooks, cloud_event

MAX_REPORT = 10_000_000
_KEY = re.compile(r"[+<]([0-9a-f]{32})@")
_STATUS = re.compile(r"\b([245])\.\d{1,3}\.\d{1,3}\b")


@dataclass(frozen=True, slots=True)
class Bounce:
    """One recipient that was not reached. `effect` is the beginning of the email's id, where the
    report still names it; `permanent` whether another try would be in vain."""

    to: str
    reason: str
    status: str | None
    permanent: bool
    effect: str | None

    def data(self) -> dict[str, Any]:
        """The payload of `Email.bounced`."""
        return {
            "to": self.to, "reason": self.reason, "status": self.status,
            "permanent": self.permanent, "email": self.effect,
        }  # fmt: skip


class BounceReports(SignedWebhooks):
    """Takes reports of failed deliveries at `/webhooks/smtp`, as they came by mail: the raw
    message, signed like any webhook with the `webhook_secret` of `connect smtp`."""

    def event(self, headers: Mapping[str, str], body: bytes, now: datetime) -> dict[str, Any]:
        """`Email.bounced`; several recipients of one report stand in `to` with commas."""
        id_ = self.identify(headers, body, now)
        found = bounces(body)
        if not found:
            raise ValueError("it is no report of a failed delivery")
        data = {**found[0].data(), "to": ", ".join(bounce.to for bounce in found)}
        return cloud_event("smtp", id_, "Email.bounced", None, data)


def bounces(raw: bytes) -> list[Bounce]:
    """The failed recipients of a report; empty where it is none, or tells of delays only."""
    if len(raw) > MAX_REPORT:
        return []
    message = message_from_bytes(raw, policy=compat32)
    effect = _effect(message)
    found: dict[str, Bounce] = {}
    for part in message.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for block in _blocks(part):
            bounce = _bounce(block, effect)
            if bounce is not None:
                found.setdefault(bounce.to, bounce)
    return list(found.values())


def _blocks(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    if isinstance(payload, list):
        yield from (block for block in payload if isinstance(block, Message))


def _bounce(block: Message, effect: str | None) -> Bounce | None:
    """A block of a recipient: those of the whole message have no `Final-Recipient`."""
    if str(block.get("Action", "")).strip().lower() != "failed":
        return None
    to = _after_semicolon(block, "Original-Recipient") or _after_semicolon(block, "Final-Recipient")
    if not to or "@" not in to:
        return None
    status = _STATUS.search(str(block.get("Status", "")))
    reason = _after_semicolon(block, "Diagnostic-Code") or (status[0] if status else "failed")
    permanent = status is None or status[1] == "5"
    return Bounce(to, reason[:500], status[0] if status else None, permanent, effect)


def _after_semicolon(block: Message, name: str) -> str:
    """`rfc822; ada@example.com` without the kind before it."""
    text = " ".join(str(block.get(name, "")).split())
    kind, semicolon, value = text.partition(";")
    return (value if semicolon else kind).strip().strip("<>")


def _effect(message: Message) -> str | None:
    """The email's id: in the address the report went to (VERP), else in the returned headers."""
    fields = [str(v) for n in ("To", "Delivered-To", "X-Original-To") for v in
              message.get_all(n, [])]  # fmt: skip
    for part in message.walk():
        if part.get_content_type() == "text/rfc822-headers":
            payload = part.get_payload(decode=True)
            text = payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""
            found = re.search(r"(?im)^Message-ID:\s*(<[^>\s]+>)", text)
            fields += [found[1]] if found else []
        elif part is not message and part.get("Message-ID"):
            fields.append(str(part["Message-ID"]))
    keys = (found[1] for field in fields if (found := _KEY.search(field)))
    return next(keys, None)
