"""Rules of the house that no other test would notice the breach of."""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = {str(file.relative_to(ROOT)): ast.parse(file.read_text()) for file in sorted(ROOT.glob("engage/**/*.py"))}
OUTER = {"airflow", "dags", "plugins"} | {
    file.stem for folder in ("dags", "plugins") for file in ROOT.glob(f"{folder}/*.py")
}
ROOMS = {
    # a room, and the rooms that it may import; each stands above it in the list
    "errors": "",
    "parsing": "errors",
    "currency": "errors",
    "formats": "",
    "window": "errors parsing",
    "clock": "",
    "airflow_names": "",
    "statuses": "",
    "alert": "statuses",
    "process_signals": "",
    "worker_processes": "",
    "texts": "errors statuses",
    "segments": "parsing window",
    "return_score": "formats window",
    "settings": "errors parsing statuses alert texts segments",
    "experiments": "",
    "storage": "errors window clock statuses texts",
    "archive": "errors window worker_processes storage",
    "alert_outbox": "window statuses alert storage",
    "drafts": "errors statuses texts segments settings storage",
    "customers": "errors window statuses texts storage",
    "campaigns": "errors window statuses segments return_score settings experiments storage alert_outbox",
    "sources": "errors parsing window statuses storage campaigns",
    "spark": "errors window storage campaigns archive",
    "imports": "errors parsing window statuses worker_processes texts storage customers campaigns",
    "sending": "errors parsing currency formats window statuses texts segments settings storage alert_outbox customers"
    " campaigns",
    "steps": "errors window statuses segments settings experiments storage alert_outbox customers campaigns sources"
    " sending",
    "maintenance": "window statuses storage archive campaigns",
    "reports": "errors parsing currency formats window statuses texts segments return_score settings experiments"
    " storage customers campaigns sending",
    "live": "window segments settings storage campaigns steps reports",
    "local": "errors clock airflow_names process_signals texts settings storage",
    "service": "errors parsing currency window statuses texts storage customers campaigns sending reports",
    "pages": "errors parsing currency formats window airflow_names statuses texts segments return_score settings"
    " experiments storage drafts campaigns imports reports",
    "cli": "errors parsing currency formats window clock statuses process_signals texts segments return_score settings"
    " storage archive drafts customers campaigns imports sending steps maintenance reports live local service pages",
}
CLOCK_READERS = {"engage/clock.py"}
RAW_SQL_ALLOWED = re.compile(r"engage/(storage/partitions/.*|local/embedded_postgres|storage/migrations/.*)\.py")
EXPRESSION_TEXT_ALLOWED = {
    f"engage/storage/schema/{name}.py" for name in ("campaigns", "customers", "messages")
}  # a default and an index's condition, which are DDL
LONGEST_MODULE, LONGEST_MEDIAN = 400, 110

every_file = pytest.mark.parametrize("file", FILES)


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a file imports anywhere, ``from a import b`` as ``a.b``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{'.' * node.level}{node.module or ''}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and dotted(node.func).endswith(("import_module", "__import__")):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of an expression, as far as it is one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield dotted(node.func), node


def reads_the_clock(tree: ast.AST) -> list[str]:
    found = [name for name, _ in calls(tree) if re.search(r"\.(now|utcnow|today|time_ns)$|(^|\.)time\.time$", name)]
    found += [name for name in imported(tree) if re.fullmatch(r"time\.(time|time_ns)", name)]
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    found += [text for text in texts if re.search(r"\b(now\(\)|(current|clock)_timestamp|localtimestamp)", text, re.I)]
    return found


def raw_sql(tree: ast.AST) -> list[str]:
    found = []
    for name, call in calls(tree):
        constant = call.args and isinstance(call.args[0], ast.Constant | ast.JoinedStr)
        if re.search(r"(^|\.)(exec_driver_sql|text|DDL)$", name) or (name.endswith(".execute") and constant):
            found.append(name.rpartition(".")[2])
    return found


@every_file
def test_the_package_imports_nothing_that_builds_on_it(file):
    assert [name for name in imported(FILES[file]) if name.split(".")[0] in OUTER] == []


@every_file
def test_imports_are_absolute(file):
    assert [name for name in imported(FILES[file]) if name.startswith(".")] == []


@pytest.mark.parametrize("file", sorted(set(FILES) - CLOCK_READERS))
def test_only_the_edges_read_the_clock(file):
    assert reads_the_clock(FILES[file]) == []


@every_file
def test_raw_sql_stands_only_where_ddl_is(file):
    if RAW_SQL_ALLOWED.fullmatch(file):
        return
    found = raw_sql(FILES[file])
    assert [name for name in found if name != "text" or file not in EXPRESSION_TEXT_ALLOWED] == []


@every_file
def test_public_functions_and_classes_explain_themselves(file):
    if "/versions/" in file:
        return
    public = [
        node
        for node in FILES[file].body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_")
    ]
    assert [node.name for node in public if not ast.get_docstring(node)] == []


@every_file
def test_modules_explain_themselves(file):
    if Path(file).name != "__main__.py":
        assert ast.get_docstring(FILES[file])


@every_file
def test_exceptions_are_defined_in_one_place(file):
    """Where the picture of all of them is."""
    exceptions = [
        node.name
        for node in ast.walk(FILES[file])
        if isinstance(node, ast.ClassDef) and any(re.search(r"(Error|Exception)$", dotted(base)) for base in node.bases)
    ]
    assert file == "engage/errors.py" or exceptions == []


