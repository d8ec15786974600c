"""An edited spec taken up while requests go on: checked first, and the old one stays if it errs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from ..errors import BizError
from ..ir.program import Program
from ..lang.symbols import Checked
from ..reports.repriced import taken_up
from .business import Business
from .desk import Desk
from .writer import Say, Task

LOOK_SECONDS = 1

Compile = Callable[[str], tuple[Checked, Program | None]]
Signature = tuple[tuple[str, int, int], ...]


class Reload:
    """Looks after the files of a spec. `show` prints what is wrong with one."""

    def __init__(
        self, business: Business, compile_spec: Compile, say: Say, show: Callable[[Checked], None]
    ) -> None:
        self._business = business
        self._compile = compile_spec
        self._say = say
        self._show = show
        self._asked = asyncio.Event()
        self._seen = _signature(business.checked)

    def ask(self) -> None:
        """Takes the spec up anew, changed or not: SIGHUP."""
        self._asked.set()

    async def watch(self, desk: Desk) -> None:
        """Takes up what changes, for as long as it is let."""
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._asked.wait()
            except TimeoutError:
                if not await self._changed():
                    continue
            self._asked.clear()
            await self._take_up(desk)

    async def _changed(self) -> bool:
        """Whether a file has changed, and is not in the middle of being written."""
        found = _signature(self._business.checked)
        if found == self._seen:
            return False
        await asyncio.sleep(LOOK_SECONDS / 4)
        return found == _signature(self._business.checked)

    async def _take_up(self, desk: Desk) -> None:
        self._seen = _signature(self._business.checked)
        path = self._business.program.path
        try:
            checked, program = await asyncio.to_thread(self._compile, path)
            if program is None:
                self._show(checked)
                self._say(f"{path} has errors: the one before is served on")
                return
            told = await desk.ask(lambda key: Task(key, _use(checked, program)))
        except (BizError, OSError) as error:
            self._say(f"{path} can't be taken up, the one before is served on: {error}")
            return
        self._seen = _signature(checked)
        for change in told:
            self._say(change)
        self._say(f"{path} was edited: the new one is served")


def _use(
    checked: Checked, program: Program
) -> Callable[[Business, datetime], list[str] | BizError]:
    def use(business: Business, _: datetime) -> list[str] | BizError:
        # What was done before in this transaction stands: opening drops what is not committed.
        business.commit()
        try:
            business.use(checked, program)
        except BizError as error:
            return error
        return taken_up(business.engine)

    return use


def _signature(checked: Checked) -> Signature:
    """What tells whether a file of a spec was written since: its time and size."""
    found = []
    loaded = checked.loaded
    names = {*loaded.sources, *(source.name for source in loaded.template_files.values())}
    for name in sorted(names):
        try:
            status = Path(name).stat()
        except OSError:
            continue
        found.append((name, status.st_mtime_ns, status.st_size))
    return tuple(found)
