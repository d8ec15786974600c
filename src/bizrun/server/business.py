"""What is served: a spec with its state, held open. Only the writer's thread touches it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

from ..documents.sink import Sink
from ..errors import UsageError
from ..ir.program import Program
from ..lang.symbols import Checked
from ..model import Receipt, base_of
from ..pipeline import letters, open_engine, open_registry
from ..providers.inbound import Settled
from ..providers.registry import Registry
from ..providers.sandbox import Sandbox
from ..runtime.delivery import Worker
from ..runtime.engine import Engine
from ..runtime.lane import Lanes
from ..runtime.lines import Line, Reader
from ..runtime.stream import FIRST_YEAR, handle_batch, move_on
from ..runtime.tenancy import untold
from ..store.base import Row, Store
from ..store.open import open_store
from ..values import instant_text
from .feed import Feed, watched

# How far an event's time may lie ahead of this machine's clock.
AHEAD = timedelta(seconds=300)


class Business:
    """A program over its state: takes events, moves its clock on, commits, delivers.

    `folder`: where the sandbox puts emails and invoices, None for no files. `environment`: what
    providers find their keys in, where effects go to real ones; None for the sandbox. `tell` gets
    a line for a person; `wake`, to be set, is called from a thread when a provider has answered.
    """

    def __init__(
        self,
        checked: Checked,
        program: Program,
        store: Store,
        address: str,
        folder: str | None,
        environment: Mapping[str, str] | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.address = address
        self.folder = folder
        self.tell = tell
        self.wake: Callable[[], None] = lambda: None
        self._environment = environment
        self._worker: Worker | None = None
        self._invoices = True
        self.store, self._watch = watched(store)
        self.sink: Sink | None
        self.use(checked, program)
        self.sink = self._begin_files()
        self.feed = Feed(self.store.last_seq())

    def use(self, checked: Checked, program: Program) -> None:
        """Goes on with this program; StoreError where what is stored does not fit it."""
        live = self._environment is not None
        registry = self._providers(program)
        engine = open_engine(program, self.store, None if live else Sandbox())
        if registry is not None:
            self._deliver_by(registry, engine)
        self.checked, self.program, self.engine = checked, program, engine
        self._reader = Reader(program, named=True)
        self._lanes = Lanes(engine, self._reader.shapes)
        self.sink = None  # what is to be written waits in the state meanwhile

    def _begin_files(self) -> Sink | None:
        """What writes files, from where the newest stands; an OSError where they can't be."""
        if self.folder is None:
            return None
        sink = Sink(self.folder, self.program)
        sink.begin(self.store)
        if self.engine.outbox.deliver is not None:
            self.engine.outbox.deliver = sink.watch(self.engine.outbox.deliver)
        self._invoices = True
        return sink

    def _providers(self, program: Program) -> Registry | None:
        """The real providers of a program; UsageError where one lacks what it needs."""
        if self._environment is None:
            return None
        return open_registry(program, self._environment, self.tell)

    def _deliver_by(self, providers: Registry, engine: Engine) -> None:
        """Has effects delivered; calls under way go on, whatever engine asked for them."""
        write = letters(engine, providers)
        if self._worker is None:
            wake = lambda: self.wake()  # noqa: E731 - it is set later
            self._worker = Worker(engine, providers, None, False, wake, self.tell, write)
            self._worker.begin()
        else:
            self._worker.hand_over(engine, providers, write)

    def deliver(self) -> datetime | None:
        """Takes providers' answers, with what follows from them, and begins the calls that are
        due, each step committed; when to come again at the latest."""
        if self._worker is None:
            return None
        at = self._worker.turn()
        self.commit()
        return at

    def heard(self, told: Settled, at: datetime) -> bool:
        """Takes the outcome of an effect that a provider tells by a webhook of an instant; False
        where the provider has to tell it again, since the call is still under way."""
        self.engine.advance(at)
        if not self.engine.outbox.heard(told.effect, told.outcome, told.kind, told.amount):
            return False
        self.engine.drain()
        return True

    def look(self) -> None:
        """Takes up effects that wait and that were not to be sent so far."""
        if self._worker is not None:
            self._worker.look()

    def retry(self, row: Row) -> bool:
        """Tries an effect again, at a person's wish; False where nothing is sent."""
        if self._worker is not None:
            self._worker.retry(row)
        return self._worker is not None

    def finish(self) -> None:
        """Ends in good order: no more calls, and the answers of those under way."""
        if self._worker is not None:
            self._worker.finish()
            self.commit()

    def reopen(self) -> None:
        """Opens a state anew that failed and was given up."""
        self.store.close()
        self._worker = None  # what it knew of may not have been kept
        self.store, self._watch = watched(open_store(self.address))
        self.use(self.checked, self.program)

    def roll_back(self) -> None:
        """Drops all since the last commit, what the engine remembers of it included."""
        self.store.rollback()
        self._watch.forget()
        self.use(self.checked, self.program)

    def advance(self, now: datetime) -> None:
        """Fires what is due; the state's clock follows where something was, and never goes back."""
        engine = self.engine
        due = engine.timers.next_due
        if engine.clock is None or (due is not None and due <= now):
            move_on(engine, now)

    def catch_up(self, now: datetime) -> None:
        """Fires all that became due while nothing ran, and keeps it."""
        self.advance(now)
        self.commit()
        self.write_files()

    def read(self, number: int, data: bytes, now: datetime, owner: str | None) -> Line:
        """The event in some bytes; `reason` says why they are none that can be taken now.

        What a customer sends has ids of its own: it can't stand for another's event.
        """
        line = self._reader.line(number, data)
        if line is None:
            return Line(number, "", reason="the event is empty")
        if line.reason is None:
            if line.time is None:
                line.time, line.stamp = now, instant_text(now)
            elif line.time > now:
                self._ahead(line, now)
            elif line.time.year < FIRST_YEAR:
                line.reason = f"its time is before {FIRST_YEAR}"
            if owner is not None:
                line.owner, line.item = owner, None
                line.source = f"customer {owner} {line.source}".rstrip()
        return line

    def refuse_untold(self, lines: list[Line]) -> None:
        """Refuses what only bizrun tells (a paid invoice), or a processor of which billing believes
        it (a dispute), as if it were never sent."""
        for line in lines:
            why = untold(self.program, line.type, self.engine.actions.tells(line.type))
            if line.reason is None and why is not None:
                line.receipt = Receipt(line.id, "rejected", why)

    def _ahead(self, line: Line, now: datetime) -> None:
        """An event may come from a machine whose clock runs ahead; this one's timers don't."""
        if line.time - now > AHEAD:
            line.reason = (
                f"its time is more than {AHEAD.seconds // 60} minutes ahead of this server's "
                f"clock ({instant_text(now)})"
            )
        else:
            line.time, line.stamp, line.item = now, instant_text(now), None

    def handle(self, lines: list[Line]) -> None:
        """Handles events in order; each line's `receipt` says what became of it."""
        handle_batch(self.engine, self._lanes, self._reader.batch_of(lines))
        refusals = self.engine.refusals
        for line in lines if refusals else ():
            # One that waits for what the sandbox answers at once may refuse after that.
            reason = refusals.get(base_of(line.id, line.source))
            if reason and (line.receipt is None or line.receipt.status == "handled"):
                line.receipt = Receipt(line.id, "rejected", reason)

    def commit(self) -> None:
        """Makes all that was done durable, and tells of it."""
        self.engine.commit()
        if self.feed.publish(self._watch, self.store.last_seq()):
            self._invoices = True

    def write_files(self) -> None:
        """Writes the emails and invoices that are new."""
        if self.sink is None:
            self.sink = self._begin_files()
        if self.sink is None:
            return
        if self._invoices:
            self.sink.finish(self.store)
            self._invoices = False
        else:
            self.sink.write_new(self.store)

    def close(self) -> None:
        """Gives the state free."""
        self.store.close()


def folder_of(out: str | None, default: str, live: bool) -> str | None:
    """The folder that `--out` means: None for no files, as where they are sent."""
    if out == "none" or (live and out is None):
        return None
    if out is not None and Path(out).exists() and not Path(out).is_dir():
        raise UsageError(f"{out} is a file: give --out a folder, or none.")
    return out or default
