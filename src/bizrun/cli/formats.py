"""Diagnostics for machines: JSON, SARIF 2.1.0, GitHub annotations, JUnit."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..diagnostics import Diagnostic, Source, Span

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"


def as_json(problems: Sequence[Diagnostic], sources: Mapping[str, Source]) -> str:
    """A list of objects, one a diagnostic; lines and columns count characters from 1."""
    return json.dumps([_plain(problem, sources) for problem in problems], indent=2)


def as_sarif(problems: Sequence[Diagnostic], sources: Mapping[str, Source]) -> str:
    """One SARIF run, with the rules that it has results of."""
    from .. import __version__
    from ..lang.check.codes import CODES

    codes = sorted({problem.code for problem in problems})
    rules = []
    for code in codes:
        rule: dict[str, Any] = {"id": code}
        if code in CODES:
            rule["shortDescription"] = {"text": CODES[code].title}
            rule["fullDescription"] = {"text": CODES[code].why}
        rules.append(rule)
    driver = {"name": "bizrun", "version": __version__, "rules": rules}
    results = [_result(problem, codes.index(problem.code), sources) for problem in problems]
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SARIF, "version": "2.1.0", "runs": [run]}, indent=2)


def as_github(problems: Sequence[Diagnostic], sources: Mapping[str, Source]) -> str:
    """Workflow commands that GitHub shows beside the lines of a pull request."""
    lines = []
    for problem in problems:
        place = _place(problem.span, sources)
        properties = {
            "file": place["file"],
            "line": place["line"],
            "endLine": place["end_line"],
            "col": place["column"],
            "endColumn": place["end_column"],
            "title": problem.code,
        }
        if place["line"] != place["end_line"]:  # GitHub refuses columns over several lines
            del properties["col"], properties["endColumn"]
        listed = ",".join(f"{key}={_escape(str(v), True)}" for key, v in properties.items())
        text = problem.message + (f"\nhelp: {problem.help}" if problem.help else "")
        lines.append(f"::{problem.severity} {listed}::{_escape(text)}")
    return "\n".join(lines)


def as_junit(
    problems: Sequence[Diagnostic], sources: Mapping[str, Source], checked: Sequence[str] = ()
) -> str:
    """One suite with a case for each file that was checked; an error is a failure of its file."""
    from xml.sax.saxutils import quoteattr

    by_file: dict[str, list[Diagnostic]] = {name: [] for name in checked}
    for problem in problems:
        by_file.setdefault(problem.span.file, []).append(problem)
    cases = []
    failed = 0
    for name, found in by_file.items():
        errors = [problem for problem in found if problem.severity == "error"]
        failed += bool(errors)
        head = f"    <testcase classname={quoteattr('bizrun check')} name={quoteattr(_xml(name))}"
        if not found:
            cases.append(f"{head}/>")
            continue
        cases.append(f"{head}>")
        if errors:
            cases.append(_failure(errors, sources))
        warnings = [problem for problem in found if problem.severity == "warning"]
        if warnings:
            cases.append(f"      <system-out>{_listed(warnings, sources)}</system-out>")
        cases.append("    </testcase>")
    counts = f'tests="{len(by_file)}" failures="{failed}" errors="0"'
    return "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f"<testsuites {counts}>",
            f'  <testsuite name="bizrun check" {counts}>',
            *cases,
            "  </testsuite>",
            "</testsuites>",
        ]
    )


def _place(span: Span, sources: Mapping[str, Source]) -> dict[str, Any]:
    source = sources.get(span.file)
    if source is None:
        start = end = (1, 1)
    else:
        start, end = source.position(span.start), source.position(max(span.start, span.end))
    return {
        "file": span.file,
        "line": start[0],
        "column": start[1],
        "end_line": end[0],
        "end_column": end[1],
    }


def _plain(problem: Diagnostic, sources: Mapping[str, Source]) -> dict[str, Any]:
    plain: dict[str, Any] = {"code": problem.code, "severity": problem.severity}
    plain |= _place(problem.span, sources)
    plain |= {"message": problem.message, "help": problem.help, "fix": None}
    if problem.fix:
        fix = _place(problem.fix.span, sources)
        plain["fix"] = fix | {"text": problem.fix.text, "certain": problem.fix.certain}
    plain["labels"] = [
        _place(label.span, sources) | {"text": label.text} for label in problem.labels
    ]
    return plain


def _result(problem: Diagnostic, rule: int, sources: Mapping[str, Source]) -> dict[str, Any]:
    text = problem.message + (f" Help: {problem.help}" if problem.help else "")
    result: dict[str, Any] = {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": _location(problem.span, sources)}],
    }
    if problem.labels:
        result["relatedLocations"] = [
            {
                "message": {"text": label.text},
                "physicalLocation": _location(label.span, sources),
            }
            for label in problem.labels
        ]
    if problem.fix:
        where = _location(problem.fix.span, sources)
        change = {"deletedRegion": where["region"]}
        change["insertedContent"] = {"text": problem.fix.text}
        changes = {"artifactLocation": where["artifactLocation"], "replacements": [change]}
        result["fixes"] = [{"artifactChanges": [changes]}]
    return result


def _location(span: Span, sources: Mapping[str, Source]) -> dict[str, Any]:
    from urllib.parse import quote

    place = _place(span, sources)
    region = {
        "startLine": place["line"],
        "startColumn": place["column"],
        "endLine": place["end_line"],
        "endColumn": place["end_column"],
    }
    uri = quote(place["file"], errors="replace")
    return {"artifactLocation": {"uri": uri}, "region": region}


def _escape(text: str, inside: bool = False) -> str:
    text = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return text.replace(":", "%3A").replace(",", "%2C") if inside else text


def _failure(errors: list[Diagnostic], sources: Mapping[str, Source]) -> str:
    from xml.sax.saxutils import quoteattr

    message = f"{len(errors)} error{'' if len(errors) == 1 else 's'}"
    codes = " ".join(sorted({problem.code for problem in errors}))
    head = f'      <failure type="{codes}" message={quoteattr(message)}>'
    return f"{head}{_listed(errors, sources)}</failure>"


def _listed(problems: list[Diagnostic], sources: Mapping[str, Source]) -> str:
    from xml.sax.saxutils import escape

    lines = []
    for problem in problems:
        place = _place(problem.span, sources)
        where = f"{place['file']}:{place['line']}:{place['column']}"
        lines.append(f"{where}: {problem.severity}[{problem.code}]: {problem.message}")
        if problem.help:
            lines.append(f"  help: {problem.help}")
    return escape(_xml("\n".join(lines)))


def _xml(text: str) -> str:
    """A text without the characters that XML can't hold at all."""
    return "".join(c if c in "\n\t" or (c >= " " and c.isprintable()) else "\ufffd" for c in text)
