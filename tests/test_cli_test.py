"""`bizrun test`: what it prints, writes and returns, alone and over processes."""

from __future__ import annotations

import json
from concurrent.futures import process
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bizrun.cli.main import main
from bizrun.cli.processes import spread

GOOD = """business "X" { currency USD, bills User }
entity User { id text key, n number = 0 }
event User.made { id text, n number = 0 }
on User.made as made { create User { ...made }
  if made.n > 100 { notify { to: "ops", message: "big" } } }
test "one is made" { at 2026-01-01T00:00:00Z
  emit User.made { id: "u" }
  expect User("u").n == 0 }
test "two are made" { at 2026-01-01T00:00:00Z
  emit User.made { id: "u" }
  emit User.made { id: "v" }
  expect count(User) == 2 }
"""
BAD = GOOD.replace("count(User) == 2", "count(User) == 3")
WRONG = GOOD.replace("count(User)", "count(Usr)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **texts: str) -> None:
    for name, text in texts.items():
        (folder / f"{name}.biz").write_text(text, encoding="utf-8")


def test_a_line_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD, other=GOOD)
    assert main(["test", "."]) == 0
    out = capsys.readouterr().out
    assert [line.split("  ")[0].split() for line in out.splitlines()[:2]] == [["ok"], ["ok"]]
    assert "good.biz" in out and "2 tests" in out
    assert "4 passed in 2 files" in out


def test_a_failure_fails(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, bad=BAD, good=GOOD)
    assert main(["test", "bad.biz", "good.biz"]) == 1
    out = capsys.readouterr().out
    assert "1 of 2 tests failed" in out
    assert "FAIL  two are made  bad.biz:9" in out
    assert "expected 3, found 2" in out
    assert "1 failed, 3 passed in 2 files" in out


def test_a_wrong_spec_is_shown_as_check_shows_it(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, wrong=WRONG, good=GOOD)
    assert main(["test", "."]) == 1
    out = capsys.readouterr().out
    assert "error" in out and "`Usr`" in out and "wrong.biz:12" in out
    assert "2 passed, 1 file with errors" in out


def test_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD)
    assert main(["test", "good.biz", "-k", "ONE is"]) == 0
    assert "1 test " in capsys.readouterr().out
    assert main(["test", "good.biz", "-k", "one", "-k", "two"]) == 0
    assert "2 tests" in capsys.readouterr().out
    assert main(["test", "good.biz", "-k", "one", "-k", "zebra"]) == 0
    assert "1 test " in capsys.readouterr().out


def test_a_name_that_no_test_has_is_a_wrong_call(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, good=GOOD, empty=GOOD[: GOOD.index("test")])
    assert main(["test", ".", "-k", "zebra"]) == 2
    said = capsys.readouterr()
    assert said.err == "bizrun: No test has 'zebra' in its title, of 2 tests.\n" and not said.out
    assert main(["test", ".", "-k", "mdae", "--json"]) == 2
    said = capsys.readouterr()
    assert said.err.endswith("of 2 tests; did you mean 'made'?\n")
    assert json.loads(said.out)["passed"] == 0
    assert main(["test", "empty.biz", "-k", "zebra"]) == 0


def test_nothing_to_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, empty=GOOD[: GOOD.index("test")])
    assert main(["test", "empty.biz"]) == 0
    assert "No tests in empty.biz." in capsys.readouterr().out
    assert main(["test", "nowhere.biz"]) == 2
    assert main(["test"]) == 2
    (folder / "sub").mkdir()
    assert main(["test", "sub"]) == 2


def test_coverage(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD)
    assert main(["test", "good.biz", "--coverage"]) == 0
    out = capsys.readouterr().out
    assert "coverage 66%  1 of 1 handlers, 1 of 2 branches" in out
    assert "good.biz:5  branch   the condition was never true" in out
    assert main(["test", "good.biz", "--cover-min", "66"]) == 0
    assert main(["test", "good.biz", "--cover-min", "67"]) == 1
    assert "less than the 67%" in capsys.readouterr().out


