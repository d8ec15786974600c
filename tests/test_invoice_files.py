"""What stands in an invoice's file follows from the events alone, however they were batched."""

from __future__ import annotations

import email
import email.policy
import json
from io import BytesIO
from pathlib import Path

import pytest
from pypdf import PdfReader

from bizrun.cli.main import main
from bizrun.documents import pdf

SPEC = """
business "Moving Co" { language 1, currency USD, bills Account, invoice_number "M-{seq}",
  collect by_invoice, due after 14 days }
entity Account { id text key, company text?, address text?, email text }
event Account.joined key id { id text, company text, email text }
event Account.moved key account { account Account, company text, address text }
event Account.left key account { account Account }
event Account.pays key account { account Account }
plan pro "Professional" { price 99 USD per month }
on Account.joined as a {
  let account = create Account { ...a }
  subscribe { customer: account, plan: pro }
}
on Account.moved as m { update m.account { company: m.company, address: m.address } }
on Account.left as l { delete l.account }
on Account.pays as p {
  for each open in (Invoice where .customer == p.account and .status == "sent") {
    pay_invoice { invoice: open }
  }
}
on Invoice.finalized or Invoice.paid as change {
  email { to: change.invoice.customer.email, subject: "Invoice", body: "Here it is.",
    attachments: [pdf(change.invoice)] }
}
"""
EVENTS = [
    ("joined", "01-01", {"id": "a", "company": "Analytical Engines", "email": "ada@example.com"}),
    ("moved", "02-10", {"account": "a", "company": "Difference Engines", "address": "1 New Road"}),
    ("pays", "02-11", {"account": "a"}),
    ("moved", "03-10", {"account": "a", "company": "Third Name", "address": "3 Old Road"}),
    ("left", "03-20", {"account": "a"}),
]


