"""Runs a command with the container's secrets in its environment: ``with_secrets.py COMMAND …``.

Each {NAME} in the value of a variable becomes the text of the file /run/secrets/NAME. So neither docker-compose.yaml
nor `docker inspect` shows a secret, and each container has the secrets that it needs.
"""

import os
import re
import sys
from pathlib import Path

FOLDER = Path("/run/secrets")


def with_secrets(value: str) -> str:
    """The value with the text of each secret that it names."""
    return re.sub(r"(?<!\$)\{([A-Z][A-Z_]+)\}", lambda found: _secret(found[1]), value)


def _secret(name: str) -> str:
    try:
        return (FOLDER / name).read_text().strip()
    except OSError as exc:
        sys.exit(f"The secret {FOLDER / name} cannot be read: {exc.strerror}. Run make env, then docker-compose up -d.")


if __name__ == "__main__":
    os.execvpe(sys.argv[1], sys.argv[1:], {name: with_secrets(value) for name, value in os.environ.items()})  # noqa: S606
