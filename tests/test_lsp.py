"""`bizrun lsp`: the protocol itself, over standard input and output, on real specs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bizrun.cli.main import main

SPEC = """\
business "Shop" { currency USD, timezone "UTC", bills Member }
## Somebody who buys.
entity Member {
  id text key
  email text          # where we write to
  status "new" | "active" = "new"
}
event Member.joined key id { id text, email text, plan plan }
plan basic { price 10 USD per month }
template welcome { subject "Hi", body "Hi" }
fn shout(name: text) -> text = upper(name)
on Member.joined as joined {
  let member = create Member { id: joined.id, email: joined.email }
  subscribe { customer: member, plan: joined.plan }
  email { to: member.email, template: "welcome", data: { member } }
}
"""
USED = "entity Order { id text key, total money }\n"


class Editor:
    """An editor that speaks the protocol with `bizrun lsp`."""

    def __init__(self, bizrun: Path, folder: Path) -> None:
        self.folder = folder
        self.server = subprocess.Popen(
            [bizrun, "lsp"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.number = 0
        self.told: list[dict[str, Any]] = []
        root = folder.as_uri()
        self.abilities = self.ask("initialize", {
            "processId": None, "rootUri": root, "capabilities": {},
            "workspaceFolders": [{"uri": root, "name": "specs"}],
        })["capabilities"]  # fmt: skip
        self.tell("initialized", {})

    def send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.server.stdin is not None
        self.server.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.server.stdin.flush()

    def read(self) -> dict[str, Any]:
        assert self.server.stdout is not None
        length = 0
        while (line := self.server.stdout.readline().strip()) or not length:
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        found: dict[str, Any] = json.loads(self.server.stdout.read(length))
        return found

    def tell(self, method: str, params: Any) -> None:
        self.send({"method": method, "params": params})

    def ask(self, method: str, params: Any, failing: bool = False) -> Any:
        self.number += 1
        self.send({"id": self.number, "method": method, "params": params})
        while True:
            answer = self.read()
            if answer.get("id") == self.number:
                return answer["error"]["message"] if failing else answer["result"]
            self.told.append(answer)

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def open(self, name: str, text: str) -> None:
        document = {"uri": self.uri(name), "languageId": "biz", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})

    def change(self, name: str, version: int, **change: Any) -> None:
        document = {"uri": self.uri(name), "version": version}
        params = {"textDocument": document, "contentChanges": [change]}
        self.tell("textDocument/didChange", params)

    def problems(self, name: str) -> list[dict[str, Any]]:
        """What is told of a file next."""
        while True:
            for n, told in enumerate(self.told):
                if told.get("params", {}).get("uri") == self.uri(name):
                    del self.told[n]
                    found: list[dict[str, Any]] = told["params"]["diagnostics"]
                    return found
            self.told.append(self.read())

    def at(self, method: str, name: str, text: str, mark: str, move: int = 0, **more: Any) -> Any:
        """Asks about the place of a mark in a text."""
        offset = text.index(mark) + move
        line, start = text.count("\n", 0, offset), text.rfind("\n", 0, offset) + 1
        place = {"line": line, "character": len(text[start:offset].encode("utf-16-le")) // 2}
        params = {"textDocument": {"uri": self.uri(name)}, "position": place, **more}
        return self.ask(f"textDocument/{method}", params, failing=more.pop("failing", False))


@pytest.fixture(scope="module")
def editor(bizrun: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    folder = tmp_path_factory.mktemp("specs")
    (folder / "shop.biz").write_text(SPEC)
    made = Editor(bizrun, folder)
    made.open("shop.biz", SPEC)
    assert made.problems("shop.biz") == []
    yield made
    made.ask("shutdown", None)
    made.tell("exit", None)
    _, said = made.server.communicate(timeout=10)
    assert (made.server.returncode, said) == (0, b"")


def labels(found: Any) -> list[str]:
    return [item["label"] for item in found["items"]]


def applied(text: str, edits: list[dict[str, Any]]) -> str:
    """A text after the edits of a file."""
    lines = text.split("\n")
    for edit in sorted(edits, key=lambda e: list(e["range"]["start"].values()), reverse=True):
        (row, column), (last, end) = (tuple(edit["range"][n].values()) for n in ("start", "end"))
        new = lines[row][:column] + edit["newText"] + lines[last][end:]
        lines[row : last + 1] = new.split("\n")
    return "\n".join(lines)


def test_mistakes_are_told_as_one_types_with_their_fixes(editor: Editor) -> None:
    line = SPEC[: SPEC.index("member.email")].count("\n")
    start = SPEC.split("\n")[line].index("member.email")
    place = {"start": {"line": line, "character": start + 7},
             "end": {"line": line, "character": start + 12}}  # fmt: skip
    editor.change("shop.biz", 2, range=place, text="emial")
    (problem,) = editor.problems("shop.biz")
    assert (problem["code"], problem["severity"], problem["source"]) == ("E0203", 1, "bizrun")
    assert "did you mean `email`?" in problem["message"]
    assert problem["range"] == place
    found = editor.ask("textDocument/codeAction", {
        "textDocument": {"uri": editor.uri("shop.biz")}, "range": place,
        "context": {"diagnostics": [problem]},
    })  # fmt: skip
    fix = found[0]
    assert (fix["title"], fix["kind"]) == ("Change `emial` to `email`", "quickfix")
    (edit,) = fix["edit"]["changes"][editor.uri("shop.biz")]
    assert (edit["range"], edit["newText"]) == (place, "email")
    editor.change("shop.biz", 3, range=place, text="email")
    assert editor.problems("shop.biz") == []
    assert (editor.folder / "shop.biz").read_text() == SPEC


def test_hover(editor: Editor) -> None:
    for mark, move, parts in (
        ("member.email", 1, ["member: Member"]),
        ("member.email", 8, ["Member.email: text"]),
        ("create Member", 8, ["entity Member {", "Somebody who buys."]),
        ("on Member.joined", 6, ["event Member.joined key id {", "1 handler takes it."]),
        ("subscribe", 2, ["customer: Member", "plan: plan"]),
        ("upper(", 2, ["upper("]), ("joined.plan", 8, ["Member.joined.plan: plan"]),
    ):  # fmt: skip
        value = editor.at("hover", "shop.biz", SPEC, mark, move)["contents"]["value"]
        assert all(part in value for part in parts), value


def test_definition_references_and_highlights(editor: Editor) -> None:
    (found,) = editor.at("definition", "shop.biz", SPEC, "create Member", 8)
    assert found["range"]["start"] == {"line": 2, "character": 7}
    (found,) = editor.at("definition", "shop.biz", SPEC, '"welcome"', 3)
    assert found["range"]["start"]["line"] == SPEC[: SPEC.index("template welcome")].count("\n")
    (found,) = editor.at("definition", "shop.biz", SPEC, "customer: member", 12)
    assert found["range"]["start"]["character"] == len("  let ")
    more = {"context": {"includeDeclaration": True}}
    found = editor.at("references", "shop.biz", SPEC, "  email text", 3, **more)
    assert sorted(place["range"]["start"]["line"] for place in found) == [4, 12, 14]
    assert len(editor.at("documentHighlight", "shop.biz", SPEC, "let member", 5)) == 4


def test_rename(editor: Editor) -> None:
    more = {"newName": "buyer"}
    found = editor.at("rename", "shop.biz", SPEC, "let member", 5, **more)
    new = applied(SPEC, found["changes"][editor.uri("shop.biz")])
    assert "let buyer = create" in new and "{ customer: buyer, plan" in new
    assert "data: { member: buyer }" in new and "buyer.email" in new
    found = editor.at("rename", "shop.biz", SPEC, "entity Member", 8, newName="Buyer")
    new = applied(SPEC, found["changes"][editor.uri("shop.biz")])
    assert "bills Buyer" in new and "create Buyer {" in new and "event Member.joined" in new
    for mark, name, reason in (
        ("entity Member", "buyer", "PascalCase"), ("subscribe", "x", "belongs to the language"),
        ("let member", "none", "can't be a name"), ("event Member.joined", "x", "Noun.verb"),
    ):  # fmt: skip
        more = {"newName": name, "failing": True}
        assert reason in editor.at("rename", "shop.biz", SPEC, mark, mark.find(" ") + 1, **more)
    assert editor.at("prepareRename", "shop.biz", SPEC, "upper(", 2) is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("  log member.", ["id", "email", "status", "created_at"]),
        ("  log joined.", ["id", "email", "plan"]),
        ("  emit ", ["Member.joined", "Invoice.paid"]),
        ("  emit Member.", ["joined"]),
        ("  create ", ["Member", "Subscription"]),
        ("  create Member { ", ["id", "email", "status"]),
        ("  update member { ", ["email", "status"]),
        ("  update member { status: \"", ["new", "active"]),
        ("  if member.status == \"", ["new", "active"]),
        ("  email { ", ["to", "template", "data"]),
        ("  email { to: member.email, template: \"", ["welcome"]),
        ("  let found = first Member where .", ["email", "status"]),
        ("  ", ["let", "emit", "email", "subscribe", "member", "joined"]),
        ("  log sh", ["shout", "member", "upper"]),
    ],
)  # fmt: skip
def test_completion(editor: Editor, line: str, expected: list[str]) -> None:
    text = SPEC.rstrip()[:-1] + line
    after = text + "\n}\n"
    editor.change("shop.biz", 100, text=after)
    found = editor.at("completion", "shop.biz", after, line + "\n}", len(line))
    assert set(expected) <= set(labels(found)), labels(found)
    editor.change("shop.biz", 101, text=SPEC)


def test_completion_between_declarations_and_in_comments(editor: Editor) -> None:
    for line, expected in (("e", {"entity", "event", "every"}), ("# e", set())):
        text = SPEC + line
        editor.change("shop.biz", 102, text=text)
        found = editor.at("completion", "shop.biz", text + "$", "$")
        assert expected <= set(labels(found)) and bool(expected) == bool(labels(found))
    editor.change("shop.biz", 103, text=SPEC)


def test_symbols_and_tokens(editor: Editor) -> None:
    asked = {"textDocument": {"uri": editor.uri("shop.biz")}}
    found = editor.ask("textDocument/documentSymbol", asked)
    named = [symbol["name"] for symbol in found]
    assert named[1:4] == ["Member", "Member.joined", "basic"]
    assert named[-1] == "on Member.joined as joined"
    assert [field["name"] for field in found[1]["children"]] == ["id", "email", "status"]
    (found,) = editor.ask("workspace/symbol", {"query": "shou"})
    assert found["name"] == "shout"
    data = editor.ask("textDocument/semanticTokens/full", asked)["data"]
    kinds = editor.abilities["semanticTokensProvider"]["legend"]["tokenTypes"]
    words, line, column = [], 0, 0
    for down, right, length, kind, _ in zip(*[iter(data)] * 5, strict=True):
        line, column = line + down, right if down else column + right
        words.append((SPEC.split("\n")[line][column : column + length], kinds[kind]))
    for wanted in (
        ("entity", "keyword"), ("Member", "class"), ("text", "type"),
        ("# where we write to", "comment"),
        ("Member.joined", "event"), ("10 USD", "number"), ("email", "property"),
        ("subscribe", "method"), ("member", "variable"), ("shout", "function"),
    ):  # fmt: skip
        assert wanted in words, words


def test_formatting_and_other_scripts(editor: Editor) -> None:
    text = 'const  a = "🙂 ä"\nconst b   = a\n'
    editor.open("odd.biz", text)
    asked = {
        "textDocument": {"uri": editor.uri("odd.biz")},
        "options": {"tabSize": 2, "insertSpaces": True},
    }
    (edit,) = editor.ask("textDocument/formatting", asked)
    assert edit["newText"] == 'const a = "🙂 ä"\nconst b = a\n'
    (found,) = editor.at("definition", "odd.biz", text, "= a\n", 2)
    assert found["range"]["start"] == {"line": 0, "character": 7}
    editor.change("odd.biz", 2, text='on Member.joined { emit "')
    assert editor.ask("textDocument/formatting", asked) == []


def test_files_that_are_used_belong_to_their_spec(editor: Editor) -> None:
    (editor.folder / "orders.biz").write_text(USED)
    main = 'use "./orders.biz"\non Order.placed as p { create Order { id: p.id, total: 5 USD } }\n'
    editor.open("main.biz", main)
    editor.open("orders.biz", USED)
    (found,) = editor.at("definition", "main.biz", main, "create Order", 9)
    assert found["uri"] == editor.uri("orders.biz")
    more = {"context": {"includeDeclaration": False}}
    (found,) = editor.at("references", "orders.biz", USED, "total", 1, **more)
    assert found["uri"] == editor.uri("main.biz")
    editor.change("orders.biz", 2, text=USED.replace("total", "sum_of"))
    while not any("`total`" in problem["message"] for problem in editor.problems("main.biz")):
        continue
    (found,) = editor.at("definition", "main.biz", main, "orders.biz", 2)
    assert found["uri"] == editor.uri("orders.biz")


def test_without_the_extra_it_says_so(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [n for n in sys.modules if n.startswith(("pygls", "lsprotocol", "bizrun.lsp"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pygls", None)
    monkeypatch.setitem(sys.modules, "lsprotocol", None)
    assert main(["lsp"]) == 2
    assert "pip install 'bizrun[lsp]'" in capfd.readouterr().err
