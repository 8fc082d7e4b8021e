"""The model's address, as an Airflow connection or ENGAGE_LLM_URL gives it."""

from __future__ import annotations

import pytest

from engage.drafts.endpoint import ModelEndpoint
from engage.errors import InputError

KEY = "sk-a-key-for-tests"
SOURCE = "the connection engage_llm"


def of(host="api.example.com", key=KEY, scheme=None, port=None, **extra):
    return ModelEndpoint.from_parts(host, key, {"model": "m"} | extra, scheme=scheme, port=port, source=SOURCE)


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({}, "https://api.example.com/v1/chat/completions"),
        ({"host": "https://api.example.com/"}, "https://api.example.com/v1/chat/completions"),
        ({"path": "/openai/v1"}, "https://api.example.com/openai/v1/chat/completions"),
        ({"path": "/proxy/chat?x=1"}, "https://api.example.com/proxy/chat?x=1"),
        ({"host": "127.0.0.1", "port": 11434}, "http://127.0.0.1:11434/v1/chat/completions"),
        ({"host": "vllm", "scheme": "http", "port": 8000}, "http://vllm:8000/v1/chat/completions"),
        ({"host": "gpu.example.com", "scheme": "http", "key": None}, "http://gpu.example.com/v1/chat/completions"),
        ({"host": "[::1]", "scheme": "http"}, "http://[::1]/v1/chat/completions"),
    ],
)
def test_the_address_of_a_connection(given, url):
    found = of(**given)
    assert (found.url, found.model, found.seconds) == (url, "m", 60.0)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"host": None}, "takes a host, such as api.example.com; it has ''"),
        ({"host": "api.example.com/v1"}, "takes a host"),
        ({"host": "user@api.example.com"}, "takes a host"),
        ({"host": "file:///etc/passwd"}, "takes a host"),
        ({"host": "api..example.com"}, "takes a host"),
        ({"host": "x" * 64}, "takes a host"),
        ({"host": "[:::]"}, "takes a host"),
        ({"port": 65536}, "has the port 65536; it takes one from 1 to 65535"),
        ({"scheme": "ftp"}, "has the scheme 'ftp'; it takes http or https"),
        ({"scheme": "http"}, "would send its key over plain http"),
        ({"scheme": "http", "host": "[2001:db8::1]"}, "would send its key over plain http"),
        ({"scheme": "http", "host": "3405803777"}, "would send its key over plain http"),
        ({"key": "a b"}, "has a key with blanks"),
        ({"key": "a\r\nHost: x"}, "has a key with blanks"),
        ({"model": ""}, "names no model"),
        ({"model": 7}, "names no model"),
        ({"path": "v1"}, "has the path 'v1'"),
        ({"path": "/a b"}, "has the path '/a b'"),
        ({"timeout": "soon"}, "has the timeout 'soon'; it takes seconds from 1 to 240"),
        ({"timeout": 0}, "has the timeout '0'"),
        ({"timeout": "nan"}, "has the timeout 'nan'"),
        ({"timeout": 1000}, "has the timeout '1000'"),
        ({"modle": "x"}, "has the option 'modle'; there are model, path, timeout"),
    ],
)
def test_what_is_missing_or_not_allowed_is_said_without_the_key(given, sentence):
    with pytest.raises(InputError) as caught:
        of(**given)
    assert f"The connection engage_llm {sentence}" in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "url", "key"),
    [
        (f"https://:{KEY}@api.example.com?model=m", "https://api.example.com/v1/chat/completions", KEY),
        ("http://127.0.0.1:11434?model=m", "http://127.0.0.1:11434/v1/chat/completions", None),
        ("http://[::1]:1/v1?model=m&timeout=60", "http://[::1]:1/v1/chat/completions", None),
        ("https://:a%40b@h.example/x/chat?model=m", "https://h.example/x/chat", "a@b"),
    ],
)
def test_the_address_of_the_command_line(text, url, key):
    found = ModelEndpoint.from_url(text)
    assert (found.url, found.key, found.model, found.source) == (url, key, "m", "ENGAGE_LLM_URL")


@pytest.mark.parametrize("text", [None, "", "api.example.com", "https://h:port?model=m", f"https://:{KEY}@h.example"])
def test_a_wrong_variable_is_said_without_the_key(text):
    with pytest.raises(InputError) as caught:
        ModelEndpoint.from_url(text)
    assert "ENGAGE_LLM_URL" in str(caught.value)
    assert KEY not in str(caught.value)
