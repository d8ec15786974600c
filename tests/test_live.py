"""`bizrun run --live` against the fake Stripe: calls fail, the process is killed, all adds up."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, SupportsIndex

import pytest

from .conftest import ROOT
from .fakes.smtp import PASSWORD, USER, fake_smtp
from .fakes.stripe import FAULTS, KEY, SECRET, FakeStripe

BIZRUN = [sys.executable, "-m", "bizrun.cli.main"]
KILLS = int(os.environ.get("BIZRUN_LIVE_KILLS", "0"))
CUSTOMERS = 6  # that the short version is about; with kills it is the whole business
PATIENCE = 1800 if KILLS else 120

# Shorter pauses than there are by default, and no more: the year has some 2,000 failures.
CONNECT = """
connect stripe {
  key: env("STRIPE_API_KEY"), per_second: 1000
  pause: 0.01 seconds, longest: 0.1 seconds, rest: 0.05 seconds, timeout: 1 second
}
connect smtp {
  url: env("SMTP_URL"), per_second: 1000
  pause: 0.01 seconds, longest: 0.1 seconds, rest: 0.05 seconds, timeout: 1 second
}
"""
TAKEN, MAIL_FAULTS = "250 OK: queued", ("drop", "451 later", "421 busy", "hang")
# How often which fault happens: a time-out takes a second, and the year should not take an hour.
WEIGHTS = [1 if fault.startswith("slow") else 15 for fault in FAULTS]


@pytest.fixture(scope="module")
def business(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SaaS business of `specs/`: all its customers, or some without their usage."""
    folder = tmp_path_factory.mktemp("live")
    text = (ROOT / "specs/saas.biz").read_text().partition("# --- What we promise")[0]
    (folder / "saas.biz").write_text(text + CONNECT)
    (folder / "templates").symlink_to(ROOT / "specs/templates")
    lines = (ROOT / "specs/saas.events.jsonl").read_text().split("\n")
    (folder / "saas.events.jsonl").write_text("\n".join(lines if KILLS else _of_some(lines)))
    return folder


def _of_some(lines: list[str]) -> Iterator[str]:
    """What the first customers do, but for their usage."""
    kept: set[str] = set()
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue  # The stream has a broken line on purpose.
        data = event.get("data") or {}
        who = data.get("id") or data.get("account")
        if event["type"] == "Customer.signup" and len(kept) < CUSTOMERS:
            kept.add(who)
        if who in kept and event["type"] != "API.called":
            yield line


class Killer:
    """Fails 30% of all calls in every way, and kills the process while some are under way."""

    def __init__(self, seed: int, share: float, kills: int = 0, between: int = 40) -> None:
        self.random = random.Random(seed)
        self.share = share
        self.left = kills
        self.between = between
        self.next = self.random.randrange(1, between)
        self.process: subprocess.Popen[str] | None = None
        self.killed = 0

    def __call__(self, method: str, path: str, number: int) -> str | None:
        self.maybe_kill()
        if self.random.random() < self.share:
            return self.random.choices(FAULTS, WEIGHTS)[0]
        return None

    def maybe_kill(self) -> None:
        self.next -= 1
        if self.left and self.next <= 0 and self.process is not None:
            self.left -= 1
            self.killed += 1
            self.next = self.random.randrange(1, self.between)
            os.kill(self.process.pid, signal.SIGKILL)
            self.process = None


class Replies(list[str]):
    """What the mail server says to each message: it takes most, and fails like the others."""

    def __init__(self, killer: Killer) -> None:
        super().__init__(["random"])
        self.killer = killer
        self.random = random.Random(7)
        self.said: Counter[str] = Counter()

    def pop(self, index: SupportsIndex = 0) -> str:
        self.killer.maybe_kill()
        failing = self.random.random() < self.killer.share
        reply = self.random.choices(MAIL_FAULTS, (15, 15, 15, 1))[0] if failing else TAKEN
        self.said[reply] += 1
        return reply


