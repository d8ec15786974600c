"""Composes statements: a list of mappings, each with its keyword first, or lines of the grammar."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict

from ...diagnostics import did_you_mean
from ..mend import BAD
from .compose import Composer
from .forms import ACTION, CASE, STATEMENTS
from .tree import Mapping, Scalar, Sequence, Value

Taken = Dict[str, Value]


def body(to: Composer, value: Value | None, at: Value) -> None:
    """`{ statements }` of a list; of one statement by itself as well."""
    to.add("{", at)
    if isinstance(value, Sequence):
        for item in value.items:
            to.add("\n", item)
            statement(to, item)
    elif value is not None and not (isinstance(value, Scalar) and value.empty):
        to.add("\n", value)
        statement(to, value)
    to.add("\n}", at)


def statement(to: Composer, value: Value) -> None:
    """One statement: a line of the grammar, or a mapping."""
    if not isinstance(value, Mapping) or not value.pairs:
        to.words(value)
        return
    value = _mended(to, value)
    word, first = _word(value), value.pairs[0][1]
    form = STATEMENTS.get(word)
    if form is None:
        action(to, value)
        return
    taken = to.take(value, form, f"`{word}`")
    compose = _COMPOSERS.get(word)
    if compose:
        compose(to, taken, value)
        return
    to.add(f"{word} ", value)
    if not (word == "return" and isinstance(first, Scalar) and first.empty):
        to.expr(first)


# Words that are too short to be near to what they mean.
_ALSO = {"wait": "wait for", "await": "wait for", "for": "for each", "loop": "for each"}


def _mended(to: Composer, value: Mapping) -> Mapping:
    """A statement with the word that is meant where, as its other keys tell, that is mistyped."""
    (name, first), *rest = value.pairs
    others = [other.text for other, _ in rest if other.text not in ACTION.keys]
    near = did_you_mean(name.text, STATEMENTS) if others else None
    near = _ALSO.get(name.text, near) if others else None
    if near is None or name.text in STATEMENTS:
        return value
    form = STATEMENTS[near]
    if not form.open and any(other not in form.keys for other in others):
        return value
    to.report(name, f"There is no statement `{name.text}`", f"did you mean `{near}`?")
    return Mapping(value.span, ((Scalar(name.span, near, name.plain), first), *rest))


def _word(value: Mapping) -> str:
    """The first key of a statement."""
    return value.pairs[0][0].text


def action(to: Composer, value: Mapping, skip: tuple[str, ...] = ()) -> None:
    """`name "target" { fields }` of a mapping whose first key, but for `skip`, is the name."""
    pairs = [(name, item) for name, item in value.pairs if name.text not in skip]
    name, first = pairs[0]
    for other, _ in pairs[1:]:
        if other.text not in ACTION.keys:
            to.report(other, f"`{name.text}` is an action here and has no key `{other.text}`",
                      _meant(name.text))  # fmt: skip
    to.words(name)
    to.add(" ", name)
    if isinstance(first, Scalar) and not first.empty:
        to.text(first, open_=True)
        to.add(" ", name)
    fields = first if isinstance(first, Mapping) else value.get("with")
    if fields is not None:
        to.map(fields)
    elif not isinstance(first, Scalar) or first.empty:
        to.add("{}", name)


def _meant(name: str) -> str:
    near = did_you_mean(name, STATEMENTS)
    if near:
        return f"did you mean `{near}`?"
    return "the fields of an action stand in a mapping below its name, or below `with`"


def _let(to: Composer, taken: Taken, whole: Mapping) -> None:
    rest = {name: item for name, item in taken.items() if name != "let"}
    to.add("let ", whole)
    to.words(taken["let"])
    to.add(" = ", whole)
    if "value" in rest:
        to.expr(rest["value"])
    elif not rest:
        to.report(whole, "`let` needs `value`, `create`, `upsert` or an action")
        to.add(BAD, whole)
    elif "create" in rest or "upsert" in rest:
        _made(to, rest, whole)
    else:
        action(to, whole, skip=("let",))


def _made(to: Composer, taken: Taken, whole: Mapping) -> None:
    word = "create" if "create" in taken else "upsert"
    to.add(f"{word} ", whole)
    to.words(taken[word])
    to.add(" ", whole)
    _with(to, taken, whole)


def _with(to: Composer, taken: Taken, whole: Mapping) -> None:
    """The fields behind a name; where a key is mistyped nobody knows which there are."""
    if "with" in taken:
        to.map(taken["with"])
    else:
        to.add(f"{{ ...{BAD} }}" if whole in to.unsure else "{}", whole)


def _update(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("update ", whole)
    to.words(taken["update"])
    to.add(" ", whole)
    _with(to, taken, whole)


def _after(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add(f"{_word(whole)} ", whole)
    to.expr(taken[_word(whole)])
    if "unless" in taken:
        to.add(" unless ", whole)
        to.words(taken["unless"])
    if _word(whole) == "after" or "do" in taken:
        to.add(" ", whole)
        body(to, taken.get("do"), whole)


def pattern(to: Composer, taken: Taken) -> None:
    """What follows the types of a pattern: `(x, y) as e where condition`."""
    if "fields" in taken:
        to.add("(", taken["fields"])
        to.names(taken["fields"])
        to.add(")", taken["fields"])
    for word in ("as", "where"):
        if word in taken:
            to.add(f" {word} ", taken[word])
            to.words(taken[word])


def _wait_for(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("wait for ", whole)
    to.words(taken["wait for"])
    pattern(to, taken)
    if "within" in taken:
        to.add(" within ", whole)
        to.words(taken["within"])


def _for_each(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("for each ", whole)
    to.words(taken["for each"])
    to.add(" in ", whole)
    _second(to, taken.get("in"), whole)
    to.add(" ", whole)
    body(to, taken.get("do"), whole)


def _if(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("if ", whole)
    to.words(taken["if"])
    to.add(" ", whole)
    body(to, taken.get("then"), whole)
    if "else" in taken:
        to.add(" else ", whole)
        body(to, taken["else"], whole)


def _match(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("match ", whole)
    to.words(taken["match"])
    to.add(" {", whole)
    cases = taken.get("cases")
    for case in cases.items if isinstance(cases, Sequence) else ():
        found = to.take(case, CASE, "A case")
        to.add("\n", case)
        to.names(found.get("when"))
        to.add(" => ", case)
        body(to, found.get("do"), case)
    if cases is not None and not isinstance(cases, Sequence):
        to.report(cases, "`cases` is a list", "each with `when` and `do`")
    if "else" in taken:
        to.add("\nelse => ", whole)
        body(to, taken["else"], whole)
    to.add("\n}", whole)


def _two(between: str, second: str) -> Callable[[Composer, Taken, Mapping], None]:
    """`word A between B`."""

    def compose(to: Composer, taken: Taken, whole: Mapping) -> None:
        to.add(f"{_word(whole)} ", whole)
        to.words(taken[_word(whole)])
        to.add(between, whole)
        _second(to, taken.get(second), whole)

    return compose


def _second(to: Composer, value: Value | None, whole: Mapping) -> None:
    """The expression under a statement's other key, which has been reported where it lacks."""
    if value is None:
        to.needed(None, whole)
    else:
        to.expr(value)


