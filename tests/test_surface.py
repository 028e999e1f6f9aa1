"""The public surface is what it was, and the reference tells of all of it."""

from __future__ import annotations

import difflib
import inspect
import re
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import pytest

import fotapool
from fotapool import AsyncClient, Client, FotapoolError, Outcome
from fotapool.client.errors_by_code import BY_CODE
from fotapool.model import OUTCOMES

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
RESULTS = (REFERENCE / "results.md").read_text()

CLASSES = {
    name: getattr(fotapool, name)
    for name in fotapool.__all__
    if inspect.isclass(getattr(fotapool, name))
}


def is_data(kind: type) -> bool:
    """Whether a class is fields and little else."""
    return is_dataclass(kind) or hasattr(kind, "__struct_fields__")


DATA = sorted(name for name, kind in CLASSES.items() if is_data(kind))
ERRORS = sorted(name for name, kind in CLASSES.items() if issubclass(kind, FotapoolError))

# --- as it was ---------------------------------------------------------------------------------


def test_the_surface_is_as_written_down(tmp_path: Path) -> None:
    now = tmp_path / "surface.txt"
    subprocess.run([sys.executable, ROOT / "scripts" / "surface", now], check=True)
    before = ROOT / "tests" / "surface.txt"

    changed = "\n".join(
        difflib.unified_diff(
            before.read_text().splitlines(),
            now.read_text().splitlines(),
            "tests/surface.txt",
            "the code",
            lineterm="",
            n=0,
        )
    )
    if changed:
        pytest.fail(
            f"the public surface is another one:\n{changed}\n"
            "If that is meant: run scripts/surface, and tell of it in CHANGELOG.md.",
            pytrace=False,
        )


SEEN = [
    "class fotapool.Client",
    "fotapool.Client(*, timeout_s: float = 30.0)",
    "fotapool.Client.licenses: LicensesController",
    "fotapool.Client.__exit__(*exception: object) -> None",
    "fotapool.AsyncClient.close() -> None  # coroutine",
    "class fotapool.TimedOut(ConnectionFailed)",
    "fotapool.TimedOut.sent: bool",
    "fotapool.LicenseChange(replayed: bool = False)",
    "fotapool.LicenseChange.free: int  # property",
    "fotapool.LicenseSummary(*, last_seen_device_id: str | None)",
    "fotapool.Outcome.NO_FREE_LICENSE = 12",
    "fotapool.testing.FAULTS: PoolExhausted",
    "fotapool.testing.BASE_URL = 'http://fota.test'",
    "fotapool.testing.recording(path: str | Path) -> Iterator[Recorder]",
]


@pytest.mark.parametrize("line", SEEN)
def test_each_kind_of_name_is_written_down(line: str) -> None:
    assert line in (ROOT / "tests" / "surface.txt").read_text().splitlines()


def test_no_type_is_written_as_an_interpreter_shows_it() -> None:
    assert "<class" not in (ROOT / "tests" / "surface.txt").read_text()


# --- what an import costs ----------------------------------------------------------------------

NETWORK = {"urllib3", "aiohttp", "ssl", "http.client", "email"}
OUR_SERVER = {"fotapool.api", "fotapool.auth", "fotapool.ledger", "fotapool.store", "sqlite3"}
WORDS_OF_A_SERVER = {
    f"fotapool.model.{room}"
    for room in ("callers", "facts", "history", "pool", "registry", "upgrades")
}

# a program's first line            what it does not wait for
WEIGHTS = [
    ("import fotapool",               {"fotapool.client", "fotapool.model", "msgspec"}),
    ("from fotapool import Client",   {*NETWORK, *OUR_SERVER, *WORDS_OF_A_SERVER, "asyncio", "random"}),
    ("from fotapool import AsyncClient", {"urllib3", "aiohttp", *OUR_SERVER, *WORDS_OF_A_SERVER}),
    ("from fotapool.cli import main", {*NETWORK, *OUR_SERVER, *WORDS_OF_A_SERVER, "fotapool.client",
                                       "fotapool.wire", "fotapool.bulk", "msgspec", "logging",
                                       "asyncio", "rich", "random", "tempfile", "csv"}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "unused"), WEIGHTS, ids=[line for line, _ in WEIGHTS])
def test_nothing_is_imported_before_it_is_needed(line: str, unused: set[str]) -> None:
    program = f"import sys; before = set(sys.modules); {line}; print(*set(sys.modules) - before)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout
    assert unused & set(done.stdout.split()) == set()


# --- what docstrings tell ----------------------------------------------------------------------


