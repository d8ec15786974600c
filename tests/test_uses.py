"""`given`, `use … for` and `override`: what a spec makes of the files that it uses."""

from __future__ import annotations

from pathlib import Path

from bizrun.actions import open_action
from bizrun.actions.signatures import SIGNATURES
from bizrun.cli.checking import check_files
from bizrun.cli.test_runs import roots
from bizrun.ir.lower_program import lower
from bizrun.lang import ast
from bizrun.lang.check import check
from bizrun.lang.modules import load_text
from bizrun.lang.std import std_modules
from bizrun.lang.symbols import Checked
from bizrun.lang.uses import OVERRIDABLE

DESK = """
given business "Desk" { currency USD, bills Customer }
given entity Customer { id text key, email text }
given entity Ticket { id text key, closed time? }
given event Call.made key customer { customer Customer }
given meter calls { count Call.made per customer }

extend entity Ticket { late bool = false }
const patience = 2 days
trigger Ticket.late for Ticket when .closed == none and age(self) reaches patience
on Ticket.late(subject) { update subject { late: true } }
on Subscription.cancelled(customer) { notify { to: customer.email, message: "Bye" } }
trigger calls.many for Customer when usage(self, calls) reaches 100 once per period
on calls.many(subject) { notify { to: subject.email, message: "Many calls" } }

test "with what it is given" {
  at 2026-01-01T00:00:00Z
  create Ticket { id: "t1" }
  advance 2 days
  expect Ticket("t1").late
}
"""

SPEC = """
business "Shop" { currency USD, bills Member }
entity Member { id text key, email text }
entity Case { id text key, closed time? }
event API.called { member Member }
event Image.made { member Member }
meter api_calls { count API.called per member }
meter images { count Image.made per member }
"""


def checked(text: str, **others: str) -> Checked:
    files = {f"{name}.biz": content for name, content in others.items()}
    return check(load_text("spec.biz", text, files), SIGNATURES, open_action)


def good(text: str, **others: str) -> Checked:
    found = checked(text, **others)
    assert not found.diagnostics
    return found


def handlers(found: Checked) -> list[str]:
    return [handler.id for handler in lower(found).handlers]


def test_a_file_alone_is_checked_and_tested_with_its_stand_ins() -> None:
    found = good(DESK)
    assert found.symbols.bills == "Customer"
    assert [test.title for test in found.symbols.tests] == ["with what it is given"]


def test_a_used_file_speaks_of_what_the_user_has() -> None:
    found = good(SPEC + 'use "./desk.biz" for Case as Ticket, api_calls as calls', desk=DESK)
    assert set(found.symbols.meters) == {"api_calls", "images"}
    assert "Customer" not in found.symbols.entities
    assert "late" in found.symbols.entities["Case"].fields
    assert set(found.symbols.triggers) == {"Case.late", "api_calls.many"}
    assert found.symbols.triggers["api_calls.many"].entity == "Member"
    assert not found.symbols.tests


def test_a_file_is_bound_several_times() -> None:
    """What another binding leaves as it is stands once."""
    text = SPEC + (
        'use "./desk.biz" for Case as Ticket, api_calls as calls\n'
        'use "./desk.biz" for Case as Ticket, images as calls\n'
    )
    found = good(text, desk=DESK)
    assert set(found.symbols.triggers) == {"Case.late", "api_calls.many", "images.many"}
    assert handlers(found) == [
        "on Case.late", "on Subscription.cancelled", "on api_calls.many", "on images.many",
    ]  # fmt: skip


def test_what_overrides_stands_where_the_overridden_stood() -> None:
    """So the place in the user's file changes neither order nor ids."""
    use = 'use "./desk.biz" for Case as Ticket, api_calls as calls\n'
    override = 'override on Subscription.cancelled(customer) { log "bye" }\n'
    own = 'on Subscription.cancelled(customer) { log "{customer.id}" }\n'
    before = good(SPEC + use + override + own, desk=DESK)
    after = good(SPEC + use + own + override, desk=DESK)
    assert handlers(before) == handlers(after)
    first = next(on for on in before.symbols.handlers if "cancelled" in on.pattern.types[0][0])
    assert first.span.file == "spec.biz"
    assert "on Subscription.cancelled #2" in handlers(before)


def test_each_kind_that_can_be_overridden_is_told_by_a_name() -> None:
    base = """
        business "B" { currency USD, bills Member }
        entity Member { id text key, email text, status "a" | "b" = "a" }
        event API.called { member Member }
        const a = 1 day
        fn b() -> number = 1
        template c { subject "c", body "c" }
        dunning d { retry after 1 day, then cancel }
        coupon E { 10% off }
        tax f { 1% exclusive }
        metric g: number = 1 every day
        trigger Member.old for Member when age(self) reaches 1 day
        role h { can a.b }
        plan i { price 1 USD per month }
        addon j { price 1 USD per month }
        meter k { count API.called per member }
        experiment l by customer { variant x 1, variant y 2 }
        connect m { url: "https://a.example" }
        lifecycle Member.status { start "a", "a" -> "b" after 1 day }
        api GET "/n" () for member { return { n: 1 } }
        on Member.old(member) { email { to: member.email, template: c } }
    """.replace("        ", "")
    lines = [line for line in base.splitlines() if line.strip() and not line.startswith(
        ("business", "entity", "event"))]  # fmt: skip
    found = good('use "./base.biz"\n' + "\n".join(f"override {line}" for line in lines), base=base)
    kinds = {type(replaced.new) for replaced in found.loaded.replaced}
    assert kinds == set(OVERRIDABLE)
    assert all(
        node.span.file == "spec.biz"
        for node in found.loaded.files[1].declarations
        if type(node) in OVERRIDABLE
    )


