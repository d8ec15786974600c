"""Which small changes of a spec its tests notice: each is made, compiled and tested by itself."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .test_runs import Options, Prepared, cores

if TYPE_CHECKING:
    from ..runtime.mutate import Mutant

# Another process is worth its start where there are more changes than these.
FEW = 10


def survivors_of(path: str, options: Options) -> list[dict[str, Any]]:
    """Every change of a spec, with whether a test noticed it; in the order of their places."""
    base = _base(path)
    total = len(base.mutants)
    jobs = options.jobs or cores()
    if jobs == 1 or total <= FEW:
        noticed = try_some(path, 0, 1, options.names)
    else:
        noticed = _spread(path, options, jobs)
    return [
        {
            "file": mutant.span.file,
            "line": base.prepared.checked.loaded.sources[mutant.span.file].position(
                mutant.span.start
            )[0],
            "old": mutant.old,
            "new": mutant.new,
            "noticed": noticed[number],
        }
        for number, mutant in enumerate(base.mutants)
    ]


class _Base:
    """A spec as it stands, and its mutants."""

    def __init__(self, path: str) -> None:
        from ..runtime.mutate import mutants

        self.prepared = Prepared(path, False)
        self.mutants: list[Mutant] = mutants(self.prepared.checked)


@lru_cache(maxsize=1)
def _base(path: str) -> _Base:
    return _Base(path)


def _spread(path: str, options: Options, jobs: int) -> dict[int, bool]:
    from .processes import spread

    found: dict[int, bool] = {}
    calls = [(path, first, jobs, options.names) for first in range(jobs)]
    with spread(jobs, try_some, calls) as parts:
        for part in parts:
            found |= part.result()
    return found


def try_some(path: str, first: int, step: int, names: tuple[str, ...]) -> dict[int, bool]:
    """Every `step`th mutant from `first` on, by its number: whether a test noticed it."""
    base = _base(path)
    order: list[str] = []
    found = {}
    for number in range(first, len(base.mutants), step):
        found[number] = _noticed(base, base.mutants[number], names, order)
    return found


def _noticed(base: _Base, mutant: Mutant, names: tuple[str, ...], order: list[str]) -> bool:
    """Whether the checker or a test refuses a mutant; tests that noticed most go first."""
    span = mutant.span
    text = base.prepared.checked.loaded.sources[span.file].text
    changed = text[: span.start] + mutant.new + text[span.end :]
    prepared = Prepared(base.prepared.path, False, {span.file: changed.encode()})
    if prepared.program is None:
        return True
    tests, _ = prepared.tests(names)
    tests.sort(key=lambda test: order.index(test.title) if test.title in order else len(order))
    for test in tests:
        if prepared.run(test).failures:
            if test.title in order:
                order.remove(test.title)
            order.insert(0, test.title)
            return True
    return False
