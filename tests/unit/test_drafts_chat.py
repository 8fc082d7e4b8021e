"""One question to a model on 127.0.0.1 that misbehaves in each way: what comes of it, and how often it is asked."""

from __future__ import annotations

import gzip
import json
import time

import pytest

from engage.drafts import chat
from engage.drafts.chat import complete
from engage.drafts.endpoint import ModelEndpoint
from engage.errors import ModelFailed
from tests import llm_double
from tests.llm_double import KEY, MODEL, Answer, content, error, written
from tests.ports import free_port

BODY = {"model": MODEL, "messages": [], chat.SCHEMA_FIELD: {"type": "json_schema"}}


@pytest.fixture
def double():
    with llm_double.llm_double() as running:
        yield running


@pytest.fixture
def hurried(monkeypatch):
    """Pauses of no length, to count the tries."""
    monkeypatch.setattr(chat, "PAUSES", (0.0, 0.0))


def why(double, **options):
    """The sentence of the error. It never has the key."""
    with pytest.raises(ModelFailed) as caught:
        complete(double.endpoint(**options), BODY)
    assert KEY not in str(caught.value)
    return str(caught.value)


def test_an_answer_comes_back_and_the_key_goes_in_a_header(double):
    assert json.loads(complete(double.endpoint(), BODY).content) == {"texts": list(llm_double.TEXTS)}
    [asked] = double.asked
    assert (asked.path, asked.body) == ("/v1/chat/completions", BODY)
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["accept-encoding"] == "identity"