def test_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, bad=BAD)
    assert main(["test", "bad.biz", "--json", "--coverage"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["failed"]) == (1, 1)
    first, second = found["files"][0]["tests"]
    assert (first["name"], first["line"], first["status"]) == ("one is made", 6, "passed")
    failure = second["failures"][0]
    assert failure["message"] == "expected 3, found 2"
    assert failure["values"][0] == {"source": "count(User)", "value": "2"}
    assert found["coverage"]["percent"] == 66
    assert found["coverage"]["never"][0]["line"] == 5


def test_junit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, bad=BAD, wrong=WRONG)
    assert main(["test", ".", "--junit", "out.xml"]) == 1
    root = ElementTree.parse(folder / "out.xml").getroot()
    suites = {suite.get("name"): suite for suite in root}
    assert suites["bad.biz"].get("failures") == "1"
    assert suites["wrong.biz"].get("errors") == "1"
    failed = suites["bad.biz"].findall("testcase/failure")
    assert len(failed) == 1 and "expected 3" in str(failed[0].text)
    assert main(["test", ".", "--junit", "no/such/folder.xml"]) == 2


def test_mutants(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, good=GOOD)
    assert main(["test", "good.biz", "--mutate", "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert "4 changes, 1 noticed" in out
    assert "good.biz:5  > -> >=" in out and "100 -> 101" in out
    assert main(["test", "good.biz", "--mutate", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["mutants"]
    assert [mutant["noticed"] for mutant in found].count(False) == 3
    write(folder, bad=BAD)
    assert main(["test", "bad.biz", "--mutate", "--jobs", "1"]) == 1
    out = capsys.readouterr().out
    assert out.endswith("\nnot changed, since its tests fail as it is: bad.biz\n")
    assert "0 changes" not in out


def test_mutants_of_a_module_of_the_standard_library(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["test", "std.trials", "--mutate", "--jobs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["mutants"]
    assert found and {mutant["file"] for mutant in found} == {"std.trials"}
    assert all(mutant["noticed"] for mutant in found)
    # What the module is given is no more than its tests.
    assert not [mutant for mutant in found if "USD" in mutant["old"]]


def test_a_module_is_tested_with_its_users(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = 'const base = 2\ntest "base" { at 2026-01-01T00:00:00Z\n  expect base == 2 }\n'
    write(folder, module=module, a='use "./module.biz"\n' + GOOD, b='use "module.biz"\n' + GOOD)
    assert main(["test", "."]) == 0
    out = capsys.readouterr().out
    assert "a.biz  3 tests" in out and "b.biz  2 tests" in out and "module.biz" not in out


def test_the_order_is_the_same_over_processes(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bizrun.cli.test_runs.PATIENCE", 0)
    write(folder, **{f"f{n}": BAD for n in range(3)})
    assert main(["test", ".", "--jobs", "2", "--json"]) == 1
    spread = json.loads(capsys.readouterr().out)
    assert main(["test", ".", "--jobs", "1", "--json"]) == 1
    alone = json.loads(capsys.readouterr().out)

    def told(found: dict[str, object]) -> str:
        text = json.dumps(found)
        return "\n".join(line for line in text.split(",") if "milliseconds" not in line)

    assert told(spread) == told(alone)


def test_a_long_file_is_shared_out(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bizrun.cli.test_runs.PATIENCE", 0)
    body = "{ at 2026-01-01T00:00:00Z\n  expect 1 == 1 }"
    many = "".join(f'test "t{n}" {body}\n' for n in range(20))
    write(folder, long=GOOD + many, short=GOOD)
    assert main(["test", ".", "--jobs", "2", "--json", "--coverage"]) == 0
    found = json.loads(capsys.readouterr().out)
    titles = [test["name"] for test in found["files"][0]["tests"]]
    assert titles == ["one is made", "two are made", *(f"t{n}" for n in range(20))]
    assert found["coverage"]["percent"] == 66


def test_processes_have_ended_when_their_work_is_done() -> None:
    """Else Python writes at its end to a pipe that their thread is about to close."""
    with spread(2, abs, [(1,), (-2,)]) as futures:
        assert [future.result() for future in futures] == [1, 2]
    threads = vars(process)["_threads_wakeups"]
    assert not any(thread.is_alive() for thread in threads)
