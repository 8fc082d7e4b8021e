"""The service's webhooks for Twilio, with Twilio as their client."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import sqlalchemy as sa
from fastapi import FastAPI
from twilio.request_validator import RequestValidator

from engage.campaigns.run_options import RunOptions
from engage.sending import queue
from engage.sending.providers import Account
from engage.service import problem_details
from engage.service.context import Context
from engage.service.twilio_webhooks import routes
from engage.storage.schema import message, metadata
from tests.integration.conftest import KEY, World
from tests.integration.service import counted
from tests.phones import fictional_phone
from tests.twilio_double import SENDER, SID, TOKEN

PUBLIC = "https://engage.example.com"
HERE = "http://127.0.0.1:8090"
STATUS, INBOUND = "/v1/providers/twilio/status", "/v1/providers/twilio/inbound"
MESSAGE = "SM" + "a" * 32
ACCOUNT = Account(SID, TOKEN, SENDER)
PHONE = fictional_phone(0)


@dataclass
class Webhooks:
    """One running service with its two webhooks, and Twilio as its client."""

    world: World
    account: Account | None = ACCOUNT
    public_url: str | None = PUBLIC
    numbers: itertools.count = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self.context = Context(
            self.world.engine, lambda: self.world.now, KEY, public_url=self.public_url, account=self.account
        )
        self.app = FastAPI()
        problem_details.install(self.app)
        self.app.include_router(routes(self.context))

    def queued(self) -> Webhooks:
        """Queue one customer's message."""
        self.world.purchase(self.world.customer(phone=PHONE), 100)
        self.world.computed()
        queue.build(self.world.engine, self.world.window, options=RunOptions(), as_of=self.world.now)
        return self

    def claimed(self) -> Webhooks:
        values = {"status": "sending", "sending_at": self.world.now, "provider": "twilio"}
        self.world.execute(sa.update(message).values(**values))
        return self

    def accepted(self) -> Webhooks:
        values = {"status": "accepted", "provider_message_id": MESSAGE, "accepted_at": self.world.now}
        self.world.execute(sa.update(message).values(**values))
        return self

    def post(self, path, form, *, signed_for=None, token=TOKEN, headers=None):
        """Post a form as Twilio does, signed for the address of the webhook."""
        signature = RequestValidator(token).compute_signature((signed_for or PUBLIC) + path, form)
        return self.post_raw(path, form, {"X-Twilio-Signature": signature} | (headers or {}))

    def post_raw(self, path, form, headers):
        headers = {"Content-Type": "application/x-www-form-urlencoded"} | headers
        return self.send(path, urlencode(form).encode(), headers)

    def send(self, path, content, headers):
        async def answer():
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=HERE) as client:
                return await client.post(path, content=content, headers=headers)

        return asyncio.run(answer())

    def receipt(self, status, *, sid=MESSAGE, reference=None, **more):
        reference = reference or f"{self.world.window.key}-1"
        form = {"AccountSid": SID, "MessageSid": sid, "MessageStatus": status, "To": PHONE, **more}
        answer = self.post(f"{STATUS}?message={reference}", form)
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        assert answer.headers["content-type"].startswith("text/xml")

    def text(self, body, *, sid=None, sender=None, **more):
        """Post a customer's text, and return its id, to send it again."""
        sid = sid or f"SM{next(self.numbers):032x}"
        answer = self.post(INBOUND, texted(body, sid, sender or PHONE, **more))
        assert (answer.status_code, answer.text) == (200, "<Response/>")
        return sid

    def counted(self, name, label):
        return counted(self.context, name, label)

    def dump(self) -> dict[str, list[Any]]:
        return self.world.dump(*metadata.tables)

    def suppressed(self):
        return self.world.rows("SELECT reason, source FROM suppression")


def texted(body, sid=MESSAGE, sender=PHONE, **more):
    return {"AccountSid": SID, "MessageSid": sid, "From": sender, "To": SENDER, "Body": body, "NumMedia": "0", **more}


def state(webhooks):
    return webhooks.world.value("SELECT status FROM message")
