"""A manifest may be by another hand: what is wrong in it is a sentence, and nothing is taken from it."""

import json

import pytest

from engage.errors import ArchiveError


def spoilt(archiving, change):
    """The archive's manifest after a change."""
    archiving.fill(5)
    archiving.write()
    path = archiving.paths()["manifest.json"]
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    return archiving.manifest


def first(data):
    return next(file for file in data["files"] if file["rows"])


def twice(data):
    one, other = [file for file in data["files"] if file["rows"]][:2]
    other.update({name: one[name] for name in one if name != "piece"})


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.update(version=2),
        lambda data: first(data).update(name="../purchase/00.parquet"),
        lambda data: first(data).update(name=".."),
        lambda data: first(data).update(name="..\\00.parquet"),
        lambda data: first(data).update(name="manifest.json"),
        lambda data: first(data).update(name="*.parquet"),
        lambda data: first(data).update(name=7),
        twice,
        lambda data: first(data).update(rows="3"),
        lambda data: first(data).update(rows=-3),
        lambda data: first(data).update(rows=True),
        lambda data: first(data).update(bytes=None),
        lambda data: first(data).update(sha256=5),
        lambda data: first(data).update(first_at="2026-09-14T00:00:00"),
        lambda data: first(data).update(least_customer="1"),
        lambda data: data.update(window={"start": "2026-09-14T00:00:00"}),
        lambda data: data.update(window=[]),
        lambda data: data.update(files=5),
        lambda data: data["files"].reverse(),
    ],
)
def test_a_manifest_of_another_form_is_refused_in_a_sentence(archiving, change):
    with pytest.raises(ArchiveError, match=r"^The manifest .* is not one that Engage has written \("):
        spoilt(archiving, change)()
