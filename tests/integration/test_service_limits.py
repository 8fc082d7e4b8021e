"""Hostile requests to a real service: it refuses each soon, keeps nothing of it, and serves the next one."""

import gzip
import json
import socket
import time
import zlib
from contextlib import contextmanager
from functools import partial

import psutil

from tests.integration.service import AT, PROBLEM, bought, refused, session, viewed
from tests.waiting import logged

MB = 1_000_000
SOON = 10.0
MAY_GROW = 50 * MB


def batch(*events):
    return json.dumps({"events": events}).encode()


def one(**fields):
    """A batch of one event with some fields given as raw JSON."""
    texts = {"type": '"session"', "customer_id": "1", "occurred_at": f'"{AT}"'} | fields
    return b'{"events":[{%s}]}' % ",".join(f'"{name}":{text}' for name, text in texts.items()).encode()


DIGITS = "9" * (MB - 200)
DEEP = b"[" * 100_000
BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "a NUL": b"\0",
    "invalid UTF-8": b'{"events":["\xff"]}',
    "UTF-16": batch(session()).decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + batch(session()),
    "deep lists": DEEP,
    "deep lists that end": DEEP + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "a deep event": b'{"events":[' + DEEP,
    "an event as deep as may be": b'{"events":[' + b"[" * 900 + b"]" * 900 + b"]}",
    "NaN": one(customer_id="NaN"),
    "infinity": one(customer_id="-Infinity"),
    "1e400": one(customer_id="1e400"),
    "an id of a million digits": one(customer_id=DIGITS),
    "a fraction of a million digits": one(customer_id=f"0.{DIGITS[:-2]}"),
    "an exponent of a million digits": one(customer_id=f"1e{DIGITS[:-2]}"),
    "an id of 4300 digits": one(customer_id="9" * 4300),
    "cents of many digits": one(type='"purchase"', amount_minor="9" * 4000),
    "an amount of a million digits": batch(bought(DIGITS[:-100])),
    "an item's id of a million letters": batch(viewed("x" * (MB - 200))),
    "a type of a million letters": batch(session(type="x" * (MB - 200))),
    "a name of a million letters": batch(session(**{"x" * (MB - 200): 1})),
    "a lone surrogate in an item's id": batch(viewed("\ud800")),
    "a lone surrogate in a type": batch(session(type="\udfff")),
    "a lone surrogate in a name": batch(session(**{"\ud800": 1})),
    "a NUL in an item's id": batch(viewed("a\0b")),
    "a NUL in a name": batch(session(**{"a\0b": 1})),
    "the year 0001": batch(session(at="0001-01-01T00:00:00+23:59")),
    "the year 9999": batch(session(at="9999-12-31T23:59:59-23:59")),
    "a name twice": one(**{"customer_id": "1", 'customer_id":1,"customer_id': "2"}),
    "a name twice, deep inside": one(customer_id='{"a":{"b":1,"b":2}}'),
    "too many events": batch(*[session()] * 1001),
    "many wrong events": batch(*[{}] * 1000),
    "many wrong names": batch(session(**{f"n{n}": n for n in range(50_000)})),
    **{f"{value!r} everywhere": batch({"type": value, "customer_id": value, "occurred_at": value, "item_id": value})
       for value in (None, True, 1, -1, 1.5, "", "x", [], {}, [[]], {"a": 1})},
    **{f"{value!r} as all events": json.dumps({"events": value}).encode() for value in (None, 1, "x", {}, [], [1])},
    **{f"{value!r} as a batch": json.dumps(value).encode() for value in (None, 1, "x", [], [1], {"event": []})},
}  # fmt: skip


