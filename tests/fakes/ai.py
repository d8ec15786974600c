"""A fake of what models are asked through: OpenAI's chat and embeddings, Anthropic's messages.

It answers with what the test says, as a tool call where the request offers one and `tools` is
True, else as text; each request is kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from .web import Answer, Request, Web, serving

KEY = "sk-fake-canary-0123456789"


class Models:
    """`answers` are given in order, the last one for ever."""

    def __init__(self, *answers: Any, tools: bool = True) -> None:
        self.web: Web
        self.answers = list(answers)
        self.tools = tools

    def respond(self, request: Request) -> Answer:
        """Answers as one of them."""
        if KEY not in (
            request.headers.get("authorization", "") + request.headers.get("x-api-key", "")
        ):
            return Answer(401, {"error": {"message": "wrong key", "type": "invalid"}})
        match request.path.rpartition("/v1")[2] or request.path:
            case "/chat/completions":
                return self._chat(request.json())
            case "/embeddings":
                return self._embeddings(request.json())
            case "/messages":
                return self._messages(request.json())
        return Answer(404, {"error": {"message": f"no {request.path}"}})

    def _next(self) -> Any:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def _chat(self, body: dict[str, Any]) -> Answer:
        answer = self._next()
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if body.get("tools") and self.tools:
            name = body["tools"][0]["function"]["name"]
            call = {"name": name, "arguments": json.dumps(answer)}
            message["tool_calls"] = [{"id": "c1", "type": "function", "function": call}]
        else:
            message["content"] = answer if isinstance(answer, str) else json.dumps(answer)
        return Answer(200, {
            "id": "x", "object": "chat.completion", "created": 1, "model": body["model"],
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        })  # fmt: skip

    def _messages(self, body: dict[str, Any]) -> Answer:
        answer = self._next()
        part: dict[str, Any] = {"type": "text", "text": answer}
        if body.get("tools") and self.tools:
            part = {"type": "tool_use", "id": "t1", "name": body["tools"][0]["name"],
                    "input": answer}  # fmt: skip
        return Answer(200, {
            "id": "m", "type": "message", "role": "assistant", "model": body["model"],
            "content": [part], "stop_reason": "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 5},
        })  # fmt: skip

    def _embeddings(self, body: dict[str, Any]) -> Answer:
        digest = sha256(str(body["input"]).encode()).digest()
        numbers = [byte / 255 for byte in digest[:4]]
        return Answer(200, {
            "object": "list", "model": body["model"],
            "data": [{"object": "embedding", "index": 0, "embedding": numbers}],
            "usage": {"prompt_tokens": 1, "total_tokens": 1},
        })  # fmt: skip


@contextmanager
def fake_models(*answers: Any, tools: bool = True) -> Iterator[Models]:
    """A running fake."""
    fake = Models(*answers, tools=tools)
    with serving(fake.respond) as web:
        fake.web = web
        yield fake