def _emit(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("emit ", whole)
    to.words(taken["emit"])
    if "with" in taken or whole in to.unsure:
        to.add(" ", whole)
        _with(to, taken, whole)
    for word in ("at", "id", "corrects"):
        if word in taken:
            to.add(f" {word} ", whole)
            to.words(taken[word])


def _across(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("across tenants ", whole)
    body(to, taken["across tenants"], whole)


def _plain(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add(f"{_word(whole)} ", whole)
    to.words(taken[_word(whole)])


def _expect(to: Composer, taken: Taken, whole: Mapping) -> None:
    _plain(to, taken, whole)
    _target(to, taken, whole)
    if "with" in taken:
        to.add(" ", whole)
        to.map(taken["with"])


def _target(to: Composer, taken: Taken, whole: Mapping) -> None:
    if "at" in taken:
        to.add(" ", whole)
        to.text(taken["at"], open_=True)


def _answer(to: Composer, taken: Taken, whole: Mapping) -> None:
    _plain(to, taken, whole)
    _target(to, taken, whole)
    to.add(" with ", whole)
    _second(to, taken.get("with"), whole)


def _call(to: Composer, taken: Taken, whole: Mapping) -> None:
    to.add("call ", whole)
    route(to, taken["call"])
    if "with" in taken:
        to.add(" ", whole)
        to.map(taken["with"])
    if "as" in taken:
        to.add(" as ", whole)
        to.words(taken["as"])


def route(to: Composer, value: Value) -> None:
    """`GET "/path"` of `GET /path`."""
    if not isinstance(value, Scalar) or '"' in value.text:
        to.words(value)
        return
    method, _, path = value.text.partition(" ")
    to.add(f"{method} ", value)
    to.text(Scalar(value.span, path.strip(), False), open_=True)


_COMPOSERS: dict[str, Callable[[Composer, Taken, Mapping], None]] = {
    "let": _let,
    "create": _made,
    "upsert": _made,
    "update": _update,
    "add": _two(" to ", "to"),
    "remove": _two(" from ", "from"),
    "emit": _emit,
    "after": _after,
    "at": _after,
    "wait for": _wait_for,
    "for each": _for_each,
    "if": _if,
    "match": _match,
    "record": _two(" ", "value"),
    "across tenants": _across,
    "advance": _plain,
    "expect": _expect,
    "payments": _plain,
    "answer": _answer,
    "call": _call,
}