def test_a_template_beside_the_spec_replaces_a_module_s() -> None:
    files = {"templates/payment-failed.md": "---\nsubject: Ours\n---\n{{ customer.email }}"}
    text = SPEC + "use std.dunning\n"
    program = lower(check(load_text("spec.biz", text, files), SIGNATURES, open_action))
    assert program.templates["payment-failed"].parts["subject"] == "Ours"
    assert program.templates["suspended"].parts["subject"] == "Your plan is suspended"


def test_the_policy_is_the_one_that_is_named() -> None:
    """Else the spec's own, else the module's first one."""
    own = "dunning mine { retry after 9 days, then cancel }\n"
    business = SPEC.replace("bills Member", "bills Member, dunning strict", 1)
    found = [lower(good(text + "use std.dunning\n")) for text in (business, SPEC, SPEC + own)]
    assert [program.dunning.name for program in found if program.dunning] == [
        "strict", "standard", "mine",
    ]  # fmt: skip


def test_a_module_s_mistake_is_told_at_the_use() -> None:
    """A module has none by itself: what is wrong is what the spec gives it."""
    entity = "entity Ticket { id text key, priority text, answered_at time?, resolved_at time?,"
    text = f"use std.sla\n{entity} answered_late text }}\n"
    (problem,) = checked(text).diagnostics
    assert (problem.code, problem.span.file, problem.span.start) == ("E0506", "spec.biz", 0)
    assert "Field `answered_late` stands twice" in problem.message
    assert problem.labels[0].span.file == "std.sla"


def test_a_module_s_built_in_functions_are_bizrun_s() -> None:
    """An author's function of the same name is called where the author calls it."""
    text = SPEC + "use std.metrics\nfn ltv(range: text) -> money = 1 USD\nfn arr() -> text = ltv\n"
    found = checked(text.replace("= ltv\n", '= "{ltv("x")}"\n'))
    assert not found.diagnostics
    program = lower(found)
    assert "CallFn" not in repr(program.metrics["arr"].value)
    assert "CallFn" in repr(program.functions["arr"])


def test_a_module_s_given_things_never_reach_its_user() -> None:
    for module in std_modules():
        loaded = load_text("spec.biz", f"use {module}\n")
        assert not [n for f in loaded.files for n in f.declarations if isinstance(n, ast.Given)]


def test_a_file_with_stand_ins_is_looked_at_alone_too(tmp_path: Path) -> None:
    """Else nobody would run its tests, and a mistake would be told of its users alone."""
    desk, spec = tmp_path / "desk.biz", tmp_path / "spec.biz"
    desk.write_text(DESK + "given const hello = 1 + true\n", encoding="utf-8")
    spec.write_text(SPEC + 'use "./desk.biz" for Case as Ticket, images as calls\n', "utf-8")
    paths = [str(desk), str(spec)]
    assert roots(paths) == paths
    outcome = check_files(paths)
    assert outcome.specs == paths
    assert [problem.span.file for problem in outcome.problems] == [str(desk)]


def test_several_files_have_it_and_one_is_meant() -> None:
    """A handler of an event that two modules handle replaces that of the one that is named."""
    text = SPEC + "use std.trials\nuse std.winback\n"
    handler = 'on Subscription.cancelled(customer) { log "{customer}" }\n'
    for module in ("std.trials", "std.winback"):
        found = good(text + f"override {module} " + handler)
        (replaced,) = found.loaded.replaced
        assert replaced.old.span.file == module
        assert handlers(found).count("on Subscription.cancelled") == 1
        assert "on Subscription.cancelled #2" in handlers(found)


def test_what_a_missing_file_declares_is_missed_nowhere_else() -> None:
    found = checked(
        'use "./no_such_plans.biz"\n'
        'business "Mill" { currency USD, bills Farmer }\n'
        "entity Farmer { id text key }\n"
        "event Farmer.joined key farmer { farmer Farmer }\n"
        "on Farmer.joined(farmer) {\n"
        "  subscribe { customer: farmer, plan: pro }\n"
        '  apply_coupon { customer: farmer, coupon: "SPRING" }\n'
        '  log "{twice(ten)} {frmer.id}"\n'
        "}\n"
    )
    assert [(d.code, d.help) for d in found.diagnostics if d.code != "E0501"] == [
        ("E0201", "did you mean `farmer`?")
    ]
    assert any(d.code == "E0501" for d in found.diagnostics)
