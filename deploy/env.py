"""Writes random secrets for a server into a new file: ``env.py .env``. Runs on any Python 3 without packages."""

import base64
import os
import secrets
import sys


def content() -> str:
    """The file's text. Each secret is different, and may stand in a URL unquoted."""
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return f"""\
# The secrets of this server, for docker-compose. Keep a copy with the backups. ENGAGE_HASH_KEY and AIRFLOW_FERNET_KEY
# must never change while the databases live; a backup is of little use without them.
POSTGRES_PASSWORD={secrets.token_hex(32)}
AIRFLOW_DB_PASSWORD={secrets.token_hex(32)}
ENGAGE_DB_PASSWORD={secrets.token_hex(32)}
AIRFLOW_FERNET_KEY={fernet_key}
AIRFLOW_API_SECRET={secrets.token_hex(32)}
AIRFLOW_JWT_SECRET={secrets.token_hex(32)}
# the password of the user admin, for the first login
AIRFLOW_ADMIN_PASSWORD={secrets.token_hex(12)}
ENGAGE_HASH_KEY={secrets.token_hex(32)}

# Optional settings; docs/operations.md explains them.
#ENGAGE_PUBLIC_URL=https://engage.example.com
#ENGAGE_TRUSTED_PROXIES=172.16.0.0/12
#ENGAGE_SERVICE_PORT=8000
#ENGAGE_CURRENCY=USD
#ENGAGE_SMS_URL=
#ENGAGE_SHARED_BUFFERS=1GB
#AIRFLOW_URL=https://airflow.example.com
#AIRFLOW_PORT=8080
"""


def main(path: str) -> None:
    """Write the file, readable only by its owner, unless it exists."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{path} exists and is left as it is, because its secrets open this server's databases.")
    with os.fdopen(file, "w") as opened:
        opened.write(content())
    sys.stdout.write(f"Wrote new secrets into {path}. Only its owner may read it.\n")


main(sys.argv[1])
