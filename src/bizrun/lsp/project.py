"""The specs of a workspace as an editor has them: unsaved texts first, checked when asked for."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ..diagnostics import Diagnostic, Source, normal
from ..lang.modules import is_yaml
from ..lang.navigate import Names
from ..lang.reparse import Reparser
from ..lang.std import in_std
from ..lang.symbols import Checked
from ..lang.uses import stands_alone
from ..pipeline import check_loaded, load_files

_USES = re.compile(r'^\s*use\s+"([^"]+)"', re.MULTILINE)
MOST_SPECS = 500
_PASSED_OVER = {"node_modules", "out", "dist", "build"}


@dataclass(slots=True)
class View:
    """A checked spec and its names, as of one moment."""

    checked: Checked
    _names: Names | None = field(default=None, repr=False)

    @property
    def names(self) -> Names:
        """Where each name is declared and used."""
        if self._names is None:
            self._names = Names(self.checked)
        return self._names

    def sources(self) -> dict[str, Source]:
        """The texts that diagnostics point into, templates included, by path."""
        templates = self.checked.loaded.template_files.values()
        return {**self.checked.loaded.sources, **{source.name: source for source in templates}}


class Project:
    """Folders of specs; `buffers` are the texts that an editor has open, by path."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.buffers: dict[str, str] = {}
        self._views: dict[str, View] = {}
        self._reader = Reparser()
        self._roots: dict[str, str] | None = None

    def put(self, path: str, text: str | None) -> None:
        """Takes an open file's text; None where it was closed, so that the disk's counts again."""
        before = self.buffers.get(path)
        if text is None:
            self.buffers.pop(path, None)
        else:
            self.buffers[path] = text
        if before is None or text is None or _USES.findall(before) != _USES.findall(text):
            self._roots = None
        self._views.clear()

    def changed_on_disk(self) -> None:
        """Forgets what was read of files that are not open."""
        self._views.clear()
        self._roots = None

    def view(self, path: str) -> View:
        """The spec that a file belongs to, checked: the one that uses it, else itself."""
        root = self.root_of(path)
        found = self._views.get(root)
        if found is None:
            found = self._views[root] = View(self._check(root, {}))
            if path not in found.checked.loaded.sources:
                found = self._views[path] = View(self._check(path, {}))
        return found

    def with_text(self, path: str, text: str) -> Checked:
        """The same with another text for a file, not kept."""
        return self._check(self.root_of(path), {path: text})

    def _check(self, root: str, other: dict[str, str]) -> Checked:
        texts = {**self.buffers, **other}
        edited = {name: text.encode("utf-8", "surrogatepass") for name, text in texts.items()}
        return check_loaded(load_files(root, edited, None, self._reader.parse))

    # --- which spec a file belongs to ------------------------------------------------------------

    def root_of(self, path: str) -> str:
        """The spec that uses a file, itself used by none; the file where it stands alone."""
        if self._roots is None:
            self._roots = self._find_roots()
        return self._roots.get(path, path)

    def _find_roots(self) -> dict[str, str]:
        users: dict[str, str] = {}
        texts = dict(self._texts())
        for name, text in texts.items():
            for used in _USES.findall(text):
                target = normal(f"{Path(name).parent}/{used}")
                if target in texts and not stands_alone(texts[target]):
                    users.setdefault(target, name)
        found: dict[str, str] = {}
        for name in users:
            root, seen = name, {name}
            while root in users and users[root] not in seen:
                root = users[root]
                seen.add(root)
            found[name] = root
        return found

    def _texts(self) -> Iterator[tuple[str, str]]:
        yield from self.buffers.items()
        for path in self.specs():
            if path not in self.buffers:
                try:
                    yield path, Path(path).read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue

    def specs(self) -> list[str]:
        """The paths of the specs in the workspace's folders, or beside what is open."""
        folders = self.folders or sorted({str(Path(path).parent) for path in self.buffers})
        found: list[str] = []
        for folder in folders:
            for base, inner, names in os.walk(folder):
                inner[:] = sorted(n for n in inner if n[0] != "." and n not in _PASSED_OVER)
                found += [f"{base}/{n}" for n in sorted(names) if n.endswith((".biz", ".biz.yaml"))]
                if len(found) > MOST_SPECS:
                    return found[:MOST_SPECS]
        return list(dict.fromkeys(found))


def problems_by_file(view: View) -> dict[str, list[Diagnostic]]:
    """The diagnostics of a view's files, those without any too; not of the standard library."""
    found: dict[str, list[Diagnostic]] = {name: [] for name in view.sources() if not in_std(name)}
    for problem in view.checked.diagnostics:
        if problem.span.file in found:
            found[problem.span.file].append(problem)
    return found


def has_yaml_form(path: str) -> bool:
    """Whether a file has the YAML form, of which only mistakes are told."""
    return is_yaml(path)
