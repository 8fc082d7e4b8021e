"""A model to ask in tests: an HTTP server on 127.0.0.1 that speaks OpenAI's chat completions, well or badly.

JSON answers, errors with Retry-After, servers that refuse a JSON schema, prose and fences around the JSON, cut and
empty answers, wrong types, bytes that drip in, never end or are no UTF-8, redirects and resets.
https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from engage.drafts.endpoint import ModelEndpoint
from tests.served import served

KEY = "sk-a-key-for-tests-that-opens-nothing"
MODEL = "drafter-7b"
BRAND = "Taco Town"
OFFER = "10% off the next meal"
TEXTS = (
    "Hungry again, {{ first_name }}? Taco Town takes 10% off the next meal. Show this message at the counter.",
    "Your table at Taco Town is waiting. The next meal is 10% off.",
    "{{ first_name }}, your favourites are still on the grill at Taco Town. Come by: 10% off the next meal.",
    "Treat yourself tonight. Taco Town says welcome back with 10% off the next meal.",
    "Good food tastes better together. Bring a friend to Taco Town and take 10% off the next meal.",
    "Fresh salsa, warm tortillas, familiar faces. 10% off the next meal at Taco Town.",
    "Long week? Let Taco Town cook. Your next meal comes with 10% off.",
    "We kept your seat warm, {{ first_name }}. Taco Town gives 10% off the next meal.",
)
"""What a good model writes."""


@dataclass(frozen=True)
class Asked:
    """One request, as it came in."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    raw: str
    at: float


@dataclass(frozen=True)
class Answer:
    """What the server answers. ``body`` is sent as it is; ``drip``: seconds before each byte of it, head included."""

    body: bytes
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drip: float = 0.0
    delay: float = 0.0
    endless: bool = False
    reset: bool = False


def content(text: object, *, finish: str = "stop", **message: Any) -> Answer:
    """An answer with this content of the model's."""
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", "content": text, **message}}
    found = {"id": "x", "object": "chat.completion", "model": MODEL, "choices": [choice]}
    return Answer(json.dumps(found).encode())


def written(texts: Sequence[object] = TEXTS) -> Answer:
    """An answer with these texts, as it was asked for."""
    return content(json.dumps({"texts": list(texts)}))


def error(status: int, message: str = "no", **headers: str) -> Answer:
    """An error as such servers give it. ``headers``: with _ for -."""
    body = json.dumps({"error": {"message": message, "type": "x", "code": None}}).encode()
    return Answer(body, status, {name.replace("_", "-"): value for name, value in headers.items()})


class LlmDouble:
    """The server's state: what came in, and what it answers to the request of a number, counted from 0."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.answer: Callable[[Asked], Answer] = lambda asked: written()
        self.closing = threading.Event()
        self.port = 0

    def in_turn(self, *answers: Answer) -> None:
        """Answer the first request with the first, and all after the last with the last."""
        self.answer = lambda asked: answers[min(len(self.asked), len(answers)) - 1]

    @property
    def url(self) -> str:
        """As ``ENGAGE_LLM_URL`` says it."""
        return f"http://:{KEY}@127.0.0.1:{self.port}?model={MODEL}"

    def endpoint(self, seconds: float = 20.0, key: str | None = KEY) -> ModelEndpoint:
        """The address, as the connection gives it."""
        address = f"http://127.0.0.1:{self.port}/v1/chat/completions"
        return ModelEndpoint(address, MODEL, "the connection engage_llm", key, seconds)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    double: LlmDouble

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.path, headers, json.loads(raw), raw, time.monotonic())
        self.double.asked.append(asked)
        answer = self.double.answer(asked)
        self.double.closing.wait(answer.delay)
        self.close_connection = True
        if answer.reset:
            return
        with suppress(OSError):  # the client has given up waiting
            self._send(answer)

    def _send(self, answer: Answer) -> None:
        headers = {"Content-Type": "application/json", **answer.headers}
        if not answer.endless:
            headers.setdefault("Content-Length", str(len(answer.body)))
        lines = [f"HTTP/1.1 {answer.status} x", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "Connection: close", "", ""]).encode()
        if answer.drip:
            for byte in head + answer.body:
                if self.double.closing.wait(answer.drip):
                    return
                self.wfile.write(bytes([byte]))
            return
        self.wfile.write(head + answer.body)
        while answer.endless and not self.double.closing.is_set():
            self.wfile.write(answer.body)

    def log_message(self, *arguments: Any) -> None:
        """Silent."""


@contextmanager
def llm_double(port: int = 0) -> Iterator[LlmDouble]:
    """A double that serves until the block ends, on any free port unless one is given."""
    double = LlmDouble()
    handler = type("Handler", (_Handler,), {"double": double})
    with served(handler, double.closing, port) as own:
        double.port = own
        yield double
