"""API keys: every address takes a key with its scope, except the two health checks."""

import hashlib
import json
import os
import pty
import subprocess
import sys

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.cli import main
from engage.errors import InputError
from engage.service import api_keys, authentication, rate_limit
from engage.statuses import ApiScope
from engage.storage.schema import metadata
from tests.integration.service import bought, make_key, refused, session
from tests.phones import fictional_phone

SCOPES = {
    ("POST", "/v1/events"): "events",
    ("PUT", "/v1/customers/{customer_id}"): "customers",
    ("DELETE", "/v1/customers/{customer_id}"): "customers",
    ("POST", "/v1/customers/{customer_id}/opt-out"): "customers",
    ("GET", "/v1/customers/{customer_id}"): "read",
    ("GET", "/metrics"): "read",
    ("GET", "/openapi.json"): "read",
    ("GET", "/docs"): "read",
}
OPEN = {("GET", "/healthz"), ("GET", "/readyz")}
SIGNED = {("POST", "/v1/providers/twilio/status"), ("POST", "/v1/providers/twilio/inbound")}
PHONE, NAME = fictional_phone(0), "Augusta King"
BODY = {"phone": PHONE, "name": NAME}


def walked(app):
    """Method and path of every route of an application."""
    return {(method, route.path) for route in app.routes for method in route.methods}


def strangers(world):
    """Values of the header Authorization that must be refused."""
    revoked = make_key(world.engine)
    with world.engine.begin() as conn:
        api_keys.revoke(conn, revoked.split("_")[1], as_of=world.now)
    known, other = make_key(world.engine), make_key(world.engine)
    stolen = known[:20] + other[20:]
    values = ["", "Bearer", "Bearer ", "Bearer x", "Basic", "Basic !", "Basic eA==", f"Digest {known}", known]
    return [None, *values, f"Bearer {revoked}", f"Bearer {stolen}", f"Bearer {known}x", f"Bearer {known} {known}"]


def call(api, method, path, authorization, **more):
    headers = {"Authorization": authorization} if authorization is not None else {}
    return api.http.request(method, path.replace("{customer_id}", "1"), headers=headers, **more)


def test_every_route_is_known_here(api):
    assert walked(api.app) == {*SCOPES, *OPEN, *SIGNED}


def test_no_route_lets_a_stranger_in_and_nothing_changes(api, world):
    world.customer()
    values = strangers(world)
    before = world.dump(*metadata.tables)
    for method, path in sorted(SCOPES):
        for value in values:
            answer = call(api, method, path, value, json=BODY)
            assert "takes an API key" in refused(answer, 401), (method, path, value)
            assert answer.headers["www-authenticate"]
    for method, path in SIGNED:
        for value in [*values, f"Bearer {api.key}"]:
            assert "signature" in refused(call(api, method, path, value, data={"MessageSid": "SM1"}), 403)
    assert world.dump(*metadata.tables) == before


def test_a_key_opens_what_has_its_scope_and_nothing_else(api, world):
    world.customer()
    keys = {scope: make_key(world.engine, scope) for scope in ApiScope}
    before = world.dump(*metadata.tables)
    for (method, path), scope in SCOPES.items():
        for other in set(ApiScope) - {scope}:
            assert f"not have the scope '{scope}'" in refused(
                call(api, method, path, f"Bearer {keys[other]}", json={}), 403
            )
    assert world.dump(*metadata.tables) == before
    for (method, path), scope in SCOPES.items():
        assert call(api, method, path, f"Bearer {keys[scope]}", json={}).status_code in (200, 404, 422)


def test_the_health_checks_take_no_key(api):
    assert call(api, "GET", "/healthz", None).json() == {"status": "alive"}
    assert call(api, "GET", "/readyz", None).json() == {"status": "ready"}


def test_a_stranger_is_sent_away_before_the_body_is_read(api):
    async def unread():
        raise AssertionError("the body was read")
        yield b""

    for method, path in SCOPES:
        assert call(api, method, path, "Bearer x", content=unread()).status_code == 401


def test_a_browser_may_give_the_key_as_a_password(api):
    asked = api.http.request("GET", "/docs")
    assert asked.headers["www-authenticate"].startswith("Basic ")
    assert api.http.request("GET", "/docs", auth=("anybody", api.key)).status_code == 200


def test_keys_are_kept_as_hashes(api, world):
    secret = api.key.split("_", 2)[2]
    everything = str(world.dump(*metadata.tables))
    assert secret not in everything
    assert world.value("SELECT secret_hash FROM api_key") == hashlib.sha256(api.key.encode()).digest()


@pytest.fixture
def clock(monkeypatch):
    """The service's clock, which stands still until it is moved."""
    now = [1000.0]
    for module in (authentication, rate_limit):
        monkeypatch.setattr(module, "monotonic", lambda: now[0])
    return now


