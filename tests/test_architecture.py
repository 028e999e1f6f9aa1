"""The shape of the house: who imports whom, how long things may be, what is never there."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "fotapool"
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(path.relative_to(SOURCE)) for path in FILES]

COROUTINES = SOURCE / "client" / "aio"
FUNCTION_LINES_MAX = 40
FILE_LINES_MAX = 400

# Who may import whom; ARCHITECTURE.md has the same table.
MAY_IMPORT: dict[str, set[str]] = {
    "model": set(),
    "wire": {"model"},
    "ledger": {"model"},
    "store": {"model"},
    "auth": {"model"},
    "client": {"wire", "model"},
    "bulk": {"model"},
    "api": {"ledger", "auth", "wire", "model"},
    "server": {"api", "auth", "ledger", "store", "model"},
    "testing": {"api", "auth", "ledger", "store", "client", "wire", "model", "server"},
}
ANY_ROOM = {"cli"}
FRONT_DOORS = {
    "__init__": {"client", "model", "wire"},
    "__main__": {"cli"},
    "_pytest_plugin": {"testing", "model"},
}


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> set[str]:
    """Every fotapool module a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == "fotapool"}


def rooms(path: Path) -> set[str]:
    named = {name.split(".")[1] for name in imports(path) if "." in name}
    return {name for name in named if name in MAY_IMPORT or name in ANY_ROOM} - {room_of(path)}


def test_every_file_is_in_a_room() -> None:
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT) | ANY_ROOM | set(FRONT_DOORS)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    room = room_of(path)
    if room in ANY_ROOM:
        return
    allowed = MAY_IMPORT.get(room, FRONT_DOORS.get(room, set()))

    assert rooms(path) <= allowed


def test_the_table_in_architecture_md_is_this_one() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| .* \| ([\w, ]+) \|$", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE
    )

    told = {
        room: set() if names == "nothing of ours" else set(names.split(", "))
        for room, names in rows
        if room != "cli"
    }
    assert told == MAY_IMPORT


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_private_modules_stay_in_their_room(path: Path) -> None:
    for name in imports(path):
        parts = name.split(".")[1:]
        if any(part.startswith("_") and not part.startswith("__") for part in parts[:2]):
            assert parts[0] == room_of(path), name


# --- what a room must not know -----------------------------------------------------------------

FORBIDDEN: dict[str, set[str]] = {
    "model": {"json", "msgspec", "sqlite3", "time", "random", "os", "http"},
    "ledger": {"json", "msgspec", "sqlite3", "time", "random", "os", "http", "asyncio", "datetime"},
    "store": {"http", "asyncio", "urllib", "starlette", "uvicorn"},
    "auth": {"json", "msgspec", "sqlite3", "time", "random", "os", "http", "asyncio"},
    "wire": {"sqlite3", "time", "random", "os", "http", "asyncio"},
    "api": {
        "sqlite3",
        "time",
        "random",
        "os",
        "asyncio",
        "threading",
        "starlette",
        "uvicorn",
        "json",
    },
    "client": {"sqlite3", "starlette", "uvicorn", "asyncio", "json"},
    "bulk": {"sqlite3", "http", "json"},
    "testing": {"sqlite3", "starlette", "click", "json", "pytest"},
}


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_a_room_does_not_know_what_is_not_its_business(path: Path) -> None:
    known = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            known |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known.add(node.module.split(".")[0])

    allowed = {"os"} if room_of(path) == "client" else set()
    if path.parent == COROUTINES:
        allowed |= {"asyncio"}
    assert not known & (FORBIDDEN.get(room_of(path), set()) - allowed)


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_sql_has_one_address_and_await_another(path: Path) -> None:
    tree = ast.parse(path.read_text())
    texts = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    has_sql = any(
        re.search(r"\b(SELECT .+ FROM|INSERT INTO|DELETE FROM|UPDATE \w+ SET)\b", text, re.DOTALL)
        for text in texts
    )
    has_await = any(
        isinstance(node, ast.Await | ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith)
        for node in ast.walk(tree)
    )

    assert not has_sql or room_of(path) == "store"
    assert not has_await or room_of(path) in ("server", "testing") or path.parent == COROUTINES


# --- lengths -----------------------------------------------------------------------------------


def code_lines(node: ast.AST, lines: list[str]) -> int:
    """Lines of a function without blanks, comments and its docstring."""
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    body = node.body[1:] if ast.get_docstring(node) else node.body
    spoken = range(node.lineno - 1, node.body[0].lineno - 1)
    counted = [*spoken, *range(body[0].lineno - 1, body[-1].end_lineno or 0)] if body else [*spoken]
    return sum(1 for at in counted if lines[at].strip() and not lines[at].strip().startswith("#"))


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_and_functions_are_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= FILE_LINES_MAX
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert code_lines(node, lines) <= FUNCTION_LINES_MAX, node.name


def test_the_median_function_is_small() -> None:
    lengths = sorted(
        code_lines(node, path.read_text().splitlines())
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )

    assert lengths[len(lengths) // 2] <= 8
    assert sum(length > 30 for length in lengths) <= len(lengths) // 50


def test_no_room_is_a_drawer() -> None:
    assert not [name for name in NAMES if re.search(r"util|helper|common|manager|misc", name)]


# --- the repository ----------------------------------------------------------------------------


def tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_nothing_names_a_registry() -> None:
    # Each in brackets, so that this file needs no exception.
    pattern = re.compile(r"[i]ndex-url|[p]ypi\.org|[p]ythonhosted|[r]egistry\.npmjs")
    for path in tracked():
        assert not pattern.search(path.read_text(errors="replace")), path


def test_versions_are_pinned_for_everything_that_is_asked_for() -> None:
    pinned = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    project = (ROOT / "pyproject.toml").read_text()
    asked = {
        name.lower().replace("_", "-")
        for name in re.findall(
            r'"([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?(?:[><=]=?[^"]*)?"',
            project.partition("[project.scripts]")[0],
        )
        if name[0].isalpha()
    }
    needed = {
        name
        for name in asked
        if name in pinned
        or name
        in {
            "msgspec",
            "urllib3",
            "starlette",
            "uvicorn",
            "httptools",
            "uvloop",
            "jinja2",
            "python-multipart",
            "aiohttp",
            "psycopg",
            "click",
            "rich",
            "pytest",
            "mypy",
            "pyright",
            "ruff",
            "hypothesis",
        }
    }

    assert needed <= pinned
    assert len(needed) >= 20
