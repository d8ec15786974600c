"""Emails and invoices: what templates may do, and what stands in the files."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from bizrun.documents.document import Document
from bizrun.documents.email import Attachment, message, sender
from bizrun.documents.html import document_html
from bizrun.documents.sandbox import environment
from bizrun.documents.sink import Sink, safe_name
from bizrun.documents.templates import TemplateError, plain, render
from bizrun.ir.lower_program import template_file
from bizrun.lang.check.templates import FILTERS
from bizrun.model import Effect, Outcome
from bizrun.values import Money, Percent, money

NOW = datetime(2026, 1, 31, 9, tzinfo=UTC)
ACME = {"title": "Acme Analytics"}


def text(body: str, **data: Any) -> str:
    return render("t", {"subject": "s", "body": body}, data, ACME, ZoneInfo("UTC")).text.strip()


# --- templates -----------------------------------------------------------------------------------

ACCOUNT = {"$key": "a1", "id": "a1", "company": None, "plan": "pro", "items": 3}
PRINTED: list[tuple[str, dict[str, Any], str]] = [
    ("{{ m }} {{ p }} {{ n }} {{ t }}",
     {"m": money("29 USD"), "p": Percent.of(80), "n": Decimal("0.50"), "t": NOW},
     "29.00 USD 80% 0.5 2026-01-31T09:00:00Z"),
    ("{{ account }} {{ account.plan }} {{ account.items }}", {"account": ACCOUNT}, "a1 pro 3"),
    ("[{{ account.company }}]", {"account": ACCOUNT}, "[]"),
    ("{{ account.company | default('you') }}", {"account": ACCOUNT}, "you"),
    ("{{ m * 2 }} {{ m / 3 | int }} {{ m ~ '!' }}", {"m": money("30 USD")},
     "60.00 USD 10.00 USD 30.00 USD!"),
    ("{{ t | date }}, {{ t | date('%Y') }}", {"t": NOW}, "January 31, 2026, 2026"),
    ("{{ m | money }}", {"m": money("1234.50 EUR")}, "€1,234.50"),
    ("{{ n | number }}", {"n": 10_000}, "10,000"),
    ("{{ n | number }} of {{ s | number }}", {"n": Decimal("1234.5"), "s": "1 GB"},
     "1,234.5 of 1 GB"),
    ("{% for k in xs %}{{ k }}{% if not loop.last %}, {% endif %}{% endfor %}", {"xs": [1, 2]},
     "1, 2"),
    ("{% macro b(x) %}**{{ x }}**{% endmacro %}{{ b('*') }}", {}, "*"),
    ("{{ business.title }}", {}, "Acme Analytics"),
    ("{{ xs | sum }} {{ xs | join('/') }}", {"xs": [1, 2]}, "3 1/2"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "data", "expected"), PRINTED)
def test_values_print_as_in_texts(body: str, data: dict[str, Any], expected: str) -> None:
    assert text(body, **data) == expected


def test_dates_and_money_as_the_language_writes_them() -> None:
    parts = {"subject": "{{ m | money }}", "body": "{{ t | date }}"}
    german = {**ACME, "locale": "de"}
    data = {"m": money("1234.50 EUR"), "t": datetime(2026, 3, 31, 23, tzinfo=UTC)}
    found = render("t", parts, data, german, ZoneInfo("Europe/Berlin"))
    assert found.subject == "1.234,50 €"
    assert "1. April 2026" in found.text


def test_figures_of_a_table_end_where_its_lines_do() -> None:
    found = render(
        "t", {"subject": "s", "body": "| a | b |\n| --- | ---: |\n| Due | 9 |\n"}, {}, ACME
    )
    assert 'text-align:right;padding:8px 0 8px 12px">9</td>' in found.html
    assert 'vertical-align:top">Due</td>' in found.html


def test_an_authors_style_is_written_into_the_elements() -> None:
    parts = {"subject": "s", "body": "# Hi\n\nSee [it](https://a.example/?a=1&b=2).",
             "style": "h1 { color: #b00020 } a { color: green }"}  # fmt: skip
    html = render("t", parts, {}, ACME, ZoneInfo("UTC")).html
    assert "<style" not in html
    assert "color: #b00020" in html and "color: green" in html
    assert "margin" in html.partition("<h1")[2].partition(">")[0]
    assert 'href="https://a.example/?a=1&amp;b=2"' in html


HARMFUL = [
    "{{ missing }}",
    "{{ a.missing }}",
    "{{ 'x' * 1000000000 }}",
    "{{ [1] * 1000000000 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x'.ljust(1000000000) }}",
    "{{ 'x' | center(1000000000) }}",
    "{{ [1] | batch(1000000000, 2) | list }}",
    "{{ 9 ** 9 ** 9 }}",
    "{% for i in range(1000000000) %}{% endfor %}",
    "{% for i in range(999) %}{% for j in range(999) %}{% endfor %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "{% set n = namespace(x='ab') %}{% for i in range(99) %}"
    "{% set n.x %}{{ n.x }}{{ n.x }}{% endset %}{% endfor %}",
    "{% for i in range(999) %}{{ a.text }}{% endfor %}",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "{% for i in [1, 2] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "{{ a.__class__.__mro__ }}",
    "{{ ''['__class__'] }}",
    "{{ range.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self }}",
    "{{ lipsum(n=100) }}",
    "{% include 'other' %}",
    "{{ a.pop('text') }}",
    "{{ m + 1 }}",
    "{{ 1 / 0 }}",
    "{% for",
]


@pytest.mark.parametrize("body", HARMFUL)
def test_what_a_template_may_not_do_is_a_sentence(body: str) -> None:
    with pytest.raises(TemplateError, match=r"the body of the template `t`.* can't be filled: "):
        text(body, a={"text": "x" * 2000}, m=money("1 USD"))


def test_a_failure_names_its_line() -> None:
    with pytest.raises(TemplateError, match=r"line 3, can't be filled: 'nobody' is undefined"):
        text("one\n\n{{ nobody }}")


def test_data_is_never_markdown_html_or_a_template() -> None:
    evil = "<b>*x*</b> [a](javascript:alert(1)) {{ 7*7 }} | `c`\n# h \ue0001\ue001"
    found = render("t", {"subject": "S {{ x }}", "body": "- {{ x }} `{{ x }}`"}, {"x": evil}, {})
    assert "&lt;b&gt;*x*&lt;/b&gt; [a](javascript:alert(1)) {{ 7*7 }}" in found.html
    assert "<h1" not in found.html and "<a " not in found.html and "<em>" not in found.html
    assert "\n" not in found.subject and "<b>" not in found.html


@pytest.mark.parametrize(
    ("url", "href"),
    [
        ("https://a.example/?q=1&x=a b", "https://a.example/?q=1&amp;x=a%20b"),
        ("mailto:ada@example.com", "mailto:ada@example.com"),
        ("javascript:alert(1)", "#"),
        (" JavaScript:alert(1)", "#"),
        ("data:text/html,x", "#"),
        ('x" onclick="y', "x%22%20onclick=%22y"),
    ],
)
def test_addresses_of_links(url: str, href: str) -> None:
    found = render("t", {"body": "[go]({{ url }})"}, {"url": url}, {})
    assert f'<a href="{href}"' in found.html


def test_the_text_form() -> None:
    body = """# Title

