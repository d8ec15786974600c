"""`bizrun check SPEC --against STATE`: what an edit does to what is stored and under way."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import StoreError, UsageError
from ..ir.lacking import lacking
from ..store.postgres_address import is_postgres, shown
from .state import check_belongs, found_state, program_of, spec_row

if TYPE_CHECKING:
    from ..runtime.engine import Engine
    from ..store.base import Store

_SAME = "unaffected"
_OLD = "goes on with the version it began with"
_GONE = "needs a decision: the spec has no such handler any more; it goes on with the old version"


def tell(spec: str, state: str) -> int:
    """Prints what an edited spec does to a state; 1 where what is stored does not fit.

    Nothing of the state changes.
    """
    from ..pipeline import open_engine
    from ..providers.sandbox import Sandbox
    from ..reports.repriced import due_anew, repriced

    address = found_state(state, spec)
    _, program = program_of(spec)
    name = shown(address)
    with _rehearsed(address) as store:
        try:
            row = spec_row(store)
            if row is not None and row["spec"] != program.name:
                raise UsageError(
                    f"it is the state of `{row['spec']}`; an edited copy of that spec is checked "
                    f"under the same name, such as edited/{row['spec']}.biz."
                )
            check_belongs(row, program, address)
            engine = open_engine(program, store, Sandbox())
            lines = [*engine.migrated, *_under_way(engine), *repriced(engine), *due_anew(engine)]
        except (StoreError, UsageError) as problem:
            click.echo(f"{name} does not fit {spec}: {problem}", err=True)
            return 1
    click.echo(f"against {name}:" + ("" if lines else " nothing changes"))
    for line in lines:
        click.echo(f"  {line}")
    return 0


@contextmanager
def _rehearsed(address: str) -> Iterator[Store]:
    """A state to be opened as the next run would open it, with nothing kept of that."""
    from ..store.backup import back_up
    from ..store.open import open_store

    with ExitStack() as stack:
        if not is_postgres(address):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            copy = str(Path(folder) / "state.db")
            back_up(address, copy)
            store = open_store(copy)
        else:
            # A reader has what an edit changes in temporary tables, and says so.
            store = open_store(address, reading=True)
        stack.callback(store.close)
        yield store


def _under_way(engine: Engine) -> Iterator[str]:
    """Each handler that something waits in, and what becomes of it."""
    program = engine.program
    handlers = [*program.handlers, *(schedule.handler for schedule in program.schedules)]
    handlers += [api.handler for api in program.apis]
    today = {handler.id: engine.hash_of(engine.dispatch.code(handler)) for handler in handlers}
    for unit, count in sorted(engine.waits.under_way().items()):
        handler = engine.waits.code(unit).unit.handler.id
        verdict = _GONE if handler not in today else _SAME if today[handler] == unit else _OLD
        gone = lacking(engine.waits.code(unit).unit, program)
        if gone:
            verdict = f"will fail where it comes to {' or '.join(gone)}, gone since it began"
        yield f"{count:,} × {handler}: {verdict}"
