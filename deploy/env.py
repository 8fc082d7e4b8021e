"""Writes a server's secrets, made at random, into a new file: ``env.py .env``. Any Python 3, nothing to install."""

import base64
import os
import secrets
import sys


def content() -> str:
    """What the file says; every secret is another one, and may stand in a URL as it is."""
    fernet_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return f"""\
# The secrets of this server; docker-compose reads them here. Keep a copy where the backups are: without ENGAGE_HASH_KEY
# and AIRFLOW_FERNET_KEY, which must stay as they are for as long as the databases live, a backup is of little use.
POSTGRES_PASSWORD={secrets.token_hex(32)}
AIRFLOW_DB_PASSWORD={secrets.token_hex(32)}
ENGAGE_DB_PASSWORD={secrets.token_hex(32)}
AIRFLOW_FERNET_KEY={fernet_key}
AIRFLOW_API_SECRET={secrets.token_hex(32)}
AIRFLOW_JWT_SECRET={secrets.token_hex(32)}
# for the first login, as admin
AIRFLOW_ADMIN_PASSWORD={secrets.token_hex(12)}
ENGAGE_HASH_KEY={secrets.token_hex(32)}

# What may be set as well; docs/operations.md explains it.
#ENGAGE_PUBLIC_URL=https://engage.example.com
#ENGAGE_SERVICE_PORT=8000
#ENGAGE_CURRENCY=USD
#ENGAGE_SMS_URL=
#ENGAGE_SHARED_BUFFERS=1GB
#AIRFLOW_URL=https://airflow.example.com
#AIRFLOW_PORT=8080
"""


def main(path: str) -> None:
    """Write the file, for its owner alone to read, unless it is there."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.exit(f"{path} exists and is left as it is: its secrets open the databases of this server.")
    with os.fdopen(file, "w") as opened:
        opened.write(content())
    sys.stdout.write(f"Wrote new secrets into {path}, for its owner alone to read.\n")


main(sys.argv[1])
