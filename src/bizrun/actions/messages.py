"""Messages and calls to the outside: effects that change nothing here but what waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import Refusal
from ..model import Outcome
from ..times import local_date
from .desk import Desk, Row
from .signatures import RECIPIENTS


def message(
    desk: Desk,
    name: str,
    target: Any,
    args: dict[str, Any],
    site: object,
    place: Any,
    resume: dict[str, Any] | None,
) -> None:
    """Writes the effect; what it says is frozen now."""
    if name == "email":
        _check_email(desk, args)
        _fill_subject(desk, args)
    if name in ("ai.generate", "ai.decide", "ai.analyze") and "schema" not in args:
        args["schema"] = {"type": "text"}
    data = {"target": target, **args} if target is not None else args
    desk.effect(name, data, site, place, _customer(args), resume)


def _check_email(desk: Desk, args: dict[str, Any]) -> None:
    for name in RECIPIENTS:
        if isinstance(args.get(name), list | tuple):
            args[name] = _listed(args[name])
    if args.get("to") is None:
        raise Refusal("an email needs an address in `to`, and there is none")
    template = args.get("template")
    if template is not None and template not in desk.program.templates:
        from ..diagnostics import did_you_mean

        meant = did_you_mean(str(template), desk.program.templates)
        hint = f" Did you mean `{meant}`?" if meant else ""
        raise Refusal(f"there is no template `{template}`.{hint}")


def _listed(addresses: Sequence[Any]) -> str | None:
    """A list of addresses as a header has it, each of them once; None where there is none."""
    given = [str(address) for address in addresses if address is not None]
    return ", ".join(dict.fromkeys(given)) or None


def _fill_subject(desk: Desk, args: dict[str, Any]) -> None:
    """Fills the subject of a template now: what is sent, and what tests see, has it."""
    template = desk.program.templates.get(args.get("template") or "")
    if template is None or args.get("subject") is not None or "subject" not in template.parts:
        return
    from ..documents.templates import TemplateError, subject

    program = desk.program
    business = {"title": program.title, "name": program.title, **program.about}
    known = {"now": desk.now, "today": local_date(desk.now, desk.tz), **(args.get("data") or {})}
    try:
        args["subject"] = subject(template.name, template.parts, known, business, desk.tz)
    except TemplateError:
        # Writing the message fails on the same, and says why.
        return


def _customer(args: Mapping[str, Any]) -> str | None:
    found = args.get("customer")
    return found if isinstance(found, str) else None


def outcome(desk: Desk, effect: Row, outcome: Outcome) -> Any:
    """What a handler gets that waited: a delivery, a reply, or an answer."""
    kind = effect["kind"]
    if kind.startswith("ai."):
        data = effect["data"]
        return outcome.data if outcome.status == "succeeded" else data.get("fallback")
    if kind in ("email", "notify", "slack", "transfer"):
        if kind == "email":
            _tell_email(desk, effect, outcome)
        status = "sent" if outcome.status == "succeeded" else "failed"
        if kind == "transfer":
            status = outcome.status
        return {"status": status, "error": outcome.error, "reference": outcome.reference}
    reply: dict[str, Any] = {"ok": False, "status": 0, "body": None, "headers": {}}
    reply["error"] = outcome.error
    if outcome.status == "succeeded":
        reply |= {"ok": True, "status": 200}
    if isinstance(outcome.data, dict):
        reply |= outcome.data
    return reply


def refused_of(outcome: Outcome) -> dict[str, Any]:
    """The recipients of an email that were refused, with what the server said of each."""
    data = outcome.data
    return dict(data.get("refused") or {}) if isinstance(data, Mapping) else {}


def _tell_email(desk: Desk, effect: Row, outcome: Outcome) -> None:
    """An email that was not taken; of several recipients, each that was refused for good."""
    key, to = str(effect["id"]), effect["data"]["to"]
    told = outcome.data if isinstance(outcome.data, Mapping) else {}
    bounced = refused_of(outcome)
    if outcome.status == "failed":
        desk.announce("Email.failed", key, to=to, reason=outcome.error)
        if outcome.error == "recipient_refused" and not bounced:
            bounced = {str(to): told.get("detail")}
    for number, (address, reason) in enumerate(bounced.items()):
        # RFC 5321, 4.2.1: what begins with a 4 may be taken another time.
        for_good = not str(reason or "").startswith("4")
        subject = f"{key}/{number}" if number else key  # each is an event of its own
        desk.announce("Email.bounced", subject, to=address, reason=reason, status=None,
                      permanent=for_good, email=key)  # fmt: skip