def test_a_revoked_key_opens_nothing_after_two_seconds(api, world, clock):
    assert api.get("/docs").status_code == 200
    with world.engine.begin() as conn:
        api_keys.revoke(conn, api.key.split("_")[1], as_of=world.now)
    assert authentication.CACHE_SECONDS == 2
    clock[0] += 2.01
    assert api.get("/docs").status_code == 401


def test_a_key_may_call_so_often_and_no_more(api, world, clock):
    slow, other = make_key(world.engine, rate=3), make_key(world.engine, rate=3)
    assert [api.get("/metrics", key=slow).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    answer = api.get("/metrics", key=slow)
    assert "3 requests a second" in refused(answer, 429)
    assert answer.headers["retry-after"] == "1"
    assert api.get("/metrics", key=other).status_code == 200
    clock[0] += 0.34
    assert [api.get("/metrics", key=slow).status_code for _ in range(2)] == [200, 429]
    clock[0] += 60
    assert [api.get("/metrics", key=slow).status_code for _ in range(4)] == [200, 200, 200, 429]


# --- the log


def test_no_key_phone_or_name_is_in_any_line_of_the_log(serve, world):
    service = serve().ready()
    digits = PHONE.removeprefix("+")
    assert service.request("PUT", "/v1/customers/1", json=BODY).status_code == 201
    assert service.request("PUT", "/v1/customers/1", json=BODY | {"consent": NAME}).status_code == 422
    assert service.get(f"/v1/customers/{digits}", params={"name": NAME}).status_code == 404
    assert service.get(f"/v1/customers/{PHONE}/{NAME}").status_code == 404
    assert service.get("/docs", key=service.key[:-1] + "_").status_code == 401
    assert service.send(session(), bought(PHONE, item_id=NAME), name=digits).status_code == 200
    assert service.send(content=f"{NAME} {PHONE}").status_code == 400
    world.execute(sa.text(f"ALTER TABLE customer ADD CHECK (customer_id <> 2 OR name <> '{NAME}') NOT VALID"))
    failed = service.request("PUT", "/v1/customers/2", json=BODY)
    assert refused(failed, 500)
    assert service.end() == 0
    log = service.log.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    assert {line["status"] for line in lines if "status" in line} == {200, 201, 400, 401, 404, 422, 500}
    (told,) = [line for line in lines if line["event"] == "failed"]
    assert told["request_id"] == failed.headers["x-request-id"]
    assert "customer_check" in told["exception"]
    for secret in (service.key, service.key.split("_")[2], digits, NAME):
        assert secret not in log


CRASH = f"""
import logging, structlog
from engage.service import log_format
log_format.configure()
phone = "{PHONE}"
for log in (structlog.get_logger("a"), logging.getLogger("b")):
    try:
        1 / 0
    except ZeroDivisionError:
        log.exception("failed")
"""


def test_nor_on_a_terminal(tmp_path):
    (tmp_path / "crash.py").write_text(CRASH.replace(PHONE, '" + "'.join(PHONE)))
    terminal, inner = pty.openpty()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"}
    subprocess.run([sys.executable, tmp_path / "crash.py"], stderr=inner, env=environment, check=True)
    os.close(inner)
    shown = b""
    while shown.count(b"division by zero") < 2:
        shown += os.read(terminal, 65536)
    os.close(terminal)
    assert PHONE not in shown.decode()


# --- the commands


def test_keys_are_made_listed_and_revoked_from_the_command_line(api, url):
    def engage(*arguments):
        return CliRunner().invoke(main.app, ["keys", *arguments], env={"ENGAGE_DATABASE_URL": url, "COLUMNS": "200"})

    made = engage("create", "the app", "--scope", "events", "--scope", "read", "--requests-per-second", "7")
    key = made.stdout.strip()
    assert api.send(session(), key=key).status_code == 200
    assert api.request("PUT", "/v1/customers/1", key=key, json={}).status_code == 403
    listed = engage("list").stdout
    key_id = key.split("_")[1]
    (line,) = [line for line in listed.splitlines() if key_id in line]
    assert [part.strip() for part in line.split("│")[1:6]][:4] == [key_id, "the app", "events, read", "7"]
    assert key not in listed
    assert f"{key_id} is revoked" in engage("revoke", key_id).stdout
    with api.world.engine.begin() as conn:
        first = {found.key_id: found.revoked_at for found in api_keys.all_keys(conn)}[key_id]
    engage("revoke", key_id)
    with api.world.engine.begin() as conn:
        assert {found.key_id: found.revoked_at for found in api_keys.all_keys(conn)}[key_id] == first
    for wrong in (
        ["revoke", "0123456789ab"],
        ["create", " ", "--scope", "read"],
        ["create", "app", "--scope", "all"],
        ["create", "app", "--scope", "read", "--requests-per-second", "-1"],
    ):
        assert isinstance(engage(*wrong).exception, InputError)
