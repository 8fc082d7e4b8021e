"""The URL of the archive, and what a store's refusal means."""

import pytest
from pyarrow import fs

from engage.archive.place import Place, configured, place_of
from engage.errors import ArchiveError


def test_a_folder_is_a_place(tmp_path):
    found = place_of(f"{tmp_path.as_uri()}/")
    assert (found.path, found.local) == (str(tmp_path), True)
    assert found.of("app_session", "x") == f"{tmp_path}/app_session/x"
    found.require()


@pytest.mark.parametrize(
    ("url", "kind", "path"),
    [
        (
            "s3://bucket/a/b?region=eu-central-1&endpoint_override=127.0.0.1:1&scheme=http",
            fs.S3FileSystem,
            "bucket/a/b",
        ),
        ("gs://bucket", fs.GcsFileSystem, "bucket"),
    ],
)
def test_an_object_store_is_a_place(url, kind, path):
    found = place_of(url)
    assert (type(found.filesystem), found.path, found.local) == (kind, path, False)


@pytest.mark.parametrize("url", ["nonsense", "/folder", "ftp://host/folder", "http://[", "C:\\archive", "hdfs://x/y"])
def test_what_is_no_url_of_an_archive_is_refused_naming_those_that_are(url):
    with pytest.raises(
        ArchiveError, match=r"which is no URL of an archive\. It takes file:///folder, s3://bucket/fold"
    ):
        place_of(url)


@pytest.mark.parametrize("url", ["s3://", "file:///", "gs://"])
def test_a_url_that_names_no_folder_is_refused(url):
    with pytest.raises(ArchiveError, match="names no folder or bucket"):
        place_of(url)


@pytest.mark.parametrize(
    ("url", "why"),
    [("file://folder/x", "hostname"), ("s3://bucket/x?speed=1", "Unexpected query parameter .*'speed'")],
)
def test_a_url_that_cannot_be_read_is_refused_with_the_reason(url, why):
    with pytest.raises(ArchiveError, match=rf"cannot be read: .*{why}"):
        place_of(url)


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hush@bucket/x",
        "s3://bucket/x?secret_key=hush",
        "s3://bucket/x?endpoint_override=m:9000&Secret_Key=hush",
        "s3a://key:hush@bucket/x",
        "https://key:hush@bucket.example.com/x",
        "abfs://bucket/x?sas_token=hush",
        "s3//key:hush@bucket/x",
    ],
)
def test_a_login_in_the_url_is_refused_and_not_repeated(url):
    with pytest.raises(ArchiveError, match="holds a login, which logs would show") as refused:
        place_of(url)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_there_is_no_archive(monkeypatch, value):
    monkeypatch.delenv("ENGAGE_ARCHIVE_URL", raising=False)
    if value is not None:
        monkeypatch.setenv("ENGAGE_ARCHIVE_URL", value)
    assert configured() is None


def test_a_folder_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(ArchiveError, match=r"and there is no such folder\. Make it, or mount its disk\."):
        place_of((tmp_path / "unmounted").as_uri()).require()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("AWS Error NO_SUCH_BUCKET during CreateMultipartUpload operation: x", "there is no such bucket"),
        ("AWS Error ACCESS_DENIED during HeadObject operation: No response body.", "the login lacks a right there"),
        ("AWS Error NETWORK_CONNECTION during ListObjectsV2: curlCode: 7", "it does not answer"),
        ("[Errno 28] No space left on device", "its disk is full"),
        ("[Errno 30] Read-only file system", "it is read-only"),
        ("[Errno 13] Permission denied", "the login lacks a right there"),
        ("something else", "the store refuses it"),
    ],
)
def test_what_a_store_refuses_is_said_in_a_sentence_with_a_way_out(said, meant):
    place = Place(fs.LocalFileSystem(), "/archive")
    with pytest.raises(ArchiveError) as refused, place.reached():
        raise OSError(said)
    assert str(refused.value).startswith(f"The archive /archive cannot be used: {meant}")
    assert said in str(refused.value)


def test_a_missing_file_is_none_of_the_stores_refusals():
    with pytest.raises(FileNotFoundError), Place(fs.LocalFileSystem(), "/archive").reached():
        raise FileNotFoundError("x")
