"""Prints the Secrets of an installation on Kubernetes: ``kubernetes_secrets.py secrets HOST | kubectl apply -f -``.

It reads the folder of secrets that ``make env`` writes, and takes the host of Postgres, with a port unless that is
5432. Each container then gets the keys of a Secret that it needs. Runs on any Python 3 without packages.
"""

import json
import sys
from pathlib import Path


def secrets(folder: Path, host: str) -> dict[str, dict[str, str]]:
    """The keys of the Secret in each namespace."""

    def secret(name: str) -> str:
        try:
            return (folder / name).read_text().strip()
        except OSError as exc:
            sys.exit(f"The secret {folder / name} cannot be read: {exc.strerror}. Run make env.")

    def url(role: str, scheme: str = "postgresql") -> str:
        database = "airflow" if role == "airflow" else "engage"
        return f"{scheme}://{role}:{secret(f'{role.upper()}_DB_PASSWORD')}@{host}/{database}"

    return {
        "engage": {
            "owner-database-url": url("engage"),
            "service-database-url": url("engage_service"),
            "hash-key": secret("ENGAGE_HASH_KEY"),
            "sms-url": secret("ENGAGE_SMS_URL"),
        },
        "engage-airflow": {
            "connection": url("airflow", "postgresql+psycopg"),
            "fernet-key": secret("AIRFLOW_FERNET_KEY"),
            "api-secret-key": secret("AIRFLOW_API_SECRET"),
            "jwt-secret": secret("AIRFLOW_JWT_SECRET"),
            "admin-password": secret("AIRFLOW_ADMIN_PASSWORD"),
            "tasks-connection": url("engage", "postgres"),
            "pages-connection": url("engage_pages", "postgres"),
            "alerts-connection": url("engage_alerts", "postgres"),
            "hash-key": secret("ENGAGE_HASH_KEY"),
        },
    }


def main(folder: str, host: str) -> None:
    """Print a manifest of all Secrets."""
    items = [
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": name}, "stringData": keys}
        for name, keys in secrets(Path(folder), host).items()
    ]
    json.dump({"apiVersion": "v1", "kind": "List", "items": items}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
