"""The roll-out of a release, and its way back, with programs in the place of kubectl and helm that note their calls."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from deploy import roll_out
from deploy.roll_out import Failed

IMAGE = f"registry.example.com/other@sha256:{'a' * 64}"
VALUES = ["values.yaml", "more.yaml"]
STAND_IN = """#!{python} -IS
import json, os, sys
from pathlib import Path

call = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
folder = Path(os.environ["STAND_INS"])
given = sys.stdin.read() if "-f -" in call else ""
with (folder / "calls").open("a+") as calls:
    calls.seek(0)
    earlier = [json.loads(line)[0] for line in calls]
    calls.write(json.dumps([call, given]) + "\\n")
for part, answers in json.loads((folder / "answers").read_text()).items():
    if part in call:
        asked = sum(part in one for one in earlier)
        code, text = answers[min(asked, len(answers) - 1)]
        print(text)
        sys.exit(code)
"""


def deployment(revision: str, schema: str | None) -> str:
    notes = {"deployment.kubernetes.io/revision": revision} | ({roll_out.SCHEMA: schema} if schema else {})
    return json.dumps({"metadata": {"annotations": notes}})


def job(*conditions: str) -> str:
    return json.dumps({"status": {"conditions": [{"type": one, "status": "True"} for one in conditions]}})


def airflow(revision: str) -> str:
    return json.dumps([{"name": "airflow", "revision": revision}])


class Cluster:
    """What kubectl and helm answer to calls with a text in them, one after the other, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: dict[str, list[tuple[int, str]]] = {
            "kubectl kustomize": [(0, f"image: {roll_out.NO_IMAGE}\nimage: {roll_out.NO_IMAGE}")],
            "get deployment/engage-service": [(0, deployment(number, roll_out.schema())) for number in ("4", "5")],
            "helm list": [(0, airflow("7")), (0, airflow("8"))],
            "get job/engage-migration": [(0, "{}"), (0, job("Complete"))],
        }
        for name in ("kubectl", "helm", "smoke"):
            (folder / name).write_text(STAND_IN.format(python=sys.executable))
            (folder / name).chmod(0o755)

    def release(self) -> None:
        (self.folder / "answers").write_text(json.dumps(self.answers))
        roll_out.release(IMAGE, "overlay", VALUES, ["smoke", "it"])

    @property
    def calls(self) -> list[tuple[str, str]]:
        return [tuple(json.loads(line)) for line in (self.folder / "calls").read_text().splitlines()]

    def asked(self, *parts: str) -> list[str]:
        return [call for call, _ in self.calls if all(part in call for part in parts)]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setattr(roll_out, "PAUSE", 0.0)
    monkeypatch.setenv("STAND_INS", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return Cluster(tmp_path)


def position(cluster: Cluster, part: str) -> int:
    return next(number for number, (call, _) in enumerate(cluster.calls) if part in call)


def test_it_migrates_then_rolls_out_then_tries(cluster):
    cluster.release()
    steps = ["get deployment", "helm list", "delete job/engage-migration", "notin (service)", "get job/",
             "notin (migration)", "rollout status deployment/engage-service", f"annotate deployment/engage-service "
             f"{roll_out.SCHEMA}={roll_out.schema()}", "helm upgrade --install airflow",
             "rollout status deployment/airflow-api-server", "smoke it"]  # fmt: skip
    found = [position(cluster, step) for step in steps]
    assert found == sorted(found)
    assert not cluster.asked("rollback")
    assert not cluster.asked("undo")


def test_both_parts_get_the_releases_image_by_its_digest(cluster):
    cluster.release()
    applied = [given for call, given in cluster.calls if "kubectl apply" in call]
    assert len(applied) == 2
    assert all(given.count(IMAGE) == 2 and roll_out.NO_IMAGE not in given for given in applied)
    [upgrade] = cluster.asked("helm upgrade")
    assert "--set-string defaultAirflowRepository=registry.example.com/other@sha256 " in upgrade
    assert f"--set-string defaultAirflowTag={'a' * 64} " in upgrade
    assert "--values values.yaml --values more.yaml" in upgrade
    assert "--wait" not in upgrade  # it would wait for the parts, and those for the migration that comes after them


@pytest.mark.parametrize(
    ("log", "told"), [((0, "no key"), "Its log ends:\nno key"), ((1, "no pod"), "It has no log: its pod did not start")]
)
def test_nothing_follows_a_migration_that_fails(cluster, log, told):
    cluster.answers |= {"get job/engage-migration": [(0, job("Failed"))], "logs job/": [log]}
    with pytest.raises(Failed, match=f"The migration has failed, and nothing after it was done. {told}"):
        cluster.release()
    assert not cluster.asked("notin (migration)")
    assert not cluster.asked("helm upgrade")
    assert not cluster.asked("undo")


def test_a_migration_is_waited_for(cluster):
    cluster.release()
    assert len(cluster.asked("get job/engage-migration")) == 2


def test_a_smoke_test_that_fails_takes_the_release_back(cluster):
    cluster.answers["smoke it"] = [(1, "HTTP 503")]
    with pytest.raises(Failed, match=r"smoke it … ended with 1: HTTP 503\nThe version before runs again\."):
        cluster.release()
    assert cluster.asked("helm rollback airflow 7 -n engage-airflow")
    assert cluster.asked("rollout undo deployment/engage-service --to-revision 4")


def test_what_was_not_changed_is_not_taken_back(cluster):
    cluster.answers |= {"rollout status": [(1, "deadline exceeded"), (0, "")], "helm list": [(0, airflow("7"))]}
    with pytest.raises(Failed, match="ended with 1: deadline exceeded"):
        cluster.release()
    assert cluster.asked("rollout undo")
    assert not cluster.asked("rollback")


@pytest.mark.parametrize(("schema", "moved"), [("0001", "from 0001 to"), (None, "from an unknown one to")])
def test_a_schema_that_has_moved_leaves_the_release_in_place(cluster, schema, moved):
    cluster.answers |= {"get deployment/engage-service": [(0, deployment("4", schema))], "smoke it": [(1, "")]}
    with pytest.raises(Failed, match=f"Nothing was taken back: the database's schema has moved {moved}"):
        cluster.release()
    assert not cluster.asked("rollback")
    assert not cluster.asked("undo")


def test_a_first_installation_has_no_way_back(cluster):
    cluster.answers |= {"get deployment/engage-service": [(0, "")], "helm list": [(0, "[]")], "smoke it": [(1, "")]}
    with pytest.raises(Failed, match="Nothing ran here before"):
        cluster.release()


def test_a_way_back_that_fails_is_told_with_its_cause(cluster):
    cluster.answers |= {"smoke it": [(1, "HTTP 503")], "helm rollback": [(1, "no such release")]}
    with pytest.raises(Failed, match=r"(?s)HTTP 503.*could not be taken back: .*no such release"):
        cluster.release()


def test_an_overlay_with_another_image_is_refused(cluster):
    cluster.answers["kubectl kustomize"] = [(0, "image: registry.example.com/engage:1.0")]
    with pytest.raises(Failed, match="overlay does not name the image"):
        cluster.release()
    assert not cluster.asked("apply")


def test_a_program_that_is_missing_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(Failed, match="kubectl cannot be started"):
        roll_out.rendered("overlay", IMAGE)


@pytest.mark.parametrize("image", ["engage", "engage:1.0", "engage:latest", "r/engage@sha256:12", roll_out.NO_IMAGE])
def test_only_an_image_by_its_digest_is_taken(image, capsys):
    with pytest.raises(SystemExit):
        roll_out.options([image, "--overlay", "o", "--values", "v", "--", "smoke"])
    assert "is no image by its digest" in capsys.readouterr().err


def test_what_follows_the_dashes_is_the_command_that_tries_it():
    found = roll_out.options([IMAGE, "--overlay", "o", "--values", "v", "--values", "w", "--", "smoke", "--unpause"])
    assert (found.image, found.overlay, found.values) == (IMAGE, "o", ["v", "w"])
    assert found.smoke == ["smoke", "--unpause"]


def test_the_schema_is_the_newest_migration():
    from engage.storage import migrations

    assert roll_out.schema() == migrations._scripts().get_current_head()
