"""Runs ``engage …`` again and again without importing it anew: ``python command_server.py``.

For each line that it reads (the arguments, variables of the environment, and the folder for what the command prints) it
forks a process that becomes the command; it prints how that ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from engage.cli import main


def become(arguments: list[str], environment: dict[str, str], folder: Path) -> None:
    os.environ.update(environment)
    for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["engage", *arguments]
    main.main()
    sys.exit()


for line in sys.stdin:
    asked = json.loads(line)
    child = os.fork()
    if not child:
        become(asked["arguments"], asked["environment"], Path(asked["folder"]))
    sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
    sys.stdout.flush()
