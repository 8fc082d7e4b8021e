"""The documents agree with the code: rooms, state diagrams, paths, links and make targets."""

from __future__ import annotations

import importlib
import re
import shlex
from enum import StrEnum
from pathlib import Path

import pytest
import typer

from engage.campaigns.status import StatusKey
from engage.cli.main import app
from engage.statuses import (
    APPROVAL_MOVES,
    MESSAGE_MOVES,
    ApiScope,
    AppEventKind,
    ApprovalState,
    CampaignStatus,
    MessageStatus,
    SkipReason,
)
from tests.unit.test_architecture import ROOMS

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
PAGES = sorted(
    str(file.relative_to(ROOT))
    for pattern in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "docs/**/*.md", ".github/*.md")
    for file in ROOT.glob(pattern)
)
HISTORY = {"CHANGELOG.md"}
"""Pages that may name files of an earlier version."""
FOLDERS = "engage|plugins|dags|tests|docs|benchmarks|deploy|\\.github|\\.ci"
NOT_MODULES = {"engage.dump", "engage.example.com", "engage.go_on", "engage.halt", "engage.resume", "engage.thresholds"}
NOT_MODULES |= {"engage.settle_message", "engage.reconcile_messages", "engage.export_messages", "engage.opt_out",
                "engage.exported_messages", "engage.search_by_phone", "engage.forget_customer"}  # fmt: skip
NOT_MODULES |= {"engage.answer", "engage.start_run", "engage.send_test", "engage.import_file"}
NOT_MODULES |= {"engage.explain_days", "engage.unexplain_days"}
"""A backup's name, a domain, and entries of Airflow's audit log."""

every_page = pytest.mark.parametrize("page", PAGES)


def rooms_in(text: str) -> dict[str, str]:
    """The rows of the table of rooms: a room, and the rooms that it may import."""
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\|((?: `\w+`)*) \|$", text, re.M)
    return {room: " ".join(re.findall(r"\w+", allowed)) for room, allowed in rows}


def diagram(heading: str) -> set[tuple[str, str]]:
    """The arrows of the state diagram under a heading."""
    section = ARCHITECTURE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = section.partition("stateDiagram-v2\n")[2].partition("```")[0].splitlines()
    arrows = [re.fullmatch(r" +(\S+) --> (\S+)(?: : .+)?", line) for line in lines]
    assert None not in arrows
    return {(arrow[1], arrow[2]) for arrow in arrows if arrow}


def states(arrows: set[tuple[str, str]]) -> set[str]:
    return {state for arrow in arrows for state in arrow} - {"[*]"}


def named_paths(text: str) -> set[str]:
    """The files and folders of this repository that a text names."""
    found = re.findall(rf"(?<![\w./-])(?:{FOLDERS})/[\w./-]*", text)
    return {path.rstrip(".") for path in found}


def named_files(text: str) -> set[str]:
    """The files at the top of the repository that a text names."""
    return set(re.findall(r"`((?:[\w.-]+\.(?:md|py|toml|txt|ya?ml))|Makefile|Dockerfile|LICENSE)`", text))


def named_modules(text: str) -> set[str]:
    found = set(re.findall(r"(?<![\w./-])engage(?:\.\w+)+", text))
    return {name for name in found if not any(f"{other}.".startswith(f"{name}.") for other in NOT_MODULES)}


def resolves(name: str) -> bool:
    """Whether a dotted name is a module of the package, or something in one."""
    try:
        importlib.import_module(name)
    except ModuleNotFoundError:
        module, _, attribute = name.rpartition(".")
        return bool(module) and resolves(module) and hasattr(importlib.import_module(module), attribute)
    return True


def named_commands(text: str) -> list[list[str]]:
    """The lines ``engage …`` of a page, also in a container, and those in backquotes, as words."""
    lines = re.findall(r"^    (?:\w+=\$\(|docker-compose run --rm )?engage ([^#\n]*)", text, re.M)
    lines += re.findall(r"`engage ([^`]*)`", text)
    return [shlex.split(line.replace(")", " ")) for line in lines]


def unknown_to_the_command_line(words: list[str]) -> list[str]:
    """The command and the options among the words that ``engage`` does not have."""
    command = typer.main.get_command(app)
    for position, word in enumerate(words):
        group = getattr(command, "commands", {})
        if word not in group:
            if group and not word.startswith("-") and not getattr(command, "invoke_without_command", False):
                return [word]
            return [option for option in words[position:] if option.startswith("-") and not has(command, option)]
        command = group[word]
    return []


def has(command: object, option: str) -> bool:
    return option == "--help" or any(option in each.opts for each in getattr(command, "params", []))


def links(text: str) -> list[str]:
    """The targets of a page's links and pictures, other sites left out."""
    plain = re.sub(r"^(```.*?^```|    .*?$)", "", text, flags=re.M | re.S)
    found = re.findall(r"\]\(([^)\s]+)\)", plain) + re.findall(r'(?:src|srcset)="([^"]+)"', plain)
    return [target for target in found if not re.match(r"https?:", target)]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub makes of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_table_of_rooms_is_the_list_that_the_imports_are_held_to():
    assert rooms_in(ARCHITECTURE) == ROOMS
    assert list(rooms_in(ARCHITECTURE)) == list(ROOMS)