Some **bold**, [a link](https://a.example) and `code`.

- one
- two
  1. deep

| | |
| --- | --- |
| Plan | {{ plan }} |

> said

```
x = 1
```
"""
    assert (
        text(body, plan="pro")
        == """Title

Some bold, a link (https://a.example) and code.

- one
- two
  1. deep

Plan: pro

> said

    x = 1"""
    )


def test_a_body_without_a_template_is_plain() -> None:
    found = plain("Hi\r\nBcc: x", "one <b>\n**two**\n\nthree", {})
    assert found.subject == "Hi Bcc: x"
    assert "one &lt;b&gt;<br>\n**two**" in found.html


# --- emails --------------------------------------------------------------------------------------


def row(**data: Any) -> dict[str, Any]:
    return {"id": "ab" * 32, "order": 7, "kind": "email", "created": NOW, "data": data}


def parsed(data: bytes) -> email.message.EmailMessage:
    found = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(found, email.message.EmailMessage)
    assert not found.defects
    return found


def test_an_email_is_a_message() -> None:
    content = render("t", {"subject": "Grüße {{ x }}", "body": "Hallo **{{ x }}**"},
                     {"x": "Zoë " * 40}, ACME)  # fmt: skip
    data = message(row(to="Zoë <zoe@example.com>"), content, {"title": 'Müller "&" Söhne'})
    assert data == message(row(to="Zoë <zoe@example.com>"), content, {"title": 'Müller "&" Söhne'})
    found = parsed(data)
    assert found["Subject"] == content.subject
    assert found["From"].addresses[0].display_name == 'Müller "&" Söhne'
    assert found["To"].addresses[0].addr_spec == "zoe@example.com"
    assert found["Date"].datetime == NOW
    assert found["Message-ID"] == f"<{'ab' * 16}@m-ller-s-hne.example>"
    kinds = [part.get_content_type() for part in found.iter_parts()]
    assert kinds == ["text/plain", "text/html"]
    plain_part, html_part = found.iter_parts()
    assert plain_part.get_content().splitlines() == content.text.splitlines()
    assert html_part.get_content().splitlines() == content.html.splitlines()
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_an_email_says_who_sent_it() -> None:
    about = {"title": "Acme & Co", "address": "1 Mill\nLondon", "website": "acme.example"}
    found = render("t", {"body": "Hello"}, {}, {**about, "locale": "de_AT"})
    assert found.text == "Hello\n\n-- \nAcme & Co\n1 Mill, London\nacme.example\n"
    assert "Acme &amp; Co<br>\n1 Mill, London<br>\nacme.example</div>" in found.html
    assert '<html lang="de-AT">' in found.html
    assert render("t", {"body": "Hello"}, {}, {"title": "Acme"}).text == "Hello\n"


def test_headers_are_one_line() -> None:
    evil = row(to="a@b.example\r\nBcc: evil@x.example")
    found = parsed(message(evil, plain("s", "b", ACME), ACME))
    assert found["Bcc"] is None


def test_attachments() -> None:
    file = Attachment("../A 1.html", "text/html", b"<p>x" * 100)
    found = parsed(message(row(to="a@b.example"), plain("s", "b", ACME), ACME, [file]))
    part = next(found.iter_attachments())
    assert part.get_filename() == ".._A 1.html"
    assert part.get_content().strip() == "<p>x" * 100


def test_the_sender() -> None:
    assert sender({"title": "Acme & Sons"}) == "hello@acme-sons.example"
    assert sender({"title": "Acme", "email": "billing@acme.example"}) == "billing@acme.example"


# --- invoices ------------------------------------------------------------------------------------


def invoice(**more: Any) -> dict[str, Any]:
    base = {
        "id": "inv_1", "number": "ACME-2026-00001", "customer": "a1", "currency": "USD",
        "status": "paid", "subtotal": money("1234.50 USD"), "discount": money("34.50 USD"),
        "tax": money("120.00 USD"), "total": money("1320.00 USD"), "credit": money("20.00 USD"),
        "amount_due": money("1300.00 USD"), "amount_open": money("0.00 USD"),
        "period_start": datetime(2026, 1, 1, 8, tzinfo=UTC),
        "period_end": datetime(2026, 2, 1, 8, tzinfo=UTC), "issued_at": NOW, "due_at": NOW,
        "paid_at": NOW, "updated_at": NOW,
        "taxes": [{"name": "us_sales", "rate": "10%", "amount": money("120.00 USD")}],
    }  # fmt: skip
    return {**base, **more}


def line(position: int, description: str, **more: Any) -> dict[str, Any]:
    base = {
        "id": f"line_{position}", "invoice": "inv_1", "position": position, "quantity": 12_501,
        "description": description, "unit_amount": money("0.01 USD"),
        "amount": money("1234.50 USD"), "period_start": None, "period_end": None, "detail": None,
        "kind": "usage", "meter": None,
    }  # fmt: skip
    return {**base, **more}


def page(status: str = "paid", **more: Any) -> str:
    detail = [{"quantity": 10_000, "up_to": 10_000, "unit_amount": "0.00 USD", "flat": "0.00 USD",
               "amount": "0.00 USD"}]  # fmt: skip
    lines = [line(2, "second"), line(1, "<API> calls", detail=detail)]
    customer = {"id": "a1", "company": "Engines", "address": "1 Mill\nLondon", "email": "ada@x.ex"}
    about = {**ACME, "address": "2 Road", "tax_id": "DE1"}
    row = invoice(status=status, **more)
    return document_html(Document.of(row, lines, about, customer, "America/Los_Angeles")).decode()


def test_an_invoice_says_all() -> None:
    found = page()
    for said in (
        "Acme Analytics", "ACME-2026-00001", "Engines", "1 Mill", "London", "ada@x.ex", "2 Road",
        "Tax ID DE1", "Jan 1\u2009–\u200931, 2026", "12,501", "$0.01", "1 – 10,000",
        "$1,234.50", "−$34.50", "US sales 10%", "$1,320.00", "−$20.00", "−$1,300.00",
        "Amount due", "&lt;API&gt; calls", "$1,300.00 paid on January 31, 2026",
    ):  # fmt: skip
        assert said in found, said
    assert found.index("&lt;API&gt; calls") < found.index("second")
    assert found == page()


def test_a_price_says_its_packages_and_what_was_billed_before() -> None:
    step = {"above": 0, "quantity": 1_999, "unit_amount": "2.00 USD", "packages": 34,
            "amount": "68.00 USD"}  # fmt: skip
    share = {"above": 0, "quantity": 10, "percent": "2.9%", "events": 1, "each": "0.30 USD",
             "amount": "0.59 USD"}  # fmt: skip
    before = {"bound": "billed", "quantity": -600, "amount": "-20.00 USD"}
    lines = [
        line(1, "minutes", detail=[step]), line(2, "payments", detail=[share]),
        line(3, "more minutes", detail=[step, before]),
    ]  # fmt: skip
    found = document_html(Document.of(invoice(), lines, ACME, {"id": "a1"}, "UTC")).decode()
    for said in ("34 × $2.00", "2.9% + 1 × $0.30", "Already invoiced", "−600", "−$20.00"):
        assert said in found, said


def test_what_was_free_stands_beside_what_is_asked_for() -> None:
    free = {"bound": "included", "quantity": 100, "amount": "0.00 USD"}
    step = {"above": 0, "quantity": 50, "unit_amount": "0.01 USD", "amount": "0.50 USD"}
    detail = [free, step]
    lines = [line(1, "calls", quantity=50, amount=money("0.50 USD"), detail=detail)]
    found = document_html(Document.of(invoice(), lines, ACME, {"id": "a1"}, "UTC")).decode()
    assert "Included" in found and ">100<" in found
    # What the line says itself is not said again below it.
    assert found.count("$0.01") == 1 and found.count("$0.50") == 1


@pytest.mark.parametrize(
    ("name", "language", "said"),
    [("ust", "de", "USt 19"), ("mwst", "de", "MwSt 19"), ("btw", "nl", "btw 19"),
     ("vat", "fr", "TVA 19"), ("us_sales", "en", "US sales 19"), ("gst", "en", "GST 19")],
)  # fmt: skip
def test_a_tax_is_called_as_people_write_it(name: str, language: str, said: str) -> None:
    tax = {"name": name, "rate": "19%", "amount": money("1.90 USD"), "inclusive": False}
    row = invoice(tax=money("1.90 USD"), taxes=[tax])
    buyer = {"id": "a1", "language": language}
    found = document_html(Document.of(row, [line(1, "x")], ACME, buyer, "UTC")).decode()
    assert said in found, found


@pytest.mark.parametrize(
    ("title", "said"), [("Umsatzsteuer", "Umsatzsteuer 20%"), ("TVA 20 %", ">TVA 20 %<")]
)
def test_what_the_author_calls_a_meter_a_coupon_and_a_tax(title: str, said: str) -> None:
    about = {**ACME, "titles": {
        "meter": {"calls": "Phone calls"}, "coupon": {"SPRING": "Spring sale"},
        "tax": {"tva": title},
    }}  # fmt: skip
    taxes = [{"name": "tva", "rate": "20%", "amount": money("120.00 USD")}]
    uses = [{"coupon": "SPRING", "amount": money("34.50 USD")}]
    row = invoice(taxes=taxes, tax=money("120.00 USD"), discounts=uses)
    lines = [line(1, "calls eu", meter="calls")]
    found = document_html(Document.of(row, lines, about, {"id": "a1"}, "UTC")).decode()
    for text_ in ("Phone calls · eu", "Discount Spring sale", said):
        assert text_ in found, text_


def test_prices_with_their_tax_are_said_to_have_it() -> None:
    taxes = [{"name": "vat", "rate": "20%", "amount": money("120.00 USD"), "inclusive": True}]
    row = invoice(taxes=taxes, tax=money("120.00 USD"))
    french = {"id": "a1", "locale": "fr"}
    found = document_html(Document.of(row, [line(1, "x")], ACME, french, "UTC")).decode()
    assert "Les prix unitaires sont TTC." in found


def test_credit_that_is_sold_is_named_in_the_language_of_the_customer() -> None:
    sold = line(1, "Credit of 50.00 USD", kind="wallet", meter=None)
    found = document_html(Document.of(invoice(), [sold], ACME, {"locale": "de"}, "UTC")).decode()
    assert "Guthaben über 50,00\u00a0$" in found


def test_an_open_invoice_says_when_it_is_due() -> None:
    open_ = page("final", paid_at=None, amount_open=money("1300.00 USD"))
    assert "$1,300.00 due January 31, 2026" in open_


# --- the sink ------------------------------------------------------------------------------------


class Rows:
    """A store of a few rows."""

    def __init__(self, **tables: list[dict[str, Any]]) -> None:
        self.tables = tables

    def last_seq(self) -> int:
        return 0

    def get(self, table: str, key: str) -> dict[str, Any] | None:
        return next((r for r in self.tables.get(table, []) if r["id"] == key), None)

    def select(
        self,
        table: str,
        equals: Mapping[str, Any] = {},
        ranges: Sequence[Any] = (),
        order: Sequence[tuple[str, bool]] = (),
        limit: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        for found in self.tables.get(table, []):
            same = all(found[name] == value for name, value in equals.items())
            if same and all(
                found[b.column] >= b.value and (b.op != ">" or found[b.column] > b.value)
                for b in ranges
            ):
                yield found  # fmt: skip


PROGRAM: Any = SimpleNamespace(
    title="Acme", timezone="UTC", currency="USD", bills=None, about={}, meters={}, titles={},
    templates={"hi": SimpleNamespace(parts={"subject": "Hi", "body": "Dear {{ name }}"}),
               "bad": SimpleNamespace(parts={"subject": "Hi", "body": "{{ nobody }}"})},
)  # fmt: skip


def effect(order: int, kind: str = "email", **data: Any) -> Effect:
    return Effect(f"{order:064}", kind, data, NOW, f"e{order}", "a.biz:1", None, order)


def effect_row(order: int, kind: str = "email", **data: Any) -> dict[str, Any]:
    made = effect(order, kind, **data)
    return {
        "id": made.id, "order": order, "kind": kind, "status": "done", "data": data,
        "created": NOW, "event": made.event, "place": made.place, "error": None,
    }  # fmt: skip


def files(folder: Path) -> dict[str, bytes]:
    found = (p for p in folder.rglob("*") if p.is_file() and p.name != ".written")
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}


HELLO = {"to": "ada@example.com", "template": "hi", "data": {"name": "Ada"}}


def run(folder: Path, store: Rows, effects: Sequence[Effect]) -> Sink:
    sink = Sink(folder, PROGRAM)
    sink.begin(store)
    deliver = sink.watch(lambda effect: Outcome("succeeded"))
    for one in effects:
        assert deliver(one).status == "succeeded"
        sink.write_new(store)
    sink.finish(store)
    return sink


def test_a_run_writes_its_files(tmp_path: Path) -> None:
    effects = [effect(1, **HELLO), effect(2, "slack", channel="c", text="t"), effect(3, "charge")]
    run(tmp_path, Rows(Invoice=[invoice()]), effects)
    assert sorted(files(tmp_path)) == [
        "effects.jsonl",
        "emails/000001-ada@example.com-hi.eml",
        "invoices/ACME-2026-00001.html",
    ]


def test_what_a_crash_left_out_is_written_by_the_next_run(tmp_path: Path) -> None:
    rows = [effect_row(n, **HELLO) for n in (1, 2)]
    rows += [effect_row(n, "slack", channel="c", text="t") for n in (3, 4)]
    effects = [effect(r["order"], r["kind"], **r["data"]) for r in rows]
    run(tmp_path / "whole", Rows(), effects)

    crashed = tmp_path / "crashed"
    run(crashed, Rows(_effect=rows[:1]), effects[:1])
    with (crashed / "effects.jsonl").open("ab") as file:
        file.write(b'{"order": 3, "ki')
    (crashed / ".77.new").write_text("half of it")
    run(crashed, Rows(_effect=rows), [])
    assert files(crashed) == files(tmp_path / "whole")


def test_the_files_of_another_state_go(tmp_path: Path) -> None:
    run(tmp_path, Rows(_effect=[effect_row(9, **HELLO)]), [effect(9, **HELLO)])
    (tmp_path / "emails" / "mine.txt").write_text("kept")
    run(tmp_path, Rows(), [effect(1, **HELLO)])
    assert sorted(files(tmp_path)) == [
        "emails/000001-ada@example.com-hi.eml", "emails/mine.txt",
    ]  # fmt: skip


def test_what_an_earlier_state_left_is_used_again(tmp_path: Path) -> None:
    run(tmp_path, Rows(), [effect(1, **HELLO), effect(2, **HELLO), effect(3, **HELLO)])
    places = {path.name: path.stat().st_ino for path in (tmp_path / "emails").iterdir()}
    again = {**HELLO, "data": {"name": "Someone with a longer name, or a shorter one"}}
    other = run(tmp_path, Rows(), [effect(1, **HELLO), effect(2, **again)])
    found = {path.name: path for path in (tmp_path / "emails").iterdir()}
    first, second = "000001-ada@example.com-hi.eml", "000002-ada@example.com-hi.eml"
    assert sorted(found) == [first, second]
    assert [found[name].stat().st_ino for name in found] == [places[name] for name in found]
    run(tmp_path / "fresh", Rows(), [effect(1, **HELLO), effect(2, **again)])
    assert files(tmp_path / "fresh") == {
        name: data for name, data in files(tmp_path).items() if not name.startswith("fresh")
    }
    assert other.written["emails"] == 2
    assert not (tmp_path / ".earlier").exists()


def test_a_template_that_fails_is_told(tmp_path: Path) -> None:
    sink = run(tmp_path, Rows(), [effect(1, to="a@b.example", template="bad")])
    assert len(sink.problems) == 1
    assert "`bad`, line 1, can't be filled: 'nobody' is undefined" in sink.problems[0]
    assert not files(tmp_path)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("ada@example.com", "ada@example.com"),
        ("../../etc/passwd", "etc-passwd"),
        ("Ada <a@b.example>", "Ada-a@b.example"),
        ("A/1", "A-1"),
        ("", "none"),
        (".", "none"),
    ],
)
def test_file_names(value: str, name: str) -> None:
    assert safe_name(value) == name


def test_money_in_two_currencies_prints_by_its_own() -> None:
    row = invoice(
        currency="JPY", status="final", taxes=None,
        **dict.fromkeys(("subtotal", "total", "amount_due", "amount_open"), Money(3000, "JPY")),
        **dict.fromkeys(("discount", "tax", "credit"), Money(0, "JPY")),
    )  # fmt: skip
    lines = [line(1, "x", amount=Money(3000, "JPY"), unit_amount=None)]
    assert "¥3,000" in document_html(Document.of(row, lines, ACME, None, "UTC")).decode()


@pytest.mark.parametrize(
    ("text", "subject", "body"),
    [
        ("---\nsubject: Hi: {{ a }}\n---\nHello", "Hi: {{ a }}", "Hello"),
        ('---\r\nSubject: "Hi"\r\n---\r\n\r\nHello\r\n', "Hi", "Hello\n"),
        ("Subject: Hi\n\nHello", "Hi", "Hello"),
        ("subject: of this mail\nHello", None, "subject: of this mail\nHello"),
        ("---\nno end", None, "---\nno end"),
        ("---\nsubject: Hi\n---", "Hi", ""),
    ],
)
def test_a_template_file_begins_with_its_subject(text: str, subject: str | None, body: str) -> None:
    parts = template_file("t", text, "t.md").parts
    assert (parts.get("subject"), parts["body"]) == (subject, body)


def test_the_checker_knows_the_filters_of_templates() -> None:
    """Each that the renderer has, and no other: what is checked is what prints."""
    own = {name for name in environment().filters if not name.startswith("_")}
    assert own == FILTERS
