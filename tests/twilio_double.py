"""A provider to send to in tests: an HTTP server on 127.0.0.1 that speaks Twilio's Messages API.

Form-encoded POST with basic auth, JSON answers and errors, Retry-After, slow answers, resets, errors after accepting,
the list of messages to a number page by page, and status callbacks signed with the account's token.
https://www.twilio.com/docs/messaging/api/message-resource
"""

from __future__ import annotations

import base64
import io
import json
import socket
import struct
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from twilio.request_validator import RequestValidator

from engage.sending.providers import Account
from tests.served import served

SID = "AC" + "0" * 32
TOKEN = "a-token-for-tests-that-opens-nothing"
SENDER = "+12025550100"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one POST. ``accepts``: whether the message is taken all the same."""

    status: int | None = None
    code: int | None = None
    retry_after: str | None = None
    delay: float = 0.0
    reset: bool = False
    accepts: bool = False
    text: str | None = None
    drip: float = 0.0
    """Seconds before each byte of the answer, headers included."""
    to: str | None = None
    """The recipient that the answer names."""


TOO_MANY = Fault(429, 20429, retry_after="0")
RESET = Fault(reset=True, accepts=True)
TIMEOUT = Fault(delay=60.0, accepts=True)
BROKEN_AFTER_ACCEPTING = Fault(500, 20500, accepts=True)
UNSUBSCRIBED = Fault(400, 21610)
UNREACHABLE = Fault(400, 21211)
FILTERED = Fault(400, 30007)


@dataclass
class Post:
    """One POST of a message, as it came in."""

    number: int
    form: dict[str, str]
    at: float
    sid: str | None = None
    fault: Fault | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def to(self) -> str:
        return self.form["To"]


class TwilioDouble:
    """The server's state: what came in, and what is to go wrong."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.listed: list[dict[str, str]] = []
        """What was asked for, page by page, with each GET of the messages to a number."""
        self.unauthorised = 0
        self.delay = 0.0
        self.drip = 0.0
        """Seconds before each byte of a list of messages."""
        self.fault: Callable[[Post], Fault | None] = lambda post: None
        self.on_post: Callable[[Post], None] = lambda post: None
        self.statuses: dict[str, str] = {}
        self.error_codes: dict[str, int] = {}
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self.url = ""

    @property
    def account(self) -> Account:
        return Account(SID, TOKEN, SENDER, api=self.url)

    @property
    def sms_url(self) -> str:
        """As ``ENGAGE_SMS_URL`` says it."""
        return f"twilio://{SID}:{TOKEN}@api.twilio.com?{urlencode({'from': SENDER, 'api': self.url})}"

    @property
    def texted(self) -> Counter[str]:
        """How many POSTs came for each number."""
        return Counter(post.to for post in self.posts)

    @property
    def taken(self) -> list[Post]:
        """The messages that the provider has taken."""
        return [post for post in self.posts if post.sid]

    def receive(self, form: dict[str, str]) -> Post:
        with self._lock:
            post = Post(len(self.posts) + 1, form, time.monotonic())
            self.posts.append(post)
        self.on_post(post)
        post.fault = self.fault(post)
        if post.fault is None or post.fault.accepts or (post.fault.status is None and not post.fault.reset):
            post.sid = f"SM{post.number:032x}"
            self.statuses[post.sid] = "queued"
        return post

    def call_back(self, post: Post, status: str, *, error_code: int | None = None, token: str = TOKEN) -> int:
        """Send a status callback, signed as Twilio signs it; returns the HTTP status of the answer."""
        url = post.form["StatusCallback"]
        form = {"MessageSid": str(post.sid), "MessageStatus": status, "AccountSid": SID, "To": post.to}
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        signature = RequestValidator(token).compute_signature(url, form)
        headers = {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}
        request = urllib.request.Request(url, urlencode(form).encode(), headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)

    def as_json(self, post: Post) -> dict[str, Any]:
        return {
            "sid": post.sid,
            "account_sid": SID,
            "status": self.statuses.get(str(post.sid), "queued"),
            "to": post.to,
            "from": post.form.get("From"),
            "body": post.form.get("Body"),
            "direction": "outbound-api",
            "date_created": format_datetime(post.created_at.replace(microsecond=0)),
            "date_sent": None,
            "date_updated": format_datetime(post.created_at.replace(microsecond=0)),
            "error_code": self.error_codes.get(str(post.sid)),
            "error_message": None,
            "num_segments": "1",
            "price": None,
            "uri": f"/2010-04-01/Accounts/{SID}/Messages/{post.sid}.json",
        }


