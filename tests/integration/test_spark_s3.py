"""An archive in an object store, and Sail over it: the same results as from Postgres."""

from __future__ import annotations

from contextlib import ExitStack

import boto3
import pytest

from benchmarks import dirt
from engage.archive.place import place_of
from engage.archive.write import archive
from engage.errors import SparkError
from engage.local.sail import sail
from engage.spark import Attempt, Definition, Spark
from tests.integration.conftest import KEY
from tests.integration.test_event_sums import FAVOURITE, computed
from tests.object_store import object_store
from tests.ports import free_port

pytestmark = pytest.mark.deep
BUCKET, REGION = "of-spark", "eu-central-1"
LOGIN = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}


@pytest.fixture(scope="module")
def store():
    """The address of an object store with a bucket."""
    with object_store() as address:
        keys = {name.lower(): value for name, value in LOGIN.items()}
        s3 = boto3.client("s3", endpoint_url=address, region_name=REGION, **keys)
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        yield address


@pytest.fixture
def archive_url(store, tmp_path, monkeypatch):
    """The URL of an archive of the test's own, as Engage has it, with the login in the environment."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    where = store.removeprefix("http://")
    return f"s3://{BUCKET}/{tmp_path.name}?region={REGION}&scheme=http&endpoint_override={where}"


@pytest.fixture
def over(store, archive_url, tmp_path):
    """Starts Sail, which has a configuration of its own, and returns Spark for the archive."""
    with ExitStack() as running:

        def start(endpoint=store, scheme="s3"):
            own = {"AWS_REGION": REGION, "AWS_ALLOW_HTTP": "true", "AWS_ENDPOINT_URL": endpoint}
            port = running.enter_context(sail(tmp_path / "sail.log", variables=LOGIN | own))
            extra = {"archive": archive_url.partition("?")[0].replace("s3", scheme, 1)}
            definition = Definition.of("engage_spark", host="127.0.0.1", port=port, extra=extra, archive=archive_url)
            return Spark(definition, lambda purpose: Attempt(KEY, f"{port} {purpose}"))

        yield start


@pytest.mark.parametrize("scheme", ["s3", "s3a"])
def test_the_results_are_those_of_postgres_with_every_class_of_dirt(world, archive_url, over, scheme):
    dirt.fill(world.engine, world.window, 1000)
    expected = computed(world, **FAVOURITE)
    archive(world.engine, place_of(archive_url), as_of=world.now)
    found = computed(world, over(scheme=scheme), **FAVOURITE)
    assert found == expected
    [(_, rejected, *_)] = found[1]
    assert all(rejected.values())


def test_the_server_reads_with_its_own_configuration_and_not_with_that_of_the_url(world, archive_url, over):
    world.sessions(world.customer(), 3)
    archive(world.engine, place_of(archive_url), as_of=world.now)
    elsewhere = over(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(SparkError, match=r"^The server of Spark at 127\.0\.0\.1:\d+ refuses the query: "):
        computed(world, elsewhere)
