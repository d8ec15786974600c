"""AI: answers by their schema, over a fake endpoint; budget, time and what doesn't fit."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from bizrun.errors import ProviderError
from bizrun.model import Outcome
from bizrun.providers.ai import Anthropic, OpenAi, affordable, maker
from bizrun.providers.base import Call, NotSent
from bizrun.providers.schemas import Unfit, fit, json_schema
from bizrun.providers.secrets import Secrets
from bizrun.values import Duration, Percent, instant, money

from .fakes.ai import KEY, Models, fake_models
from .fakes.effects import NOW, call, effect

MOOD = {"mood": ["calm", "angry"], "urgency": "integer", "price": "money?"}


def asking(fake: Models, seconds: int = 10, **block: Any) -> Call:
    environment = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": f"{fake.web.url}/v1",
                   "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": fake.web.url}  # fmt: skip
    return call("openai", block, environment, seconds=seconds)


ANGRY = {"mood": "angry", "urgency": 9, "price": "29.00 USD"}
ASKED = effect("ai.analyze", prompt="Mood?", schema=MOOD, context={"ticket": "It is broken"})


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("provider", [OpenAi(), Anthropic()], ids=["openai", "anthropic"])
def test_an_answer_by_its_schema(provider: Any, tools: bool) -> None:
    answer = ANGRY if tools else json.dumps(ANGRY)
    with fake_models(answer, tools=tools) as fake:
        found = provider.deliver(ASKED, asking(fake))
        expected = {"mood": "angry", "urgency": 9, "price": money("29 USD")}
        assert (found.status, found.error, found.data) == ("succeeded", None, expected)
        seen = fake.web.seen
        assert len(seen) == 1
        said = seen[0].body.decode()
        assert "It is broken" in said and "never an instruction" in said


def test_what_does_not_fit_is_asked_for_once_more() -> None:
    with fake_models({"mood": "sad", "urgency": 9}, ANGRY) as fake:
        assert OpenAi().deliver(ASKED, asking(fake)).status == "succeeded"
        assert len(fake.web.seen) == 2
        assert "answer.mood must be one of calm, angry" in fake.web.seen[1].body.decode()


@pytest.mark.parametrize("tools", [True, False])
@pytest.mark.parametrize("answer", [{"mood": "sad", "urgency": 9}, "nonsense", {}, [1]])
def test_what_never_fits_fails_with_a_reason(answer: Any, tools: bool) -> None:
    with fake_models(answer, tools=tools) as fake:
        found = OpenAi().deliver(ASKED, asking(fake))
        assert found.status == "failed"
        assert found.error is not None and found.error.startswith("unfit:")
        assert len(fake.web.seen) == 2


@pytest.mark.parametrize(
    ("schema", "answer", "expected"),
    [
        ("text", "Hello.", "Hello."),
        (None, "Hello.", "Hello."),
        (["yes", "no"], {"answer": "yes"}, "yes"),
        ({"type": "number"}, {"answer": 0.1}, Decimal("0.1")),
        (["text"], {"answer": ["a", "b"]}, ["a", "b"]),
    ],
)
def test_answers_that_are_no_objects(schema: Any, answer: Any, expected: Any) -> None:
    with fake_models(answer) as fake:
        found = OpenAi().deliver(effect("ai.generate", prompt="?", schema=schema), asking(fake))
        assert found.data == expected


def test_options_bound_a_decision() -> None:
    with fake_models({"answer": "b"}) as fake:
        asked = effect("ai.decide", prompt="Which?", options=["a", "b"])
        assert OpenAi().deliver(asked, asking(fake)).data == "b"


def test_a_vector() -> None:
    with fake_models(0) as fake:
        found = OpenAi().deliver(effect("ai.embed", text="tea"), asking(fake))
        again = OpenAi().deliver(effect("ai.embed", text="tea"), asking(fake))
        assert found == again
        assert len(found.data) == 4 and all(isinstance(n, int | Decimal) for n in found.data)


# --- what goes wrong -----------------------------------------------------------------------------


def test_failures_of_the_provider() -> None:
    with fake_models(ANGRY) as fake:
        for status in (429, 500, 503):
            fake.web.faults = [status]
            with pytest.raises(NotSent, match=str(status)):
                OpenAi().deliver(ASKED, asking(fake))
        fake.web.faults = [400]
        assert OpenAi().deliver(ASKED, asking(fake)).error == (
            "refused: the model's provider answered 400"
        )
        fake.web.faults = ["timeout_before"]
        found = OpenAi().deliver(ASKED, asking(fake, seconds=1))
        assert (found.status, found.error) == ("failed", "timeout")


def test_patience_ends_also_between_tries() -> None:
    with fake_models(ANGRY) as fake:
        made = asking(fake)
        late = Call(made.key, made.secrets, datetime.now(UTC) - timedelta(minutes=3))
        assert OpenAi().deliver(ASKED, late).error == "timeout"
        patient = effect("ai.analyze", prompt="?", schema=MOOD, timeout=Duration.from_iso("PT10M"))
        assert OpenAi().deliver(patient, late).status == "succeeded"


def test_a_server_that_is_down() -> None:
    with fake_models(ANGRY) as fake:
        made = asking(fake)
    with pytest.raises(NotSent):
        OpenAi().deliver(ASKED, made)


def test_missing_and_wrong_keys() -> None:
    with pytest.raises(ProviderError, match="OPENAI_API_KEY"):
        OpenAi().deliver(ASKED, call("openai"))
    with fake_models(ANGRY) as fake:
        environment = {"OPENAI_API_KEY": "wrong-canary", "OPENAI_BASE_URL": f"{fake.web.url}/v1"}
        with pytest.raises(ProviderError, match="refused") as error:
            OpenAi().deliver(ASKED, call("openai", {}, environment))
        assert "canary" not in str(error.value)


def test_no_address_but_those_of_the_environment() -> None:
    with fake_models(ANGRY) as fake, pytest.raises(ProviderError, match="can't be called"):
        block = {"base": f"{fake.web.url}/v1"}
        OpenAi().deliver(ASKED, call("openai", block, {"OPENAI_API_KEY": KEY}))


# --- budget --------------------------------------------------------------------------------------


def test_a_budget_bounds_the_answer() -> None:
    with fake_models(ANGRY) as fake:
        asked = effect("ai.analyze", prompt="?", schema=MOOD, budget=money("0.01 USD"))
        assert OpenAi().deliver(asked, asking(fake)).status == "succeeded"
        sent = fake.web.seen[0].json()
        assert 16 <= (sent.get("max_completion_tokens") or sent["max_tokens"]) < 16_000
        poor = effect("ai.analyze", prompt="?", schema=MOOD, budget=money("0.0001 USD"))
        found = OpenAi().deliver(poor, asking(fake))
        assert (found.status, found.error) == ("failed", "over_budget")
        assert len(fake.web.seen) == 1


def test_a_model_without_a_price_counts_as_dear() -> None:
    assert affordable("openai", "my-own", 300, money("0.01 USD")) == 179
    assert affordable("openai", "gpt-5-mini", 300, None) == 16_000
    with pytest.raises(ProviderError, match="USD"):
        affordable("openai", "gpt-5-mini", 300, money("1 EUR"))


def test_whose_model_it_is() -> None:
    assert [maker(m) for m in ("gpt-5", "claude-x", "anthropic:y", "openai:z", "llama", None)] == [
        "openai", "anthropic", "anthropic", "openai", None, None,
    ]  # fmt: skip


# --- schemas -------------------------------------------------------------------------------------

FITS: list[tuple[Any, Any, Any]] = [
    ("number", 1.10, Decimal("1.1")),
    ("number", 3.0, 3),
    ("integer", 3, 3),
    ("bool", True, True),
    ("percent", "2.9%", Percent.of(Decimal("2.9"))),
    ("duration", "P14D", Duration.from_iso("P14D")),
    ("time", "2026-01-31T09:00:00Z", NOW),
    ("date", "2026-01-31", date(2026, 1, 31)),
    ("low | high", "high", "high"),
    ("[text]", ["a"], ["a"]),
    ("text?", None, None),
    ({"a": "text", "b": "number?"}, {"a": "x", "c": 1}, {"a": "x", "b": None}),
    ({"type": "text", "name": "text"}, {"type": "a", "name": "b"}, {"type": "a", "name": "b"}),
    ("json", {"a": [1.5, None, True]}, {"a": [Decimal("1.5"), None, True]}),
]
UNFIT: list[tuple[Any, Any]] = [
    ("number", "1"), ("number", True), ("number", float("nan")), ("number", float("inf")),
    ("number", 1e300), ("integer", 1.5), ("bool", 1), ("bool", "true"), ("money", "29"),
    ("money", 29), ("money", "29 XYZ"), ("percent", "2"), ("duration", "soon"), ("time", "today"),
    ("date", "31.1.2026"), ("low | high", "middle"), ("[text]", "a"), ("[text]", [1]),
    ("text", None), ({"a": "text"}, {}), ({"a": "text"}, []), ({"a": {"b": "text"}}, {"a": {}}),
]  # fmt: skip


@pytest.mark.parametrize(("schema", "value", "expected"), FITS)
def test_what_fits(schema: Any, value: Any, expected: Any) -> None:
    assert fit(json_schema(schema), value) == expected


@pytest.mark.parametrize(("schema", "value"), UNFIT)
def test_what_does_not_fit(schema: Any, value: Any) -> None:
    with pytest.raises(Unfit, match="answer"):
        fit(json_schema(schema), value)


def test_depth_is_bounded() -> None:
    value: Any = 1
    for _ in range(100):
        value = [value]
    with pytest.raises(Unfit, match="too deep"):
        fit({}, value)
    assert instant("2026-01-31T09:00:00Z") == NOW
    assert Secrets("a", {}, {}).find("x") is None
    assert Outcome("failed").error is None
