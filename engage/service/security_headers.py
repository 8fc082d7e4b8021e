"""Headers that every answer has: no cache may store it, and no browser may guess its type."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class SecurityHeaders:
    """ASGI middleware around the whole service, so that answers to unexpected errors have the headers as well."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *HEADERS]
            await send(message)

        await self._app(scope, receive, answer)