def bomb():
    """Gzip of less than a megabyte that unpacks to a thousand megabytes of zeros."""
    pack = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    first, next_ = (pack.compress(bytes(MB)) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    return first + next_ * 999 + pack.flush()


class Raw:
    """A raw connection, for requests that no HTTP client would send."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=SOON)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.close()

    def send(self, data):
        """Send the data, and return whether the server took all of it."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def answers(self):
        """All bytes that the server sends until it closes the connection."""
        said = b""
        try:
            while part := self.socket.recv(65536):
                said += part
        except ConnectionError:
            pass
        return said


@contextmanager
def unharmed(service):
    """Check that the service works after the block, and that its memory has hardly grown."""
    process = psutil.Process(service.pid)
    for _ in range(5):
        assert service.send(*[session()] * 1000).status_code == 200
    before = process.memory_info().rss
    yield
    answer = service.send(session(), viewed())
    assert answer.json() == {"accepted": 2, "rejected": []}
    assert process.memory_info().rss - before < MAY_GROW
    assert "Traceback" not in logged(service.log, answer.headers["x-request-id"])


def faults(answers):
    """The named answers that are not a refusal, come late, or are not problem details."""
    found = {}
    for name, ask in answers.items():
        began = time.monotonic()
        answer = ask()
        if not 400 <= answer.status_code < 500 or time.monotonic() - began > SOON:
            found[name] = answer.status_code, time.monotonic() - began
        elif answer.headers["content-type"] != PROBLEM or len(answer.content) > 500_000:
            found[name] = answer.headers["content-type"], answer.text[:1000]
    return found


def test_no_body_does_harm(fork, world):
    service = fork().ready()
    json_ = {"Content-Type": "application/json"}

    def put(body):
        return partial(service.request, "PUT", "/v1/customers/1", content=body, headers=json_)

    surrogates = {f"{name} {text!r}": put(json.dumps({name: text}).encode())
                  for name in ("name", "phone", "locale", "time_zone", "registered_at", "consent", "more")
                  for text in ("\ud800", "a\0b", "x" * (MB - 200))}  # fmt: skip
    odd = {f"{name} {value!r}": put(json.dumps({name: value}).encode())
           for name in ("name", "phone", "locale", "time_zone", "registered_at", "consent")
           for value in (0, -1.5, True, [], [{}], {"at": AT}, {"": ""})}  # fmt: skip
    with unharmed(service):
        assert faults({name: partial(service.send, content=body) for name, body in BODIES.items()}) == {}
        nameless = {f"put {name}": put(body) for name, body in BODIES.items()}
        assert faults(nameless | surrogates | odd) == {}
        broken = {"cut off": bomb()[:1000], "no gzip": b"{}", "more after it": gzip.compress(batch(session())) + b"x",
                  "two in one": gzip.compress(b"") + gzip.compress(batch(session()))}  # fmt: skip
        packed = {"Content-Encoding": "gzip"}
        assert faults({n: partial(service.send, content=c, headers=packed) for n, c in broken.items()}) == {}
        assert service.send(content=b"x", headers={"Content-Encoding": "br"}).status_code == 415
    assert world.value("SELECT count(*) FROM customer") == 0


def test_no_size_does_harm(fork):
    service = fork().ready()
    with unharmed(service):
        for _ in range(3):
            assert refused(service.send(content=bomb(), headers={"Content-Encoding": "gzip"}), 413)
        key = {"Authorization": f"Bearer {service.key}", "Idempotency-Key": "1"}
        head = "".join(f"{name}: {value}\r\n" for name, value in key.items())
        for path, size in (
            ("POST /v1/events", "Content-Length: 1000000000"),
            ("POST /v1/events", "Transfer-Encoding: chunked"),
            ("PUT /v1/customers/1", "Transfer-Encoding: chunked"),
            ("POST /v1/customers/1/opt-out", "Transfer-Encoding: chunked"),
            ("DELETE /v1/customers/1", "Transfer-Encoding: chunked"),
            ("POST /v1/providers/twilio/inbound", "Transfer-Encoding: chunked"),
        ):
            with Raw(service.port) as raw:
                raw.send(f"{path} HTTP/1.1\r\nHost: a\r\n{head}{size}\r\n\r\n".encode())
                chunk = b"186a0\r\n" + b" " * 100_000 + b"\r\n"
                assert not all(raw.send(chunk) for _ in range(10_000))
                assert raw.answers().startswith(b"HTTP/1.1 403 " if "twilio" in path else b"HTTP/1.1 413 ")


HEADS = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "a NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    "a header without a name": b"GET /healthz HTTP/1.1\r\n: a\r\n\r\n",
    "a length that is none": b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a length of many digits": b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: %s\r\n\r\n" % (b"9" * 400),
    "two lengths": b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and chunks": b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of odd size": b"POST /v1/providers/twilio/status HTTP/1.1\r\nHost: a\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "an address of a million letters": b"GET /" + b"x" * MB + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    "a header of a million letters": b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"x" * MB + b"\r\n\r\n",
    "a name of a million letters": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"x" * MB + b": x\r\n\r\n",
    "a hundred thousand headers": b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    "a method of a million letters": b"G" * MB + b" /healthz HTTP/1.1\r\n\r\n",
}


def test_no_head_does_harm(fork):
    service = fork().ready()
    with unharmed(service):
        found = {}
        for name, head in HEADS.items():
            with Raw(service.port) as raw:
                raw.send(head)
                found[name] = raw.answers()
        wrong = {name: said[:200] for name, said in found.items() if said and not said.startswith(b"HTTP/1.1 4")}
        assert wrong == {}
        ids = ["0", "-1", "x", "1.5", "1e3", "NaN", "%00", "%ff", "%ed%a0%80", "1%2F..", str(2**63), "9" * 5000, "٣"]
        paths = [f"/v1/customers/{id_}" for id_ in ids]
        assert faults({path: partial(service.get, path) for path in paths}) == {}
        for path in ("/%", "//", "/v1/events/", "/..%2f..%2fetc/passwd", "/docs/../x"):
            assert service.get(path).status_code in (404, 405)
        assert service.send(session(), params={"atomic": "perhaps"}).status_code == 422


