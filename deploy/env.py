"""Writes the secrets of a server, each into a file of its own, and its settings: ``env.py .env``.

The secrets are in the folder ``secrets`` beside the settings. What is there stays as it is. Secrets that an earlier
version kept among the settings move into files. Runs on any Python 3 without packages.
"""

import base64
import os
import re
import secrets
import sys
from pathlib import Path

LASTING = ("AIRFLOW_FERNET_KEY", "ENGAGE_HASH_KEY")
"""Keys that must not change while the databases live."""
OPTIONAL = ("ENGAGE_SMS_URL", "ENGAGE_ARCHIVE_LOGIN")
"""Secrets that a server may do without; then the file is empty."""
NAMES = (
    "POSTGRES_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "ENGAGE_DB_PASSWORD",
    "ENGAGE_SERVICE_DB_PASSWORD",
    "ENGAGE_PAGES_DB_PASSWORD",
    "ENGAGE_ALERTS_DB_PASSWORD",
    "AIRFLOW_API_SECRET",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_ADMIN_PASSWORD",
    *LASTING,
    *OPTIONAL,
)
HEAD = "# This server's settings, for docker-compose; docs/operations.md explains them.\n"
SETTINGS = """\
#ENGAGE_PUBLIC_URL=https://engage.example.com
#ENGAGE_TRUSTED_PROXIES=172.16.0.0/12
#ENGAGE_SERVICE_ADDRESS=127.0.0.1
#ENGAGE_SERVICE_PORT=8000
#ENGAGE_CURRENCY=USD
#ENGAGE_ARCHIVE_URL=s3://bucket/folder?region=eu-central-1
#GOOGLE_APPLICATION_CREDENTIALS=/run/secrets/ENGAGE_ARCHIVE_LOGIN
#ENGAGE_POSTGRES_MEMORY=3g
#ENGAGE_SHARED_BUFFERS=1GB
#AIRFLOW_URL=https://airflow.example.com
#AIRFLOW_PORT=8080
"""


def new_secret(name: str) -> str:
    """A random secret that may stand in a URL unquoted."""
    if name in OPTIONAL:
        return ""
    if name == "AIRFLOW_FERNET_KEY":
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_hex(12 if name == "AIRFLOW_ADMIN_PASSWORD" else 32)


def unquoted(value: str) -> str:
    """A value as docker-compose reads it: without blanks and a pair of quotes around it."""
    value = value.strip()
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"" else value


def write(path: Path, text: str, mode: int) -> None:
    """Write a whole file with this mode, or nothing."""
    fresh = path.with_name(path.name + ".fresh")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.chmod(mode)
    fresh.replace(path)


def main(path: str) -> None:
    """Write what is missing."""
    env, folder = Path(path), Path(path).parent / "secrets"
    before = env.read_text() if env.exists() else ""
    moved = {name: unquoted(value) for name, value in re.findall(r"^(\w+)=(.*)$", before, re.M) if name in NAMES}
    for name, value in moved.items():
        if (folder / name).exists() and (folder / name).read_text() != value:
            sys.exit(
                f"{name} stands in {env} and in {folder / name}, and they differ. Nothing was changed. Keep the one "
                "that the databases know, and delete the other."
            )
    known = moved.keys() | {name for name in NAMES if (folder / name).exists()}
    if known and (lost := sorted(set(LASTING) - known)):
        sys.exit(
            f"{lost[0]} is missing, and the other secrets are there. It must be the one that the databases know: copy "
            f"it from your backup into {folder / lost[0]}. For a server without data, delete {folder} first."
        )
    # Only the owner may enter the folder. The files are for all, because the containers read them as another user.
    folder.mkdir(mode=0o700, exist_ok=True)
    folder.chmod(0o700)
    missing = [name for name in NAMES if not (folder / name).exists()]
    for name in missing:
        write(folder / name, moved.get(name) or new_secret(name), 0o444)
    if moved or not re.search(r"^ENGAGE_SECRETS=", before, re.M):
        location = f"ENGAGE_SECRETS={os.path.join(os.path.dirname(path) or '.', 'secrets')}\n"
        gone = {*NAMES, "ENGAGE_SECRETS"}
        kept = [line for line in before.splitlines(keepends=True) if line.split("=")[0] not in gone]
        write(env, "".join([location, *kept]) if before else HEAD + location + SETTINGS, 0o600)
    made = f"Wrote {len(missing)} secrets into {folder}, for its owner only." if missing else f"{folder} is complete."
    sys.stdout.write(f"{made}\n")


main(sys.argv[1])
