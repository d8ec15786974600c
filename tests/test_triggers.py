"""What a trigger's condition reads: it decides when it has to be looked at, and for whom."""

from __future__ import annotations

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.ir.lower_program import lower
from bizrun.ir.program import Trigger
from bizrun.lang.check import check
from bizrun.lang.modules import load_text

SPEC = """
business "Shop" { currency USD }
entity Manager { id text key, accounts integer = 0 }
entity Account { id text key, logins integer = 0, trouble integer = 0, best bool = false }
extend entity Account { manager Manager? }
fn healthy(account: Account) -> bool = health(account) > 50 and age(account) > 1 day
fn health(account: Account) -> number = 60 + account.logins - account.trouble
fn rank(account: Account) -> number = count(Account where .logins > account.logins)
fn other(account: Account) -> number {
  let another = first Account where .best
  return if another == none then 0 else another.logins
}
fn hidden(account: Account) -> number = sum([for account in Account where .best: account.trouble])
on A.b as e { log "{e}" }
"""


def trigger(condition: str) -> Trigger:
    text = SPEC + f"trigger A.b for Account when {condition}\n"
    checked = check(load_text("spec.biz", text), SIGNATURES, open_action)
    assert checked.ok, checked.diagnostics
    return lower(checked).triggers[0]


def test_a_function_that_gets_the_subject_reads_its_fields() -> None:
    """Else each change of one row would be a reason to look at all: 30 times slower with 1,500."""
    for condition in ("health(self) drops below 50", "healthy(self)"):
        found = trigger(condition)
        assert {"logins", "trouble"} <= found.fields
        assert found.entities == frozenset()


def test_what_reads_other_rows_of_the_entity_is_looked_at_for_each() -> None:
    for condition in ("rank(self) < 10", "other(self) > 3", "hidden(self) > 3"):
        assert trigger(condition).entities == {"Account"}


def test_what_reads_another_entity_is_looked_at_when_that_changes() -> None:
    found = trigger("(.manager?.accounts ?? 0) > 3")
    assert found.entities == {"Manager"}
    assert found.ways == {"Manager": {("by", "manager")}}
    assert "manager" in found.fields
