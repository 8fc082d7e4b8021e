"""The connection to Spark: what it gives, and a sentence for each mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engage.errors import SparkError
from engage.spark import Attempt, Definition

LAKE = "s3a://chain/events"


def of(archive=None, **values):
    parts = {"host": "spark.example.com", "extra": {}} | values
    return Definition.of("engage_spark", archive=archive, **parts)


def test_the_archive_is_engages_own_unless_the_extra_names_one():
    own = of("s3://chain/archive?region=eu-west-1")
    assert (own.archive, own.archive_here) == ("s3://chain/archive", "s3://chain/archive?region=eu-west-1")
    lake = of("s3://chain/archive?region=eu-west-1", extra={"archive": LAKE})
    assert (lake.archive, lake.archive_here) == (LAKE, "s3://chain/events")


def test_a_server_may_have_another_name_for_the_same_place():
    found = of("s3://chain/events?region=eu-west-1", extra={"archive": f"{LAKE}/"})
    assert (found.archive, found.archive_here) == (LAKE, "s3://chain/events?region=eu-west-1")
    found = of(extra={"archive": LAKE, "archive_here": "gs://mirror/events"})
    assert found.archive_here == "gs://mirror/events"


def test_options_of_an_archive_are_for_this_process_alone():
    found = of(extra={"archive": "s3://chain/events/?region=eu-west-1"})
    assert (found.archive, found.archive_here) == ("s3://chain/events", "s3://chain/events/?region=eu-west-1")


@pytest.mark.parametrize("archive", ["s3a://key:hush@chain/events", "s3://chain/events?secret_key=hush"])
def test_a_login_in_the_archive_is_refused_and_not_repeated(archive):
    with pytest.raises(
        SparkError, match=r"^The extra of the connection engage_spark has a login in archive"
    ) as refused:
        of(extra={"archive": archive, "archive_here": "s3://chain/events"})
    assert "hush" not in str(refused.value)


def test_the_url_of_a_session_holds_its_parts_escaped():
    found = of("s3://a/b", login="ops;x=1", password="a/b;c", port=443)
    url = found.url("0-1")
    assert url == "sc://spark.example.com:443/;user_id=ops%3Bx%3D1;session_id=0-1;token=a%2Fb%3Bc"
    assert of("s3://a/b", extra={"use_ssl": "True"}).url("1").endswith(";session_id=1;use_ssl=true")
    assert of("s3://a/b").url("1") == "sc://spark.example.com:15002/;user_id=engage;session_id=1"
    assert of("s3://a/b", host="::1").url("1").startswith("sc://[::1]:15002/")


def test_the_token_may_stand_in_the_extra_and_is_never_shown():
    found = of("s3://a/b", extra={"token": "secret"})
    assert found.token == "secret"
    assert "secret" not in repr(found)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "::1"])
def test_a_folder_is_an_archive_for_a_server_on_this_machine(host):
    assert of("file:///archive", host=host).archive == "file:///archive"


def test_a_folder_is_no_archive_for_another_machine_unless_both_have_it():
    with pytest.raises(
        SparkError, match=r"^The archive file:///archive is a folder of this machine, .* spark\.example"
    ):
        of("file:///archive")
    assert of("file:///archive", extra={"shared_folder": True}).archive == "file:///archive"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"host": None}, r"has the host null; it takes the name"),
        ({"host": "https://spark.example.com/x"}, r"has the host .* the port in its own field"),
        ({"host": "spark.example.com:15002"}, r"has the host .* the port in its own field"),
        ({"archive": None}, r"^Spark has no archive to read: neither the connection engage_spark has archive"),
        ({"extra": {"achive": "x"}}, r"has the entry 'achive'; it takes some of archive, archive_here, columns"),
        ({"extra": {"archive": 5}}, r"has the archive 5; it takes a text"),
        ({"extra": {"token": 5}}, r"has the token \(not shown\); it takes a text"),
        ({"extra": {"use_ssl": "yes"}}, r'has the use_ssl "yes"; it takes true or false'),
        ({"extra": {"columns": []}}, r"has the columns \[\]; it takes an object with some of app_session, purchase"),
        ({"extra": {"columns": {"visits": {}}}}, r"has columns of 'visits'; it takes some of app_session"),
        ({"extra": {"columns": {"purchase": {"cents": "c"}}}}, r"names of some of amount_cents, customer_id, pur"),
        ({"extra": {"columns": {"purchase": {"customer_id": 5}}}}, r"for purchase the columns .*; it takes an object"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_that_says_what_is_allowed(values, sentence):
    with pytest.raises(SparkError, match=sentence):
        of(**({"archive": "s3://a/b"} | values))


# --- attempts


FIRST = Attempt(b"a key of an installation", "dag run aggregate sums")


def test_each_attempt_has_a_session_and_a_tag_of_its_own_which_the_next_one_finds():
    third = replace(FIRST, number=3)
    assert [one.number for one in third.former()] == [2, 1]
    assert [*third.former()][1].session == FIRST.session
    assert len({one.session for one in (third, *third.former())}) == 3
    assert len({one.tag for one in (third, *third.former())}) == 3


def test_another_installation_or_run_has_other_sessions():
    others = [replace(FIRST, key=b"another key"), replace(FIRST, name="dag other_run aggregate sums")]
    assert FIRST.session not in [one.session for one in others]
    assert "key" not in repr(FIRST)


def test_only_the_last_attempts_are_looked_for():
    assert [one.number for one in replace(FIRST, number=100).former()] == [*range(99, 89, -1)]