def test_modules_do_not_import_each_other_in_a_circle():
    modules = {module_name(file): tree for file, tree in FILES.items()}
    graph = {
        module: {known for name in imported(tree) if (known := longest_known(name, modules)) and known != module}
        for module, tree in modules.items()
    }
    assert graph["engage.steps.message"] > {"engage.sending.sender", "engage.sending.ledger"}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        pytest.fail(" imports ".join(reversed(exc.args[1])))


def room_of(name: str) -> str | None:
    """The room of a dotted name: ``sending`` of ``engage.sending.queue.build``; None outside of the package."""
    package, _, rest = name.partition(".")
    return rest.partition(".")[0] if package == "engage" and rest else None


def forbidden(room: str, tree: ast.AST) -> list[str]:
    """What a file in ``room`` imports from rooms that it may not import."""
    allowed = {room, *ROOMS[room].split()}
    return [name for name in imported(tree) if (other := room_of(name)) and other not in allowed]


def test_the_list_of_rooms_is_complete_and_no_arrow_runs_back():
    modules = {module_name(file) for file in FILES} - {"engage", "engage.__main__"}
    assert {room_of(module) for module in modules} == set(ROOMS)
    above: set[str] = set()
    for room, allowed in ROOMS.items():
        assert set(allowed.split()) <= above, room
        above.add(room)


@pytest.mark.parametrize("file", [file for file in FILES if file.count("/") > 1 or "__" not in file])
def test_a_room_imports_only_what_it_may(file):
    room = room_of(module_name(file))
    assert room is not None
    assert forbidden(room, FILES[file]) == []


def test_the_list_of_rooms_allows_only_what_is_used():
    used: dict[str, set[str]] = {room: set() for room in ROOMS}
    for file, tree in FILES.items():
        if (room := room_of(module_name(file))) in used:
            used[room] |= {other for name in imported(tree) if (other := room_of(name))}
    assert {room: unused for room, allowed in ROOMS.items() if (unused := set(allowed.split()) - used[room])} == {}


def test_only_commands_dags_and_benchmarks_run_steps():
    """The live window only reads with their queries."""
    users = [room for room, allowed in ROOMS.items() if "steps" in allowed.split()]
    assert users == ["live", "cli"]
    live = {name for file, tree in FILES.items() if file.startswith("engage/live/") for name in imported(tree)}
    queries = {"aggregate.scored_activity", "aggregate.separate", "bucket.assignment"}
    assert {name for name in live if name.startswith("engage.steps")} == {f"engage.steps.{one}" for one in queries}


def test_nothing_that_sends_knows_of_the_live_window():
    """Neither its tables, nor the modules that read or write them."""
    senders = [file for file in FILES if file.startswith(("engage/sending/", "engage/steps/"))]
    assert len(senders) > 30
    known = re.compile(r"live_(window|activity|bucket)|window_customers|engage\.live|\bLIVE\b")
    assert [file for file in senders if known.search((ROOT / file).read_text())] == []


def test_modules_are_short():
    lengths = {file: len((ROOT / file).read_text().splitlines()) for file in FILES if "/versions/" not in file}
    assert {file: length for file, length in lengths.items() if length > LONGEST_MODULE} == {}
    assert statistics.median(lengths.values()) < LONGEST_MEDIAN


def module_name(file: str) -> str:
    return file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def longest_known(name: str, modules: dict[str, ast.Module]) -> str | None:
    while name and name not in modules:
        name = name.rpartition(".")[0]
    return name or None


def test_importing_all_of_the_package_loads_no_airflow():
    """Nor does anything that it imports."""
    modules = [module_name(file) for file in FILES if not file.startswith("engage/storage/migrations/")]
    modules.remove("engage.__main__")
    code = f"import sys, {', '.join(modules)}\nprint([name for name in sys.modules if name.split('.')[0] == 'airflow'])"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stdout) == (0, "[]\n"), answer.stderr


# --- the rules notice a breach


@pytest.mark.parametrize(
    ("room", "code"),
    [("texts", "from engage.storage import schema"), ("sending", "import engage.steps.message"),
     ("campaigns", "def f():\n    from engage.sending.queue import build"), ("storage", "from engage import settings")],
)  # fmt: skip
def test_an_arrow_that_runs_back_would_be_noticed(room, code):
    assert forbidden(room, ast.parse(code))


@pytest.mark.parametrize(
    "code",
    ["import airflow", "from airflow.sdk import Variable", "from engage_steps import Run", "import dags.x",
     "def f():\n    from airflow import settings", "import_module('airflow.sdk')"],
)  # fmt: skip
def test_an_import_of_airflow_would_be_noticed(code):
    assert [name for name in imported(ast.parse(code)) if name.split(".")[0] in OUTER]


@pytest.mark.parametrize(
    "code",
    ["datetime.now(UTC)", "datetime.datetime.utcnow()", "date.today()", "time.time()", "from time import time",
     "sa.func.now()", "conn.execute(sa.text('SELECT now()'))", "x = 'current_timestamp'", "time.time_ns()"],
)  # fmt: skip
def test_a_look_at_the_clock_would_be_noticed(code):
    assert reads_the_clock(ast.parse(code))


@pytest.mark.parametrize("code", ["time.monotonic()", "perf_counter()", "clock()", "sa.func.max(x)", "time.sleep(1)"])
def test_measuring_a_duration_is_not_a_look_at_the_clock(code):
    assert not reads_the_clock(ast.parse(code))


@pytest.mark.parametrize(
    "code",
    ["conn.exec_driver_sql('x')", "sa.text('x')", "text('x')", "conn.execute('SELECT 1')", "cur.execute(f'x {y}')",
     "sa.DDL('x')"],
)  # fmt: skip
def test_raw_sql_would_be_noticed(code):
    assert raw_sql(ast.parse(code))
