"""`POST /outbox`: what a person does to the outbox of a running server, with an admin token."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal, get_args

import msgspec

from ..diagnostics import did_you_mean
from ..model import Outcome
from ..providers.registry import PROVIDERS
from ..runtime import interventions
from ..runtime.bounds import PARKED
from ..store.base import Row
from .access import Access
from .bodies import read_body
from .business import Business
from .desk import Desk
from .problems import Problem, encode
from .requests import Request, Response
from .writer import Task

_Name = Literal["stop", "start", "unpark", "retry", "resolve"]


class Act(msgspec.Struct, forbid_unknown_fields=True):
    """`{"act": "stop", "connector": "stripe", "reason": "…"}`, and so on."""

    act: _Name
    connector: str | None = None
    customer: str | None = None
    effect: str | None = None
    outcome: Literal["succeeded", "failed"] = "failed"
    error: str = "resolved_by_hand"
    reason: str | None = None

    def about(self) -> str:
        """What is acted on; a Problem where the body does not say."""
        names = {"unpark": "customer", "retry": "effect", "resolve": "effect"}
        name = names.get(self.act, "connector")
        found: str | None = getattr(self, name)
        if not found:
            raise Problem(400, f"`{self.act}` needs `{name}`.")
        return found


class Acting:
    """Answers those who act on a business."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self.desk, self.access = desk, access

    async def act(self, request: Request) -> Response:
        """Does one act, on the writer's thread and in a commit; how things stand then."""
        caller = self.access.caller(request.headers, "admin")
        body = await read_body(request.receive, request.headers)
        try:
            asked = msgspec.json.decode(body, type=Act)
        except (msgspec.DecodeError, RecursionError) as error:
            acts = ", ".join(get_args(_Name))
            text = f"The act can't be read ({str(error)[:200]}): there are {acts}."
            raise Problem(400, text) from None
        person = interventions.Person(f"token {caller.token[:12]}".rstrip(), datetime.now(UTC))
        do = _doing(asked, asked.about(), person)
        return Response(encode(await self.desk.ask(lambda key: Task(key, do))))


def _doing(
    asked: Act, about: str, person: interventions.Person
) -> Callable[[Business, datetime], dict[str, Any]]:
    def do(business: Business, now: datetime) -> dict[str, Any]:
        business.advance(now)
        match asked.act:
            case "stop":
                _known(business, about)
                interventions.stop(business.engine, person, about, asked.reason)
                return {"act": "stop", "connector": about}
            case "start" | "unpark":
                name = about if asked.act == "start" else f"{PARKED}{about}"
                if not interventions.start(business.engine, person, name):
                    raise Problem(409, f"{about} is not stopped.")
                business.look()
                return {"act": asked.act, "about": about}
            case "resolve":
                row = _open_row(business, about)
                failed = Outcome("failed", asked.error)
                given = Outcome("succeeded") if asked.outcome == "succeeded" else failed
                interventions.resolve(business.engine, person, row["id"], given)
                business.engine.drain()
            case "retry":
                row = _open_row(business, about)
                if not business.retry(row):
                    raise Problem(409, "The server is not live: the sandbox leaves nothing open.")
                interventions.audit(business.engine, person, "retried", row["id"])
        row = business.engine.state.get("_effect", about) or row
        return {"act": asked.act, "effect": row["id"], "status": row["status"]}

    return do


def _known(business: Business, connector: str) -> None:
    names = sorted({*business.program.connections, *(entry.name for entry in PROVIDERS)})
    if connector not in names:
        near = did_you_mean(connector, names)
        hint = f"Did you mean `{near}`?" if near else f"There are {', '.join(names)}."
        raise Problem(404, f"There is no connector `{connector[:80]}`. {hint}")


def _open_row(business: Business, key: str) -> Row:
    row = business.engine.state.get("_effect", key)
    if row is None:
        raise Problem(404, f"There is no effect {key[:80]}.")
    if row["status"] in ("done", "failed", "leased"):
        words = {"done": "has succeeded", "failed": "has failed", "leased": "is being sent"}
        raise Problem(409, f"The effect {words[row['status']]}.")
    return row
