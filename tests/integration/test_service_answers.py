"""All answers: errors are problem details, each answer has a request id, and the API has a page."""

import asyncio
import json
import re
from html.parser import HTMLParser

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI

from engage.errors import GuardStop
from engage.reports import customer_history
from engage.service import docs_page, problem_details
from engage.statuses import ApiScope
from engage.storage.database_errors import SENTENCES, Trouble
from engage.storage.migrations import VERSION_TABLE
from tests.integration.service import make_key, refused, session


def test_what_is_not_there_and_what_is_not_done_so_are_problems(api):
    for method, path in (("GET", "/"), ("GET", "/v1"), ("POST", "/v1/event"), ("PUT", "/v1/events/1")):
        assert refused(api.request(method, path), 404).startswith("There is nothing at this address")
    for method, path in (("GET", "/v1/events"), ("PATCH", "/v1/customers/1"), ("POST", "/healthz"), ("HEAD", "/docs")):
        answer = api.request(method, path)
        assert answer.status_code == 405
        assert answer.headers["allow"]
        assert method == "HEAD" or refused(answer, 405) == (
            "This address does not take this method; the header Allow lists those it takes."
        )
    assert api.request("OPTIONS", "/v1/customers/1").headers["allow"] == "DELETE, GET, PUT"


def test_a_fault_of_ours_is_a_problem_with_the_id_that_the_log_has(api, monkeypatch):
    def broken(*arguments):
        raise ZeroDivisionError("a secret of ours")

    monkeypatch.setattr(customer_history, "view", broken)
    seen = set()
    for number in range(3):
        answer = api.get("/v1/customers/1")
        assert "x-request-id" in refused(answer, 500)
        assert "secret" not in answer.text
        ids = answer.headers.get_list("x-request-id")
        assert len(ids) == 1
        seen.update(ids)
        failed = [line for line in api.logs if line["event"] == "failed"]
        assert failed[number]["request_id"] == ids[0]
    assert len(seen) == 3


def test_every_answer_has_an_id_and_a_client_may_choose_it(api):
    answers = [api.get("/healthz"), api.get("/nowhere"), api.get("/docs", key="x"), api.send(session())]
    assert len({answer.headers["x-request-id"] for answer in answers}) == 4
    assert api.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    for odd in ("", "x" * 65, "a b", "a;b"):
        assert api.get("/healthz", headers={"X-Request-Id": odd}).headers["x-request-id"] != odd


def test_no_answer_may_be_stored_or_taken_for_another_type(api, world, monkeypatch):
    monkeypatch.setattr(customer_history, "view", lambda *arguments: 1 / 0)
    gets = [route.path for route in api.app.routes if "GET" in route.methods]
    answers = [
        api.request("GET", path.replace("{customer_id}", "1").replace("{window_start}", "2026-09-14")) for path in gets
    ]
    answers += [
        api.send(session(), name="twice"),
        api.send(session(), name="twice"),
        api.send(session(at="never")),
        api.get("/nowhere"),
        api.get("/openapi.json", key="no such key"),
        api.get("/openapi.json", key=make_key(world.engine, ApiScope.EVENTS)),
        api.request("PATCH", "/v1/customers/1"),
        api.request("HEAD", "/healthz"),
        api.request("POST", "/v1/providers/twilio/status", content=b"To=1"),
        api.request("PUT", "/v1/customers/1", content=b"{"),
    ]
    assert {200, 401, 403, 404, 405, 422, 500} <= {answer.status_code for answer in answers}
    for answer in answers:
        assert answer.headers.get_list("cache-control") == ["no-store"], answer.request.url
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], answer.request.url


def test_figures_count_routes_and_not_addresses(api, world):
    id_ = world.customer(customer_id=4711)
    api.get(f"/v1/customers/{id_}")
    api.get("/v1/customers/999999")
    api.get("/made-up/by-a-client")
    api.send(session())
    text = api.get("/metrics").text
    count = 'engage_http_requests_total{{method="{}",route="{}",status="{}"}} 1.0'
    assert count.format("GET", "/v1/customers/{customer_id}", 200) in text
    assert count.format("GET", "/v1/customers/{customer_id}", 404) in text
    assert count.format("any", "none", 404) in text
    assert 'engage_events_total{type="session"} 1.0' in text
    labels = " ".join(re.findall(r'="([^"]*)"', text))  # a measured time may have any digits
    assert not re.search("4711|999999|made-up", labels)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (sa.exc.TimeoutError("busy"), Trouble.BUSY),
        (sa.exc.OperationalError("x", None, Exception("away")), Trouble.AWAY),
    ],
)
def test_a_database_that_is_busy_or_away_is_said_to_be(api, monkeypatch, error, kind):
    def away(*arguments):
        raise error

    monkeypatch.setattr(customer_history, "view", away)
    answer = api.get("/v1/customers/1")
    assert refused(answer, 503).startswith(SENTENCES[kind])
    assert answer.headers["retry-after"] == "1"


def test_a_database_without_the_schema_is_not_ready(api, world):
    world.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '0001'"))
    answer = api.get("/readyz")
    assert "db upgrade" in refused(answer, 503)
    assert answer.headers["retry-after"] == "5"
    assert api.get("/healthz").status_code == 200


def test_a_database_of_a_newer_version_is_not_ready(api, world):
    world.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
    assert "A newer version has upgraded it" in refused(api.get("/readyz"), 503)


# --- the page


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.texts = set(), [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        for name, value in attributes:
            if name in ("href", "src", "action", "data"):
                self.links.append(value)
            if name == "id":
                self.ids.append(value)

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_shows_every_route_and_takes_nothing_from_elsewhere(api):
    answer = api.get("/docs")
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"] == docs_page.CSP
    assert "default-src 'none'" in docs_page.CSP
    page = Page(answer.text)
    described = api.get("/openapi.json").json()["paths"]
    assert set(described) == {route.path for route in api.app.routes} - {"/docs", "/openapi.json"}
    for path in described:
        assert path in page.texts
    assert {"amount_minor", "item_id", "time_zone", "opted_out_at"} <= set(page.texts)
    assert "script" not in page.tags
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        assert link == "openapi.json" or (link.startswith("#") and link[1:] in page.ids)
    assert "url(" not in answer.text
    assert "@import" not in answer.text


def test_the_page_shows_as_text_what_looks_like_markup():
    api = {"info": {"title": "<script>", "description": ""}, "paths": {}, "components": {"schemas": {}}}
    assert "<script>" not in docs_page.docs_page(api)


def test_of_a_thousand_errors_a_hundred_are_listed(api):
    many = json.dumps({"events": [session()], **{f"more{n}": 1 for n in range(999)}})
    answer = api.send(content=many)
    refused(answer)
    assert len(answer.json()["errors"]) == 100


def test_events_rejected_are_counted_once_however_often_a_batch_is_sent(api):
    for _ in range(3):
        api.send(session(), session(customer_id=None), name="mine")
    assert api.counted("rejected", "reason") == {"missing_customer": 1}
    api.send(session(customer_id=None))
    assert api.counted("rejected", "reason") == {"missing_customer": 2}


@pytest.mark.parametrize(("status", "title"), [(413, "Content Too Large"), (422, "Unprocessable Content")])
def test_a_problem_has_one_title_whatever_python_calls_it(status, title):
    assert json.loads(problem_details.answer(status, "It is so.").body)["title"] == title


def test_an_error_that_no_status_was_thought_of_for_is_answered_as_well():
    app = FastAPI()
    problem_details.install(app)

    @app.get("/")
    def route():
        raise GuardStop("It is so.")

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.get("/")

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.json()["detail"]) == (500, "It is so.")
