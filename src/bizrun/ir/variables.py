"""Which values a segment needs from before: the free names of steps and expressions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from . import nodes as ir


def free_names(node: Any) -> frozenset[str]:
    """The local names that an expression reads and does not bind itself."""
    match node:
        case ir.Local(name):
            return frozenset((name,))
        case ir.Query():
            inner = free_names((node.where, node.order, node.select)) - {node.var}
            outer = free_names((node.source, node.equals, node.ranges, node.limit))
            return inner | outer
        case ir.GroupBy():
            inner = free_names((node.by, node.value)) - {node.query.var}
            ordered = free_names(node.order) - {node.order_var}
            return free_names(node.query) | inner | ordered | free_names((node.limit, node.zero))
        case ir.ListFor(variable, source, value):
            return free_names(source) | (free_names(value) - {variable})
        case ir.Pattern():
            return pattern_names(node)
        case tuple():
            found: frozenset[str] = frozenset()
            for item in node:
                found |= free_names(item)
            return found
        case None | str() | bool() | int() | ir.Const() | ir.Place():
            return frozenset()
    if isinstance(node, ir.Node):
        return free_names(tuple(getattr(node, name) for name in node.__struct_fields__))
    return frozenset()


def pattern_names(pattern: ir.Pattern) -> frozenset[str]:
    """What the condition of a pattern needs beside the event itself."""
    bound = {pattern.name} if pattern.name else set()
    return (free_names(pattern.where) | free_names(pattern.match_value)) - bound - {"_event"}


def live_names(segments: Sequence[tuple[ir.Step, ...]]) -> list[tuple[str, ...]]:
    """The names that each segment takes, in order of the alphabet: hand-overs included."""
    known: dict[int, frozenset[str]] = {}

    def of(number: int) -> frozenset[str]:
        if number not in known:
            known[number] = frozenset()
            known[number] = block(segments[number], frozenset())
        return known[number]

    def block(steps: tuple[ir.Step, ...], bound: frozenset[str]) -> frozenset[str]:
        needed: frozenset[str] = frozenset()
        for step in steps:
            needs, binds = step_names(step)
            needed |= needs - bound
            bound |= binds
        return needed

    def step_names(step: ir.Step) -> tuple[frozenset[str], frozenset[str]]:
        match step:
            case ir.LetStep(name=name, value=value):
                return free_names(value), frozenset((name,))
            case ir.CreateStep(data=data, name=name):
                return free_names(data), frozenset((name,) if name else ())
            case ir.ActStep(target=target, data=data, name=name):
                return free_names((target, data)), frozenset((name,) if name else ())
            case ir.UpdateStep(target=target, data=data, var=var):
                return free_names(target) | (free_names(data) - {var}), frozenset()
            case ir.TimerStep(when=when, segment=segment, unless=unless):
                return free_names((when, unless)) | of(segment), frozenset()
            case ir.IfStep(condition=condition, then=then, otherwise=otherwise):
                inner = block(then, frozenset()) | block(otherwise, frozenset())
                return free_names(condition) | inner, frozenset()
            case ir.MatchStep(subject=subject, cases=cases, otherwise=otherwise):
                inner = block(otherwise, frozenset())
                for patterns, steps in cases:
                    inner |= free_names(patterns) | block(steps, frozenset())
                return free_names(subject) | inner, frozenset()
            case ir.GotoStep(segment=segment):
                return of(segment), frozenset()
            case ir.AwaitAction(target=target, data=data, name=name, segment=segment):
                return free_names((target, data)) | (of(segment) - {name}), frozenset()
            case ir.AwaitEvent(pattern=pattern, within=within, name=name, segment=segment):
                return free_names((pattern, within)) | (of(segment) - {name}), frozenset()
            case ir.LoopStep(source=source, variable=variable, body=body, after=after):
                inner = (of(body) - {variable}) | (of(after) if after is not None else frozenset())
                return free_names(source) | inner, frozenset()
        return free_names(
            tuple(getattr(step, name) for name in step.__struct_fields__ if name != "place")
        ), frozenset()

    return [tuple(sorted(of(number))) for number in range(len(segments))]
