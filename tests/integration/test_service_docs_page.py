"""The page ``/docs``: each call as a curl line that works, its scope, its answers, and a way to all of them."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html import unescape
from typing import Any

import httpx
import jsonschema
import pytest

from engage.service import docs_page, openapi
from engage.service.app import create_app
from engage.service.context import Context
from engage.storage import connection
from tests.integration.conftest import NOW
from tests.integration.service import Inside, make_key
from tests.integration.test_service_keys import OPEN, SCOPES, SIGNED

CALLS = sorted({call for call in [*SCOPES, *OPEN, *SIGNED] if call[0] != "HEAD"} - {
    ("GET", "/docs"), ("GET", "/openapi.json"),
})  # fmt: skip
every_call = pytest.mark.parametrize(("method", "path"), CALLS)


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    """The OpenAPI description, which needs no database."""
    nowhere = connection.connect("postgresql://nobody@127.0.0.1:1/nowhere")
    app = create_app(Context(nowhere, lambda: NOW, b""))
    return openapi.describe(app)


@pytest.fixture(scope="module")
def page(described: dict[str, Any]) -> str:
    return docs_page.docs_page(described, "https://engage.example.com")


def section(page: str, method: str, path: str) -> str:
    """The part of the page about one call."""
    parts = re.findall(r"<section.*?</section>", page, re.S)
    [found] = [part for part in parts if f">{method}</span> <code>{path}</code>" in part]
    return found


def text(markup: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", re.sub("</?code>", "", markup))).split())


def curl(markup: str) -> str:
    [line] = re.findall(r'<pre class="curl">(.*?)</pre>', markup, re.S)
    return unescape(line)


def called(api: Inside, line: str) -> httpx.Response:
    """The answer to a curl line, by the service inside this process."""
    known = line.replace("\\\n", "").replace("$API_KEY", api.key).replace("$API", "")
    command, *words = shlex.split(known)
    assert command == "curl"
    assert words.pop(0) == "-sS"
    method, url, headers, body, form = "GET", "", {}, None, {}
    while words:
        word = words.pop(0)
        if word == "-X":
            method = words.pop(0)
        elif word == "-H":
            name, _, value = words.pop(0).partition(": ")
            headers[name] = value
        elif word == "-d":
            body = words.pop(0)
            method = "POST" if method == "GET" else method
        elif word == "--data-urlencode":
            name, _, value = words.pop(0).partition("=")
            form[name] = value
            method = "POST"
        else:
            assert not url
            url = word
    return api.http.request(method, url, headers=headers, **({"data": form} if form else {"content": body}))


def documented_statuses(described: dict[str, Any], method: str, path: str) -> list[str]:
    return list(described["paths"][path][method.lower()]["responses"])


@every_call
def test_the_curl_line_of_a_call_works_as_it_stands(api, described, page, method, path):
    line = curl(section(page, method, path))
    assert f'"$API{path.replace("{customer_id}", "4711").replace("{window_start}", "2026-09-14")}' in line
    if path.startswith("/v1/customers/") and method in ("GET", "POST"):  # such a customer is there
        called(api, curl(section(page, "PUT", "/v1/customers/{customer_id}")))
    if path.startswith("/v1/campaigns/"):  # such a campaign is there
        api.world.sessions(api.world.customer())
        api.world.computed()
    answer = called(api, line)
    if (method, path) in SIGNED:  # nobody but Twilio can sign
        assert answer.status_code == 403
        return
    assert answer.is_success, answer.text
    assert str(answer.status_code) in documented_statuses(described, method, path)


@every_call
def test_a_call_says_which_scope_its_key_needs(described, page, method, path):
    said = text(section(page, method, path))
    security = described["paths"][path][method.lower()].get("security")
    if (method, path) in SCOPES:
        assert security == [{"key": [SCOPES[method, path]]}]
        assert f"Key with the scope {SCOPES[method, path]} " in said
    elif (method, path) in SIGNED:
        assert security is None
        assert "Signed by Twilio" in said
    else:
        assert security is None
        assert "No key needed" in said


@every_call
def test_a_call_lists_each_answer_with_its_meaning(described, page, method, path):
    said = text(section(page, method, path))
    for status, answer in described["paths"][path][method.lower()]["responses"].items():
        assert re.search(rf"\b{status} \w", said), status
        assert answer["description"].replace("`", "") in said
        assert answer["description"] != "Successful Response"
        assert answer["description"].endswith((".", "!"))


@every_call
def test_the_example_of_an_answer_has_the_form_of_the_answer(described, page, method, path):
    operation = described["paths"][path][method.lower()]
    examples = re.findall(r'<pre class="answer">(.*?)</pre>', section(page, method, path), re.S)
    assert len(examples) == 1
    schema = next(iter(operation["responses"]["200"]["content"].values())).get("schema", {})
    if "application/json" in operation["responses"]["200"]["content"]:
        example = json.loads(unescape(examples[0]))
        jsonschema.validate(example, schema | {"components": described["components"]})
        assert "…" not in json.dumps(example, ensure_ascii=False).replace('"…23"', "")


def test_the_lines_begin_with_the_address_and_the_key(page):
    first = unescape(re.findall(r"<pre[^>]*>(.*?)</pre>", page, re.S)[0])
    assert "API=https://engage.example.com\n" in first
    assert "API_KEY=" in first
    assert "engage keys create" in page


def test_an_address_that_a_shell_would_run_is_quoted(described):
    page = docs_page.docs_page(described, "http://$(touch x)")
    assert "API='http://$(touch x)'\n" in unescape(page)


def test_every_scope_is_explained(page):
    said = text(page)
    for scope, meaning in docs_page.SCOPES.items():
        assert f"{scope} {meaning}" in said
    assert set(docs_page.SCOPES) == {*SCOPES.values()}


def test_an_error_is_shown_as_a_whole(described, page):
    found = re.search(r'id="errors".*?<pre>(.*?)</pre>', page, re.S)
    assert found
    problem = json.loads(unescape(found[1]))
    jsonschema.validate(
        problem, described["components"]["schemas"]["Problem"] | {"components": described["components"]}
    )
    assert problem["errors"]


def test_one_can_get_to_every_part(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    [contents] = re.findall(r"<nav.*?</nav>", page, re.S)
    linked = re.findall(r'href="#([^"]+)"', contents)
    assert len(linked) == len(set(linked)) >= len(CALLS) + 4
    for method, path in CALLS:
        [name] = re.findall(r'<section[^>]* id="([^"]+)"', section(page, method, path))
        assert name in linked
    assert re.search(r'<a class="skip" href="#content">.*<main id="content"', page, re.S)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(ids)


def test_only_the_pages_own_style_is_allowed(page):
    [style] = re.findall(r"<style>(.*?)</style>", page, re.S)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert (
        f"default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ) == docs_page.CSP
    assert " style=" not in page
    assert "<script" not in page


@pytest.mark.parametrize(
    ("public_url", "address"),
    [(None, "http://127.0.0.1"), ("https://engage.example.com", "https://engage.example.com")],
)
def test_the_lines_have_the_address_of_the_installation(api, public_url, address):
    app = create_app(replace(api.context, public_url=public_url))

    async def read() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as http:
            return await http.get("/docs", headers={"Authorization": f"Bearer {api.key}"})

    assert f"API={address}\n" in unescape(asyncio.run(read()).text)


def test_a_key_needs_the_scope_read_to_see_the_page(api, world):
    assert api.get("/docs", key=make_key(world.engine, "read")).status_code == 200
    assert api.get("/docs", key=make_key(world.engine, "events")).status_code == 403
