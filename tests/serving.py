"""A real `bizrun serve` in a process of its own, asked over HTTP as anybody would."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bizrun.store.open import open_store
from bizrun.store.tokens import TokenFile

COMMAND = Path(sys.executable).parent / "bizrun"
WAIT = 60

SHOP = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, credits number = 0 }
event Customer.signup key id { id text }
event Credits.bought key account { account Account, number number }
event API.called key account { account Account, units number = 1 }
meter calls { sum units of API.called per account }
on Customer.signup as signup {
  create Account { ...signup }
  return { welcome: signup.id }
}
on Credits.bought(account, number) {
  if number > 100 { reject "at most 100 at a time" }
  update account { credits: .credits + number }
}
"""


class Served:
    """A running server, and what it is asked."""

    def __init__(self, process: subprocess.Popen[str], url: str, state: Path, token: str) -> None:
        self.process = process
        self.url = url
        self.state = state
        self.token = token
        self.http = httpx.Client(base_url=url, timeout=WAIT)

    @property
    def headers(self) -> dict[str, str]:
        """What says who asks."""
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def post(self, body: Any, kind: str = "application/json", **headers: str) -> httpx.Response:
        """Posts events; `body` is bytes, text, or what becomes JSON."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        return self.http.post(
            "/events", content=content, headers={**self.headers, "content-type": kind, **headers}
        )

    def results(self, body: Any, kind: str = "application/json") -> list[dict[str, Any]]:
        """What became of events that are taken."""
        answer = self.post(body, kind)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stops it; its exit code."""
        self.http.close()
        self.process.send_signal(number)
        return self.process.wait(WAIT)


def token(state: Path, *scopes: str, customer: str | None = None, role: str | None = None) -> str:
    """A new token, made as `bizrun token new` does."""
    if not state.exists():
        open_store(str(state)).close()
    _, secret = TokenFile(str(state)).new(frozenset(scopes), customer, role, datetime.now(UTC))
    return secret


@contextmanager
def serving(
    folder: Path,
    spec: str = SHOP,
    *options: str,
    scope: str | None = "ingest",
    environment: Mapping[str, str] = {},
) -> Iterator[Served]:
    """A server over a spec and a state in a folder, with a token of a scope (None: --no-auth)."""
    path, state = folder / "shop.biz", folder / "shop.db"
    path.write_text(spec, encoding="utf-8")
    secret = token(state, scope) if scope else ""
    auth = [] if scope else ["--no-auth"]
    command = [COMMAND, "serve", path, "--state", state, "--port", "0", "--out", "none"]
    with (folder / "stderr.txt").open("a") as errors:
        process = subprocess.Popen(
            [*command, *auth, *options], stdout=subprocess.PIPE, stderr=errors, text=True,
            cwd=folder, env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        )  # fmt: skip
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on http://"), (folder / "stderr.txt").read_text()
        served = Served(process, line.split()[-1], state, secret)
        yield served
        served.http.close()
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(WAIT)
        assert process.stdout is not None
        process.stdout.close()


def events_of(state: Path) -> list[dict[str, Any]]:
    """What the state's log has, after the server has ended."""
    done = subprocess.run(
        [COMMAND, "events", "--state", state, "--json"],
        capture_output=True, text=True, timeout=WAIT, cwd=state.parent, check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def until(condition: Any, seconds: int = WAIT) -> None:
    """Waits for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.02)
