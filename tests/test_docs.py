"""The docs, run and held against the code: every snippet, table, link and number."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import click
import msgspec
import pytest

from fotapool import (
    Client,
    DevicesController,
    ErrorException,
    LicensesController,
    Listing,
    PoolController,
    UpgradesController,
)
from fotapool.api.routes import POOL, ROUTES
from fotapool.auth import FAILED_LOGINS_MAX, LOCK_MS, SESSION_IDLE_MS, TOKEN_LIFE_MS
from fotapool.bulk import RowProblem
from fotapool.cli import _options
from fotapool.cli._options import DEFAULT_DB
from fotapool.cli.devices import IMPORT_DEVICES_MAX
from fotapool.client import Network
from fotapool.client.credentials import ENVIRONMENT
from fotapool.client.options import CallOptions
from fotapool.ledger import LICENSES_MAX, PAGE_SIZE_MAX
from fotapool.ledger.verify import Wrong
from fotapool.model import ITEM_LENGTH_MAX, Outcome, Refusal, Role, Verb
from fotapool.server.http import HEAD_BYTES_MAX, HEAD_TIMEOUT_S
from fotapool.server.settings import Settings
from fotapool.store import SqliteStore
from fotapool.testing import (
    FAULTS,
    Account,
    Emulator,
    Faults,
    Journal,
    Scenario,
    When,
    emulated_live,
)
from fotapool.testing.arming import Matching
from fotapool.testing.control import Control
from fotapool.testing.faults_service import REFUSED_OUTCOMES
from fotapool.wire.errors import ERRORS
from script import IMEIS, Play
from test_cli import ALL
from world import ACCOUNT, Clock, World, needs

ROOT = Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def text_of(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text_of(name), re.DOTALL)


def table(name: str, header: str) -> list[list[str]]:
    """The cells below a table's header, code marks taken off."""
    after = text_of(name).partition(f"\n| {header}")[2]
    lines = after.partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines]


# --- tables ------------------------------------------------------------------------------------


def test_the_settings_table_is_the_settings() -> None:
    expected = [["--db", "FOTAPOOL_DB", DEFAULT_DB]]
    for setting in fields(Settings):
        option = "--" + setting.name.replace("_", "-")
        expected.append(
            [
                option,
                f"FOTAPOOL_{setting.name.upper()}",
                str(setting.default),
                setting.metadata["meaning"],
            ]
        )
    rows = table("docs/reference/settings.md", "Option")

    assert [row[:3] for row in rows] == [row[:3] for row in expected]
    assert [row[3] for row in rows[1:]] == [row[3] for row in expected[1:]]


def test_the_limits_table_is_the_limits() -> None:
    assert table("docs/reference/settings.md", "What | Number") == [
        ["devices on a status page", f"{PAGE_SIZE_MAX:,}"],
        ["licenses of an account", f"0 to {LICENSES_MAX:,}"],
        ["characters of a list's item", str(ITEM_LENGTH_MAX)],
        ["devices in one change of an import", f"{IMPORT_DEVICES_MAX:,}"],
        [
            "a request line with its headers",
            f"{HEAD_BYTES_MAX:,} bytes, {HEAD_TIMEOUT_S:g} seconds",
        ],
        ["life of a bearer token", f"{TOKEN_LIFE_MS // 3_600_000} hour"],
        ["idle time of a session", f"{SESSION_IDLE_MS // 60_000} minutes"],
        [
            "failed logins in a row, then locked for",
            f"{FAILED_LOGINS_MAX}, {LOCK_MS // 60_000} minutes",
        ],
    ]


def test_the_clients_variables_are_listed() -> None:
    rows = table("docs/reference/settings.md", "Variable | Argument")

    assert [(row[0], row[1].split("`")[0]) for row in rows] == [
        (variable, name) for name, variable in ENVIRONMENT.items()
    ]


def test_the_clients_arguments_are_as_listed() -> None:
    rows = table("docs/reference/client.md", "Argument | Default")
    defaults = {
        name: str(parameter.default)
        for name, parameter in inspect.signature(Client).parameters.items()
        if parameter.default is not None or name.endswith("_request")
    }

    network = {row[0]: row[1] for row in table("docs/reference/client.md", "Argument | Otherwise")}
    assert set(network) == {field.name for field in fields(Network)} - {"environment"}
    assert defaults.pop("connections_max") == network["connections_max"]
    assert {row[0]: row[1].replace("none", "None") for row in rows} == defaults
    assert set(defaults) == set(CallOptions.__annotations__)


