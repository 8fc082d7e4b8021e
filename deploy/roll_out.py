"""Rolls a release out on a Kubernetes cluster, tries it, and takes it back if it does not work.

    roll_out.py REPOSITORY@sha256:DIGEST --overlay DIR --values FILE [--values FILE] -- COMMAND …

It migrates the database, then rolls out the service and Airflow, then runs COMMAND, such as deploy/smoke.py. If a step
fails, the service and Airflow go back to what they were before. They cannot if the database has been migrated, because
an older version refuses a newer schema. It needs kubectl and helm 3.19 or later. Runs on any Python 3 without packages.
"""

import argparse
import json
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CHART = ("airflow", "--repo", "https://airflow.apache.org", "--version", "1.22.0")
NO_IMAGE = f"registry.example.com/engage@sha256:{'0' * 64}"
"""The image of the overlays, whose place the release's takes."""
ENGAGE, AIRFLOW = ("-n", "engage"), ("-n", "engage-airflow")
SERVICE, MIGRATION = "deployment/engage-service", "job/engage-migration"
AIRFLOW_PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
COMPONENT = "app.kubernetes.io/component"
SCHEMA = "engage/schema"
"""The annotation of the service's Deployment that names the revision of its database's schema."""
PATIENCE = "15m"
PAUSE = 3.0
"""Seconds between two looks at the migration."""


class Failed(Exception):
    """A step of the roll-out did not work."""


@dataclass(frozen=True)
class State:
    """What runs on the cluster: revisions of the service's Deployment and of Airflow's release, None without one."""

    service: str | None
    schema: str | None
    airflow: str | None


def run(*command: str, given: str | None = None) -> str:
    """The output of a command, which is named on the terminal first.

    Raises:
        Failed: it does not end with 0, or is not installed.
    """
    sys.stderr.write(f"+ {shlex.join(command)}\n")
    try:
        done = subprocess.run(command, input=given, stdout=subprocess.PIPE, text=True, check=False)
    except OSError as exc:
        raise Failed(f"{command[0]} cannot be started: {exc.strerror}") from None
    if done.returncode:
        raise Failed(f"{shlex.join(command[:4])} … ended with {done.returncode}: {done.stdout.strip()[-500:]}")
    return done.stdout


def schema() -> str:
    """The newest revision of the schema in this version."""
    return max(file.name[:4] for file in (ROOT / "engage/storage/migrations/versions").glob("[0-9]*.py"))


def rendered(overlay: str, image: str) -> str:
    """The manifests of an overlay, with the release's image."""
    text = run("kubectl", "kustomize", overlay)
    if NO_IMAGE not in text:
        raise Failed(f"{overlay} does not name the image {NO_IMAGE}, whose place the release's takes.")
    return text.replace(NO_IMAGE, image)


def state() -> State:
    """What runs now."""
    text = run("kubectl", *ENGAGE, "get", SERVICE, "--ignore-not-found", "-o", "json")
    notes = json.loads(text)["metadata"].get("annotations", {}) if text.strip() else {}
    releases = json.loads(run("helm", "list", *AIRFLOW, "--filter", "^airflow$", "-o", "json"))
    revision = str(releases[0]["revision"]) if releases else None
    return State(notes.get("deployment.kubernetes.io/revision"), notes.get(SCHEMA), revision)


def apply(manifests: str, all_but: str) -> None:
    """Apply the manifests of all components but one."""
    run("kubectl", "apply", "-f", "-", "-l", f"{COMPONENT} notin ({all_but})", given=manifests)


def migrate(manifests: str) -> None:
    """Bring the database up to date, and make everything that the service needs."""
    run("kubectl", *ENGAGE, "delete", MIGRATION, "--ignore-not-found")
    apply(manifests, all_but="service")
    while True:
        job = json.loads(run("kubectl", *ENGAGE, "get", MIGRATION, "-o", "json"))
        conditions = {one["type"] for one in job.get("status", {}).get("conditions", []) if one["status"] == "True"}
        if "Complete" in conditions:
            return
        if "Failed" in conditions:
            raise Failed(f"The migration has failed, and nothing after it was done. {migration_log()}")
        time.sleep(PAUSE)


