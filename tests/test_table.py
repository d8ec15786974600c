"""Tables on terminals: what a narrow one leaves out, and what goes on below."""

from __future__ import annotations

from typing import Any

import pytest

from bizrun.cli import table as tables
from bizrun.cli.table import table

from .conftest import Command, write_shop

INVOICES = [
    {"id": f"inv_{n:021x}", "number": f"INV-{n}", "customer": who, "currency": "USD",
     "status": "paid", "total": f"{n}.00 USD", "tax": "0.00 USD",
     "created_at": "2026-01-01T00:00:00Z"}
    for n, who in ((7, "ada"), (12, "株式会社"))
]  # fmt: skip
RATES = [{"month": "2026-01", "opening": "1,000.00 USD", "churn": "7.5%"},
         {"month": "2026-02", "opening": "900.00 USD", "churn": "12%"}]  # fmt: skip


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda wide: monkeypatch.setattr(tables, "room_of_output", lambda: wide)


def test_what_fits_is_whole_and_figures_stand_right() -> None:
    assert table(["month", "opening", "churn"], RATES) == (
        "month         opening  churn\n2026-01  1,000.00 USD   7.5%\n2026-02    900.00 USD    12%\n"
    )


def test_a_narrow_terminal_shows_what_tells_rows_apart(terminal: Any) -> None:
    terminal(40)
    assert table(list(INVOICES[0]), INVOICES) == (
        "number  customer  currency      total\n"
        "INV-7   ada       USD        7.00 USD\n"
        "INV-12  株式会社  USD       12.00 USD\n"
        "in each row: status paid, tax 0.00 USD,\n"
        "created_at 2026-01-01T00:00:00Z\n"
        "not shown: id (--json)\n"
    )


def test_a_report_goes_on_below(terminal: Any) -> None:
    terminal(24)
    assert table(list(RATES[0]), RATES, whole=True) == (
        "month         opening\n"
        "2026-01  1,000.00 USD\n"
        "2026-02    900.00 USD\n"
        "\n"
        "month    churn\n"
        "2026-01   7.5%\n"
        "2026-02    12%\n"
    )


def test_a_long_id_is_cut_to_what_is_left(terminal: Any) -> None:
    rows = [{"at": "09:00", "type": "A.b", "id": "1/on A.b/" + "x" * 30},
            {"at": "10:00", "type": "C.d", "id": "2"}]  # fmt: skip
    terminal(24)
    assert table(["at", "type", "id"], rows, cut="id") == (
        "at     type  id\n09:00  A.b   1/on A.b/x…\n10:00  C.d   2\n"
    )


EFFECTS = [
    {"id": f"{n:016x}", "kind": "email", "status": "done" if n else "dead",
     "created": "2026-12-31T23:48:44Z", "about": "usage-alert to grace.126@quarrylabs.example",
     "place": f"saas.biz:{n}"}
    for n in range(2)
]  # fmt: skip


def test_the_column_that_is_cut_has_a_third_of_the_terminal(terminal: Any) -> None:
    terminal(70)
    assert table(list(EFFECTS[0]), EFFECTS, cut="about").splitlines()[1:] == [
        "0000000000000000  email  dead    saas.biz:0  usage-alert to grace.126…",
        "0000000000000001  email  done    saas.biz:1  usage-alert to grace.126…",
        "in each row: created 2026-12-31T23:48:44Z",
    ]


def test_texts_of_a_query_are_told_as_they_are_and_within_values_as_written(
    command: Command,
) -> None:
    write_shop('business "Shop" { bills Account }\nentity Account { id text key }\n', ())
    command("shop.biz")
    asked = {
        r'"a\"b\nc"': 'a"b\nc\n',
        r'["a\"b\nc", ["d\"e"]]': 'a"b c\n["d\\"e"]\n',
        r'{ a: "b\"", "c d": ["e\n"] }': '{ a: "b\\"", "c d": ["e\\n"] }\n',
    }
    assert {one: command("query", one) for one in asked} == asked
