"""Where models are asked: pydantic-ai over our own client. Imported at first use: it takes long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import openai
from pydantic_ai import Agent, ModelRetry, StructuredDict, TextOutput, ToolOutput
from pydantic_ai import exceptions as errors
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from ..errors import ProviderError
from ..model import Outcome
from ..values import check_number
from .addresses import Refused
from .ai import BASES, CAUTION, KEYS, PLACES, Question
from .base import MaybeSent, NotSent
from .egress import Egress
from .schemas import Unfit, plain_text
from .secrets import Secrets

MAX_ANSWER = 20_000_000
MAX_NUMBERS = 10_000
_FAILURES = (errors.AgentRunError, openai.OpenAIError, anthropic.AnthropicError, Refused)
_HOP = {"host", "content-length", "accept-encoding", "connection", "transfer-encoding"}


class Transport(httpx2.AsyncBaseTransport):
    """Sends a library's requests through the egress client, whose rules hold for them too."""

    def __init__(self, egress: Egress, private: bool, seconds: int) -> None:
        self._egress, self._private, self._seconds = egress, private, seconds

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """One request, in a thread."""
        content = await request.aread()
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP}
        reply = await asyncio.to_thread(
            self._egress.send, request.method, str(request.url), headers, content,
            private=self._private, timeout=self._seconds, max_body=MAX_ANSWER,
        )  # fmt: skip
        kept = {k: v for k, v in reply.headers.items() if k not in _HOP}
        return httpx2.Response(reply.status, headers=kept, content=reply.body, request=request)


def ask(name: str, question: Question, secrets: Secrets) -> Outcome:
    """Asks a model once, and a second time where its answer does not fit."""
    return asyncio.run(_ask(name, question, secrets))


async def _ask(name: str, question: Question, secrets: Secrets) -> Outcome:
    unfit: list[str] = []

    def checked(given: Any) -> Any:
        try:
            return {"answer": question.answer(given)}
        except Unfit as error:
            unfit.append(str(error))
            raise ModelRetry(f"{error}. Answer again, so that it fits the schema.") from None

    def from_text(text: str) -> Any:
        if plain_text(question.schema) and not text.lstrip().startswith('{"answer"'):
            return checked({"answer": text})
        return checked(_json_of(text))

    async with _client(secrets, name, question.seconds) as http:
        agent = Agent(
            _model(name, question.model, secrets, http),
            output_type=_output(question, checked, from_text),
            instructions=_instructions(question),
            retries=1,
        )
        settings = ModelSettings(max_tokens=question.cap, timeout=question.seconds)
        try:
            async with asyncio.timeout(question.seconds):
                result = await agent.run(question.prompt, model_settings=settings)
        except TimeoutError:
            return Outcome("failed", "timeout")
        except _FAILURES as error:
            return _failed(error, unfit)
    given = result.output
    answer = given["answer"] if isinstance(given, Mapping) else given
    return Outcome("succeeded", None, answer, question.model)


def _output(question: Question, checked: Any, from_text: Any) -> Any:
    """What the model may give: a text alone; else a call with the object, or its JSON as a text."""
    if plain_text(question.schema):
        return TextOutput(from_text)

    def final_result(answer: Any) -> Any:
        return checked(answer)

    final_result.__annotations__["answer"] = StructuredDict(question.asked, name="answer")
    return [ToolOutput(final_result, name="final_result"), TextOutput(from_text)]


def _instructions(question: Question) -> str:
    words = [question.task, CAUTION]
    if not plain_text(question.schema):
        schema = json.dumps(question.asked, ensure_ascii=False)
        words.append(f"Answer by calling final_result, or with JSON alone that fits: {schema}")
    return "\n".join(words)


def _json_of(text: str) -> Any:
    """The JSON of an answer, also where a model has put it between marks of code."""
    body = text.strip()
    if body.startswith("```"):
        body = body.strip("`").removeprefix("json").strip()
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        raise ModelRetry("Answer with JSON alone that fits the schema.") from None


# --- models --------------------------------------------------------------------------------------


def _client(secrets: Secrets, name: str, seconds: int) -> httpx2.AsyncClient:
    base = secrets.value("base")
    private = base is None or isinstance(base, Mapping)
    return httpx2.AsyncClient(transport=Transport(Egress(), private, seconds), trust_env=False)


def _key(name: str, secrets: Secrets) -> str:
    """The key; servers at another address may take none."""
    found = secrets.find("key", KEYS[name])
    if found is None and secrets.text("base", BASES[name]):
        return "none"
    return secrets.need("key", KEYS[name]).reveal()


def _model(name: str, model: str, secrets: Secrets, http: httpx2.AsyncClient) -> Model:
    key, base = _key(name, secrets), secrets.text("base", BASES[name])
    if name == "anthropic":
        client = anthropic.AsyncAnthropic(
            api_key=key, base_url=base or "https://api.anthropic.com", max_retries=0,
            http_client=http,
        )  # fmt: skip
        return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))
    provider = OpenAIProvider(openai_client=_openai(key, base, http))
    return OpenAIChatModel(model, provider=provider)


def _openai(key: str, base: str | None, http: httpx2.AsyncClient) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(
        api_key=key, base_url=base or "https://api.openai.com/v1", max_retries=0, http_client=http
    )


def embed(model: str, text: str, secrets: Secrets, seconds: int) -> Outcome:
    """The vector of a text, its numbers as decimals of eight places."""
    return asyncio.run(_embed(model, text, secrets, seconds))


async def _embed(model: str, text: str, secrets: Secrets, seconds: int) -> Outcome:
    base = secrets.text("base", BASES["openai"])
    async with _client(secrets, "openai", seconds) as http:
        client = _openai(_key("openai", secrets), base, http)
        try:
            async with asyncio.timeout(seconds):
                found = await client.embeddings.create(
                    model=model, input=text, encoding_format="float"
                )
        except TimeoutError:
            return Outcome("failed", "timeout")
        except _FAILURES as error:
            return _failed(error, [])
    numbers = found.data[0].embedding if found.data else []
    if not numbers or len(numbers) > MAX_NUMBERS:
        return Outcome("failed", "unfit: the answer is no vector")
    unit = Decimal(1).scaleb(-PLACES)
    try:
        vector = [check_number(Decimal(str(n)).quantize(unit).normalize() + 0) for n in numbers]
    except ArithmeticError:
        return Outcome("failed", "unfit: the answer is no vector")
    return Outcome("succeeded", None, vector, model)


# --- failures ------------------------------------------------------------------------------------


def _failed(error: Exception, unfit: list[str]) -> Outcome:
    """What a failure means: another try, a person, or an answer that there is none."""
    cause: BaseException | None = error
    while cause is not None:
        match cause:
            case NotSent() | MaybeSent():
                raise cause from None
            case Refused():
                raise ProviderError(f"the model's address can't be called: {cause}") from None
        cause = cause.__cause__ or cause.__context__
    status = getattr(error, "status_code", None)
    match status:
        case 401 | 403:
            raise ProviderError("the key of the model's provider is refused") from None
        case 408 | 409 | 429:
            raise NotSent(f"the model's provider answered {status}") from None
        case int() if status >= 500:
            raise NotSent(f"the model's provider answered {status}") from None
        case int():
            return Outcome("failed", f"refused: the model's provider answered {status}")
    if unfit:
        return Outcome("failed", f"unfit: {unfit[-1]}")
    if isinstance(error, errors.UnexpectedModelBehavior):
        return Outcome("failed", "unfit: the answer does not fit its schema")
    raise NotSent(f"the model gave no answer ({type(error).__name__})") from None