def environment(fake: FakeStripe, **more: str) -> dict[str, str]:
    """Without keys of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STRIPE", "SMTP"))}
    return {**kept, "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": fake.url, **more}


def run_live(
    business: Path, state: str, fake: FakeStripe, killer: Killer, **more: str
) -> dict[str, Any]:
    """Runs until it ends by itself; killed, it is started again."""
    command = [*BIZRUN, "run", "saas.biz", "--live", "--json", "--state", state]
    command += ["--until", "2027-01-15T00:00:00Z"]
    while True:
        process = subprocess.Popen(
            command, cwd=business, env=environment(fake, **more), text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        killer.process = process
        out, err = process.communicate(timeout=PATIENCE)
        if process.returncode == -signal.SIGKILL:
            continue
        assert process.returncode == 0, err
        found: dict[str, Any] = json.loads(out)
        return found


def ask(business: Path, *args: str) -> Any:
    done = subprocess.run([*BIZRUN, *args], cwd=business, text=True, capture_output=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in args else done.stdout.strip()


@pytest.fixture(scope="module")
def undisturbed(business: Path) -> dict[str, Any]:
    with FakeStripe() as fake, fake_smtp() as box:
        summary = run_live(business, "calm.db", fake, Killer(0, 0), SMTP_URL=box.url)
    return {**summary, "hash": ask(business, "state-hash", "--state", "calm.db")}


def message_id(envelope: Any) -> str:
    found = re.search(rb"^Message-ID: <(\w+)@", envelope.content, re.M)
    assert found is not None
    return found[1].decode()


def doubles(fake: FakeStripe) -> dict[str, list[int]]:
    return {key: amounts for key, amounts in fake.charged().items() if len(amounts) != 1}


@pytest.mark.parametrize("seed", [1])
def test_each_charge_stands_exactly_once(
    business: Path, undisturbed: dict[str, Any], seed: int
) -> None:
    kills = KILLS or 5
    killer = Killer(seed, 0.3, kills, 90 if KILLS else 12)
    state = f"live{seed}.db"
    with FakeStripe(killer) as fake, fake_smtp() as box:
        box.replies = replies = Replies(killer)
        summary = run_live(business, state, fake, killer, SMTP_URL=box.url)
        sent = Counter(message_id(envelope) for envelope in box.messages)
    assert killer.killed == kills, (
        "void: the process was not killed as often as it should have been"
    )
    assert set(fake.failed) >= {"429", "500 after", "lost after"}, "void: no such fault fired"
    assert replies.said.keys() >= {"drop", "451 later"}, "void: mail did not fail"
    share = 1 - replies.said[TAKEN] / replies.said.total()
    assert not KILLS or 0.25 < share < 0.35, f"void: {share:.0%} of all mail failed"
    assert not doubles(fake)
    effects = ask(business, "outbox", "--json", "--state", state)
    charges = [row for row in effects if row["kind"] == "charge"]
    assert not [row for row in charges if row["status"] not in ("succeeded", "failed", "unknown")]
    done = {row["id"]: row["data"]["amount"] for row in charges if row["status"] == "succeeded"}
    assert done.keys() == fake.charged().keys()
    cents = sum(amount for amounts in fake.charged().values() for amount in amounts)
    assert f"{cents // 100}.{cents % 100:02}" == summary["totals"]["paid"]["USD"]
    assert summary["totals"] == undisturbed["totals"]
    assert summary["counts"] == undisturbed["counts"]
    assert ask(business, "verify", "--json", "--state", state)["ok"]
    assert ask(business, "state-hash", "--state", state) == undisturbed["hash"]
    mails = [row for row in effects if row["kind"] == "email"]
    for mail in mails:
        assert mail["status"] == "succeeded", mail
        times = sent[mail["id"][:32]]
        assert times >= 1 and (times == 1 or mail["maybe_twice"]), (times, mail)
    assert len(sent) == len(mails)
    again = sum(times > 1 for times in sent.values())
    print(f"{killer.killed} kills; {len(charges)} charges, {len(done)} of them paid, each once")
    print(f"{len(mails)} emails, {again} of them more than once; replies: {dict(replies.said)}")
    print(f"{sum(fake.failed.values())} of {len(fake.requests)} calls failed: {fake.failed}")


def test_a_key_from_a_retry_count_is_found_out(business: Path, tmp_path: Path) -> None:
    """The planted fault: with it, the test above has to fail."""
    (tmp_path / "sitecustomize.py").write_text(
        "import bizrun.runtime.delivery as d\n"
        "d.Job.key = property(lambda job: f'{job.effect.id[:50]}{job.attempts}')\n"
    )
    killer = Killer(1, 0.3)
    with FakeStripe(killer) as fake, fake_smtp() as box:
        run_live(business, "planted.db", fake, killer, PYTHONPATH=str(tmp_path), SMTP_URL=box.url)
    assert doubles(fake)


# --- secrets -------------------------------------------------------------------------------------


def texts(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def test_no_secret_is_written_anywhere(business: Path, tmp_path: Path) -> None:
    def echo(method: str, path: str, number: int) -> str | None:
        command = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        assert not [c for c in (KEY, SECRET, PASSWORD) if c.encode() in command]
        return None

    with FakeStripe(echo) as fake, fake_smtp(auth=True) as box:
        login = box.url.replace("://", f"://{USER}:{PASSWORD}@")
        env = environment(fake, STRIPE_WEBHOOK_SECRET=SECRET, SMTP_URL=login)
        (tmp_path / "saas.biz").write_text((business / "saas.biz").read_text())
        (tmp_path / "templates").symlink_to(ROOT / "specs/templates")
        command = [*BIZRUN, "--debug", "run", "saas.biz", "--live", "--out", "out", "--state"]
        events = (business / "saas.events.jsonl").read_text()
        process = subprocess.Popen(
            [*command, "s.db", "--events", "-"], cwd=tmp_path, env=env, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        out, _ = process.communicate(events, timeout=PATIENCE)
        assert process.returncode == 0, out
        wrong = {**env, "STRIPE_API_KEY": "sk_test_canary_wrong_key_0123456789"}
        refused = subprocess.run(
            [*command, "w.db", "--events", "-", "--until", "2026-06-01"], cwd=tmp_path, env=wrong,
            text=True, input=events, capture_output=True,
        )  # fmt: skip
    assert fake.requests
    canaries = [KEY, SECRET, PASSWORD, wrong["STRIPE_API_KEY"]]
    said = out + refused.stdout + refused.stderr
    assert "not done after all tries" in refused.stderr
    assert not [canary for canary in canaries if canary in said]
    for path, data in texts(tmp_path):
        assert not [canary for canary in canaries if canary.encode() in data], path
