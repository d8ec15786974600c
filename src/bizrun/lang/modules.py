"""The files of a spec: the prelude, what `use` names, the templates beside it, and the spec."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..diagnostics import Diagnostic, Source, Span, did_you_mean, normal
from ..errors import UsageError
from . import ast
from .parse import Parsed, parse, read_source
from .std import PRELUDE, in_std, std_modules, std_text
from .symbols import Loaded
from .uses import Link, settle

Read = Callable[[str], bytes]
ListFolder = Callable[[str], Iterable[str]]
Parse = Callable[[Source], Parsed]

MAX_FILES = 2_000
MAX_TEMPLATE_BYTES = 2_000_000


def load(
    path: str, read: Read, listdir: ListFolder, module: bytes | None = None,
    parse: Parse = parse,
) -> Loaded:  # fmt: skip
    """Reads a spec and all that it uses; `read` and `listdir` raise OSError as the system does.

    `parse` reads the text of a .biz file. `module` is the text of `path` where that is of the
    standard library and not as it stands there.
    A main file that can't be read is a UsageError; a used one is a diagnostic at its `use`.
    """
    name = normal(path)
    loader = _Loader(read, listdir, parse)
    loader.add(PRELUDE, std_text(PRELUDE) or b"")
    loader.add(name, (module or _std_main(name)) if in_std(name) else _read_main(path, read))
    texts = {} if in_std(name) else loader.templates(name)
    settled = settle(loader.files, loader.links, name, texts)
    used_by: dict[str, tuple[ast.Use, ...]] = {}
    for link in loader.links:
        used_by[link.used] = (*used_by.get(link.used, ()), link.use)
    return Loaded(
        path=name,
        files=tuple(settled.files),
        sources=loader.sources,
        diagnostics=(*loader.diagnostics, *settled.diagnostics),
        template_files=texts,
        taken=tuple(settled.taken),
        replaced=tuple(settled.replaced),
        used_by=used_by,
    )


def load_text(name: str, text: str, others: Mapping[str, str] | None = None) -> Loaded:
    """A spec from memory; `others` are further files (also templates/NAME.md) by their path."""
    files = {normal(path): content for path, content in (others or {}).items()} | {name: text}

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(path)
        return files[path].encode("utf-8", "surrogatepass")

    def listdir(folder: str) -> list[str]:
        return [posixpath.basename(path) for path in files if posixpath.dirname(path) == folder]

    return load(name, read, listdir)


def is_yaml(name: str) -> bool:
    """Whether a file has the YAML form, by its name."""
    return name.endswith((".yaml", ".yml"))


def read_form(source: Source, parse: Parse = parse) -> Parsed:
    """Reads a file in its form, whatever it holds; `parse` where that is .biz."""
    if not is_yaml(source.name):
        return parse(source)
    from .yaml.read import parse_yaml

    return parse_yaml(source)


def _std_main(name: str) -> bytes:
    data = std_text(name)
    if data is None:
        near = did_you_mean(name, std_modules())
        hint = f" Did you mean {near}?" if near else ""
        raise UsageError(f"The standard library has no module {name}.{hint}")
    return data


_STREAMS = (".jsonl", ".ndjson")


def _read_main(path: str, read: Read) -> bytes:
    if path.endswith(_STREAMS):
        raise UsageError(
            f"{path} has events, and a spec is a .biz file: bizrun run SPEC --events {path}"
        )
    try:
        return read(path)
    except FileNotFoundError:
        raise UsageError(f"There is no file {path}.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; name a .biz file in it.") from None
    except NotADirectoryError:
        raise UsageError(f"There is no file {path}: part of its path is no folder.") from None
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem)
        raise UsageError(f"{path} can't be read: {reason}.") from None


@dataclass(slots=True)
class _Open:
    """A file whose uses are being followed."""

    name: str
    file: ast.File
    uses: Iterator[ast.Use]


@dataclass(slots=True)
class _Loader:
    read: Read
    listdir: ListFolder
    parse: Parse
    files: list[ast.File] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    def add(self, name: str, data: bytes) -> None:
        """Follows a file's uses, deepest first; a chain of any length needs no deep stack."""
        path = [self._open(name, data)]
        while path:
            use = next(path[-1].uses, None)
            if use is None:
                self.files.append(path.pop().file)
                continue
            below = self._follow(use, path)
            if below:
                path.append(below)

    def _open(self, name: str, data: bytes) -> _Open:
        source, problems = read_source(name, data)
        parsed = read_form(source, self.parse)
        self.sources[name] = source
        self.diagnostics += problems
        self.diagnostics += parsed.diagnostics
        uses = [node for node in parsed.file.declarations if isinstance(node, ast.Use)]
        return _Open(name, parsed.file, iter(uses))

    def _follow(self, use: ast.Use, path: list[_Open]) -> _Open | None:
        name = self._name(use, path[-1].name)
        self.links.append(Link(use, name))
        if name in self.sources:
            names = [opened.name for opened in path]
            if name in names:
                circle = " → ".join([*names[names.index(name) :], name])
                self._report("E0502", use, f"These files use each other in a circle: {circle}")
            return None
        if len(self.sources) >= MAX_FILES:
            self._report("E0501", use, f"A spec has at most {MAX_FILES} files")
            return None
        data = self._std_module(use) if use.std else self._used_file(use, name)
        return None if data is None else self._open(name, data)

    def _name(self, use: ast.Use, user: str) -> str:
        if use.std:
            return use.path
        return normal(posixpath.join(posixpath.dirname(user), use.path.replace("\\", "/")))

    def _std_module(self, use: ast.Use) -> bytes | None:
        data = std_text(use.path)
        if data is None:
            near = did_you_mean(use.path, std_modules())
            hint = f"did you mean `use {near}`?" if near else f"modules: {', '.join(std_modules())}"
            name = use.path.removeprefix("std.")
            self._report("E0503", use, f"The standard library has no module `{name}`", hint)
        return data

    def _used_file(self, use: ast.Use, name: str) -> bytes | None:
        try:
            return self.read(name)
        except FileNotFoundError:
            message, hint = f"There is no file `{use.path}`", self._near(use.path, name)
        except IsADirectoryError:
            message, hint = f"`{use.path}` is a folder", "name a .biz file in it"
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            message, hint = f"`{use.path}` can't be read: {reason}", None
        self._report("E0501", use, message, hint)
        return None

    def _near(self, written: str, name: str) -> str | None:
        folder, base = posixpath.split(name)
        near = did_you_mean(base, [n for n in self._list(folder) if n.endswith((".biz", ".yaml"))])
        if near:
            return f'did you mean `use "{posixpath.join(posixpath.dirname(written), near)}"`?'
        return f"looked for {name}; a path is relative to the file that uses it"

    def _list(self, folder: str) -> list[str]:
        try:
            return sorted(self.listdir(folder))
        except (OSError, ValueError):
            return []

    def _report(self, code: str, use: ast.Use, message: str, help: str | None = None) -> None:
        self.diagnostics.append(Diagnostic(code, use.span, message, help))

    def templates(self, spec: str) -> dict[str, Source]:
        """The texts of templates/*.md beside the spec, by their name without `.md`."""
        folder = posixpath.join(posixpath.dirname(spec), "templates")
        found: dict[str, Source] = {}
        try:
            bases = sorted(self.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return found
        except (OSError, ValueError) as problem:
            self._unreadable(folder, problem)
            return found
        for base in bases:
            if not base.endswith(".md") or base.startswith("."):
                continue
            name = posixpath.join(folder, base)
            source = self._template(name)
            if source:
                found[base.removesuffix(".md")] = source
        return found

    def _unreadable(self, name: str, problem: Exception) -> None:
        text = f"{name} can't be read: {getattr(problem, 'strerror', None) or problem}"
        self.diagnostics.append(Diagnostic("E0504", Span(name, 0, 0), text))

    def _template(self, name: str) -> Source | None:
        try:
            data = self.read(name)
        except IsADirectoryError:
            return None
        except (OSError, ValueError) as problem:
            self._unreadable(name, problem)
            return None
        start = Span(name, 0, 0)
        if len(data) > MAX_TEMPLATE_BYTES:
            self.diagnostics.append(Diagnostic("E0504", start, f"{name} is larger than 2 MB"))
            return None
        try:
            return Source(name, data.decode("utf-8-sig").replace("\r\n", "\n"))
        except UnicodeDecodeError as problem:
            message = f"{name} is not UTF-8 (byte {problem.start})"
            self.diagnostics.append(Diagnostic("E0504", start, message))
            return None
