"""Which known name a mistyped one is taken for: the nearest, found without comparing all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bizrun import diagnostics
from bizrun.diagnostics import did_you_mean, distance, likeliest
from bizrun.lang.check import context
from bizrun.lang.check.context import nearest
from bizrun.lang.modules import load_text
from bizrun.pipeline import check_loaded

NAMES = st.lists(st.text("abcAÄß._1", min_size=1, max_size=9), min_size=1, max_size=12)


@given(NAMES)
@example(["aaaaaaaab", "aaaaaaaaaa", "baaaaaaaaa"])
@example(["a.b", "b.a", "ab.", "A.b"])
def test_it_is_the_one_that_comparing_all_finds(names: list[str]) -> None:
    name, *known = names
    limit = max(1, len(name) // 3)
    steps = {one: distance(name.lower(), one.lower(), limit) for one in known}
    near = [one for one in known if steps[one] <= limit]
    assert did_you_mean(name, known) == min(near, key=lambda one: (steps[one], one), default=None)


@given(NAMES)
@example(["a.b", "b.a", "ab.", "A.b"])
def test_nobody_is_passed_over(names: list[str]) -> None:
    name, *known = names
    least = dict(reversed(one) for one in likeliest(name, known, 100))
    for one in known:
        assert least[one] <= distance(name.lower(), one.lower(), 100)


@given(NAMES)
def test_the_nearest_is_alone_or_not(names: list[str]) -> None:
    name, *known = names

    def key(one: str) -> tuple[int, bool] | None:
        cased = name[:1].isupper() != one[:1].isupper()
        steps = context._steps(name.lower(), one.lower(), 100)
        return None if steps is None else (steps + cased, cased)

    found = sorted((key(one), one) for one in set(known) if key(one) is not None)
    meant, certain = nearest(name, known)
    if found:
        assert (meant, certain) == (found[0][1], len(found) == 1 or found[1][0] > found[0][0])
    else:
        assert not certain


def test_many_mistyped_names_compare_few(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0

    def counted(a: str, b: str, limit: int) -> int:
        nonlocal compared
        compared += 1
        return distance(a, b, limit)

    for module in (diagnostics, context):
        monkeypatch.setattr(module, "distance", counted)
    many = range(300)
    lines = ['business "Many" { bills Account }', "entity Account { id text key }"]
    lines += [f"const limit_number_{n} = {n}" for n in many]
    lines += [f"event Order{n}.placed {{ id text }}" for n in many]
    lines += ["on Order1.placed {", *(f'  log "{{limt_numbr_{n}}}"' for n in many)]
    lines += [*(f'  emit Ordr{n}.placed {{ id: "a" }}' for n in many), "}"]
    found = check_loaded(load_text("many.biz", "\n".join(lines))).diagnostics
    meant = [problem for problem in found if problem.help and "did you mean" in problem.help]
    assert len(meant) == 2 * len(many)
    assert compared < 20 * len(meant)
