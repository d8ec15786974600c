"""A file read again after an edit gives what reading it anew gives."""

from __future__ import annotations

import random

from bizrun.diagnostics import Source
from bizrun.lang.parse import parse
from bizrun.lang.reparse import Reparser

from .conftest import ROOT

TEXT = (ROOT / "specs" / "shop.biz").read_text(encoding="utf-8")


def test_any_edit_gives_the_same_as_reading_anew() -> None:
    reader, draw, text = Reparser(), random.Random(7), TEXT
    pieces = ["x", "\n", '"', "{", "}", "# note\n", "## doc\n", "on A.b { log 1 }\n", "7 days", ""]
    for _ in range(60):
        start = draw.randrange(len(text) + 1)
        end = min(len(text), start + draw.choice([0, 0, 1, 3, 40]))
        edited = text[:start] + draw.choice(pieces) + text[end:]
        assert repr(reader.parse(Source("a.biz", edited))) == repr(parse(Source("a.biz", edited)))
        text = draw.choice([text, edited, TEXT])


def test_what_has_not_changed_is_not_read_again() -> None:
    reader = Reparser()
    before = reader.parse(Source("a.biz", TEXT))
    assert reader.parse(Source("a.biz", TEXT)) is before
    after = reader.parse(Source("a.biz", TEXT + "const a = 1\n"))
    assert after.file.declarations[0] is before.file.declarations[0]