def test_a_length_that_is_a_lie_ends_the_request(fork):
    service = fork(request_body__BODY_SECONDS=0.5).ready()
    head = f"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {service.key}\r\nIdempotency-Key: 1\r\n"
    body = batch(session())
    with Raw(service.port) as raw:
        raw.send(f"{head}Content-Length: {len(body) + 10}\r\n\r\n".encode() + body)
        assert raw.answers().startswith(b"HTTP/1.1 408 ")
    with Raw(service.port) as raw:
        raw.send(f"{head}Content-Length: {len(body) + 10}\r\n\r\n".encode() + body)
        raw.socket.shutdown(socket.SHUT_WR)
        assert raw.answers() == b""
    with Raw(service.port) as raw:
        raw.send(f"{head}Content-Length: {len(body) - 10}\r\n\r\n".encode() + body)
        said = raw.answers()
        assert said.startswith(b"HTTP/1.1 400 ")
        assert said.count(b"HTTP/1.1 ") <= 2
    assert service.send(session()).status_code == 200


def test_who_is_too_slow_is_cut_off_and_who_is_not_is_served(fork):
    service = fork(request_body__BODY_SECONDS=0.5, request_head__HEAD_SECONDS=0.5).ready()
    head = f"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {service.key}\r\nIdempotency-Key: 1\r\n"
    body = batch(session())

    def dripped(data, raw):
        for byte in data:
            if not raw.send(bytes([byte])):
                break
            raw.socket.settimeout(0.05)
            try:
                if not raw.socket.recv(1, socket.MSG_PEEK):
                    break
            except TimeoutError:
                continue
            except ConnectionError:
                break
            break
        raw.socket.settimeout(SOON)
        return raw.answers()

    with Raw(service.port) as silent, Raw(service.port) as slow, Raw(service.port) as stalling:
        began = time.monotonic()
        stalling.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:-1])
        assert dripped(f"{head}Content-Length: {len(body)}\r\n\r\n".encode(), slow) == b""
        assert silent.answers() == b""
        assert stalling.answers().startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 3
    with Raw(service.port) as dripping:
        dripping.send(f"{head}Content-Length: {len(body)}\r\n\r\n".encode())
        assert dripped(body, dripping).startswith(b"HTTP/1.1 408 ")
    with Raw(service.port) as second:
        second.send(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET /heal")
        said = second.answers()
        assert said.startswith(b"HTTP/1.1 200 ")
        assert said.count(b"HTTP/1.1 ") == 1
    assert service.send(session()).status_code == 200


def test_several_requests_at_once_on_one_connection_and_an_old_client_are_answered(fork):
    service = fork().ready()
    get = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    with Raw(service.port) as raw:
        raw.send(get * 500 + get.replace(b"Host: a", b"Connection: close"))
        assert raw.answers().count(b"HTTP/1.1 200 OK") == 501
    with Raw(service.port) as raw:
        raw.send(b"GET /healthz HTTP/1.0\r\n\r\n")
        said = raw.answers()
        assert b" 200 OK" in said
        assert said.endswith(b'{"status":"alive"}')


def test_who_is_answered_and_goes_on_sending_is_cut_off(fork):
    service = fork(request_head__HEAD_SECONDS=0.5, server__KEEP_ALIVE_SECONDS=60).ready()
    answered = b"GET /healthz HTTP/1.1\r\nHost: a\r\n"
    unread = b"POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n"
    for said, then in (
        (answered + b"\r\n", b"\r\n"),
        (answered + b"Transfer-Encoding: chunked\r\n\r\n", b"1"),
        (unread, b"x"),
    ):
        with Raw(service.port) as raw:
            raw.send(said)
            raw.socket.settimeout(SOON)
            assert raw.socket.recv(65536).startswith(b"HTTP/1.1 ")
            began = time.monotonic()
            raw.send(then)
            raw.answers()
            assert time.monotonic() - began < 5
    assert service.send(session()).status_code == 200


def test_trailers_do_no_harm(fork):
    service = fork().ready()
    head = b"GET /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    process = psutil.Process(service.process.pid)
    service.send(session())
    before = process.memory_info().rss
    for trailers in ((b"X: " + b"y" * 1000 + b"\r\n" for _ in range(100_000)), (b"X: ", *[b"y" * MB] * 100)):
        with Raw(service.port) as raw:
            raw.send(head)
            sent = sum(1 for part in trailers if raw.send(part))
            raw.answers()
        assert sent < 100_000
    assert process.memory_info().rss - before < MAY_GROW
    assert service.send(session()).status_code == 200


def test_large_batches_one_after_the_other_are_not_taken_for_a_large_head(fork):
    service = fork().ready()
    body = batch(*[session()] * 700)
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {service.key}\r\nContent-Length: {len(body)}\r\n"
    )
    first = f"{head}Idempotency-Key: 1\r\n\r\n".encode() + body
    second = f"{head}Idempotency-Key: 2\r\nConnection: close\r\n\r\n".encode() + body
    with Raw(service.port) as raw:
        raw.send(first + second[:60])
        time.sleep(0.3)  # so that the server reads this much in one piece
        raw.send(second[60:])
        assert raw.answers().count(b"HTTP/1.1 200 OK") == 2