@pytest.fixture
def moving(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("moving.biz").write_text(SPEC)
    lines = [
        {"id": f"e{n}", "type": f"Account.{name}", "time": f"2026-{day}T10:00:00Z", "data": data}
        for n, (name, day, data) in enumerate(EVENTS)
    ]
    Path("moving.events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.glob("*/*"))}


def words(data: bytes) -> str:
    return " ".join(page.extract_text() for page in PdfReader(BytesIO(data)).pages)


def test_an_invoice_keeps_whom_it_was_made_out_to(moving: Path) -> None:
    assert main(["moving.biz", "--json"]) == 0
    names = ["Analytical Engines", "Analytical Engines", "Difference Engines"]
    for number, name in enumerate(names, 1):
        text = words((moving / f"out/moving/invoices/M-{number}.pdf").read_bytes())
        assert name in text, (number, text)
    assert "1 New Road" in text


def test_an_attachment_shows_the_invoice_as_it_stood_then(moving: Path) -> None:
    assert main(["moving.biz", "--json"]) == 0
    found = files(moving / "out/moving")
    said = []
    for name, content in found.items():
        if name.endswith(".eml"):
            message = email.message_from_bytes(content, policy=email.policy.default)
            (attached,) = message.iter_attachments()
            said.append((attached.get_filename(), words(attached.get_content())))
    first = [text for name, text in said if name == "M-1.pdf"]
    assert ["due January 15, 2026" in text for text in first] == [True, False]
    assert ["paid on February 11, 2026" in text for text in first] == [False, True]


def test_batches_and_interruptions_make_the_same_files(moving: Path) -> None:
    assert main(["moving.biz", "--json"]) == 0
    whole = files(moving / "out/moving")
    assert main(["moving.biz", "--json", "--fresh", "--batch", "1", "--out", "single"]) == 0
    assert files(moving / "single") == whole
    events = (moving / "moving.events.jsonl").read_text().splitlines(keepends=True)
    for count in range(1, len(events) + 1):
        (moving / "part.jsonl").write_text("".join(events[:count]))
        call = ["moving.biz", "--json", "--events", "part.jsonl", "--out", "parts"]
        assert main([*call, "--state", "parts.db"]) == 0
    assert files(moving / "parts") == whole


NOTES = """
business "Notes Co" { currency EUR, bills Account, country "DE", tax_id "DE123456789",
  credit_note_number "N-{seq:03}" }
entity Account { id text key, name text, email text, country text, vat_id text? }
event Account.joined key id { id text, name text, email text, country text, vat_id text? }
event Account.complained key account { account Account }
plan pro "Professional" { price 100 EUR per month }
coupon WELCOME { 20% off for 3 months }
coupon FRIENDS { 5 EUR off }
tax vat { 19% exclusive when customer.country == "DE" }
on Account.joined as a {
  let account = create Account { ...a }
  subscribe { customer: account, plan: pro, coupon: WELCOME }
}
on Account.complained as c {
  let invoice = first Invoice where .customer == c.account
  if invoice != none {
    let note = credit_note { invoice, amount: 10 EUR, refund: true, reason: "We were late." }
    email { to: c.account.email, subject: "Sorry", body: "See there.", attachments: [pdf(note)] }
  }
}
on Payment.succeeded(payment) {
  email { to: payment.customer.email, subject: "Thanks", body: "Bye.",
    attachments: [pdf(payment)] }
}
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("notes.biz").write_text(NOTES)
    ada = {"id": "a", "name": "Ada", "email": "ada@x.example", "country": "DE"}
    bob = {"id": "b", "name": "Bob", "email": "bob@x.example", "country": "FR", "vat_id": "FR1"}
    told = [("joined", ada), ("joined", bob), ("complained", {"account": "a"})]
    lines = [
        {"id": str(n), "type": f"Account.{name}", "time": f"2026-01-0{n}T10:00:00Z", "data": data}
        for n, (name, data) in enumerate(told, 1)
    ]
    Path("notes.events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path / "out/notes"


def attached(folder: Path, subject: str) -> dict[str, bytes]:
    found = {}
    for path in sorted(folder.glob("emails/*.eml")):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        if message["Subject"] == subject:
            found |= {a.get_filename(): a.get_content() for a in message.iter_attachments()}
    return found


def test_a_credit_note_is_a_document_of_its_own(notes: Path) -> None:
    assert main(["notes.biz", "--json"]) == 0
    (path,) = (notes / "credit_notes").iterdir()
    assert path.name == "N-001.pdf"
    text = words(path.read_bytes())
    for part in ("Credit note", "N-001", "INV-2026-00001", "€11.90 credited", "VAT 19% €1.90",
                 "Total credited", "We were late.", "January 3, 2026"):  # fmt: skip
        assert part in text, (part, text)
    assert attached(notes, "Sorry") == {"credit-note-N-001.pdf": path.read_bytes()}
    assert main(["verify"]) == 0


def test_a_receipt_says_what_was_paid_for(notes: Path) -> None:
    assert main(["notes.biz", "--json"]) == 0
    receipts = attached(notes, "Thanks")
    assert sorted(receipts) == ["receipt-INV-2026-00001.pdf", "receipt-INV-2026-00002.pdf"]
    text = words(receipts["receipt-INV-2026-00001.pdf"])
    for part in ("Receipt", "€95.20 paid on January 1, 2026", "Professional",
                 "Discount WELCOME −€20.00", "VAT 19% €15.20", "Payment reference"):  # fmt: skip
        assert part in text, (part, text)


def test_an_invoice_to_another_country_of_the_union_says_who_owes_the_tax(notes: Path) -> None:
    assert main(["notes.biz", "--json"]) == 0
    first, second = (
        words((notes / f"invoices/INV-2026-0000{number}.pdf").read_bytes()) for number in (1, 2)
    )
    assert "Reverse charge" not in first
    assert "Reverse charge: VAT is due from the customer." in second


def test_credit_notes_are_web_pages_too(notes: Path) -> None:
    assert main(["notes.biz", "--json", "--invoices", "html"]) == 0
    assert "€11.90 credited" in (notes / "credit_notes/N-001.html").read_text()


def test_without_typst_there_are_web_pages_and_a_word_about_it(
    notes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(pdf, "available", lambda: False)
    spec = NOTES.replace("EUR, bills", 'EUR, logo "l.svg", bills')
    Path("notes.biz").write_text(spec)
    Path("l.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>')
    assert main(["notes.biz"]) == 0
    assert "for PDF: pip install 'bizrun[pdf]'" in capsys.readouterr().out
    assert 'src="data:image/svg+xml;base64,' in (notes / "credit_notes/N-001.html").read_text()
    assert list(attached(notes, "Sorry")) == ["credit-note-N-001.html"]
    assert main(["notes.biz", "--invoices", "pdf"]) == 2


STORED = """
business "Moving Co" { language 1, currency USD, bills Account, invoice_number "M-{seq}",
  collect by_invoice, due after 14 days }
entity Account { id text key, name text, company text }
event Account.joined key id { id text, name text, company text }
event Boxes.stored key account { account Account, bytes size }
event Account.complains key account { account Account }
plan pro "Professional" { price 20 USD per month, usage storage: 2 USD per GB }
meter storage { max bytes of Boxes.stored per account unit GB }
on Account.joined as a {
  let account = create Account { ...a }
  subscribe { customer: account, plan: pro }
}
on Account.complains(account) {
  for each invoice in Invoice where .customer == account and .amount_open > 0 USD {
    credit_note { invoice, amount: 5 USD }
    pay_invoice { invoice }
  }
}
"""


def test_an_invoice_says_by_what_it_was_settled_and_in_which_unit_it_counts(
    moving: Path,
) -> None:
    (moving / "stored.biz").write_text(STORED)
    about = {"id": "a", "name": "Attic Ltd.", "company": "Attic Ltd."}
    events = [
        ("Account.joined", "01", about),
        ("Boxes.stored", "02", {"account": "a", "bytes": "12.5 GB"}),
        ("Account.complains", "03", {"account": "a"}),
    ]
    lines = [
        {"id": day, "type": name, "time": f"2026-01-{day}T10:00:00Z", "data": data}
        for name, day, data in events
    ]
    (moving / "stored.events.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines))
    assert main(["stored.biz", "--json", "--until", "2026-02-02"]) == 0
    first, second = (
        words((moving / f"out/stored/invoices/M-{n}.pdf").read_bytes()) for n in (1, 2)
    )
    assert "Credit note CN-00001 −$5.00" in first and "Paid −$15.00" in first
    assert first.count("Attic Ltd.") == 1
    assert "12.5\u00a0GB $2.00 $25.00" in second.replace("\n", " ")
