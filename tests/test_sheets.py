"""`pdf("proposal", { quote })`: a template of the author's as a file to attach."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from bizrun.cli.main import main
from bizrun.documents import pdf
from bizrun.documents.html import document_html
from bizrun.documents.pages import page
from bizrun.documents.sheets import sheet
from bizrun.values import Money

from .test_pdf import document

NOW = datetime(2026, 1, 31, 23, 30, tzinfo=UTC)
BUSINESS = {"title": "Acme", "address": "1 Street\nTown", "website": "acme.example", "locale": "de"}

SPEC = """
business "Acme" { currency USD, timezone "UTC", bills Customer }
entity Customer { id text key, email text }
plan pro { price 10 USD per month }
event Customer.came key id { id text, email text }
event Quote.asked { customer Customer, words text }
on Customer.came as came { create Customer { ...came } }
template quote { subject "Your quote", body "See the attached offer." }
template offer { subject "An offer for {{ customer.id }}", body \"\"\"
  {{ words }}

  | What | Price |
  | --- | ---: |
  | Pro | {{ price | money }} |
  \"\"\" }
on Quote.asked(customer, words) {
  email {
    to: customer.email
    template: "quote"
    attachments: [pdf(%s)]
  }
}
test "an offer is attached" {
  at 2026-01-01
  emit Customer.came { id: "ada", email: "ada@example.com" }
  emit Quote.asked { customer: "ada", words: "Dear *Ada* #1" }
  expect 1 email { attachments: [{ template: "offer" }] }
}
"""
GIVEN = '"offer", { customer, words, price: 10 USD }'


def blocks(body: str, **data: object) -> list[dict[str, object]]:
    said = sheet("t", {"subject": "T", "body": body}, data, BUSINESS, NOW, ZoneInfo("UTC"))
    found: list[dict[str, object]] = said["blocks"]
    return found


def plain(runs: object) -> str:
    assert isinstance(runs, list)
    return "".join(run["text"] for run in runs)


def test_the_page_says_who_writes_and_when() -> None:
    zone = ZoneInfo("Europe/Berlin")
    parts = {"subject": "Für {{ name }}", "body": "{{ sum | money }} am {{ today }}"}
    said = sheet("t", parts, {"name": "Ada", "sum": Money(5, "EUR")}, BUSINESS, NOW, zone)
    assert (said["title"], said["seller"], said["language"]) == ("Für Ada", "Acme", "de")
    assert said["date"] == "1. Februar 2026"
    assert said["address"] == ["1 Street", "Town"]
    assert said["footer"] == "Acme · acme.example"
    assert said["paper"] == "a4"
    assert plain(said["blocks"][0]["runs"]) == "5,00\xa0€ am 2026-02-01"


@pytest.mark.parametrize(
    ("said", "paper"),
    [
        ({"country": "DE", "currency": "USD"}, "a4"),
        ({"country": "US", "currency": "EUR"}, "us-letter"),
        ({"country": "PH"}, "us-letter"),
        ({"currency": "USD"}, "us-letter"),
        ({"currency": "EUR"}, "a4"),
        ({}, "a4"),
    ],
)
def test_all_pages_of_a_business_are_of_one_paper(said: dict[str, str], paper: str) -> None:
    """Whatever zone and currency a customer has."""
    business = {**BUSINESS, **said}
    for zone in ("America/New_York", "Europe/Berlin"):
        about = sheet("t", {"subject": "", "body": ""}, {}, business, NOW, ZoneInfo(zone))
        one = document(business={"country": "", **said}, zone=zone)
        assert about["paper"] == page(one)["paper"] == paper
        size = b"size: letter;" if paper == "us-letter" else b"size: A4;"
        assert size in document_html(one)


def test_a_value_is_no_markup() -> None:
    (block,) = blocks("Dear **{{ name }}**", name="*Ada* [x](https://evil.example)\n# 1")
    assert block["runs"] == [
        {"text": "Dear ", "style": "", "address": ""},
        {"text": "*Ada* [x](https://evil.example)\n# 1", "style": "b", "address": ""},
    ]


def test_lists_quotes_headings_and_tables() -> None:
    body = "# One\n\n- a\n    1. b\n- c\n\n> said\n\n| A | B |\n| --- | ---: |\n| 1 | 2 |\n\n---\n"
    found = blocks(body)
    assert [block["kind"] for block in found] == [
        "heading", "item", "item", "item", "text", "table", "rule",
    ]  # fmt: skip
    assert [(b["depth"], b["mark"]) for b in found if b["kind"] == "item"] == [
        (1, "•"), (2, "1."), (1, "•"),
    ]  # fmt: skip
    assert found[4]["quoted"]
    assert not found[5]["quoted"]
    assert found[5]["sides"] == ["left", "right"]


def test_links_lead_to_where_a_reader_may_go() -> None:
    (block,) = blocks("[a]({{ x }}) [b](https://b.example)", x="javascript:alert(1)")
    runs = block["runs"]
    assert isinstance(runs, list)
    assert [run["address"] for run in runs] == ["", "", "https://b.example"]


@pytest.fixture
def offer(tmp_path: Path) -> Path:
    spec = tmp_path / "offer.biz"
    spec.write_text(SPEC % GIVEN, encoding="utf-8")
    (tmp_path / "offer.events.jsonl").write_text(
        '{"id": "1", "type": "Customer.came", "time": "2026-01-01T00:00:00Z",'
        ' "data": {"id": "ada", "email": "ada@example.com"}}\n'
        '{"id": "2", "type": "Quote.asked", "time": "2026-01-02T00:00:00Z",'
        ' "data": {"customer": "ada", "words": "Dear *Ada* #1"}}\n',
        encoding="utf-8",
    )
    return spec


def attached(out: Path) -> tuple[str, str, bytes]:
    (file,) = (out / "emails").iterdir()
    message = message_from_bytes(file.read_bytes(), policy=policy.default)
    (part,) = message.iter_attachments()
    return part.get_filename(), part.get_content_type(), part.get_payload(decode=True)


def test_it_is_attached_the_same_bytes_each_time(offer: Path, tmp_path: Path) -> None:
    assert main(["check", "--strict", str(offer)]) == 0
    assert main(["test", str(offer), "--coverage"]) == 0
    found = []
    for name in ("one", "two"):
        out = tmp_path / name
        assert main(["run", str(offer), "--state", ":memory:", "--out", str(out)]) == 0
        found.append(attached(out))
    assert found[0] == found[1]
    assert found[0][:2] == ("offer.pdf", "application/pdf")
    assert found[0][2].startswith(b"%PDF")


def test_without_typst_it_is_a_page(
    offer: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf, "available", lambda: False)
    out = tmp_path / "out"
    assert main(["run", str(offer), "--state", ":memory:", "--out", str(out)]) == 0
    name, kind, content = attached(out)
    assert (name, kind) == ("offer.html", "text/html")
    assert b"Dear *Ada* #1" in content
    assert b"$10.00" in content


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('"ofer", { customer }', "error[E0211]: There is no template `ofer`"),
        ('"offer", { customer, words }', "uses `price`, which this email does not give"),
        ('"offer"', "E0842"),
        ("customer", "takes Invoice or CreditNote or Payment or a template's name, not Customer"),
    ],
)
def test_what_is_wrong_is_told(
    given: str, said: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "offer.biz"
    spec.write_text(SPEC % given, encoding="utf-8")
    assert main(["check", str(spec)]) == 1
    assert said in capfd.readouterr().out
