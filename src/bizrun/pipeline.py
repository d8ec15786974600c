"""From a file to a business that runs: each stage is a line, and this is the map of the code."""

from __future__ import annotations

import errno
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from msgspec.structs import replace

from .actions import open_action
from .actions.signatures import CONNECTION, SIGNATURES
from .lang.check import check
from .lang.modules import Parse, load
from .lang.parse import parse
from .lang.symbols import ActionSignature, Checked, Loaded, NoMethod, Symbols

# Only checking has to start fast: what runs a spec is imported by those who run one.
if TYPE_CHECKING:
    from .documents.document import Rows
    from .ir.program import Program
    from .model import Effect
    from .providers.registry import Registry
    from .providers.sandbox import Sandbox
    from .runtime.delivery import Worker
    from .runtime.engine import Engine
    from .store.base import Store

MAX_FILE_BYTES = 16_000_000


def load_and_check(path: str) -> Checked:
    """A spec with everything that is wrong in it; a UsageError where the file isn't there."""
    return check_loaded(load_files(path))


def check_loaded(loaded: Loaded) -> Checked:
    """Checks what has been read, against all actions there are."""
    return check(loaded, SIGNATURES, any_action)


def any_action(name: str, symbols: Symbols) -> ActionSignature | NoMethod | None:
    """The signature of an action of a connection: by Stripe's own SDK where that is installed,
    by the table of PayPal's calls."""
    root, _, path = name.partition(".")
    if root == "paypal" and path:
        return _paypal(name, path)
    if root == "stripe" and path:
        from .providers import stripe_sdk

        if stripe_sdk.available():
            from .actions.sdk import signature

            found = stripe_sdk.method(path)
            if isinstance(found, stripe_sdk.Missing):
                return NoMethod(name, found.part, found.names)
            return signature(root, found)
    return open_action(name, symbols)


def _paypal(name: str, path: str) -> ActionSignature | NoMethod:
    from .lang.symbols import ActionField
    from .lang.types import TEXT
    from .providers.paypal_calls import CALLS

    call = CALLS.get(path)
    if call is not None:
        places = tuple(ActionField(place, TEXT) for place in call.places)
        return replace(CONNECTION, name=name, fields=places, target=bool(places))
    resource, _, method = path.partition(".")
    methods = tuple(m for r, _, m in (known.partition(".") for known in CALLS) if r == resource)
    if methods and method:
        return NoMethod(name, method, methods)
    if methods:
        return NoMethod(name, resource, tuple(f"{resource}.{known}" for known in methods))
    return NoMethod(name, resource, tuple(dict.fromkeys(k.partition(".")[0] for k in CALLS)))


class Disk(Protocol):
    """Where files and folders are read; both raise OSError as the system does."""

    def read(self, name: str) -> bytes:
        """The bytes of a file."""

    def listdir(self, folder: str) -> Sequence[str]:
        """The names in a folder."""


def load_files(
    path: str, edited: Mapping[str, bytes] | None = None, disk: Disk | None = None,
    parse: Parse = parse,
) -> Loaded:  # fmt: skip
    """A spec and the files that it uses, from disk; `edited` stands for files not yet written."""
    from_disk = disk.read if disk is not None else read_file

    def read(name: str) -> bytes:
        if edited and name in edited:
            return edited[name]
        if name != path and special(name):
            raise OSError(errno.EINVAL, "it is no regular file", name)
        return from_disk(name)

    listdir = disk.listdir if disk is not None else list_folder
    return load(path, read, listdir, edited.get(path) if edited else None, parse)


def read_file(name: str) -> bytes:
    """The bytes of a file; an OSError also where it is larger than any spec."""
    with Path(name).open("rb") as file:
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(errno.EFBIG, f"it is larger than {MAX_FILE_BYTES // 1_000_000} MB", name)
    return data


def special(name: str) -> bool:
    """Whether it is a pipe, a device or so: to read one that nobody named could take for ever."""
    try:
        mode = Path(name).stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def list_folder(folder: str) -> list[str]:
    """The names in a folder; an OSError where there is none."""
    return [entry.name for entry in Path(folder or ".").iterdir()]


def compile_spec(path: str) -> tuple[Checked, Program | None]:
    """A checked spec and, where it has no error, its program."""
    from .ir.lower_program import lower

    checked = load_and_check(path)
    return checked, lower(checked) if checked.ok else None


def open_engine(
    program: Program, store: Store, sandbox: Sandbox | None, record_all: bool = False
) -> Engine:
    """An engine over a store; effects go to the sandbox, or wait in the outbox without one."""
    from .actions.toolbox import Toolbox
    from .providers.told import ToldServices
    from .runtime.engine import Engine

    actions = Toolbox(ToldServices())
    return Engine(program, store, actions, sandbox.deliver if sandbox else None, record_all)


def open_worker(
    engine: Engine,
    environment: Mapping[str, str],
    ordered: bool = False,
    wake: Callable[[], None] | None = None,
    tell: Callable[[str], None] | None = None,
) -> Worker:
    """The worker that delivers an engine's effects to the providers of its spec.

    UsageError where a `connect` block lacks what it needs. For a run, `ordered`, and set
    `engine.pump = worker.pump` after `worker.begin()`; a server calls `worker.turn()`.
    """
    from .runtime.delivery import Worker

    registry = open_registry(engine.program, environment, tell)
    return Worker(engine, registry, None, ordered, wake, tell, letters(engine, registry))


def open_registry(
    program: Program, environment: Mapping[str, str], tell: Callable[[str], None] | None = None
) -> Registry:
    """The real providers of a program; UsageError where one lacks what it needs. `tell` gets a line
    for each kind of effect that stays in the sandbox, since nothing serves it."""
    from .ir.sending import kinds_sent
    from .providers.registry import Registry

    registry = Registry(program.connections, environment, tell=tell)
    registry.check(kinds_sent(program))
    return registry


def letters(engine: Engine, registry: Registry) -> Callable[[str, Effect, str | None], Any]:
    """What writes the messages that go to a mail server; None for every other effect."""
    from .documents.papers import Papers

    papers = Papers(engine.program)
    sender = registry.secrets("smtp").text("from")

    def write(provider: str, effect: Effect, to: str | None) -> bytes | None:
        if provider != "smtp":
            return None
        return papers.letter(effect, cast("Rows", engine.state), sender, to)

    return write
