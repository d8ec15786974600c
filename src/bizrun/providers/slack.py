"""Slack: by an incoming webhook, or with a bot's token through chat.postMessage."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ..errors import ProviderError
from ..model import Effect, Outcome
from .addresses import Refused
from .base import Call, Guarantee, Limits, MaybeSent, NotSent
from .egress import Egress, Reply
from .http import seconds
from .secrets import Secrets
from .wire import decode, encode, retry_after

VARIABLE = "SLACK_WEBHOOK_URL"
POST_MESSAGE = "https://slack.com/api/chat.postMessage"
MAX_ANSWER = 100_000
MAX_TEXT = 40_000
# What Slack answers where another try may help (api.slack.com/methods/chat.postMessage).
_LATER = {"ratelimited", "rate_limited", "service_unavailable", "request_timeout"}
_MAYBE = {"internal_error", "fatal_error"}


class SlackProvider:
    """`slack { channel, text }`."""

    name = "slack"

    def __init__(self, egress: Egress | None = None) -> None:
        self.limits = Limits(concurrency=1, per_second=1)  # Slack takes one a second
        self._once = False
        self._egress = egress or Egress()

    def configure(self, secrets: Secrets) -> None:
        """Reads what the connection says of repeated messages."""
        self._once = secrets.value("delivery") == "at_most_once"

    def guarantee(self, effect: Effect) -> Guarantee:
        """Slack knows no keys: a message rather stands twice than not at all."""
        return "at_most_once" if self._once else "at_least_once"

    def deliver(self, effect: Effect, call: Call) -> Outcome:
        """Posts a text to a channel; `notify` goes to `#channel`."""
        data = effect.data
        text = str(data.get("text") or data.get("message") or "")[:MAX_TEXT]
        return self._post(str(call.to or data.get("channel") or ""), text, call)

    def _post(self, channel: str, text: str, call: Call) -> Outcome:
        token, hook = call.secrets.find("token"), _hook(call.secrets)
        headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "bizrun"}
        name = channel.removeprefix("#")
        body: dict[str, Any] = {"text": escaped(text)}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.reveal()}"
            body["channel"] = name or str(call.secrets.value("channel") or "")
        elif name:
            body["channel"] = f"#{name}"  # older webhooks take it, others have a fixed one
        url = (call.secrets.text("base") or POST_MESSAGE) if token is not None else hook
        if url is None:
            raise ProviderError(f"slack is not set up: set the environment variable {VARIABLE}")
        try:
            reply = self._egress.send(
                "POST", url, headers, encode(body), private=token is None or _local(call.secrets),
                timeout=seconds(call), max_body=MAX_ANSWER,
            )  # fmt: skip
        except Refused:
            raise ProviderError("the address of Slack is not one that can be called") from None
        return _outcome(reply)

    def read_back(self, effect: Effect, call: Call) -> Outcome | None:
        """Messages can't be found by a key."""
        return Outcome("unknown")


def _hook(secrets: Secrets) -> str | None:
    for key in ("webhook", "url"):
        found = secrets.find(key)
        if found is not None:
            return found.reveal()
    found = secrets.find("webhook", VARIABLE)
    return found.reveal() if found is not None else None


def _local(secrets: Secrets) -> bool:
    value = secrets.value("base")
    return isinstance(value, Mapping) and value.get("call") == "env"


def escaped(text: str) -> str:
    """A text in which nothing is a link, a mention or a command of Slack's."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _outcome(reply: Reply) -> Outcome:
    pause = retry_after(reply.headers, datetime.now(UTC))
    if reply.status == 429:
        raise NotSent("Slack asks to wait", pause)
    if reply.status >= 500:
        raise MaybeSent(f"Slack answered {reply.status}", retry_after=pause)
    if not reply.ok:
        return Outcome("failed", _word(reply) or f"http_{reply.status}")
    if not reply.headers.get("content-type", "").startswith("application/json"):
        return Outcome("succeeded")
    try:
        found = decode(reply.body)
    except ValueError:
        return Outcome("succeeded")
    if not isinstance(found, Mapping) or found.get("ok", True):
        stamp = found.get("ts") if isinstance(found, Mapping) else None
        return Outcome("succeeded", reference=str(stamp) if stamp else None)
    error = str(found.get("error") or "refused")
    if error in _LATER:
        raise NotSent(f"Slack answered {error}", pause)
    if error in _MAYBE:
        raise MaybeSent(f"Slack answered {error}")
    return Outcome("failed", error)


def _word(reply: Reply) -> str | None:
    """`channel_not_found`, as webhooks answer: a word as the whole body."""
    text = reply.body.decode("ascii", "replace").strip()
    return text if text.replace("_", "").isalnum() and len(text) < 60 else None