class _Dripping(io.BufferedIOBase):
    """Writes byte by byte, with a pause before each."""

    def __init__(self, quick: io.BufferedIOBase, pause: float) -> None:
        self.quick, self.pause = quick, pause

    def write(self, data: Any) -> int:
        for byte in bytes(data):
            time.sleep(self.pause)
            self.quick.write(bytes([byte]))
            self.quick.flush()
        return len(data)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer's body would wait for the receipt of its head
    double: TwilioDouble

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length)
        if len(body) < length:  # the sender died while it wrote
            self.close_connection = True
            return
        if not self._allowed():
            return
        post = self.double.receive(dict(parse_qsl(body.decode())))
        fault = post.fault or Fault()
        self.double.closing.wait(fault.delay or self.double.delay)
        if fault.reset:
            self._reset()
        elif fault.status is None:
            self._answer(201, self.double.as_json(post) | ({"to": fault.to} if fault.to else {}), fault)
        else:
            message = f"The number {post.to} was not texted"  # a provider's own words repeat the number
            self._answer(fault.status, {"code": fault.code, "message": message, "status": fault.status}, fault)

    def do_GET(self) -> None:
        if not self._allowed():
            return
        asked = dict(parse_qsl(urlsplit(self.path).query))
        self.double.listed.append(asked)
        found = [self.double.as_json(post) for post in self.double.taken if post.to == asked.get("To")][::-1]
        size, page = int(asked.get("PageSize", 50)), int(asked.get("Page", 0))
        more = f"{urlsplit(self.path).path}?{urlencode(asked | {'Page': page + 1, 'PageToken': f'PA{page + 1}'})}"
        self._answer(
            200,
            {
                "messages": found[page * size : (page + 1) * size],
                "next_page_uri": more if len(found) > (page + 1) * size else None,
                "page_size": size,
                "page": page,
            },
            Fault(drip=self.double.drip),
        )

    def _allowed(self) -> bool:
        wanted = "Basic " + base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") == wanted and f"/2010-04-01/Accounts/{SID}/Messages.json" in self.path:
            return True
        self.double.unauthorised += 1
        self._answer(401, {"code": 20003, "message": "Authenticate", "status": 401})
        return False

    def _answer(self, status: int, content: dict[str, Any], fault: Fault | None = None) -> None:
        text = (fault and fault.text) or json.dumps(content)
        if fault and fault.drip:
            self.wfile = _Dripping(self.wfile, fault.drip)
        try:
            self.send_response(status)
            if fault and fault.retry_after is not None:
                self.send_header("Retry-After", fault.retry_after)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())
        except OSError:  # the sender was killed, or has given up waiting
            self.close_connection = True
        if isinstance(self.wfile, _Dripping):
            self.wfile = self.wfile.quick

    def _reset(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()

    def log_message(self, *arguments: Any) -> None:
        """Silent."""


@contextmanager
def twilio_double(port: int = 0) -> Iterator[TwilioDouble]:
    """A double that serves until the block ends, on any free port unless one is given."""
    double = TwilioDouble()
    handler = type("Handler", (_Handler,), {"double": double})
    with served(handler, double.closing, port) as own:
        double.url = f"http://127.0.0.1:{own}"
        yield double
