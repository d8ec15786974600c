"""`connect` blocks: keys that are read, values that can be, and no secret among them."""

from __future__ import annotations

import re

from ...diagnostics import did_you_mean
from .. import ast
from .facts import Facts, entries, listed

# How the outbox may use any of them: see providers.base.Limits.
PACE = ("timeout", "retries", "concurrency", "per_second", "pause", "longest", "rest")
COMMON = ("url", "auth", "headers", "delivery", "private", "key", "secret", "webhook_secret")
MODELS = ("key", "base", "model", "budget", "most_per_day", "embedding")
KEYS: dict[str, tuple[str, ...]] = {
    "stripe": ("key", "webhook_secret", "base", "version", "account", "most_per_day"),
    "paypal": ("client_id", "client_secret", "base", "webhook_id", "most_per_day"),
    "smtp": ("url", "host", "port", "user", "password", "from", "tls", "private", "delivery",
             "bounces", "webhook_secret"),
    "openai": MODELS,
    "anthropic": MODELS,
    "slack": ("webhook", "url", "token", "channel", "base", "delivery"),
    "webhook": ("secret", "private"),
    "http": ("auth", "headers", "delivery", "private"),
}  # fmt: skip
# Here the author chooses the keys: whom `notify` means by a name.
FREE = ("notify",)
DELIVERY = ("at_most_once", "at_least_once", "idempotent")
AUTH = ("bearer", "basic", "header", "hmac")
SECRETS = re.compile(r"(^|_)(key|secret|token|password|auth|webhook)($|_)")
_LOGIN = re.compile(r"^[a-z+]+://[^/@:\s]+:[^/@\s]+@")
_OPEN = re.compile(r"^http://(?!localhost\b|127\.|\[::1\])", re.IGNORECASE)


def check_connect(connect: ast.Connect, facts: Facts) -> None:
    """Checks one block."""
    if connect.name in FREE:
        return
    known_keys = (*KEYS.get(connect.name, COMMON), *PACE)
    given = entries(connect.data)
    for name, entry in given.items():
        near = None if name in known_keys else did_you_mean(name, known_keys)
        # Of a service of one's own only what is nearly a setting is a slip.
        if name not in known_keys and (near or connect.name in KEYS):
            hint = f"did you mean `{near}`?" if near else f"it reads {listed(known_keys)}"
            text = f"The connection `{connect.name}` does not read `{name}`"
            facts.warn("W0810", entry.name_span, text, help=hint)
        if SECRETS.search(name):
            check_secret(name, entry.value, facts)
        elif isinstance(entry.value, ast.Text) and _LOGIN.match(entry.value.plain or ""):
            _report_secret(name, entry.value, facts)
        _check_value(name, entry.value, facts)
    _check_address(connect, given, facts)


def _check_value(name: str, value: ast.Expr, facts: Facts) -> None:
    plain = value.plain if isinstance(value, ast.Text) else None
    if name == "delivery" and plain is not None and plain not in DELIVERY:
        near = did_you_mean(plain, DELIVERY)
        hint = f'did you mean `"{near}"`?' if near else f"it is {listed(DELIVERY)}"
        facts.report.add("E0821", value.span, f"There is no delivery `{plain}`", help=hint)
    if name == "auth" and isinstance(value, ast.Call) and isinstance(value.callee, ast.Name):
        word = value.callee.name
        if word not in (*AUTH, "env") and word in facts.symbols.fns:
            facts.report.add(
                "E0821", value.span, f"`{word}` is no way to prove who calls",
                help=f"there are {listed(AUTH)}",
            )  # fmt: skip


def _check_address(connect: ast.Connect, given: dict[str, ast.Entry], facts: Facts) -> None:
    """An own service has an address, and a secret does not go there in the clear."""
    url = given.get("url")
    if connect.name in KEYS:
        return
    if url is None:
        if not facts.damaged(connect) and not any(did_you_mean(k, ("url",)) for k in given):
            text = f"The connection `{connect.name}` has no `url`"
            facts.warn("W0812", connect.span, text, help='write `url: "https://…"`')
        return
    plain = url.value.plain if isinstance(url.value, ast.Text) else None
    if plain is None:
        return
    if not re.match(r"https?://[^/\s]", plain, re.IGNORECASE):
        hint = "an address begins with https://"
        facts.report.add("E0822", url.value.span, f"`{plain}` is no address", help=hint)
    elif _OPEN.match(plain) and "auth" in given:
        text = f"The secret of `{connect.name}` goes out in the clear"
        facts.warn("W0811", url.value.span, text, help="write https:// where the service has it")


# --- secrets -----------------------------------------------------------------------------------


def check_secret(name: str, value: ast.Expr, facts: Facts) -> None:
    """Reports a secret that is written down."""
    match value:
        case ast.Text() if value.plain:
            _report_secret(name, value, facts)
        case ast.ListLiteral(items=items):
            for item in items:
                check_secret(name, item, facts)
        case ast.Call(callee=ast.Name(name="bearer" | "basic" | "header"), args=args):
            for arg in args[-1:]:
                check_secret(name, arg, facts)
        case ast.Call(callee=ast.Name(name="hmac"), args=args):
            for arg in args[:1]:
                check_secret(name, arg, facts)
        case _:
            pass


def _report_secret(name: str, value: ast.Expr, facts: Facts) -> None:
    text = f"`{name}` is a secret, and the spec is no place for one"
    hint = 'write `env("…")` and set the variable where it runs'
    facts.report.add("E0820", value.span, text, help=hint)