def migration_log() -> str:
    """The end of the migration's log, or that there is none."""
    try:
        return "Its log ends:\n" + run("kubectl", *ENGAGE, "logs", MIGRATION, "--tail", "20")
    except Failed:
        return "It has no log: its pod did not start, or is gone."


def roll_out_service(manifests: str) -> None:
    """Start the service's new pods, and wait until they are ready."""
    apply(manifests, all_but="migration")
    run("kubectl", *ENGAGE, "rollout", "status", SERVICE, "--timeout", PATIENCE)
    run("kubectl", *ENGAGE, "annotate", SERVICE, f"{SCHEMA}={schema()}", "--overwrite")


def roll_out_airflow(image: str, values: list[str]) -> None:
    """Upgrade Airflow's release, and wait until its parts are ready."""
    repository, _, digest = image.rpartition(":")
    options = [option for file in values for option in ("--values", file)]
    options += ["--set-string", f"defaultAirflowRepository={repository}", "--set-string", f"defaultAirflowTag={digest}"]
    # not --wait: the parts wait for the migration of Airflow's database, and that would wait for the parts
    run("helm", "upgrade", "--install", "airflow", *CHART, *AIRFLOW, *options, "--timeout", PATIENCE)
    for part in AIRFLOW_PARTS:
        run("kubectl", *AIRFLOW, "rollout", "status", f"deployment/airflow-{part}", "--timeout", PATIENCE)


def take_back(before: State, now: State) -> str:
    """Go back to what ran before. Returns a sentence about it."""
    if before.service is None and before.airflow is None:
        return "Nothing ran here before, so nothing was taken back."
    if before.schema != schema():
        return (
            f"Nothing was taken back: the database's schema has moved from {before.schema or 'an unknown one'} to "
            f"{schema()}, which the version before refuses. Mend it and roll forward, or restore the backup as "
            "docs/delivery.md says."
        )
    if before.airflow and now.airflow != before.airflow:
        run("helm", "rollback", "airflow", before.airflow, *AIRFLOW, "--timeout", PATIENCE)
    if before.service and now.service != before.service:
        run("kubectl", *ENGAGE, "rollout", "undo", SERVICE, "--to-revision", before.service)
        run("kubectl", *ENGAGE, "rollout", "status", SERVICE, "--timeout", PATIENCE)
    return "The version before runs again."


def release(image: str, overlay: str, values: list[str], smoke: list[str]) -> None:
    """Roll a release out, and take it back if a step fails.

    Raises:
        Failed: a step failed. It says what was done about it.
    """
    manifests = rendered(overlay, image)
    before = state()
    migrate(manifests)
    try:
        roll_out_service(manifests)
        roll_out_airflow(image, values)
        sys.stdout.write(run(*smoke))
    except Failed as exc:
        raise Failed(f"{exc}\n{take_back_safely(before)}") from None


def take_back_safely(before: State) -> str:
    """Go back to what ran before, or say why that failed."""
    try:
        return take_back(before, state())
    except Failed as exc:
        return f"It could not be taken back: {exc}"


def image_by_digest(text: str) -> str:
    """An image of the command line."""
    if not re.fullmatch(r"[a-z0-9][^@\s]*@sha256:[0-9a-f]{64}", text) or text == NO_IMAGE:
        raise argparse.ArgumentTypeError(f"{text!r} is no image by its digest, REPOSITORY@sha256:…")
    return text


def options(arguments: list[str]) -> Any:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="roll_out.py", description="Rolls a release out on a Kubernetes cluster.")
    parser.add_argument("image", type=image_by_digest)
    parser.add_argument("--overlay", required=True)
    parser.add_argument("--values", required=True, action="append")
    parser.add_argument("smoke", nargs="+", metavar="COMMAND", help="a command that tries the release, after --")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    given = options(sys.argv[1:])
    try:
        release(given.image, given.overlay, given.values, given.smoke)
    except Failed as exc:
        sys.exit(str(exc))
