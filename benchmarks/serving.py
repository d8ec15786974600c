"""How many durable events a second `bizrun serve` takes, and how long each waits.

    python -m benchmarks.serving --seconds 10 --connections 50 --batch 100

Clients are raw sockets on one event loop, in this process; the server has a process of its own.
Each connection sends its next request when the last one is answered, which is after its commit.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop

SPEC = Path(__file__).parent / "specs" / "usage.biz"
COMMAND = Path(sys.executable).parent / "bizrun"
ACCOUNTS = 1_000
WARM_SECONDS = 1


@dataclass(slots=True)
class Load:
    """What is sent: `batch` events a request (1: one event as it is), for so long."""

    name: str
    port: int
    token: str
    connections: int
    batch: int
    seconds: float
    number: int = 0
    latencies: list[float] = field(default_factory=list)
    wrong: int = 0
    end: float = 0
    begin: float = 0

    def request(self) -> bytes:
        """The bytes of the next request."""
        events = []
        stamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        for _ in range(self.batch):
            self.number += 1
            account = f"a{self.number % ACCOUNTS:04}"
            events.append(
                f'{{"id":"{self.name}{self.number:08}","type":"API.called","time":"{stamp}",'
                f'"data":{{"account":"{account}","endpoint":"/chat","units":1}}}}'
            )
        body = events[0] if self.batch == 1 else f"[{','.join(events)}]"
        kind = "cloudevents" if self.batch == 1 else "cloudevents-batch"
        return (
            f"POST /events HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\n"
            f"authorization: Bearer {self.token}\r\ncontent-type: application/{kind}+json\r\n"
            f"content-length: {len(body)}\r\n\r\n{body}"
        ).encode()


class Client(asyncio.Protocol):
    """A connection that asks again as soon as it is answered."""

    def __init__(self, load: Load, done: asyncio.Future[None]) -> None:
        self.load, self.done = load, done
        self.buffer = b""
        self.sent = 0.0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.ask()

    def ask(self) -> None:
        self.sent = time.perf_counter()
        self.transport.write(self.load.request())

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, body = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        now = time.perf_counter()
        load = self.load
        if now >= load.begin:
            load.latencies.append(now - self.sent)
            load.wrong += body.count(b'"status":"handled"') != load.batch
        self.buffer = b""
        if now < load.end:
            self.ask()
        else:
            self.transport.close()
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the server hung up"))


async def drive(load: Load) -> None:
    """Sends for as long as the load says."""
    loop = asyncio.get_running_loop()
    load.begin = time.perf_counter() + WARM_SECONDS
    load.end = load.begin + load.seconds
    waits = []
    for _ in range(load.connections):
        done = loop.create_future()
        waits.append(done)
        await loop.create_connection(lambda d=done: Client(load, d), "127.0.0.1", load.port)
    await asyncio.gather(*waits)


@contextmanager
def serving(folder: Path) -> Iterator[tuple[int, int, str]]:
    """A server with its accounts in place: its process, port and a token."""
    state, events = folder / "usage.db", folder / "accounts.jsonl"
    with events.open("w") as file:
        for number in range(ACCOUNTS):
            event = {"id": f"acc{number}", "type": "Account.opened", "time": _now(),
                     "data": {"id": f"a{number:04}"}}  # fmt: skip
            file.write(json.dumps(event) + "\n")
    run = [COMMAND, "run", SPEC, "--events", events, "--state", state, "--out", "none", "--json"]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    made = subprocess.run([COMMAND, "token", "new", "--scope", "ingest", "--state", state],
                          check=True, capture_output=True, text=True)  # fmt: skip
    command = [COMMAND, "serve", SPEC, "--state", state, "--port", "0", "--out", "none"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2])
        try:
            yield process.pid, port, made.stdout.strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    subprocess.run([COMMAND, "verify", "--state", state], check=True, stdout=subprocess.DEVNULL)


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def processor_seconds(pid: int) -> float:
    """What a process has used of the processor so far."""
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def measure(load: Load, pid: int) -> None:
    """Sends, and says what came of it."""
    before = processor_seconds(pid)
    uvloop.run(drive(load))
    used = processor_seconds(pid) - before
    events = len(load.latencies) * load.batch
    waits = sorted(load.latencies)
    at = {p: 1000 * waits[min(len(waits) - 1, int(len(waits) * p / 100))] for p in (50, 99, 99.9)}
    print(
        f"{load.connections} connections, {load.batch} a request: "
        f"{events / load.seconds:,.0f} events/s, p50 {at[50]:.1f} ms, p99 {at[99]:.1f} ms, "
        f"p99.9 {at[99.9]:.1f} ms; {1e6 * used / load.number:.0f} µs of processor an event; "
        f"{load.wrong} wrong answers"
    )


def main() -> int:
    """Both loads, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--batch", type=int, default=100)
    given = parser.parse_args()
    folder = tempfile.TemporaryDirectory(prefix="bizrun-serving-")
    with folder as name, serving(Path(name)) as (pid, port, token):
        measure(Load("s", port, token, given.connections, 1, given.seconds), pid)
        measure(Load("b", port, token, 8, given.batch, given.seconds), pid)
    return 0


if __name__ == "__main__":
    sys.exit(main())
