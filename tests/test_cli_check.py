"""`bizrun check`: what it prints in each form, what it mends, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from bizrun.cli import formats, render
from bizrun.cli.checking import apply_fixes
from bizrun.cli.main import main
from bizrun.diagnostics import Diagnostic, Fix, Label, Source, Span

FINE = 'business "A" {\n  currency USD\n}\n'
WRONG = 'business "A" {\n  curency USD\n}\n'
WARNS = "plan free {\n  limits { users: 1 }\n}\n"

TEXT = 'plan pro {\n\tprice 日本 USD  # cafe\u0301\n  "𝒳é" wrong\n}\n'


def source(text: str = TEXT) -> dict[str, Source]:
    return {"a.biz": Source("a.biz", text)}


def diagnostic(start: int, end: int, **more: object) -> Diagnostic:
    return Diagnostic("E0203", Span("a.biz", start, end), "Wrong", **more)  # type: ignore[arg-type]


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.biz"
    path.write_text(WRONG)
    return path


# --- the call --------------------------------------------------------------------------------


def test_a_fine_spec(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(FINE)
    assert main(["check", "a.biz"]) == 0
    assert capsys.readouterr().out == "a.biz: fine\n"


def test_a_wrong_spec(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a.biz"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("error[E0511]: A business has no setting `curency`\n --> a.biz:2:3\n")
    assert "2 |   curency USD\n  |   ^^^^" in out
    assert "help: did you mean `currency`?\n" in out
    assert out.endswith("\n1 error in 1 file\n")


def test_warnings_fail_only_when_strict(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(WARNS)
    assert main(["check", "a.biz"]) == 0
    assert "warning[W0601]" in capsys.readouterr().out
    assert main(["check", "--strict", "a.biz"]) == 1


def test_a_folder_and_what_its_files_use(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = spec.parent / "specs"
    (folder / "parts").mkdir(parents=True)
    (folder / "main.biz").write_text('use "./parts/plans.biz"\nconst base = 9 USD\n')
    (folder / "parts" / "plans.biz").write_text("plan pro { price base per month }\n")
    assert main(["check", "specs"]) == 0
    assert capsys.readouterr().out == "specs/main.biz: fine\n"


def test_what_one_spec_of_a_folder_uses_is_used(
    spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = spec.parent / "specs"
    folder.mkdir()
    (folder / "shared.biz").write_text("event A.one { id text }\nevent A.two { id text }\n")
    (folder / "x.biz").write_text('use "./shared.biz"\non A.one as e { log "x" }\n')
    (folder / "y.biz").write_text('use "./shared.biz"\n')
    assert main(["check", "specs", "--format", "json"]) == 0
    found = [(d["code"], d["file"], d["line"]) for d in json.loads(capsys.readouterr().out)]
    assert found == [("W0710", "specs/shared.biz", 2)]


def test_used_files_are_found_and_checked(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text('use "./b.biz"\nuse "./plnas.biz"\nuse std.nothing\n')
    (spec.parent / "b.biz").write_text('use "./a.biz"\n' + WRONG)
    (spec.parent / "plans.biz").write_text("")
    assert main(["check", "a.biz", "--format", "json"]) == 1
    found = {(d["code"], d["file"], d["line"]) for d in json.loads(capsys.readouterr().out)}
    assert found == {
        ("E0501", "a.biz", 2),
        ("E0503", "a.biz", 3),
        ("E0502", "b.biz", 1),
        ("E0511", "b.biz", 3),
    }


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["check", "none.biz"], "There is no file none.biz"),
        (["check", "empty"], "There is no .biz or .biz.yaml file under empty"),
        (["check"], "Name a spec or a folder"),
        (["check", "--frmat", "json", "a.biz"], "Did you mean '--format'?"),
        (["check", "--format", "yaml", "a.biz"], "'yaml' is not one of"),
        (["check", "--explain", "E9999"], "There is no code E9999"),
        (["chekc", "a.biz"], "Did you mean check?"),
        (["--bad"], "No such option"),
    ],
)
def test_a_wrong_call(
    args: list[str], says: str, spec: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (spec.parent / "empty").mkdir()
    assert main(args) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert not said.out
    assert "Traceback" not in said.err


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["--help"]) == 0
    assert main(["check", "--help"]) == 0
    assert "Validate specs" in capsys.readouterr().out


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--explain", "e0601"]) == 0
    assert capsys.readouterr().out.startswith("E0601: tiers that don't rise\n\n")


def test_a_mistake_of_ours_is_one_sentence(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyError("x")

    monkeypatch.setenv("XDG_CACHE_HOME", str(spec.parent))
    monkeypatch.setattr("bizrun.cli.checking.check_files", fails)
    assert main(["check", "a.biz"]) == 1
    said = capsys.readouterr().err
    assert "This is a mistake in bizrun" in said
    assert said.count("\n") == 1
    with pytest.raises(KeyError):
        main(["check", "a.biz", "--debug"])


FORMS = ("text", "json", "sarif", "github", "junit")


def test_what_is_unchanged_is_not_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second answer is the first one, in each format, also for a folder and by other ways."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_business(tmp_path / "a")
    first = [(main(["check", "a", "--format", form]), capsys.readouterr()) for form in FORMS]
    monkeypatch.setattr("bizrun.cli.checking.check_files", None)
    again = [(main(["check", "a", "--format", form]), capsys.readouterr()) for form in FORMS]
    assert [code for code, _ in first] == [0] * len(FORMS)
    assert again == first
    assert main(["check", "a", "--strict"]) == 0
    with pytest.raises(TypeError):
        main(["check", "a", "--no-cache", "--debug"])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a/main.biz", 'business "A" { bills B }\nuse "more.biz"\nentity B { id txt key }', "E0"),
        ("a/more.biz", "const C = 1 / 0", "E0"),
        ("a/more.biz", None, "more.biz"),
        ("a/templates/hi.md", "---\nsubject: {{ nobody }}\n---\n{{ nobody.at }}", "nobody"),
        ("a/templates/hi.md", None, "hi"),
        ("a/third.biz", "entity", "third"),
    ],
)
def test_what_has_changed_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    name: str, text: str | None, says: str,
) -> None:  # fmt: skip
    """Each file that counts: the spec, what it uses, its templates, and files that are new."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write_business(tmp_path / "a")
    assert main(["check", "a", "--strict"]) == 0
    file = tmp_path / name
    before = file.read_bytes() if file.exists() else None
    file.unlink() if text is None else file.write_text(text)
    capsys.readouterr()
    assert main(["check", "a", "--strict"]) == 1
    assert says in capsys.readouterr().out
    file.unlink() if before is None else file.write_bytes(before)
    assert main(["check", "a", "--strict"]) == 0


