"""API keys: every address takes a key with its scope, except the two health checks."""

import hashlib
import json
import os
import pty
import subprocess
import sys
from datetime import timedelta

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from engage.cli import common, main
from engage.errors import InputError
from engage.service import api_keys, authentication, rate_limit
from engage.statuses import ApiScope
from engage.storage.schema import api_key, metadata
from tests.integration.service import bought, make_key, refused, session
from tests.phones import fictional_phone

SCOPES = {
    ("POST", "/v1/events"): "events",
    ("PUT", "/v1/customers/{customer_id}"): "customers",
    ("DELETE", "/v1/customers/{customer_id}"): "customers",
    ("POST", "/v1/customers/{customer_id}/opt-out"): "customers",
    ("GET", "/v1/customers/{customer_id}"): "read",
    ("GET", "/v1/campaigns/{window_start}/lift"): "read",
    ("GET", "/metrics"): "metrics",
    ("GET", "/openapi.json"): "read",
    ("GET", "/docs"): "read",
}
OPEN = {(method, path) for method in ("GET", "HEAD") for path in ("/healthz", "/readyz")}
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
    return api.http.request(
        method, path.replace("{customer_id}", "1").replace("{window_start}", "2026-09-14"), headers=headers, **more
    )


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
    assert call(api, "HEAD", "/healthz", None).status_code == call(api, "HEAD", "/readyz", None).status_code == 200


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


def test_a_key_expires(api, world, clock):
    key = make_key(world.engine, expires_at=world.now + timedelta(hours=1))
    assert api.get("/docs", key=key).status_code == 200
    world.now += timedelta(hours=1)
    clock[0] += 2.01
    assert api.get("/docs", key=key).status_code == 401


def test_a_key_that_may_not_read_learns_nothing_of_a_profile(api, world):
    key = make_key(world.engine, "customers")
    stored = api.request("PUT", "/v1/customers/1", json=BODY | {"time_zone": "America/New_York"}).json()
    assert (stored["name"], stored["phone"]) == (NAME, "…" + PHONE[-2:])
    hidden = {"customer_id", "registered_at", "consent", "opted_out_at", "suppressed"}
    assert set(api.request("POST", "/v1/customers/1/opt-out", key=key).json()) == hidden
    assert set(api.request("PUT", "/v1/customers/1", key=key, json=BODY).json()) == hidden
    assert set(api.request("PUT", "/v1/customers/2", key=key, json=BODY).json()) == hidden
    assert api.get("/v1/customers/1", key=key).status_code == 403


# --- the log


def test_a_refused_request_names_its_key_or_its_address_in_the_log(api, world, clock):
    slow, narrow = make_key(world.engine, rate=1), make_key(world.engine, "events")
    api.get("/docs", key="x")
    api.get("/docs", key=narrow)
    for _ in range(2):
        api.get("/metrics", key=slow)
    api.http.request("POST", "/v1/providers/twilio/status")
    lines = [line for line in api.logs if line.get("status") in (401, 403, 429)]
    assert [(line["status"], line["key"], line["address"]) for line in lines] == [
        (401, None, "127.0.0.1"),
        (403, narrow.split("_")[1], "127.0.0.1"),
        (429, slow.split("_")[1], "127.0.0.1"),
        (403, None, "127.0.0.1"),
    ]
    assert all("address" not in line for line in api.logs if line.get("status") == 200)


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
    for secret in (service.key, service.key.split("_", 2)[2], digits, NAME):
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


def test_keys_are_made_listed_and_revoked_from_the_command_line(api, url, monkeypatch):
    def engage(*arguments):
        return CliRunner().invoke(main.app, ["keys", *arguments], env={"ENGAGE_DATABASE_URL": url, "COLUMNS": "200"})

    monkeypatch.setattr(common.console, "width", 200)  # another test may have made it on a narrow terminal
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
    engage("create", "[/x]", "--scope", "read", "--owner", "[bold]shop", "--expires", "2999-01-31")
    with api.world.engine.begin() as conn:
        found = api_keys.all_keys(conn)
    monkeypatch.setattr(common, "PIPE_WIDTH", 80)
    narrow = engage("list")
    assert narrow.exit_code == 0
    assert all(each.key_id in narrow.stdout for each in found)
    monkeypatch.undo()
    assert (found[-1].owner, f"{found[-1].expires_at:%Y-%m-%d %H:%M}") == ("[bold]shop", "2999-02-01 00:00")
    assert "[/x]" in engage("list").stdout
    with api.world.engine.begin() as conn:
        conn.execute(sa.update(api_key).values(name="a\x1b]0;title\x07b"))
    shown = engage("list").stdout
    assert "\x1b" not in shown
    assert "\\x1b" in shown
    for wrong in (
        ["create", "a\x1bb", "--scope", "read"],
        ["create", "app", "--scope", "read", "--owner", " "],
        ["create", "app", "--scope", "read", "--expires", "2020-01-31"],
        ["create", "app", "--scope", "read", "--expires", "tomorrow"],
        ["revoke", "0123456789ab"],
        ["create", " ", "--scope", "read"],
        ["create", "app", "--scope", "all"],
        ["create", "app", "--scope", "read", "--requests-per-second", "-1"],
    ):
        assert isinstance(engage(*wrong).exception, InputError)