def test_a_key_over_plain_http_goes_to_no_proxy(double, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    assert complete(double.endpoint(), BODY).content
    assert len(double.asked) == 1


def test_a_server_without_a_key_gets_none(double):
    complete(double.endpoint(key=None), BODY)
    assert "authorization" not in double.asked[0].headers


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_busy_server_is_asked_twice_more_and_no_more(double, hurried, status):
    double.in_turn(error(status, "too much"))
    assert f"is busy or broken ({status}: too much). Ask again later." in why(double)
    assert len(double.asked) == 3


def test_a_server_that_recovers_is_answered(double, hurried):
    double.in_turn(error(429), error(503), content("well"))
    assert complete(double.endpoint(), BODY).content == "well"
    assert len(double.asked) == 3


@pytest.mark.parametrize(
    "headers",
    [{"Retry_After": "1"}, {"Retry_After": "Wed, 21 Oct 2026 07:28:01 GMT", "Date": "Wed, 21 Oct 2026 07:28:00 GMT"}],
)
def test_the_servers_own_pause_is_kept(double, hurried, headers):
    double.in_turn(error(429, **headers), content("well"))
    complete(double.endpoint(), BODY)
    first, second = double.asked
    assert second.at - first.at >= 1.0


def test_the_usual_pauses_grow(double, monkeypatch):
    monkeypatch.setattr(chat, "PAUSES", (0.2, 0.6))
    double.in_turn(error(503))
    why(double)
    first, second, third = (one.at for one in double.asked)
    assert 0.2 <= second - first < third - second
    assert third - second >= 0.6


def test_a_pause_beyond_the_deadline_ends_the_question_at_once(double):
    double.in_turn(error(429, "slow down", Retry_After="3600"))
    begun = time.monotonic()
    assert "429: slow down). Ask again in 3600 seconds." in why(double)
    assert time.monotonic() - begun < 5
    assert len(double.asked) == 1


def test_a_server_that_knows_no_schema_is_asked_once_without(double):
    double.answer = lambda asked: error(400, "response_format") if chat.SCHEMA_FIELD in asked.body else content("well")
    assert complete(double.endpoint(), BODY).content == "well"
    assert [chat.SCHEMA_FIELD in one.body for one in double.asked] == [True, False]


def test_a_server_that_refuses_both_is_not_asked_again(double):
    double.in_turn(error(400, "bad \x1b[31m model"))
    assert "refuses the request (400: bad [31m model). Check the connection engage_llm." in why(double)
    assert len(double.asked) == 2


def test_all_faults_together_make_four_requests_at_most(double, hurried):
    double.in_turn(error(503), error(400), error(500), error(429), written())
    assert "(429: no)" in why(double)
    assert len(double.asked) == 4


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_key_names_the_connection_and_never_the_key(double, status):
    double.in_turn(error(status, f"Incorrect API key provided: {KEY}"))
    assert why(double) == (
        f"The model at 127.0.0.1:{double.port} refuses the key of the connection engage_llm ({status}). "
        "Enter the right key there."
    )
    assert len(double.asked) == 1


def test_words_of_the_server_are_cut_and_lose_the_key(double):
    double.in_turn(error(422, f"{KEY} " + "x" * 500))
    said = why(double)
    assert "(422: … xxx" in said
    assert len(said) < 350


def test_other_bodies_of_errors_are_not_repeated(double):
    double.in_turn(Answer(b"secret of another server", 404))
    assert why(double).endswith("does not know the path or the model of the connection engage_llm (404).")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(double, status):
    with llm_double.llm_double() as elsewhere:
        where = {"Location": f"http://127.0.0.1:{elsewhere.port}/v1/chat/completions"}
        double.in_turn(Answer(b"", status, where))
        assert f"sends its callers to another address ({status})" in why(double)
        assert (len(double.asked), elsewhere.asked) == (1, [])


def test_no_server():
    endpoint = ModelEndpoint(f"http://127.0.0.1:{free_port()}/v1/chat/completions", MODEL, "ENGAGE_LLM_URL", KEY)
    with pytest.raises(ModelFailed, match=r"No server answers at 127.0.0.1:\d+ \(.+\). Check the host, the port"):
        complete(endpoint, BODY)


@pytest.mark.parametrize(
    "answer",
    [Answer(b"", delay=30.0), Answer(b"x" * 500, drip=0.1), Answer(b"{", headers={"Content-Length": "9"}, delay=30.0)],
)
def test_a_slow_answer_ends_with_the_deadline_also_if_it_drips(double, answer):
    double.in_turn(answer)
    begun = time.monotonic()
    assert "did not answer within 3 seconds" in why(double, seconds=3.0)
    assert time.monotonic() - begun < 15
    assert len(double.asked) == 1


def test_tries_share_one_deadline(double, monkeypatch):
    monkeypatch.setattr(chat, "PAUSES", (0.1, 0.1))
    double.answer = lambda asked: Answer(b"{}", 503, delay=1.2)
    assert "did not answer within 3 seconds" in why(double, seconds=3.0)


@pytest.mark.parametrize(
    "answer", [Answer(b"{", headers={"Content-Length": "9"}), Answer(b"", reset=True), Answer(b"", status=99)]
)
def test_an_answer_that_breaks_off_is_not_asked_for_again(double, answer):
    double.in_turn(answer)
    assert "broke off its answer" in why(double)
    assert len(double.asked) == 1


def test_an_answer_without_end_is_given_up(double):
    double.in_turn(Answer(b"x" * 65536, endless=True))
    assert "answers with more than 1 MB, which are not texts" in why(double)


def test_a_packed_answer_is_not_unpacked(double):
    double.in_turn(Answer(gzip.compress(b"0" * 10_000_000), headers={"Content-Encoding": "gzip"}))
    assert "answers in a packed form" in why(double)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"", "with something else than JSON"),
        (b"<html>", "with something else than JSON"),
        (b"[" * 100_000, "with something else than JSON"),
        (b'{"choices": [{"message": {"content": "caf\xe9"}}]}', "with bytes that are not UTF-8"),
        (b"null", "without a choice"),
        (b"{}", "without a choice"),
        (b'{"choices": []}', "without a choice"),
        (b'{"choices": {}}', "without a choice"),
        (b'{"choices": [1]}', "without a choice"),
        (b'{"choices": [{"message": "x"}]}', "without a choice"),
        (b'{"error": {"message": "no model"}}', "with an error: no model."),
        (b'{"choices": [{"message": {"content": null}}]}', "writes nothing"),
        (b'{"choices": [{"message": {"content": 7}}]}', "writes nothing"),
        (b'{"choices": [{"message": {"content": " "}}]}', "writes nothing"),
        (b'{"choices": [{"message": {"content": null, "refusal": "no"}}]}', "refuses the request"),
        (b'{"choices": [{"message": {}, "finish_reason": "content_filter"}]}', "refuses the request"),
    ],
)
def test_an_answer_without_content_says_what_it_is(double, body, sentence):
    double.in_turn(Answer(body))
    assert sentence in why(double)
    assert len(double.asked) == 1


def test_content_in_parts_is_joined_and_a_cut_is_noticed(double):
    double.in_turn(content([{"type": "text", "text": "a"}, {"type": "x"}, {"text": "b"}], finish="length"))
    assert complete(double.endpoint(), BODY) == chat.Completion("ab", cut=True)