def methods_of(kind: type) -> dict[str, Any]:
    """The public methods and properties that are ours."""
    return {
        name: member
        for base in reversed(kind.__mro__)
        if base.__module__.startswith("fotapool")
        for name, member in vars(base).items()
        if not name.startswith("_")
        and (inspect.isfunction(member) or isinstance(member, property | classmethod))
    }


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_a_public_class_and_its_methods_say_what_they_are(name: str) -> None:
    untold = [
        told
        for told, member in methods_of(CLASSES[name]).items()
        if not inspect.getdoc(member) and not isinstance(member, property)
    ]

    assert inspect.getdoc(CLASSES[name])
    assert not untold


VERBS = [
    f"{kind}.{name}"
    for kind in sorted(CLASSES)
    if kind.endswith(("Controller", "Client", "Listing"))
    for name in methods_of(CLASSES[kind])
    if name != "close"
]


@pytest.mark.parametrize("verb", VERBS)
def test_what_makes_calls_says_what_it_raises(verb: str) -> None:
    kind, name = verb.split(".")
    told = inspect.getdoc(getattr(CLASSES[kind], name)) or ""

    assert re.search(r"\bRaises\s+(ApiError|ConfigurationError)\b", told)


# --- what the reference tells ------------------------------------------------------------------


def test_every_public_name_is_in_the_reference() -> None:
    pages = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    named = set(
        re.findall(r"\w+", " ".join(re.findall(r"`[^`\n]+`|^### \w+$", pages, re.MULTILINE)))
    )

    assert {name for name in fotapool.__all__ if name not in named} == set()


@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_every_argument_of_a_client_is_in_the_reference(client: type) -> None:
    pages = [(REFERENCE / page).read_text() for page in ("client.md", "settings.md")]
    arguments = inspect.signature(client).parameters

    assert [name for name in arguments if not any(f"`{name}`" in page for page in pages)] == []


def table_below(heading: str) -> list[list[str]]:
    """The cells of the first table below a heading."""
    section = RESULTS.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def told_members(heading: str) -> dict[str, str]:
    """The members of a class in its table, each with its type."""
    return {
        name: kind.replace("`", "")
        for names, kind, _ in table_below(heading)
        for name in re.findall(r"`(\w+)`", names)
    }


def members_of(kind: type) -> dict[str, str]:
    """Fields, properties and methods of a class, each with its type as it is written."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        if base.__module__.startswith("fotapool"):
            found |= {
                name: str(typed)
                for name, typed in inspect.get_annotations(base).items()
                if not name.startswith("_") and "ClassVar" not in str(typed)
            }
    for name, member in methods_of(kind).items():
        made = inspect.signature(getattr(member, "fget", member))
        told = str(made.return_annotation)
        taken = ", ".join(f"{p.name}: {p.annotation}" for p in list(made.parameters.values())[1:])
        found[name] = told if isinstance(member, property) else f"({taken}) -> {told}"
    return {name: typed.replace(" | ", " or ") for name, typed in found.items()}


@pytest.mark.parametrize("name", DATA)
def test_the_members_of_a_result_are_in_its_table(name: str) -> None:
    members = members_of(CLASSES[name])
    shared = {
        member: members[member] for member in told_members("Every result") if member in members
    }

    assert told_members(name) | shared == members


@pytest.mark.parametrize("name", ["ConnectionFailed", "AnswerError"])
def test_the_members_of_an_error_are_in_its_table(name: str) -> None:
    error = {
        "ConnectionFailed": fotapool.ConnectionFailed("no", sent=True),
        "AnswerError": fotapool.AnswerError(fotapool.Response(500, {}, b"")),
    }[name]

    assert set(told_members(name)) == {
        *(member for member in vars(error) if not member.startswith("_")),
        *(member for member, of in methods_of(type(error)).items() if isinstance(of, property)),
    }


def test_the_errors_are_those_in_the_table() -> None:
    rows = RESULTS.partition("\n| Class | Base")[2].partition("\n\n")[0].splitlines()[2:]
    told = [[cell.strip().strip("`") for cell in row.strip("|").split("|")][:2] for row in rows]

    broad = [name for name in ERRORS if CLASSES[name] not in BY_CODE.values()]

    assert sorted(told) == [[name, CLASSES[name].__base__.__name__] for name in broad]


def test_the_outcomes_are_those_in_the_table() -> None:
    rows = RESULTS.partition("\n| Asked | As asked")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    told = {
        asked: [(name, ok) for cell, ok in ((good, True), (bad, False)) for name in names(cell)]
        for asked, good, bad in cells
    }

    assert told.pop("anything")[0] == ("UNRECOGNIZED", False)
    assert told == {
        verb.word: sorted(
            ((outcome.name, outcome.ok) for outcome in outcomes), key=lambda pair: not pair[1]
        )
        for verb, outcomes in OUTCOMES.items()
        if outcomes
    }
    assert {name for pairs in told.values() for name, _ in pairs} == {
        outcome.name for outcome in Outcome if outcome is not Outcome.UNRECOGNIZED
    }


def names(cell: str) -> list[str]:
    return re.findall(r"`([A-Z_]+)`", cell)
