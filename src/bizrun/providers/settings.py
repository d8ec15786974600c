"""What a setting of each provider looks like, looked at before anything is sent: its form, no more.

A setting that is wrong would show hours later, as an effect that nobody can deliver. No name is
resolved here and nothing is called: a provider that is down is the outbox's affair. What a setting
holds is never part of a message: most are secrets, and addresses carry some.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from ..errors import ProviderError
from .addresses import Refused, objection, split_url
from .secrets import Secrets

# What is wrong with a text, None where it can be used; whether private networks are allowed.
Fault = Callable[[str, bool], str | None]

_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")  # RFC 1123, 2.1; `_` as many have it
_QUOTES = "\"'`“”„‘’"
_VERSION = re.compile(r"/v\d+/?$")


@dataclass(frozen=True, slots=True)
class Setting:
    """`key` in a `connect` block, or `variable` without one; `example` is what to write.

    `beside`: the setting that makes no sense without this one.
    """

    key: str
    variable: str | None
    fault: Fault
    example: str
    beside: tuple[str, str | None] | None = None


def address(text: str, private: bool) -> str | None:
    """What is wrong with an address of HTTP."""
    try:
        parts = split_url(text)
    except Refused as error:
        return f"is no address that can be called ({error})"
    return host(parts.hostname or "", private)


def api(text: str, private: bool) -> str | None:
    """The same for an address to which paths like /v1/charges are added."""
    ends = _VERSION.search(text)
    if ends is not None:
        return f"ends with {ends[0]}, which is added to it"
    return address(text, private)


def host(name: str, private: bool) -> str | None:
    """What is wrong with the name or the number of a host."""
    try:
        why = objection(ip_address(name), private)
    except ValueError:
        labels = name.rstrip(".").split(".")
        if not all(map(_LABEL.fullmatch, labels)):
            return "holds no host's name"
        why = "this machine" if labels == ["localhost"] and not private else None
    return f"names a host that is {why}" if why else None


def token(text: str, _private: bool) -> str | None:
    """What is wrong with a key: it stands in a header as it is."""
    if not text.isascii() or not text.isprintable() or " " in text:
        return (
            "holds characters that no key has (blanks, line breaks, or other letters than A to Z)"
        )
    return None


def stripe_key(text: str, private: bool) -> str | None:
    """What is wrong with a key of Stripe's; at another address any key may be right."""
    for prefix, what in (("pk_", "a publishable key"), ("whsec_", "the secret of a webhook")):
        if text.startswith(prefix):
            return f"is {what}"
    return token(text, private)


def stripe_secret(text: str, private: bool) -> str | None:
    """What is wrong with the secret of a webhook endpoint: it may be several, blanks between."""
    for prefix, what in (("pk_", "a publishable key"), ("sk_", "an API key"), ("we_", "an id")):
        if text.startswith(prefix):
            return f"is {what}, not the secret of a webhook endpoint"
    return next(filter(None, (token(part, private) for part in text.split())), None)


_SECRET = "the secret of its app"
SETTINGS: dict[str, tuple[Setting, ...]] = {
    "stripe": (
        Setting("key", "STRIPE_API_KEY", stripe_key, "sk_live_… or sk_test_…, or rk_… for less"),
        Setting("base", "STRIPE_API_BASE", api, "https://api.stripe.com"),
        Setting("webhook_secret", "STRIPE_WEBHOOK_SECRET", stripe_secret, "whsec_…"),
    ),
    "paypal": (
        Setting("client_id", "PAYPAL_CLIENT_ID", token, "the client id of an app of PayPal's"),
        Setting("client_secret", "PAYPAL_CLIENT_SECRET", token, _SECRET,
                beside=("client_id", "PAYPAL_CLIENT_ID")),
        Setting("base", "PAYPAL_API_BASE", api, "https://api-m.sandbox.paypal.com"),
    ),
    "slack": (
        Setting("webhook", "SLACK_WEBHOOK_URL", address, "https://hooks.slack.com/services/…"),
        Setting("url", None, address, "https://hooks.slack.com/services/…"),
        Setting("token", None, token, "xoxb-…"),
        Setting("base", None, address, "https://slack.com/api/chat.postMessage"),
    ),
    "openai": (
        Setting("key", "OPENAI_API_KEY", token, "sk-…"),
        Setting("base", "OPENAI_BASE_URL", address, "https://api.openai.com/v1"),
    ),
    "anthropic": (
        Setting("key", "ANTHROPIC_API_KEY", token, "sk-ant-…"),
        Setting("base", "ANTHROPIC_BASE_URL", api, "https://api.anthropic.com"),
    ),
}  # fmt: skip