def test_what_a_link_uses_stands_beside_the_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As in a folder of links, which is how Kubernetes mounts files and Bazel lays them out."""
    monkeypatch.chdir(tmp_path)
    write_business(tmp_path / "real")
    farm = tmp_path / "farm"
    for file in sorted((tmp_path / "real").rglob("*.*")):
        link = farm / file.relative_to(tmp_path / "real")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(file)
    spec = next(path for path in farm.glob("*.biz") if "use " in path.read_text())
    assert main(["check", str(spec)]) == 0
    alone = tmp_path / "alone.biz"
    alone.symlink_to(spec.resolve())
    capsys.readouterr()
    assert main(["check", "alone.biz"]) == 1
    said = capsys.readouterr().out
    assert f"alone.biz is a link to {spec.resolve()}: what it uses" in said


def write_business(folder: Path) -> None:
    """A business of two files and a template, in which nothing is wrong."""
    (folder / "templates").mkdir(parents=True)
    (folder / "templates" / "hi.md").write_text("---\nsubject: Hi\n---\nHello {{ name }}.")
    (folder / "more.biz").write_text('const HELLO = "Ada"\n')
    (folder / "main.biz").write_text(
        'business "A" { bills B }\nuse "more.biz"\nentity B { id text key }\n'
        "event B.made { id text }\non B.made(id) {\n  create B { id }\n"
        '  email { to: "a@b.example", template: hi, data: { name: HELLO } }\n}\n'
    )


def test_a_closed_pipe_is_quiet(spec: Path, bizrun: Path) -> None:
    spec.write_text("".join(f"plan p{i} {{ trail 1 day }}\n" for i in range(500)))
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [bizrun, "check", "a.biz"], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_who_stops_reading_changes_no_exit_code(spec: Path, bizrun: Path) -> None:
    spec.write_text("".join(f"plan p{i} {{ trail 1 day }}\n" for i in range(3000)))
    warned = spec.with_name("warned.biz")
    warned.write_text('business "A" {}\n' + "".join(f"on X.y{i} {{ }}\n" for i in range(1000)))
    for code, *command in (
        (1, "check", "a.biz"),
        (1, "check", "a.biz", "--format", "json"),
        (0, "check", "warned.biz"),
        (0, "convert", "warned.biz", "--to", "yaml"),
        (0, "--help"),
    ):
        with subprocess.Popen(
            [bizrun, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as running:
            assert running.stdout and running.stderr
            running.stdout.close()
            assert running.stderr.read() == b""
        assert running.returncode == code


def test_an_error_that_nobody_reads(spec: Path, bizrun: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([bizrun, "check", "none.biz"], stderr=writer, check=False)
    os.close(writer)
    assert done.returncode == 2


def test_a_closed_output(spec: Path, bizrun: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{bizrun} check a.biz >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "")


def test_pipes_that_nobody_named_are_not_read(spec: Path, bizrun: Path) -> None:
    spec.write_text('use "./pipe.biz"\n')
    os.mkfifo(spec.with_name("pipe.biz"))
    done = subprocess.run(
        [bizrun, "check", "."], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "`./pipe.biz` can't be read: it is no regular file" in done.stdout


# --- forms -----------------------------------------------------------------------------------


def test_json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "a.biz", "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["code"] == "E0511"
    assert found["severity"] == "error"
    assert (found["file"], found["line"], found["column"]) == ("a.biz", 2, 3)
    assert found["help"] == "did you mean `currency`?"
    fix = found["fix"]
    assert (fix["line"], fix["column"], fix["end_column"]) == (2, 3, 10)
    assert (fix["text"], fix["certain"]) == ("currency", True)


def test_json_of_nothing(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(FINE)
    assert main(["check", "a.biz", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_sarif() -> None:
    label = Label(Span("a.biz", 0, 4), "first here")
    problem = diagnostic(5, 8, help="do", labels=(label,), fix=Fix(Span("a.biz", 5, 8), "max"))
    log = json.loads(formats.as_sarif([problem], source()))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["tool"]["driver"]["rules"][0]["id"] == "E0203"
    (result,) = run["results"]
    assert result["level"] == "error"
    region = result["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "startColumn": 6, "endLine": 1, "endColumn": 9}
    (change,) = result["fixes"][0]["artifactChanges"]
    assert change["replacements"][0]["insertedContent"]["text"] == "max"
    assert result["relatedLocations"][0]["message"]["text"] == "first here"


def test_github() -> None:
    problem = Diagnostic("W0601", Span("a,b.biz", 5, 8), "50% of it:\nnone", "do")
    sources = {"a,b.biz": Source("a,b.biz", TEXT)}
    assert formats.as_github([problem], sources) == (
        "::warning file=a%2Cb.biz,line=1,endLine=1,col=6,endColumn=9,title=W0601"
        "::50%25 of it:%0Anone%0Ahelp: do"
    )


def test_junit() -> None:
    problem = Diagnostic("E0203", Span("a.biz", 5, 8), "<b> & \x00 c")
    tree = ET.fromstring(formats.as_junit([problem], source(), ["a.biz", "b.biz"]))
    assert tree.attrib["failures"] == "1"
    cases = tree.findall("testsuite/testcase")
    assert [case.attrib["name"] for case in cases] == ["a.biz", "b.biz"]
    failure = cases[0].find("failure")
    assert failure is not None
    assert failure.text == "a.biz:1:6: error[E0203]: <b> & \ufffd c"
    assert len(cases[1]) == 0


# --- text --------------------------------------------------------------------------------------


def under(text: str, start: int, end: int) -> list[str]:
    shown = render.diagnostic_text(diagnostic(start, end), source(text), False)
    return shown.split("\n")[3:5]


def test_carets_stand_under_wide_characters_and_tabs() -> None:
    start = TEXT.index("日本")
    line, carets = under(TEXT, start, start + 2)
    assert line == "2 |     price 日本 USD  # cafe\u0301"
    assert carets == "  |           ^^^^"
    start = TEXT.index("USD")
    assert under(TEXT, start, start + 3)[1] == "  |                ^^^"
    start = TEXT.index("wrong")
    assert under(TEXT, start, start + 5)[1] == "  |        ^^^^^"


def test_a_span_over_several_lines_ends_with_its_first() -> None:
    assert under(TEXT, 0, len(TEXT))[1] == "  | ^^^^^^^^^^"


def test_a_place_at_the_end_of_the_file() -> None:
    assert under("ab", 2, 2) == ["1 | ab", "  |   ^"]
    assert under("", 0, 0) == ["1 |", "  | ^"]


def test_a_very_long_line_is_shown_in_part() -> None:
    text = "x" * 5_000 + "HERE" + "y" * 5_000
    line, carets = under(text, 5_000, 5_004)
    assert len(line) < 200
    assert line[carets.index("^") : carets.rindex("^") + 1] == "HERE"


def test_control_characters_do_not_reach_the_terminal() -> None:
    shown = render.diagnostic_text(diagnostic(0, 1), source("\x1b[31mred"), False)
    assert "\x1b" not in shown


def test_labels_in_the_order_of_lines_and_in_other_files() -> None:
    sources = source() | {"b.biz": Source("b.biz", "meter calls\n")}
    labels = (Label(Span("b.biz", 6, 11), "the meter"), Label(Span("a.biz", 5, 8), "the plan"))
    start = TEXT.index("USD")
    shown = render.diagnostic_text(diagnostic(start, start + 3, labels=labels), sources, False)
    assert shown.split("\n") == [
        "error[E0203]: Wrong",
        " --> a.biz:2:11",
        "  |",
        "1 | plan pro {",
        "  |      --- the plan",
        "2 |     price 日本 USD  # cafe\u0301",
        "  |                ^^^",
        " ::: b.biz:1:7",
        "  |",
        "1 | meter calls",
        "  |       ----- the meter",
    ]


def test_colour_only_where_asked_for() -> None:
    assert "\x1b[1;31merror[E0203]" in render.diagnostic_text(diagnostic(0, 4), source(), True)
    assert "\x1b" not in render.diagnostic_text(diagnostic(0, 4), source(), False)


# --- fixes -------------------------------------------------------------------------------------


def test_fix_mends_what_is_certain(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_bytes(b"\xef\xbb\xbf" + WRONG.replace("\n", "\r\n").encode())
    spec.chmod(0o640)
    assert main(["check", "--fix", "a.biz"]) == 0
    said = capsys.readouterr()
    assert said.err == "a.biz:2: `curency` is now `currency`\n"
    assert said.out == "a.biz: fine\n"
    assert spec.read_bytes() == b"\xef\xbb\xbf" + FINE.replace("\n", "\r\n").encode()
    assert spec.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in spec.parent.iterdir()] == ["a.biz"]


FIXED = {
    "a row's field keeps its dot": (
        "fn rich() -> [A] = A where .credit > 5 order by .credist\n",
        "fn rich() -> [A] = A where .credits > 5 order by .credits\n",
    ),
    "a short entry keeps its value": (
        "event B.c { amount number }\non X.y as x { let amout = 5\nemit B.c { amout } }\n",
        "event B.c { amount number }\non X.y as x { let amout = 5\nemit B.c { amount: amout } }\n",
    ),
    "a name that the block may use stays": (
        'event B.c { amount number }\non B.c(amout) { log "{amout}" }\n', None,
    ),
    "no entity for a value": ("fn f(a: A) -> number = usage(b, calls)\n", None),
}  # fmt: skip


@pytest.mark.parametrize(("wrong", "right"), FIXED.values(), ids=FIXED.keys())
def test_what_a_certain_fix_leaves(
    spec: Path, wrong: str, right: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    head = (
        'business "S" { bills A }\nentity A { id text key, credits number = 0 }\n'
        "event U.v { a A }\nmeter calls { count U.v per a }\n"
    )
    spec.write_text(head + wrong)
    main(["check", "--fix", "a.biz"])
    assert spec.read_text() == head + (wrong if right is None else right)
    capsys.readouterr()


def test_fix_leaves_alone_what_is_fine(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(FINE)
    before = spec.stat().st_mtime_ns
    assert main(["check", "--fix", "a.biz"]) == 0
    assert spec.stat().st_mtime_ns == before
    assert "Nothing here" in capsys.readouterr().err


def test_fixes_that_overlap_are_applied_one_at_a_time() -> None:
    text = Source("a.biz", "one two three")

    def fix(start: int, end: int, by: str) -> Fix:
        return Fix(Span("a.biz", start, end), by)

    fixed, notes = apply_fixes(text, [fix(4, 7, "2"), fix(0, 5, "x"), fix(8, 13, "3")])
    assert fixed == "xwo 3"
    assert len(notes) == 2


def test_what_stripes_sdk_would_check_is_said_to_be_unchecked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("bizrun.providers.stripe_sdk.available", lambda: False)
    spec = tmp_path / "a.biz"
    spec.write_text("on A.b { stripe.accounts.create { type: 5 } }\n")
    assert main(["check", str(spec)]) == 0
    said = capsys.readouterr().err
    assert "`stripe.accounts.create`: not checked" in said and "bizrun[stripe]" in said
