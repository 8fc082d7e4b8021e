"""The archive in an object store: everything that a folder can, over S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import boto3
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from engage.archive import restore, verify, write
from engage.archive.manifest import folder, read_manifest
from engage.archive.place import place_of
from engage.customers import erasure
from engage.errors import ArchiveError
from engage.storage import partitions
from engage.storage.schema import app_session, archived_log
from tests.integration.archiving import LOGS
from tests.object_store import object_store
from tests.ports import free_port

BUCKET, REGION = "chain", "eu-central-1"


@pytest.fixture(scope="module")
def store():
    with object_store() as address:
        yield address


def url_of(address, bucket=BUCKET):
    return f"s3://{bucket}/engage/log?region={REGION}&scheme=http&endpoint_override={address.removeprefix('http://')}"


@dataclass
class Bucket:
    """A world with its archive in a bucket."""

    archiving: Any
    url: str
    s3: Any

    @property
    def place(self):
        return place_of(self.url)

    def write(self):
        return write.archive(self.archiving.world.engine, self.place, as_of=self.archiving.world.now)

    def keys(self, log=app_session):
        prefix = f"engage/log/{folder(log.name, self.archiving.world.window)}/"
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())
        return {one["Key"].removeprefix(prefix) for one in found} - {""}  # pyarrow marks the folder itself

    def manifest(self, log=app_session):
        return read_manifest(self.place, log.name, self.archiving.world.window)

    def rows(self, log=app_session):
        place, where = self.place, folder(log.name, self.archiving.world.window)
        files = [place.of(where, name) for name in self.manifest(log).names]
        return sum(pq.read_table(path, filesystem=place.filesystem, partitioning=None).num_rows for path in files)

    def faults(self):
        return [fault for log in LOGS for fault in verify.faults(self.place, self.manifest(log))]


@pytest.fixture
def bucket(store, archiving, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    s3 = boto3.client("s3", endpoint_url=store, region_name=REGION)
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    archiving.fill(20)
    yield Bucket(archiving, url_of(store), s3)
    for one in s3.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        s3.delete_object(Bucket=BUCKET, Key=one["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def test_a_window_is_written_once_verified_and_written_anew_for_a_late_event(bucket):
    assert bucket.write().rows == sum(bucket.archiving.logged(log).total() for log in LOGS)
    assert bucket.faults() == []
    assert bucket.keys() == {"manifest.json", *bucket.manifest().names}
    assert bucket.write().pieces == 0
    bucket.archiving.world.sessions(3)
    assert bucket.write().pieces == 1
    assert bucket.rows() == bucket.archiving.logged(app_session).total()
    assert bucket.keys() == {"manifest.json", *bucket.manifest().names}
    assert bucket.faults() == []


def test_a_customer_is_erased_and_a_dropped_window_restored(bucket):
    bucket.write()
    world = bucket.archiving.world
    erasure.forget(world.engine, 7, as_of=world.now)
    before = {log: bucket.archiving.logged(log) for log in LOGS}
    assert bucket.write().erased_customers == 1
    assert bucket.faults() == []
    for log in LOGS:
        with world.engine.begin() as conn:
            partitions.drop_events(conn, log, world.window)
    world.execute(sa.update(archived_log).values(dropped_at=world.now))
    restore.restore(world.engine, bucket.place, world.window, as_of=world.now)
    assert {log: bucket.archiving.logged(log) for log in LOGS} == before


@pytest.mark.parametrize("damage", ["truncated", "changed", "missing"])
def test_a_damaged_object_is_found(bucket, damage):
    bucket.write()
    name = bucket.manifest().names[0]
    key = f"engage/log/{folder('app_session', bucket.archiving.world.window)}/{name}"
    content = bucket.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    if damage == "missing":
        bucket.s3.delete_object(Bucket=BUCKET, Key=key)
    else:
        changed = content[:-1] if damage == "truncated" else content[:40] + b"!" + content[41:]
        bucket.s3.put_object(Bucket=BUCKET, Key=key, Body=changed)
    [fault] = bucket.faults()
    assert f"{name} is {damage}" in fault


def test_a_bucket_that_is_not_there_is_named(bucket, store):
    with pytest.raises(
        ArchiveError, match=r"names other, and there is no such bucket\. Make it, or correct the name\."
    ):
        write.archive(bucket.archiving.world.engine, place_of(url_of(store, "other")), as_of=bucket.archiving.world.now)


def test_a_store_that_does_not_answer_is_said_to(bucket):
    nowhere = place_of(url_of(f"http://127.0.0.1:{free_port()}"))
    with pytest.raises(
        ArchiveError, match=r"cannot be used: it does not answer\. Check the network and the URL's host"
    ):
        write.archive(bucket.archiving.world.engine, nowhere, as_of=bucket.archiving.world.now)