def faults(name: str, secrets: Secrets) -> Iterator[str]:
    """A sentence for each setting of a configured provider that can't be right: which, what is
    wrong with it, what to write."""
    for setting in SETTINGS.get(name, ()):
        found = secrets.find(setting.key, setting.variable)
        where = secrets.named(setting.key, setting.variable)
        if found is not None:
            private = secrets.from_environment(setting.key)
            why = _fault(found.reveal(), setting.fault, private)
            if why is not None:
                yield f"{where} {why}: write {setting.example}."
        elif setting.beside is not None and secrets.find(*setting.beside) is not None:
            how = secrets.missing(setting.key, setting.variable)
            yield f"`{name}` has no {setting.key}: {how} to {setting.example}."
    if name == "stripe":
        yield from _foreign_key(secrets)
    if name in _OWN:
        yield from _OWN[name](secrets)


def _fault(text: str, fault: Fault, private: bool) -> str | None:
    """What is wrong with a text; that it was copied with quotation marks is said first."""
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        return "stands in quotation marks, which are part of it"
    if text != text.strip():
        return "begins or ends with a blank or a line break"
    return fault(text, private)


def _foreign_key(secrets: Secrets) -> Iterator[str]:
    """At Stripe's own address there are keys of two kinds."""
    found = secrets.find("key", "STRIPE_API_KEY")
    if found is None or secrets.text("base", "STRIPE_API_BASE"):
        return
    text = found.reveal()
    if _fault(text, stripe_key, True) is None and not text.startswith(("sk_", "rk_")):
        where = secrets.named("key", "STRIPE_API_KEY")
        yield f"{where} is no key of Stripe's: write sk_live_… or sk_test_…, or rk_… for less."


def connection(secrets: Secrets) -> Iterator[str]:
    """The same for an HTTP service that a spec connects, whose variables are all set."""
    from .egress import header_lines
    from .http import private, settled

    url = secrets.text("url")
    if url is not None:
        why = _fault(url, address, private(secrets))
        if why is not None:
            more = ", or `private: true` in its block" if "names a host" in why else ""
            yield f"{secrets.named('url')} {why}: write https://…{more}."
    try:
        header_lines(settled(secrets))
    except (Refused, ProviderError) as error:
        yield f"`connect {secrets.name}` can't be used: {error}."


def _smtp(secrets: Secrets) -> Iterator[str]:
    from .smtp import server_of

    try:
        server = server_of(secrets)
    except ProviderError as error:
        yield f"{error}."
        return
    why = host(server.host, server.private)
    if why is not None:
        where = secrets.named("host") if secrets.text("host") else secrets.named("url", "SMTP_URL")
        yield f"{where} {why}: write the name of a mail server, as smtp.example.com."


def _webhook(secrets: Secrets) -> Iterator[str]:
    from .webhook import VARIABLE, signing_keys

    try:
        signing_keys(secrets)
    except ProviderError as error:
        yield f"{secrets.named('secret', VARIABLE)} can't sign: {error}."


_OWN: dict[str, Callable[[Secrets], Iterator[str]]] = {"smtp": _smtp, "webhook": _webhook}
