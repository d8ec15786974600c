"""What went wrong in generated code, as a sentence and the spec's own line."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from ..errors import BizError, machine_failure
from . import nodes as ir
from .compile_blocks import NODES, NUMBERED

if TYPE_CHECKING:
    from .compile import Code


def explain_error(exc: BaseException, code: Code | None = None) -> tuple[str, ir.Place | None]:
    """A sentence for any exception out of generated code, and where in the spec it arose.

    The place is that of the handler in `code` where the traceback says none. Where the machine has
    failed that is raised instead: it is nothing that a handler did.
    """
    failure = machine_failure(exc)
    if failure is not None:
        raise failure from None
    place, node, frame = _innermost(exc.__traceback__)
    if place is None and code is not None:
        place = code.unit.handler.place
    if isinstance(exc, BizError):
        return str(exc), place
    return _sentence(exc, node, frame), place


def _innermost(traceback: TracebackType | None) -> tuple[ir.Place | None, Any, Any]:
    """The place, IR node and frame of the innermost generated code."""
    found: tuple[ir.Place | None, Any, Any] = (None, None, None)
    while traceback is not None:
        frame = traceback.tb_frame
        nodes = frame.f_globals.get(NODES)
        if nodes is not None:
            line, column, end = _position(traceback)
            node = nodes[end - NUMBERED] if end >= NUMBERED else None
            file = frame.f_code.co_filename
            if not file.startswith("<"):
                found = ir.Place(file, line, column), node, frame
        traceback = traceback.tb_next
    return found


def _position(traceback: TracebackType) -> tuple[int, int, int]:
    """Line, column and end column of the instruction that failed."""
    positions = list(traceback.tb_frame.f_code.co_positions())
    index = traceback.tb_lasti // 2
    _, _, column, end = positions[index] if index < len(positions) else (None, None, None, None)
    return traceback.tb_lineno, (column or 0) + 1, end or 0


def _sentence(exc: BaseException, node: Any, frame: Any) -> str:
    match exc:
        case RecursionError():
            return "functions call each other too deep"
        case KeyError() if isinstance(node, ir.Get | ir.EntityGet | ir.PlanGet):
            return f"there is no field `{node.name}`"
        case OverflowError() | ValueError():
            return f"a value is out of range: {exc}"
        case ArithmeticError():
            return _again(node, frame) or "a number has no value, such as unlimited less unlimited"
    return _again(node, frame) or "values don't fit each other"


# What the values of a spec can make Python's own operators raise.
_OF_PYTHON = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def _again(node: Any, frame: Any) -> str | None:
    """What the operator says that looks at its values, evaluated once more from the frame."""
    from .interpret import evaluate

    if node is None or "ctx" not in frame.f_locals:
        return None
    names = _names(frame.f_locals)
    try:
        evaluate(node, frame.f_locals["ctx"], names)
    except BizError as exc:
        return str(exc)
    except _OF_PYTHON:
        # It fails as it did before: the caller words that failure.
        return None
    return None


def _names(variables: dict[str, Any]) -> dict[str, Any]:
    """A frame's variables by the names that the author gave them."""
    return {name[2:]: value for name, value in variables.items() if name.startswith("v_")}