def test_the_diagram_of_a_message_shows_the_allowed_moves():
    moves = {(str(start), str(end)) for start, ends in MESSAGE_MOVES.items() for end in ends}
    begin = {("[*]", "queued"), ("[*]", "skipped")}
    final = {(str(status), "[*]") for status, ends in MESSAGE_MOVES.items() if not ends}
    assert diagram("The states of a message") == moves | begin | final


def test_the_diagram_of_an_approval_shows_the_allowed_moves():
    moves = {(str(start or "[*]"), str(end or "[*]")) for start, ends in APPROVAL_MOVES.items() for end in ends}
    final = {(str(state), "[*]") for state, ends in APPROVAL_MOVES.items() if not ends}
    assert diagram("The states of an approval") == moves | final


@pytest.mark.parametrize(
    ("heading", "known"),
    [("The states of a campaign", CampaignStatus), ("The states of an approval", ApprovalState),
     ("The states of a message", MessageStatus)],
)  # fmt: skip
def test_a_state_diagram_shows_every_state(heading: str, known: type[StrEnum]):
    assert states(diagram(heading)) == set(known)


@pytest.mark.parametrize(
    ("page", "heading", "known"),
    [
        ("docs/operations.md", "Messages", {*MessageStatus, *SkipReason}),
        ("docs/operations.md", "The status of a campaign", set(StatusKey)),
        ("docs/api.md", "Events", {"session", "purchase", "refund", *AppEventKind, "redeemed"}),
        ("docs/api.md", "The HTTP service", set(ApiScope)),
    ],
)
def test_a_section_explains_every_value(page: str, heading: str, known: set[str]):
    section = re.split(r"^#+ ", (ROOT / page).read_text().partition(f"# {heading}\n")[2], maxsplit=1, flags=re.M)[0]
    explained = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, re.M)
    assert {str(value) for value in known} == set(re.findall(r"\w+", " ".join(explained)))


@every_page
def test_every_path_that_a_page_names_exists(page):
    text = (ROOT / page).read_text()
    if page in HISTORY:
        return
    folder = (ROOT / page).parent
    assert {path for path in named_paths(text) if not (ROOT / path).exists()} == set()
    assert {file for file in named_files(text) if not (ROOT / file).exists() and not (folder / file).exists()} == set()
    assert {name for name in named_modules(text) if not resolves(name)} == set()


@every_page
def test_every_link_leads_somewhere(page):
    for link in links((ROOT / page).read_text()):
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text()), link


@every_page
def test_every_make_target_that_a_page_names_exists(page):
    makefile = (ROOT / "Makefile").read_text()
    named = set(re.findall(r"(?:`|^    )make ([a-z0-9-]+)", (ROOT / page).read_text(), re.M))
    assert named <= set(re.findall(r"^([a-z0-9-]+):", makefile, re.M))


@every_page
def test_every_command_that_a_page_names_exists(page):
    commands = named_commands((ROOT / page).read_text())
    assert [unknown for words in commands if (unknown := unknown_to_the_command_line(words))] == []


@pytest.mark.parametrize("folder", ["engage", "plugins", "docs"])
def test_every_text_names_the_command_as_it_is_installed(folder):
    texts = [file for ending in ("md", "py", "html") for file in (ROOT / folder).rglob(f"*.{ending}")]
    assert texts
    assert [file for file in [*texts, ROOT / "README.md"] if "python -m engage " in file.read_text()] == []


def test_the_readme_says_once_how_to_get_the_command():
    assert (ROOT / "README.md").read_text().count("    . .venv/bin/activate\n") == 1


def test_make_help_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.M)
    assert phony
    assert set(re.findall(r"^([a-z0-9-]+):.*## ", makefile, re.M)) == set(phony[1].split())


# --- the rules notice a breach


@pytest.mark.parametrize(
    "text",
    ["see `engage/no_such_file.py`", "[tests](tests/none/)", "as docs/none.md says.", "(plugins/none.py)"],
)
def test_a_path_that_does_not_exist_would_be_noticed(text):
    assert [path for path in named_paths(text) if not (ROOT / path).exists()]


@pytest.mark.parametrize("name", ["engage.no_such_module", "engage.statuses.NoSuchEnum", "engage.sending.none.none"])
def test_a_module_that_does_not_exist_would_be_noticed(name):
    assert named_modules(f"see {name}.") == {name}
    assert not resolves(name)


@pytest.mark.parametrize(
    ("command", "unknown"),
    [("messages halt --window-start 2026-09-14", []), ("messages --status unknown", []), ("report", []),
     ("reprot", ["reprot"]), ("report --jason", ["--jason"]), ("keys delete 1", ["delete"])],
)  # fmt: skip
def test_a_command_that_does_not_exist_would_be_noticed(command, unknown):
    for line in (f"    engage {command}  # a comment\n", f"see `engage {command}`.", f"    KEY=$(engage {command})\n"):
        assert named_commands(line) == [shlex.split(command)]
    assert unknown_to_the_command_line(shlex.split(command)) == unknown


def test_names_that_exist_are_found():
    assert resolves("engage.statuses.MESSAGE_MOVES")
    assert resolves("engage.storage.schema")
    assert named_files("`Makefile`, `pyproject.toml` and `x = 1`") == {"Makefile", "pyproject.toml"}
    assert links("![a](docs/x.png) [b](#c) [d](https://example.com)\n\n    [e](f)\n") == ["docs/x.png", "#c"]
    assert anchors("## What a run can say\n### `approve`, twice") == {"what-a-run-can-say", "approve-twice"}
