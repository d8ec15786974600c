"""Names, types, units and none: each golden line has the codes that it is marked with."""

from __future__ import annotations

from textwrap import dedent

import pytest

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.diagnostics import Source
from bizrun.lang import ast
from bizrun.lang.check import check
from bizrun.lang.check.codes_expressions import CODES
from bizrun.lang.check.operators import ARITHMETIC
from bizrun.lang.modules import load_text
from bizrun.lang.parse import parse
from bizrun.lang.symbols import Checked
from bizrun.lang.types import BOOL, MONEY, EntityType, ListOf, Maybe
from bizrun.lang.walk import walk

from .golden_check import GOLDENS, marked
from .growth import grows_straight


def checked(text: str) -> Checked:
    return check(load_text("t.biz", dedent(text)), SIGNATURES, open_action)


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in checked(text).diagnostics]


def own(text: str) -> list[str]:
    """The codes of this half of the checker."""
    return [code for code in codes(text) if code in CODES]


def test_every_code_has_a_golden() -> None:
    seen = {code for path in GOLDENS for line in marked(path).values() for code in line}
    # More than a hundred `not` in a row are no reading: see `test_deep_nesting`.
    assert set(CODES) - seen - {"E0319"} == set()


@pytest.mark.parametrize("code", CODES)
def test_examples_parse(code: str) -> None:
    parsed = parse(Source("example.biz", CODES[code].example))
    assert [d.message for d in parsed.diagnostics] == []


def test_deep_nesting() -> None:
    deep = "fn f(x: bool) -> bool = " + "not " * 130 + "x"
    assert "E0319" in codes(deep)


def test_long_chains_are_no_nesting() -> None:
    chain = " and ".join(f"x != {i}" for i in range(1500))
    assert own(f"fn f(x: number) -> bool = {chain}") == []


def test_no_cascades() -> None:
    text = """
    entity Account { id text key, plan plan }
    event A.b { account Acount }
    on A.b as e {
      let who = e.account.owner
      let price = who.plan.price + 3
      if price > 4 USD { log "{price * price}" }
    }
    """
    assert own(text) == ["E0205"]


def test_a_mistyped_field_is_not_missing_too() -> None:
    text = """
    business "B" { bills Account }
    entity Account { id text key, email text }
    event A.b { account Account }
    on A.b as e {
      create Account { id: "a1", emial: "x" }
      email { too: "x", subject: "s", body: "b" }
      emit Account.noted { acount: e.account }
    }
    event Account.noted { account Account }
    on Account.noted as n { log n.account.email }
    """
    assert own(text) == ["E0203", "E0215", "E0216"]


def test_a_fix_names_what_is_meant() -> None:
    text = "entity Account { id text key, email text }\nfn f(a: Account) -> text = a.emial\n"
    found = next(d for d in checked(text).diagnostics if d.code == "E0203")
    assert found.help == "did you mean `email`?"
    assert found.fix is not None and found.fix.certain
    assert text[found.fix.span.start : found.fix.span.end] == "emial"
    assert found.fix.text == "email"


def test_fixes_of_texts_keep_their_quotes() -> None:
    text = 'entity A { id text key, s "on" | "off" }\nfn f(a: A) -> bool = a.s == "of"\n'
    found = next(d for d in checked(text).diagnostics if d.code == "E0311")
    assert found.fix is not None
    mended = text[: found.fix.span.start] + found.fix.text + text[found.fix.span.end :]
    assert own(mended) == []


def test_side_tables_are_full() -> None:
    text = """
    business "B" { bills Account }
    entity Account { id text key, plan plan, ends time?, credit money = 0 USD }
    plan pro { price 9 USD per month }
    on Account.created as e where e.account.plan == pro {
      let open = sum(Invoice.total where .customer == e.account and .status == "sent")
      let all = [for i in Invoice where .total > open order by .total desc: i]
      if e.account.ends != none { log "{e.account.ends + 1 day} {count(all)}" }
      update e.account { credit: .credit + open }
      let payment = charge { customer: e.account, amount: open }
      log "{match payment.status { "failed" => 1, else => 2 }}"
    }
    """
    result = checked(text)
    assert [d.code for d in result.diagnostics if d.severity == "error"] == []
    handler = result.symbols.handlers[-1]
    for node in walk(handler):
        if isinstance(node, ast.Name):
            assert node in result.names, node
        if isinstance(node, ast.Query | ast.Update):
            assert node in result.row_types
        if isinstance(node, ast.Action):
            assert node in result.actions
        if isinstance(node, ast.EventPattern):
            assert node in result.bindings
    assert not [d for d in result.diagnostics if d.severity == "error"]


def test_types_of_expressions() -> None:
    text = """
    entity Account { id text key, credit money }
    fn a() = first Account where .credit > 5 USD
    fn b() = sum(Account.credit)
    fn c() = Account where .credit > 5 USD
    fn d(x: Account) = x.credit > 3 USD and true
    """
    types = checked(text).symbols.fn_types
    assert types["a"][1] == Maybe(EntityType("Account"))
    assert types["b"][1] == MONEY
    assert types["c"][1] == ListOf(EntityType("Account"))
    assert types["d"][1] == BOOL


def test_the_table_of_operators_is_what_values_do() -> None:
    """Every pair that the table allows is one that `values` and `times` compute."""
    from bizrun.values import Duration, Money, Percent

    samples = {
        "number": 2,
        "money": Money(4, "USD"),
        "percent": Percent.of(50),
        "duration": Duration(micros=4_000_000),
        "size": 1024,
    }
    for (op, left, right), _ in ARITHMETIC.items():
        if left.name not in samples or right.name not in samples or op == "of":
            continue
        a, b = samples[left.name], samples[right.name]
        if op == "/" and right.name == "percent" and left.name in ("number", "size"):
            continue
        result = {"+": lambda a, b: a + b, "-": lambda a, b: a - b}.get(op)
        if op == "*":
            result = lambda a, b: a * b  # noqa: E731
        if op == "/" and left.name not in ("number", "size"):
            result = lambda a, b: a / b  # noqa: E731
        if result is not None:
            result(a, b)


def test_names_of_broken_declarations_are_not_missed() -> None:
    text = """
    entity Account { id text key, plan = }
    plan pro { price 9 9 USD }
    on Account.created as e { subscribe { customer: e.account, plan: pro } }
    """
    assert [code for code in own(text) if code.startswith("E")] == []


def test_speed_on_ten_thousand_lines() -> None:
    block = """
    on Deal.closed as d{i} where d{i}.units > {i} {{
      let total = d{i}.price * {i}
      let account = first Account where .id == d{i}.account and .credit > total
      if account == none {{ reject "no account {i}" }}
      update account {{ credit: .credit + total }}
      email {{ to: account.id, subject: "{{total}}", body: "{{account.credit}}" }}
    }}
    """
    head = "entity Account { id text key, credit money }\n"
    head += "event Deal.closed { account Account, price money, units number }\n"

    def work(count: int) -> None:
        blocks = "".join(dedent(block).format(i=i) for i in range(count))
        result = check(load_text("t.biz", head + blocks), SIGNATURES, open_action)
        assert [d.code for d in result.diagnostics if d.severity == "error"] == []

    assert grows_straight(work, 1250)
