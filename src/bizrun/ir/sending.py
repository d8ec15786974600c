"""Which effects a program may ask for: what is sent by whom is settled before anything runs."""

from __future__ import annotations

from . import nodes as ir
from .compile import walk
from .program import Program

# What billing asks for by itself, once somebody is billed.
_MONEY = ("charge", "refund", "transfer")


def kinds_sent(program: Program) -> frozenset[str]:
    """The actions of all handlers, and those of billing; `stripe.*` where Stripe's events are
    heard, since what they come by is checked with what is sent."""
    handlers = [
        *program.handlers,
        *(schedule.handler for schedule in program.schedules),
        *(api.handler for api in program.apis),
    ]
    nodes = [node for handler in handlers for node in walk(handler)]
    found = {node.action for node in nodes if isinstance(node, ir.ActStep | ir.AwaitAction)}
    heard = {type_ for node in nodes if isinstance(node, ir.Pattern) for type_ in node.types}
    found |= {f"{type_.partition('.')[0].lower()}.*" for type_ in heard}
    return frozenset(found | set(_MONEY if program.bills else ()))
