"""The outbox's worker: leases effects, has threads call their providers, takes the outcomes.

    ready → leased (epoch, until) → sent → done / failed / unknown, or dead: given up, not done

`leased` is committed before a call begins, and no transaction is open during one. All of this runs
on the engine's own thread; the calls (`calls`) have theirs, and leave their answers in a queue.
`bizrun run --live` calls `pump` whenever the engine is quiet; a server calls `turn`.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..errors import BizError, ProviderError, StoreError
from ..model import Effect, Outcome
from ..providers.base import Call, MaybeSent, NotSent, Priced, Providers, Spread
from ..store.base import Row
from ..values import Money
from . import bounds
from .calls import Answer, Calls
from .jobs import Clock, Job
from .outbox import effect_of, payload_hash
from .pacing import pause
from .roads import Roads
from .stream import move_on
from .turns import Turns

if TYPE_CHECKING:
    from .engine import Engine

READS, MAX_REASON = 4, 1000  # tries to read back, after those to send
# Writes the message of an email for a provider, to whom `notify` means: once, before it is sent.
Write = Callable[[str, Effect, str | None], bytes | None]


class Worker:
    """Delivers the effects of one engine. `ordered`: outcomes are taken in the order in which
    the effects were asked for, so that a run ends the same way whoever answers first; `wake` is
    called from a thread when an answer has come; `tell` gets a line for a person; `write` makes the
    message of an email, which is kept, so that each try sends the same bytes."""

    def __init__(
        self,
        engine: Engine,
        providers: Providers,
        clock: Clock | None = None,
        ordered: bool = False,
        wake: Callable[[], None] | None = None,
        tell: Callable[[str], None] | None = None,
        write: Write | None = None,
    ) -> None:
        self.engine = engine
        self.providers = providers
        self.clock = clock or Clock()
        self.tell = tell or (lambda _: None)
        self._write = write or (lambda name, effect, to: None)
        self._roads = Roads()
        self._calls = Calls(wake)
        self._turns = Turns() if ordered else None
        self._changed = self._settled = False
        self.epoch = self._take_over()
        engine.outbox.queue = self.add

    # --- beginning -------------------------------------------------------------------------------

    def _take_over(self) -> int:
        """A new epoch: from here on no other worker of this state may send."""
        state = self.engine.state
        old = state.get("_fence", "worker")
        epoch = (old["epoch"] if old else 0) + 1
        state.replace("_fence", "worker", old, {"id": "worker", "epoch": epoch})
        return epoch

    def begin(self) -> None:
        """Takes up what an earlier run has left: ready, under way when it ended, or sent."""
        self.look(("ready", "leased", "sent"))
        self.engine.commit()

    def look(self, statuses: tuple[str, ...] = ("ready",)) -> None:
        """Takes up rows that it does not know of: started again, or to be tried again."""
        select = self.engine.state.select
        rows = [row for status in statuses for row in select("_effect", {"status": status})]
        for row in sorted(rows, key=lambda row: row["order"]):
            if row["id"] not in self._roads:
                self._take_up(row)

    def _take_up(self, row: Row) -> None:
        kept = self.engine.state.get("_delivery", row["id"]) or {}
        job = self._job(effect_of(row))
        job.attempts, job.generation = kept.get("attempts") or 0, kept.get("generation") or 0
        job.first, job.reason = kept.get("first"), kept.get("reason")
        job.twice, job.ask = bool(kept.get("twice")), row["status"] == "sent"
        job.maybe = bool(kept.get("maybe"))
        if row["status"] == "leased":
            outcome = self._recover(job, kept.get("outcome"))
            if outcome is not None:
                self._done(job, outcome)
                return
            self._mark(job, "ready")
        self._enter(job)

    def _recover(self, job: Job, answered: Mapping[str, Any] | None) -> Outcome | None:
        """Notes that an effect was leased when the process ended: maybe sent, maybe answered
        even. Its outcome where it is not to be sent again."""
        if answered is not None:
            return Outcome(**answered)
        job.maybe, job.reason = True, "the process ended while it was being sent"
        guarantee = job.provider.guarantee(job.effect)
        job.twice = job.twice or guarantee == "at_least_once"
        return Outcome("unknown", job.reason) if guarantee == "at_most_once" else None

    def retry(self, row: Row) -> None:
        """A person's wish to try an effect again: what may have been done is asked for first,
        or, where nobody can be asked, may then be done twice."""
        if row["id"] in self._roads:
            return  # It is tried again by itself.
        state = self.engine.state
        kept = state.get("_delivery", row["id"]) or {}
        job = self._job(effect_of(row))
        job.generation, job.first = kept.get("generation") or 0, kept.get("first")
        job.twice = bool(kept.get("twice"))
        job.maybe = bool(kept.get("maybe")) or row["status"] in ("unknown", "sent", "leased")
        if job.maybe and job.provider.guarantee(job.effect) == "idempotent":
            job.ask = job.first is not None
        elif job.maybe:
            job.twice = True
        again = {**row, "status": "sent" if row["status"] == "sent" else "ready", "error": None}
        state.replace("_effect", row["id"], row, again)
        self._enter(job)
        self._mark(job, None)

    def _job(self, effect: Effect) -> Job:
        name, provider, secrets = self.providers.of(effect)
        queue = (name, effect.customer or _addressee(effect) or f"\0{effect.id}")
        road = name
        if isinstance(provider, Spread):
            road = f"{name} {provider.host(effect, self.providers.addressee(effect))}"
        return Job(effect, name, provider, secrets, queue, road, self.clock.now())

    def add(self, effect: Effect) -> None:
        """Takes a new effect, whose row is written in the same transaction."""
        job = self._job(effect)
        self._enter(job)
        self._mark(job, None)

    def _enter(self, job: Job) -> None:
        if self._turns is not None:
            self._turns.open(job)
        self._roads.enter(job)

    def _leave(self, job: Job) -> None:
        """Drops a job that has no outcome and won't have one of this worker."""
        self._close(job)
        self._roads.leave(job)

    def _set_aside(self, job: Job) -> None:
        """Leaves a job, and those behind it, for another run or until they are started again."""
        for waiting in self._roads.clear(job.queue):
            self._close(waiting)

    def _close(self, job: Job) -> None:
        if self._turns is not None:
            self._turns.close(job)

    # --- a run: until nothing is left that goes on by itself -------------------------------------

    def pump(self) -> bool:
        """Sends what is ready and takes outcomes; called when the engine has nothing to do.

        True where outcomes were taken, so that what follows from them has to be handled first;
        False once every effect has its outcome, or waits for a person. ProviderError where one is
        down: the clock would move on without its outcomes, so the next run goes on from here.
        """
        while not self._collect():
            down = self._down()
            if down is None:
                self.send(self._leased())
            elif not self._calls:
                self.engine.commit()
                raise down
            if self._settle_held():
                return True
            self._put_off()
            if not self._calls and not any(road.due for road in self._roads):
                return self._settle_held()
            if not self._calls.answered:
                self._wait()
        return True

    def _down(self) -> ProviderError | None:
        """What to say of a provider that has work to do, and that nothing is heard from."""
        now = self.clock.now()
        for road in self._roads:
            if (reason := road.down(now)) is not None:
                return ProviderError(
                    f"{road.name} can't be reached: {reason}. All that was handled is safe: "
                    "run the same again to go on, or "
                    f"`bizrun outbox stop {road.name}` to go on without."
                )
        return None

    def _put_off(self) -> None:
        """Leaves for another run what may be tried for days: a receiver's webhooks while it is
        down. Their outcomes are late, and hold up nobody."""
        now = self.clock.now()
        for road in self._roads:
            if jobs := road.later(now):
                why = next((job.reason for job in jobs if job.reason), "it is down")
                self.tell(f"{road.place}: {why}; {len(jobs)} left for the next run")
                for job in jobs:
                    self._set_aside(job)

    def _wait(self) -> None:
        now, at = self.clock.now(), self.next_at()
        if at is None or at > now or self._down() is not None:
            at = None if at is not None and at <= now else at
            self._calls.wait(self.clock, at - now if at is not None else None)

    # --- a server: one turn after another --------------------------------------------------------

    def turn(self) -> datetime | None:
        """One round: takes the answers that are there, handles what follows, commits, and begins
        the calls that may begin. When to come again at the latest, beside `wake`."""
        if self._calls.answered:
            move_on(self.engine, self.clock.now())  # they came now, whenever they were asked for
        if self._collect():
            self.engine.drain()
        self.send(self._leased())
        if self._settle_held():
            self.engine.drain()
            self.engine.commit()
        return self.next_at()

    def next_at(self) -> datetime | None:
        """When something is to be done that no answer tells of; None: not before one comes."""
        now = self.clock.now()
        begins = (at for road in self._roads if (at := road.next_at(now)) is not None)
        return min([*self._calls.deadlines(), *begins], default=None)

    def hand_over(self, engine: Engine, providers: Providers, write: Write) -> None:
        """Goes on for another engine over the same state: an edited spec's."""
        self.engine, self.providers, self._write = engine, providers, write
        engine.outbox.queue = self.add

    def finish(self) -> None:
        """Begins no more calls, takes the outcomes of those under way, and ends."""
        while self._calls:
            if self._collect():
                self.engine.drain()
            self.engine.commit()
            if self._calls:
                # By the wall clock, whatever clock the tries go by: the process is to end.
                self._calls.wait(Clock(), timedelta(seconds=1))
        self.close()

    def close(self) -> None:
        """Waits for the calls that are under way, at most for their time-outs."""
        self._calls.close()

    # --- leasing and sending ---------------------------------------------------------------------

    def _leased(self) -> list[Job]:
        """What may be sent now, durably marked as such."""
        leased = self._lease()
        if leased or self._changed:
            self._changed = False
            self.engine.commit()
        return leased

    def _lease(self) -> list[Job]:
        now = self.clock.now()
        leased: list[Job] = []
        for road in self._roads:
            while self._calls.has_room(road.name, leased) and (job := road.take(now)) is not None:
                if self._may(job, now):
                    road.pace.begin(now)
                    leased.append(job)
        if leased:
            fence = self.engine.state.get("_fence", "worker")
            if fence is None or fence["epoch"] != self.epoch:
                raise StoreError("Another process has taken over the outbox of this state.")
        return leased

    def _may(self, job: Job, now: datetime) -> bool:
        """Leases a job, unless a person has stopped it or said meanwhile how it went."""
        state = self.engine.state
        row = state.get("_effect", job.effect.id)
        if row is None or row["status"] not in ("ready", "sent"):
            self._leave(job)
            return False
        stopped = state.get("_switch", job.name) is not None or bounds.parked(state, job.effect)
        if stopped or (job.first is None and not self._admit(job, now)):
            self._set_aside(job)
            return False
        kept = state.get("_delivery", job.effect.id)
        if kept is not None and kept["hash"] != payload_hash(row["data"]):
            self._finish(job, Outcome("unknown", "its stored payload is not what was written"))
            return False
        if not self._written(job, kept) or not self._affords(job, now):
            return False
        idempotent = job.provider.guarantee(job.effect) == "idempotent"
        if idempotent and job.first is not None and now - job.first > job.provider.limits.window:
            job.ask = True
        job.attempts += 1
        job.first = job.first or now
        self._calls.lease(job, now)
        self._mark(job, "sent" if row["status"] == "sent" else "leased")
        return True

    def _admit(self, job: Job, now: datetime) -> bool:
        if job.generation or bounds.admit(self.engine, job.effect, job.secrets, now):
            return True
        self._changed = True
        self.tell(f"{bounds.party(job.effect)} is parked: see bizrun outbox")
        return False

    def _affords(self, job: Job, now: datetime) -> bool:
        """Whether a call that costs money is within its connection's bound of the day; one that
        is not has failed."""
        if not isinstance(job.provider, Priced):
            return True
        try:
            cost = job.provider.cost(job.effect, job.secrets)
        except BizError as error:
            job.reason = str(error)[:MAX_REASON]
            self._bury(job)
            return False
        most = job.secrets.value("most_per_day")
        if cost is None or not isinstance(most, Money):
            return True
        if cost.currency != most.currency:
            job.reason = f"most_per_day of {job.name} is in {cost.currency}, as models are priced"
            self._bury(job)
            return False
        if bounds.affords(self.engine.state, job.name, cost, most, now):
            return True
        detail = f"{job.name} has used up its {most} of today"
        self._finish(job, Outcome("failed", "over_budget", {"detail": detail}))
        return False

    def _written(self, job: Job, kept: Row | None) -> bool:
        """Has the message of an email written, or takes the one that was kept; whether it is
        there. One that can't be written waits for a person, with the reason."""
        if kept is not None and kept.get("message"):
            job.message = b64decode(kept["message"])
            return True
        try:
            to = self.providers.addressee(job.effect)
            job.message = self._write(job.name, job.effect, to)
        except BizError as error:
            job.reason = str(error)[:MAX_REASON]
            self._bury(job)
            return False
        return True

    def send(self, leased: list[Job]) -> None:
        """Begins the calls of leased jobs: only after the commit that says they are leased."""
        for job in leased:
            limits = job.provider.limits
            assert job.first is not None
            customer, payee = self._parties(job.effect)
            to = self.providers.addressee(job.effect)
            call = Call(
                job.key, job.secrets, job.first, limits.timeout, customer, payee, job.message, to
            )
            self._calls.begin(job, call)

    def _parties(self, effect: Effect) -> tuple[Row | None, Row | None]:
        """The row of an effect's customer, and of who gets a transfer: what a provider may need
        to know of them."""
        state, program = self.engine.state, self.engine.program
        customer = None
        if program.bills and effect.customer:
            customer = state.get(program.bills, effect.customer)
        if effect.kind != "transfer":
            return customer, None
        for name, entity in program.entities.items():
            row = None if entity.builtin else state.get(name, str(effect.data["to"]))
            if row is not None:
                return customer, row
        return customer, None

    # --- taking answers --------------------------------------------------------------------------

    def _collect(self) -> bool:
        """Takes what has been answered; whether an outcome was settled."""
        now = self.clock.now()
        for job, answer in self._calls.answers(now):
            self._take(job, answer, now)
        return self._settle_held()

    def _take(self, job: Job, answer: Answer, now: datetime) -> None:
        pace, scrub = self._roads.of(job).pace, job.secrets.scrub
        match answer:
            case NotSent() | MaybeSent():
                job.reason = scrub(str(answer))[:MAX_REASON] or type(answer).__name__
                pace.end(now, False, answer.retry_after)
                if (until := pace.open_until(now)) is not None:
                    self.tell(f"{job.road}: {job.reason}; no calls until {until:%H:%M:%S} UTC")
                self._again(job, answer, now)
            case BizError():
                pace.end(now, True)
                job.reason = scrub(str(answer))[:MAX_REASON]
                self._bury(job)
            case None:
                pace.end(now, True)
                self._absent(job, now)
            case Outcome():
                pace.end(now, True)
                error, data = scrub(answer.error), scrub(answer.data)
                self._finish(job, Outcome(answer.status, error, data, answer.reference))

    def _again(self, job: Job, error: NotSent | MaybeSent, now: datetime) -> None:
        """What comes after a try without an outcome: another one, a question, or a person."""
        limits, last = job.provider.limits, job.provider.limits.attempts
        if job.ask:
            if job.attempts >= last + READS:
                self._finish(job, Outcome("unknown", job.reason))
                return
        elif isinstance(error, NotSent):
            if job.attempts >= last:
                self._bury(job)
                return
        else:
            match job.provider.guarantee(job.effect):
                case "at_most_once":
                    self._finish(job, Outcome("unknown", job.reason))
                    return
                case "at_least_once":
                    job.twice = True
                    if job.attempts >= last:
                        self._finish(job, Outcome("unknown", job.reason))
                        return
                case "idempotent":
                    job.maybe = True
                    job.stored = error.stored
                    job.ask = error.stored or job.attempts >= last
        wait = pause(job.effect.id, job.attempts, limits)
        job.at = now + max(wait, error.retry_after or timedelta(0))
        self._wait_for_another(job)

    def _absent(self, job: Job, now: datetime) -> None:
        """The provider has shown that it did nothing: it is sent again, under a new key where
        the old one would only repeat a failure."""
        row = self.engine.state.get("_effect", job.effect.id)
        if row is not None and row["status"] == "sent":
            self._finish(job, Outcome("unknown", "the provider has it no longer"))
            return
        job.generation += job.stored
        job.ask = job.stored = job.maybe = False
        job.first, job.at = None, now
        if job.attempts >= job.provider.limits.attempts:
            self._bury(job)
        else:
            self._wait_for_another(job)

    def _wait_for_another(self, job: Job) -> None:
        row = self.engine.state.get("_effect", job.effect.id)
        self._mark(job, "sent" if row is not None and row["status"] == "sent" else "ready")
        self._roads.again(job)

    def _bury(self, job: Job) -> None:
        """Gives up an effect that was certainly not done: it waits for a person. One that may
        have been done is never called dead."""
        if job.maybe:
            self._finish(job, Outcome("unknown", job.reason))
            return
        self._mark(job, "dead")
        self._leave(job)

    def _finish(self, job: Job, outcome: Outcome) -> None:
        self._roads.leave(job)
        self._done(job, outcome)

    def _done(self, job: Job, outcome: Outcome) -> None:
        """A job has its outcome; it is settled in turn where order is asked for."""
        if self._turns is not None:
            self._mark(job, None, outcome)
            self._turns.hold(job, outcome)
        else:
            self._settle(job, outcome)

    def _settle_held(self) -> bool:
        """Settles outcomes in the order of their effects; whether any were settled."""
        if self._turns is not None:
            for job, outcome in self._turns.ready():
                self._settle(job, outcome)
        settled, self._settled = self._settled, False
        return settled

    def _settle(self, job: Job, outcome: Outcome) -> None:
        self._mark(job, None)
        row = self.engine.state.get("_effect", job.effect.id)
        if row is not None and row["status"] in ("done", "failed"):
            return  # A person, or a webhook, was first.
        self.engine.settle(job.effect.id, outcome)
        self._settled = True

    def _mark(self, job: Job, status: str | None, outcome: Outcome | None = None) -> None:
        """Writes what is known of a delivery, and the effect's status."""
        state, key = self.engine.state, job.effect.id
        row = state.get("_effect", key)
        if row is not None and status is not None and row["status"] != status:
            state.replace("_effect", key, row, {**row, "status": status})
        old = state.get("_delivery", key)
        fingerprint = old["hash"] if old else payload_hash(job.effect.data)
        state.replace("_delivery", key, old, {
            "id": key, "provider": job.name, "hash": fingerprint, "epoch": self.epoch,
            "until": job.until, "first": job.first, "attempts": job.attempts,
            "generation": job.generation, "twice": job.twice, "maybe": job.maybe,
            "reason": job.reason, "outcome": outcome.as_row() if outcome else None,
            "message": b64encode(job.message).decode() if job.message and status else None,
        })  # fmt: skip
        self._changed = True


def _addressee(effect: Effect) -> str | None:
    """Emails to an address go out in order, too."""
    return f"\0to {effect.data.get('to')}" if effect.kind == "email" else None
