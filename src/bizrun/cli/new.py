"""`bizrun new`: a business to begin with, that runs and passes its tests."""

from __future__ import annotations

import re
from itertools import islice
from pathlib import Path

import click

from ..errors import UsageError

# What each starting point is, and the spec of `specs/` that it is a copy of.
TEMPLATES: dict[str, tuple[str, str]] = {
    "saas": ("saas", "subscriptions with trials, upgrades, usage, dunning and churn"),
    "usage": ("api-first", "an API that is limited by the minute and billed by the call"),
    "freemium": ("freemium", "a free plan with limits, prompts and offers"),
    "shop": ("shop", "products, orders, shipments, returns, reordering"),
    "marketplace": ("content-marketplace", "sellers who get their part of each sale"),
    "newsletter": ("newsletter", "a paid edition, and a preview for the others"),
}
EVENTS = 400

README = """# {title}

`{name}.biz` is the business. In this folder:

    bizrun check {name}.biz     # what is wrong with it
    bizrun test {name}.biz      # its tests
    bizrun {name}.biz           # runs it over {name}.events.jsonl; emails and invoices go to out/

Change a price or a rule, and see which test notices.
"""


@click.command()
@click.argument("folder", metavar="DIR")
@click.option("--template", type=click.Choice(tuple(TEMPLATES)), default="saas", show_default=True)
def new(folder: str, template: str) -> int:
    """Make a folder with a business to begin with.

    It runs and passes its tests as it is: then change it. Nothing that is there is overwritten.
    """
    from ..pipeline import load_files

    name, what = TEMPLATES[template]
    target = Path(folder)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise UsageError(f"{folder} is there, and not empty: name a new folder.")
    source = _specs()
    spec = (source / f"{name}.biz").read_text(encoding="utf-8")
    # The modules that it uses send emails, too.
    said = "".join(text.text for text in load_files(str(source / f"{name}.biz")).sources.values())
    title = target.resolve().name
    target.mkdir(parents=True, exist_ok=True)
    _write(target / f"{template}.biz", spec)
    for text in sorted((source / "templates").glob("*.md")):
        if re.search(rf'(?:\btemplate:?\s+|\bpdf\()"?{re.escape(text.stem)}\b(?!-)', said):
            (target / "templates").mkdir(exist_ok=True)
            _write(target / "templates" / text.name, text.read_text(encoding="utf-8"))
    for picture in sorted(source.glob("*.svg")):
        if f'"{picture.name}"' in spec:
            _write(target / picture.name, picture.read_text(encoding="utf-8"))
    with (source / f"{name}.events.jsonl").open(encoding="utf-8") as events:
        _write(target / f"{template}.events.jsonl", "".join(islice(events, EVENTS)))
    _write(target / "README.md", README.format(title=title, name=template))
    _write(target / ".gitignore", ".bizrun/\nout/\n")
    click.echo(f"{folder} has a business: {what}.\n")
    click.echo(f"  cd {folder}\n  bizrun test {template}.biz\n  bizrun {template}.biz")
    return 0


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")


def _specs() -> Path:
    """The specs that starting points are copies of: beside the code in a wheel, else in the
    repository."""
    here = Path(__file__).parents[1] / "starters"
    return here if here.is_dir() else Path(__file__).parents[3] / "specs"