def test_the_tests_of_the_page_on_the_client(tmp_path: Path) -> None:
    assert_examples_hold("docs/reference/client.md", tmp_path)


VERBS = "docs/reference/verbs.md"
CONTROLLERS = {
    "licenses": LicensesController,
    "pool": PoolController,
    "devices": DevicesController,
    "upgrades": UpgradesController,
}


def test_the_examples_of_the_verbs(tmp_path: Path) -> None:
    assert_examples_hold(VERBS, tmp_path)


def assert_examples_hold(page: str, folder: Path) -> None:
    """Each block of a page is a test or two, and passes."""
    programs = blocks(page, "python")
    examples = [re.findall(r"^def test_", program, re.MULTILINE) for program in programs]

    assert all(examples)
    assert pytest_of(folder, *programs) == sum(map(len, examples))


def test_every_verb_has_an_example() -> None:
    """And every verb of an example is one; so do the methods of a client and a list."""
    shown: set[str] = set()
    for program in blocks(VERBS, "python"):
        for node in ast.walk(ast.parse(program)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                shown.add(ast.unparse(node.func))
    verbs = {
        f"client.{name}.{verb}"
        for name, controller in CONTROLLERS.items()
        for verb in public_methods(controller)
    }

    assert {call for call in shown if call.startswith("client.") and call.count(".") == 2} == verbs
    assert {f"client.{method}" for method in public_methods(Client) - {"perform"}} <= shown
    assert {f"listing.{method}" for method in public_methods(Listing)} <= shown


def public_methods(kind: type) -> set[str]:
    return {
        name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")
    }


def test_the_command_table_is_the_commands() -> None:
    listed = {row[0] for row in table("docs/reference/cli.md", "Command")}

    assert listed == {"fotapool " + " ".join(path) for path, _ in ALL}


def test_the_exit_codes_are_the_ones_listed() -> None:
    codes = [int(row[0]) for row in table("docs/reference/cli.md", "Exit code")]

    assert codes == [
        _options.DONE,
        _options.SOME_REFUSED,
        _options.USAGE,
        _options.COULD_NOT,
        _options.UNSOUND,
        _options.INTERRUPTED,
        _options.UNREAD,
    ]


@pytest.mark.parametrize(
    ("section", "codes"), [("Fleet files", RowProblem), ("What verify finds", Wrong)]
)
def test_the_codes_are_listed(section: str, codes: type[RowProblem | Wrong]) -> None:
    after = text_of("docs/reference/cli.md").partition(f"## {section}")[2].partition("\n## ")[0]

    assert re.findall(r"^\| `(\w+)` \| (.+) \|$", after, re.MULTILINE) == [
        (known.code, known.value) for known in codes
    ]


def test_the_error_table_is_the_error_table() -> None:
    """Every refusal stands in the page with its status and code, and its text unless it is ours."""
    told: set[tuple[int, str, str]] = set()
    for _, statuses, codes, messages in table("docs/reference/protocol.md", "Case"):
        split_statuses = [int(status) for status in re.findall(r"\d{3}", statuses)]
        split_codes = [code.strip(" `") for code in codes.split(",")]
        split_messages = (
            [message.strip(" `") for message in messages.split("`, ")]
            if "," in messages and "`" in messages
            else [messages]
        )
        for at, code in enumerate(split_codes):
            told.add(
                (
                    split_statuses[at % len(split_statuses)],
                    code,
                    split_messages[at % len(split_messages)],
                )
            )

    for refusal in Refusal:
        row = ERRORS[refusal]
        message = row.message.replace("{limit}", "10000")
        assert {(row.status, row.code, message), (row.status, row.code, "ours")} & told, refusal
    assert {(status, code) for status, code, _ in told} == {
        (row.status, row.code) for row in ERRORS.values()
    }


def test_the_table_of_our_own_operations_is_the_routes(small_world: World) -> None:
    """With the role that each needs, and a body that it takes."""
    rows = table("docs/reference/protocol.md", "Operation | Role")
    routes = [route for route in ROUTES if route.own]
    assert routes[0].role is not None
    assert [(row[0], row[1].partition(";")[0]) for row in rows] == [
        (f"{route.method} {route.path.removeprefix(POOL)}".strip(), route.role and route.role.word)
        for route in routes
    ]
    play = Play(small_world, name=ACCOUNT)
    play.play("assign A; resize 8")
    login = small_world.add_login(role=Role.ADMIN)
    device = f"{IMEIS['A']:015d}"
    for (operation, _, body, _), route in zip(rows, routes, strict=True):
        path = route.path.format(account=ACCOUNT, sequence=3, imei=device)
        asked = body.replace("[…]", f'["{device}"]').replace(": n}", ": 3}").encode()
        query = "sequence=3" if operation == "GET /as-of" else ""
        raw = b"" if asked.startswith(b"none") else asked
        reply = small_world.ask(route.method, path, body=raw, query=query, headers=login.headers)
        assert reply.status == 200, (operation, reply.body)


def test_the_numbers_of_outcomes_and_verbs_are_published() -> None:
    page = text_of("docs/reference/protocol.md")
    outcomes = re.findall(
        r"(\d+) ([a-z ]+)[,;.]",
        page.partition("Outcome bytes:")[2].partition("\n\n")[0].replace("\n", " "),
    )
    verbs = re.search(r"verb \| 1 byte: (.*?) \|", page)

    assert {int(number): name for number, name in outcomes} == {
        outcome.value: outcome.word.replace("_", " ") for outcome in Outcome if outcome
    }
    assert verbs is not None
    assert verbs[1].split(", ") == [
        f"{verb.value} {verb.name.lower().replace('_', ' ')}" for verb in Verb
    ]


def test_the_outcome_words_of_the_rules_are_the_enums() -> None:
    for header, verb in (("# | When | Outcome | Reason", Verb.ASSIGN),):
        rows = table("docs/reference/protocol.md", header)
        assert [row[2] for row in rows] == [
            "malformed",
            "already_licensed",
            "unknown_device",
            "no_free_license",
            "assigned",
        ], verb
    removal = (
        text_of("docs/reference/protocol.md").partition("## R3 Remove")[2].partition("\n## ")[0]
    )
    assert re.findall(r"\| `(\w+)` \|", removal) == [
        "malformed",
        "not_licensed",
        "upgrade_running",
        "upgraded",
        "removed",
    ]


# --- links and words ---------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if "://" not in link:
            assert (page.parent / link).exists(), link


def test_files_named_in_the_docs_exist() -> None:
    for page in PAGES:
        for name in re.findall(
            r"`((?:tests|src|docs|store|server|ledger|wire|bench)/[\w/.-]+)`", page.read_text()
        ):
            assert (ROOT / name).exists() or (ROOT / "src" / "fotapool" / name).exists(), (
                page.name,
                name,
            )


def test_each_door_of_the_readme_has_at_most_ten_lines_to_type() -> None:
    doors = re.split(r"^## ", text_of("README.md"), flags=re.MULTILINE)[1:4]

    assert [door.splitlines()[0] for door in doors] == [
        "I have a vendor account",
        "I run my own pool",
        "I test my code",
    ]
    for door in doors:
        typed = "".join(re.findall(r"```\w+\n(.*?)```", door, re.DOTALL)).splitlines()
        assert 0 < len(typed) <= 10


# --- snippets ----------------------------------------------------------------------------------


def environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FOTAPOOL_PORT": "0", **more}


def run(command: list[str], folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def running(command: list[str], folder: Path, until: str, **more: str) -> Iterator[list[str]]:
    """A command that goes on, and the lines it printed up to a certain one."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines: list[str] = []
        while until not in "".join(lines[-1:]):
            lines.append(process.stdout.readline())
            assert lines[-1], lines
        yield lines
    finally:
        process.kill()
        process.communicate()


def exports(lines: list[str]) -> dict[str, str]:
    return dict(re.findall(r"export (\w+)=(\S+)", "".join(lines)))


def test_the_vendor_account_door(tmp_path: Path) -> None:
    world = World(SqliteStore(None, clock=Clock()), Clock())
    world.add_account(licenses=1000, devices=[990003425730524])
    secrets = world.credentials.create([ACCOUNT])
    snippet, *_ = blocks("README.md", "python")
    with world.serving() as url:
        done = run(
            [sys.executable, "-W", "error", "-c", snippet],
            tmp_path,
            FOTAPOOL_BASE_URL=url,
            FOTAPOOL_CLIENT_ID=secrets.client_id,
            FOTAPOOL_CLIENT_SECRET=secrets.client_secret,
            FOTAPOOL_USERNAME=secrets.username,
            FOTAPOOL_PASSWORD=secrets.password,
        )
    world.store.close()

    assert (
        done.stdout == "1 of 1000 used, 999 free\n99000342573052 malformed Invalid Device IMEI.\n"
    )


def test_the_own_pool_door(tmp_path: Path) -> None:
    pool = next(block for block in blocks("README.md", "sh") if "account create" in block)
    lines = pool.splitlines()
    assert lines[-1] == "fotapool serve"
    done = run(["bash", "-e", "-c", "\n".join(lines[:-1])], tmp_path)
    secrets = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    with running(["bash", "-c", "exec " + lines[-1]], tmp_path, "listening") as said:
        program = f"from fotapool import Client; print(Client(base_url={said[0].split()[2]!r}, client_id={secrets['client_id']!r}, client_secret={secrets['client_secret']!r}, username={secrets['username']!r}, password={secrets['password']!r}).licenses.assign('{ACCOUNT}', ['990003425730524', '990000473475967']).used)"
        assert run([sys.executable, "-c", program], tmp_path).stdout == "2\n"


def test_the_testing_door_and_the_official_sdk_recipe(tmp_path: Path) -> None:
    _, first_test, _ = blocks("README.md", "python")
    emulate = next(block for block in blocks("README.md", "sh") if "emulate" in block)
    (recipe,) = blocks("docs/how-to/official-sdk.md", "python")
    assert len(first_test.split("\n\n")[1].splitlines()) <= 5
    assert pytest_of(tmp_path, first_test) == 1
    with running(["bash", "-c", "exec " + emulate], tmp_path, "/_emulator/") as said:
        variables = exports(said)
        assert set(variables) == {
            ENVIRONMENT[name]
            for name in ("base_url", "client_id", "client_secret", "username", "password")
        }
        done = run([sys.executable, "-c", recipe], tmp_path, **variables)

    assert done.stdout == "1 LicenseAssignSuccess\n"


def pytest_of(folder: Path, *programs: str) -> int:
    """Run a page's tests as a user would; how many passed."""
    for at, program in enumerate(programs):
        (folder / f"test_page_{at}.py").write_text(program)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    # The official SDK's own import warns.
    lenient = ["-W", "ignore::DeprecationWarning", "-W", "ignore::SyntaxWarning"]
    done = run([*command, *(lenient if "verizon" in "".join(programs) else [])], folder)
    return int(re.findall(r"^(\d+) passed in", done.stdout, re.MULTILINE)[0])


TESTING = "docs/how-to/test-your-code.md"


def test_the_tests_of_the_testing_page(tmp_path: Path) -> None:
    passed = [pytest_of(tmp_path, program) for program in blocks(TESTING, "python")]

    assert passed == [2, 1, 1, 1, 1]


def test_the_page_on_coroutines(tmp_path: Path) -> None:
    install, program, tests = [
        *blocks("docs/how-to/coroutines.md", "sh"),
        *blocks("docs/how-to/coroutines.md", "python"),
    ]
    assert install == 'pip install "fotapool[async]"\n'
    fleets = Scenario(
        accounts=(
            Account(name="0000123456-00001", devices=("990003425730500", "990003425730501")),
            Account(name="0000123456-00002", devices=("990003425730600",)),
        )
    )
    with emulated_live(fleets) as served:
        done = run([sys.executable, "-W", "error", "-c", program], tmp_path, **served.env)

    assert done.stdout.splitlines() == [
        "0000123456-00001: 2 of 1000 used",
        "  990003425730500",
        "  990003425730501",
        "0000123456-00002: 1 of 1000 used",
        "  990003425730600",
    ], done.stderr
    assert done.stderr == ""
    assert pytest_of(tmp_path, tests) == 1


def test_the_scenario_of_the_testing_page(tmp_path: Path) -> None:
    (file,) = blocks(TESTING, "toml")
    scenario = Scenario.of(tomllib.loads(file))
    with Emulator(scenario) as emulator:
        assert emulator.client.licenses.status("large").used == 9000
        assert emulator.login.client_id == "my-client"


def test_the_commands_of_the_testing_page(tmp_path: Path) -> None:
    install, commands = blocks(TESTING, "sh")
    assert install == 'pip install "fotapool[testing]"\n'
    with running(["fotapool", "emulate"], tmp_path, "/_emulator/") as said:
        url = exports(said)["FOTAPOOL_BASE_URL"]
        done = run(["bash", "-e", "-c", commands], tmp_path, FOTAPOOL_URL=url)

    assert "armed too_many_requests as number 1" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("reset to the scenario; now 20")


def test_the_journal_of_the_testing_page() -> None:
    (text,) = blocks(TESTING, "text")
    with Emulator() as fota:
        with pytest.raises(ErrorException):
            fota.client.licenses.get_user_fota_licenses_summary(fota.account, "1000")
        fota.client.licenses.assign(fota.account, ["99"])
        assert str(fota.requests).replace("/v2/", "/v3/").splitlines()[2:] == text.splitlines()


def test_the_tables_of_the_testing_page() -> None:
    control = {(verb, f"/_emulator/{word}") for verb, word in Control(Mock(spec=Emulator))._rows}
    told = [row[0].split() for row in table(TESTING, "Request")]
    assert {(verb, path.replace("/{name}", "")) for verb, path in told} == control
    asserted = {row[0].partition("(")[0] for row in table(TESTING, "Assertion")}
    assert asserted == {name for name in dir(Journal) if name.startswith("assert_")}
    settings = re.findall(r'addini\(\s*"(\w+)"', text_of("src/fotapool/_pytest_plugin.py"))
    assert [row[0] for row in table(TESTING, "Setting")] == settings


def test_the_faults_page_is_the_faults() -> None:
    rows = [
        [cell.replace("`", "") for cell in row]
        for row in table("docs/reference/faults.md", "Fault")
    ]

    def plain(text: str) -> str:
        return text.replace("`", "").strip()

    assert [(row[0], row[2], row[3]) for row in rows] == [
        (fault.word(), plain(fault.on_the_wire), plain(fault.good_client)) for fault in FAULTS
    ]
    for row, fault in zip(rows, FAULTS, strict=True):
        settings = [field.encode_name for field in msgspec.structs.fields(fault)]
        assert re.findall(r"(\w+)=", row[1]) == settings
        assert hasattr(Faults, fault.word())
    when = {
        name.strip(" `")
        for row in table("docs/reference/faults.md", "Setting")
        for name in row[0].split(",")
    }
    assert when == set(When.__struct_fields__) == set(Matching.__annotations__)
    for outcome in REFUSED_OUTCOMES:
        assert f"`{outcome}`" in text_of("docs/reference/faults.md")


@pytest.fixture
def march(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A server whose pool lived through early March 2026; gives a client's variables."""
    clock = Clock(int(datetime(2026, 3, 1, 9, tzinfo=UTC).timestamp() * 1000))
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    device = "990003425730524"
    world.add_account(licenses=5, devices=[int(device), 990000473475967])
    anna, ben = (world.credentials.create([ACCOUNT], name=name) for name in ("anna", "ben"))
    for secrets, verb, days in ((anna, "assign", 1), (ben, "remove", 3), (anna, "assign", 3)):
        clock.advance(minutes=days * 24 * 60)
        login = world.log_in(secrets)
        path = f"/api/fotapool/v1/accounts/{ACCOUNT}/{verb}"
        assert login.post(path, {"imeis": [device, "9900"]}).status == 200
    with world.serving() as url:
        yield {
            "FOTAPOOL_BASE_URL": url,
            "FOTAPOOL_CLIENT_ID": ben.client_id,
            "FOTAPOOL_CLIENT_SECRET": ben.client_secret,
        }
    world.store.close()


@needs("curl")
def test_who_had_this_license_on_3_march(march: dict[str, str], tmp_path: Path) -> None:
    """The README's question, by each of its three answers."""
    command, curl = (block for block in blocks("README.md", "sh") if "as-of" in block)
    *_, program = blocks("README.md", "python")
    by_command = run(["bash", "-e", "-c", command], tmp_path, **march).stdout
    by_program = run([sys.executable, "-W", "error", "-c", program], tmp_path, **march).stdout
    by_curl = run(["bash", "-e", "-c", curl], tmp_path, **march).stdout

    assert [line.split() for line in by_command.splitlines()] == [
        ["SINCE", "BY", "CHANGE", "UNTIL", "BY", "CHANGE"],
        ["2026-03-02T09:00:00.000Z", "anna", "3", "assign", "2026-03-05T09:00:00.000Z", "ben", "4", "remove"],
        ["2026-03-08T09:00:00.000Z", "anna", "5", "assign", "still", "held", "-", "-"],
        ["IMEI", "SINCE"],
        ["990003425730524", "2026-03-02T09:00:00.000Z"],
    ]  # fmt: skip
    assert by_program.splitlines()[-1] == "['990003425730524']"
    assert "actor='ben', verb='remove'" in by_program
    decoder = json.JSONDecoder()
    history, end = decoder.raw_decode(by_curl)
    stood, _ = decoder.raw_decode(by_curl[end:])
    assert [held["since"]["actor"] for held in history["items"]] == ["anna", "anna"]
    assert history["items"][0]["until"]["actor"] == "ben"
    assert [held["imei"] for held in stood["items"]] == ["990003425730524"]


@needs("curl")
def test_the_history_page(march: dict[str, str], tmp_path: Path) -> None:
    _, commands, curl = blocks("docs/how-to/history.md", "sh")
    (program,) = blocks("docs/how-to/history.md", "python")
    by_command = run(["bash", "-e", "-c", commands], tmp_path, **march)
    by_program = run([sys.executable, "-W", "error", "-c", program], tmp_path, **march)
    by_curl = run(["bash", "-e", "-c", curl], tmp_path, **march)

    assert "change 3: assign by anna at 2026-03-02T09:00:00.000Z" in by_command.stderr
    assert by_command.stdout.splitlines()[-1].split() == ["remove", "malformed", "1"]
    assert "until 2026-03-05 09:00:00+00:00 by ben in change 4" in by_program.stdout
    assert by_program.stdout.splitlines()[-2:] == ["change 3 left 1 of 5 used", "True"]
    assert by_curl.stdout.count('"items"') == 2


@pytest.fixture
def shrinking(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A served pool of 5 with an upgrade that runs, and a bulk removal (change 9) that was wrong.

    The file lies where `--db` looks by default.
    """
    clock = Clock()
    world = World(SqliteStore(tmp_path / "fotapool.db", clock=clock), clock)
    play = Play(world, licenses=5, name=ACCOUNT)
    world.carry_out(play.account, Verb.REGISTER, ["990003425730524", "990000473475967"])
    play.play("assign ABC; schedule A; start A; list B; resize 9; remove BC")
    secrets = world.credentials.create([ACCOUNT], role=Role.ADMIN)
    with world.serving() as url:
        yield {
            "FOTAPOOL_BASE_URL": url,
            "FOTAPOOL_CLIENT_ID": secrets.client_id,
            "FOTAPOOL_CLIENT_SECRET": secrets.client_secret,
        }
    world.store.close()


def test_a_shrink_and_an_undo_from_the_readme_alone(
    shrinking: dict[str, str], tmp_path: Path
) -> None:
    a, b, c = (f"{IMEIS[letter]:015d}" for letter in "ABC")
    block = next(block for block in blocks("README.md", "sh") if "--preview" in block)
    *_, look, undo = block.splitlines()
    assert (look.split()[1], undo) == ("history", f"fotapool undo {ACCOUNT} 9")
    listed = run(["bash", "-c", look], tmp_path, **shrinking).stdout.splitlines()
    assert [listed[1].split()[at] for at in (0, 3, 6, 7)] == ["9", "remove", "2", "removed"]
    undone = run(["bash", "-c", undo], tmp_path, **shrinking)
    assert [line.split()[:2] for line in undone.stdout.splitlines()[1:]] == [
        [b, "given_back"],
        [c, "given_back"],
    ]
    assert undone.stderr == "change 10: 3 of 9 used\n"

    shrink = "\n".join(line.replace(" 3", " 1") for line in block.splitlines()[:2])
    done = run(["bash", "-e", "-c", shrink], tmp_path, **shrinking)
    told = [line.split()[:2] for line in done.stdout.splitlines()]
    assert told == [[a, "pending_oldest"], [b, "taken_oldest"]] * 2
    assert done.stderr.splitlines() == [
        f"account {ACCOUNT} would have 1 licenses, 2 used, 1 of them wait for upgrades to end",
        "nothing was changed; without --preview it is done",
        f"account {ACCOUNT} has 1 licenses, 2 used, 1 of them wait for upgrades to end",
    ]


def test_the_page_of_a_pools_life(shrinking: dict[str, str], tmp_path: Path) -> None:
    resize, undo, devices = blocks("docs/how-to/pool-life.md", "sh")
    shrink, listing, upgrade = blocks("docs/how-to/pool-life.md", "python")
    assert undo.splitlines() == [
        f"fotapool undo {ACCOUNT} 4 --preview",
        f"fotapool undo {ACCOUNT} 4",
    ]

    def program(text: str) -> list[str]:
        return run(
            [sys.executable, "-W", "error", "-c", text], tmp_path, **shrinking
        ).stdout.splitlines()

    assert run(["bash", "-e", "-c", resize], tmp_path, **shrinking).stdout == ""
    undone = run(["bash", "-c", undo.replace(" 4", " 9")], tmp_path, **shrinking).stdout
    assert undone.count("given_back") == 4
    assert program(shrink) == [f"{IMEIS['A']:015d} pending_oldest", "3 of 2 used"]
    assert program(listing) == ["1 ['990000473475967']"]
    shrinking_back = f"fotapool admin account resize {ACCOUNT} 9"
    run(["bash", "-c", shrinking_back], tmp_path, **shrinking)
    assign = f"from fotapool import Client; Client().pool.assign('{ACCOUNT}', ['990003425730524'])"
    program(assign)
    assert program(upgrade) == ["upgrade_running", "upgraded"]
    done = run(["bash", "-e", "-c", devices], tmp_path, **shrinking)
    assert done.stdout.startswith(f"account {ACCOUNT}: 1 devices left, 1 licenses freed")
    assert "990003425730524" not in done.stdout


def test_the_tutorial(tmp_path: Path) -> None:
    *setup, serve = blocks("docs/tutorial/first-pool.md", "sh")
    (program,) = blocks("docs/tutorial/first-pool.md", "python")
    said = [run(["bash", "-e", "-c", block], tmp_path) for block in setup]
    assert "exit code 1: some rows were refused" in said[0].stdout
    assert "fleet.csv, line 4: '99000342573052': 14 digits" in said[0].stderr
    with running(["bash", "-c", "exec " + serve], tmp_path, "listening") as lines:
        done = run([sys.executable, "-c", program], tmp_path, FOTAPOOL_BASE_URL=lines[0].split()[2])

    told = done.stdout.splitlines()
    assert told[:4] == [
        "990003425730524 assigned",
        "990000473475967 assigned",
        "352906110000001 unknown_device",
        "2 used, 3 free",
    ]
    assert len(told) == 5
    assert told[4].startswith("990000473475967 since 20")


def test_the_operating_page_names_options_that_exist() -> None:
    options = {
        option
        for path, command in ALL
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }

    for page in PAGES:
        for option in re.findall(r"`(--[a-z-]+)", page.read_text()):
            assert option in options | {"--help", "--import-mode"}, (page.name, option)


def test_the_makefile_and_the_readme_agree() -> None:
    makefile = text_of("Makefile")

    for target in re.findall(
        r"(?:`|^)make (\w+)", text_of("README.md") + text_of("CONTRIBUTING.md"), re.MULTILINE
    ):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_json_of_the_demo_is_what_the_page_promises(tmp_path: Path) -> None:
    done = run(["fotapool", "demo", "--once", "--json"], tmp_path, TMPDIR=str(tmp_path))
    told: dict[str, Any] = json.loads(done.stdout)

    assert told["used"] + told["free"] == told["total"]
