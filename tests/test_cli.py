"""The command line: results, refusals, exit codes, streams, variables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from fotapool.auth import Secrets
from fotapool.cli import cli, main
from fotapool.cli._options import PREFIX
from fotapool.store import SqliteStore
from test_server import ask, served
from test_store import check_books
from world import ACCOUNT, Clock, World, client_of, imeis

A = "990003425730524"


class Shell:
    """Runs commands in this process on one database, streams kept apart."""

    def __init__(self, db: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.db = db
        self._capsys = capsys

    def __call__(self, *arguments: str, code: int = 0) -> tuple[str, str]:
        found = main(["admin", *arguments, "--db", self.db])
        out, err = self._capsys.readouterr()
        assert found == code, (out, err)
        return out, err

    def json(self, *arguments: str, code: int = 0) -> Any:
        out, _ = self(*arguments, "--json", code=code)
        return json.loads(out)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(f"sqlite:///{tmp_path / 'pool.db'}", capsys)


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[[str], str]:
    def write(text: str) -> str:
        path = tmp_path / "fleet.csv"
        path.write_text(text)
        return str(path)

    return write


# --- accounts ----------------------------------------------------------------------------------


def test_accounts_are_created_and_listed(shell: Shell) -> None:
    assert shell("account", "create", ACCOUNT, "--licenses", "5000") == (
        f"account {ACCOUNT} has 5,000 licenses (MRC)\n",
        "",
    )
    shell("account", "create", "events", "--licenses", "0", "--purchase-type", "EVNT")
    made = shell.json("account", "create", "two", "--licenses", "7", "--purchase-type", "both")

    assert made == {"account": "two", "purchase_type": "both", "total": 7, "used": 0}
    out, _ = shell("account", "list")
    assert [line.split() for line in out.splitlines()] == [
        ["ACCOUNT", "TYPE", "POLICY", "TOTAL", "USED", "FREE", "OVERHANG", "ACTIVE"],
        [ACCOUNT, "MRC", "registered", "5,000", "0", "5,000", "0", "yes"],
        ["events", "EVNT", "registered", "0", "0", "0", "0", "yes"],
        ["two", "both", "registered", "7", "0", "7", "0", "yes"],
    ]
    assert shell.json("account", "list")["accounts"][0] == {
        "account": ACCOUNT,
        "purchase_type": "MRC",
        "policy": "registered",
        "total": 5000,
        "used": 0,
        "free": 5000,
        "overhang": 0,
        "active": True,
    }


# arguments                                                     code  told
BAD_ACCOUNTS = [
    (["create", "a b", "--licenses", "1"],                       2, "fotapool: account name 'a b': use 1 to 64 letters"),
    (["create", "x", "--licenses", "-1"],                        2, "fotapool: licenses -1: use a number from 0 to 1000000000"),
    (["create", "x", "--licenses", "1000000001"],                2, "fotapool: licenses 1000000001: use a number"),
    (["create", "x", "--licenses", "many"],                      2, "Usage:"),
    (["create", "x"],                                            2, "Usage:"),
    (["create", "x", "--licenses", "1", "--purchase-type", "EVNT"], 2, "fotapool: licenses 1: an EVNT account is billed per upgrade and has 0"),
    (["create", "x", "--licenses", "1", "--purchase-type", "x"], 2, "Usage:"),
    (["create", "there", "--licenses", "1"],                     3, "fotapool: account there exists already"),
    (["nothing"],                                                2, "Usage:"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), BAD_ACCOUNTS)
def test_accounts_that_cannot_be(shell: Shell, arguments: list[str], code: int, told: str) -> None:
    shell("account", "create", "there", "--licenses", "1")
    out, err = shell("account", *arguments, code=code)

    assert out == ""
    assert err.startswith(told)
    assert "Traceback" not in err
    assert len(shell.json("account", "list")["accounts"]) == 1


# --- devices -----------------------------------------------------------------------------------


def test_devices_are_imported_and_bad_rows_told_with_their_line(
    shell: Shell, fleet: Callable[[str], str]
) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "5")
    file = fleet(f"imei\n{A}\n\n99000342573052\n{A}\n000000000000042\n")
    out, err = shell("device", "import", ACCOUNT, file, code=1)

    assert out == f"account {ACCOUNT}: 2 devices registered, 1 already there, 1 rows refused\n"
    assert (
        err
        == f"{file}, line 4: '99000342573052': 14 digits, an IMEI has 15; the check digit is missing and is not guessed\n"
    )
    again = shell.json("device", "import", ACCOUNT, file, code=1)
    assert again == {
        "account": ACCOUNT,
        "registered": 0,
        "already_registered": 3,
        "refused": [{"line": 4, "text": "99000342573052", "code": "imei_14_digits"}],
    }
    assert shell.json("device", "import", ACCOUNT, fleet(f"{A}\n"))["refused"] == []


def test_a_large_import_is_changes_of_ten_thousand(
    shell: Shell, fleet: Callable[[str], str], tmp_path: Path
) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "5")
    devices = imeis(25_000)
    assert (
        shell.json("device", "import", ACCOUNT, fleet("\n".join(map(str, devices))))["registered"]
        == 25_000
    )

    world = World(SqliteStore(tmp_path / "pool.db", clock=Clock()), Clock())
    rows = world.sqlite._writer.execute(
        "SELECT length(devices) / 8, actor FROM change WHERE verb = 2 ORDER BY sequence"
    ).fetchall()
    world.store.close()
    assert [count for count, _ in rows] == [10_000, 10_000, 5_000]
    assert all(actor.startswith("cli:") for _, actor in rows)


def test_an_import_that_cannot_be_read_imports_nothing(
    shell: Shell, fleet: Callable[[str], str]
) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "5")
    file = fleet("imei\n" + "\n".join(map(str, imeis(20_000))) + '\n"unclosed\n')
    out, err = shell("device", "import", ACCOUNT, file, code=3)

    assert (out, err.count("\n")) == ("", 1)
    assert "not readable as CSV" in err
    assert shell.json("device", "import", ACCOUNT, fleet(f"{imeis(1)[0]}\n"))["registered"] == 1


def test_imports_to_nowhere_and_of_nothing(shell: Shell, fleet: Callable[[str], str]) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "5")

    assert (
        shell("device", "import", "other", fleet(f"{A}\n"), code=3)[1]
        == "fotapool: there is no account other; see `fotapool admin account list`\n"
    )
    assert (
        shell("device", "import", ACCOUNT, "missing.csv", code=3)[1]
        == "fotapool: missing.csv: No such file or directory\n"
    )


def test_importing_while_clients_assign(tmp_path: Path) -> None:
    """The server sees each change of another process at its next request, and no count is lost."""
    db = f"sqlite:///{tmp_path / 'pool.db'}"
    admin = [sys.executable, "-m", "fotapool", "admin"]

    def run(*arguments: str) -> Any:
        done = subprocess.run(
            [*admin, *arguments, "--db", db, "--json"], capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    run("account", "create", ACCOUNT, "--licenses", "3000")
    secrets = Secrets(**run("credential", "create", ACCOUNT))
    devices = [str(imei) for imei in imeis(4000)]
    with served("--db", db) as (_, line), client_of(secrets, line.split()[2]) as client:
        assert client.licenses.assign(ACCOUNT, devices[:10]).used == 0
        parts = [tmp_path / f"{number}.csv" for number in range(4)]
        for number, part in enumerate(parts):
            part.write_text("\n".join(devices[number * 1000 : number * 1000 + 1000]))
        importing = [
            subprocess.Popen(
                [*admin, "device", "import", ACCOUNT, str(part), "--db", db],
                stdout=subprocess.DEVNULL,
            )
            for part in parts
        ]
        granted = 0
        while any(importer.poll() is None for importer in importing):
            granted += sum(
                verdict.reason == "Success"
                for verdict in client.licenses.assign(ACCOUNT, devices[::7]).verdicts
            )
        assert [importer.wait() for importer in importing] == [0] * 4
        for start in range(0, 4000, 500):
            granted += sum(
                verdict.reason == "Success"
                for verdict in client.licenses.assign(
                    ACCOUNT, devices[start : start + 500]
                ).verdicts
            )
        assert (granted, client.licenses.status(ACCOUNT).used) == (3000, 3000)
    clock = Clock()
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    key = world.store.read(lambda directory: directory.find_account(ACCOUNT))
    assert key is not None
    check_books(world, key)
    world.store.close()


# --- credentials -------------------------------------------------------------------------------


def test_a_credentials_life(shell: Shell) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "5")
    shell("account", "create", "two", "--licenses", "5")
    out, err = shell("credential", "create", ACCOUNT, "two", "--role", "viewer", "--name", "fleet")
    assert [line.split()[0] for line in out.splitlines()] == [
        "name",
        "client_id",
        "client_secret",
        "username",
        "password",
    ]
    assert "cannot be shown again" in err
    rotated = shell.json("credential", "rotate", "fleet")
    assert list(rotated) == ["name", "client_id", "client_secret", "username", "password"]
    assert rotated["client_id"] in out
    assert rotated["client_secret"] not in out
    assert shell("credential", "unlock", "fleet")[0] == "credential fleet unlocked\n"
    (listed,) = shell.json("credential", "list")["credentials"]
    assert (listed["name"], listed["role"], listed["accounts"], listed["state"]) == (
        "fleet",
        "viewer",
        [ACCOUNT, "two"],
        "active",
    )
    assert shell.json("credential", "revoke", "fleet") == {"name": "fleet", "state": "revoked"}
    table, _ = shell("credential", "list")
    assert table.splitlines()[1].split()[-1] == "revoked"
    assert rotated["client_secret"] not in table


def test_credentials_that_cannot_be(shell: Shell) -> None:
    assert (
        shell("credential", "create", "none", code=3)[1]
        == "fotapool: there is no account none; see `fotapool admin account list`\n"
    )
    assert (
        shell("credential", "revoke", "none", code=3)[1]
        == "fotapool: there is no credential none; see `fotapool admin credential list`\n"
    )
    assert shell("credential", "create", code=2)[1].startswith("Usage:")


# --- the shape of it all -----------------------------------------------------------------------


def commands(
    group: click.Command, path: tuple[str, ...] = ()
) -> list[tuple[tuple[str, ...], click.Command]]:
    if isinstance(group, click.Group):
        return [
            found
            for name, command in group.commands.items()
            for found in commands(command, (*path, name))
        ]
    return [(path, group)]


ALL = commands(cli)


@pytest.mark.parametrize(("path", "command"), ALL, ids=[" ".join(path) for path, _ in ALL])
def test_every_option_is_a_variable_too_and_every_command_prints_json(
    path: tuple[str, ...], command: click.Command
) -> None:
    options = {option.name: option for option in command.params if isinstance(option, click.Option)}

    without_database = {
        "signing-key",
        "history",
        "as-of",
        "refusals",
        "undo",
        "emulate",
        "emulator",
    }
    expected = {"db", "output", "as_json"} - ({"db"} if without_database & set(path) else set())
    assert expected <= set(options)
    for option in options.values():
        assert option.envvar == PREFIX + option.opts[0].removeprefix("--").replace("-", "_").upper()
    assert command.help


def test_options_come_from_variables_and_after_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOTAPOOL_DB", f"sqlite:///{tmp_path / 'env.db'}")
    monkeypatch.setenv("FOTAPOOL_LICENSES", "9")
    monkeypatch.setenv("FOTAPOOL_OUTPUT", "json")
    assert main(["admin", "account", "create", "x"]) == 0
    assert json.loads(capsys.readouterr().out)["total"] == 9
    assert (tmp_path / "env.db").exists()
    assert (
        main(
            [
                "admin",
                "account",
                "list",
                "--output",
                "table",
                "--db",
                f"sqlite:///{tmp_path / 'other.db'}",
            ]
        )
        == 0
    )
    assert capsys.readouterr().out == "ACCOUNT  TYPE  POLICY  TOTAL  USED  FREE  OVERHANG  ACTIVE\n"


def test_administration_in_memory_makes_no_sense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["admin", "account", "list", "--db", "sqlite:///:memory:"]) == 2
    assert (
        capsys.readouterr().err
        == "fotapool: a database in memory ends with this command; give --db sqlite:///PATH\n"
    )


@pytest.mark.parametrize(("url", "code"), [("mysql://x", 2), ("sqlite:////nowhere/at/all.db", 3)])
def test_a_database_that_does_not_open_is_one_line(
    url: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (
        ["serve", "--port", "0"],
        ["admin", "account", "list"],
        ["demo", "--once", "--port", "0"],
    ):
        assert main([*command, "--db", url]) == code
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith("fotapool: ")


def test_print_config_tells_each_setting_and_its_source(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FOTAPOOL_LOG_LEVEL", "warning")
    assert main(["serve", "--print-config", "--json", "--items-max", "5"]) == 0
    config = json.loads(capsys.readouterr().out)
    assert config["log_level"] == {"value": "warning", "source": "environment"}
    assert config["items_max"] == {"value": 5, "source": "command line"}
    assert config["port"] == {"value": 8080, "source": "default"}
    assert config["db"] == {"value": "sqlite:///fotapool.db", "source": "default"}
    assert main(["serve", "--print-config"]) == 0
    assert capsys.readouterr().out.splitlines()[0].split() == ["SETTING", "VALUE", "FROM"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["--port", "70000"],
        ["--log-level", "loud"],
        ["--items-max", "0"],
        ["--root-path", "x"],
        ["--nothing"],
    ],
)
def test_settings_out_of_bounds_are_usage(
    wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["serve", *wrong, "--print-config"]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_defect_is_one_line_unless_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **named: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("fotapool.store.open_store", broken)
    assert main(["admin", "account", "list"]) == 3
    assert (
        capsys.readouterr().err
        == "fotapool: internal error: ZeroDivisionError: a defect; FOTAPOOL_TRACEBACK=1 shows where\n"
    )
    monkeypatch.setenv("FOTAPOOL_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        main(["admin", "account", "list"])


def test_ctrl_c_is_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("fotapool.store.open_store", interrupted)
    assert main(["admin", "account", "list"]) == 130
    assert capsys.readouterr().err.strip() == "fotapool: interrupted"


def test_a_reader_that_goes_away_is_no_traceback(shell: Shell, tmp_path: Path) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "1")
    command = f"{sys.executable} -m fotapool admin account list --db {shell.db} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert "Traceback" not in done.stderr


def test_help_is_the_same_by_either_name() -> None:
    beside = Path(sys.executable).with_name("fotapool")
    outputs = [
        subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
        for command in ([str(beside)], [sys.executable, "-m", "fotapool"])
    ]

    assert outputs[0] == outputs[1]
    assert (
        "0 done, 1 some devices refused, 2 usage, 3 could not, 4 a ledger is not sound"
        in outputs[0]
    )
    assert CliRunner().invoke(cli, ["--version"]).output == "fotapool, version 0.1.0\n"


# --- the demonstration -------------------------------------------------------------------------


def test_demo_once_tells_all_numbers(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "fotapool", "demo", "--once", "--port", "0"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    told = {
        " ".join(words[:-1]): words[-1]
        for line in done.stdout.splitlines()
        if (words := line.split("(")[0].split())
    }

    assert {
        name: told[name]
        for name in (
            "assigned",
            "already licensed",
            "refused: imei 14 digits",
            "refused: no free license",
            "refused: unknown device",
            "listed",
            "removed again",
            "used",
            "free",
        )
    } == {
        "assigned": "9,800",
        "already licensed": "25",
        "refused: imei 14 digits": "12",
        "refused: no free license": "123",
        "refused: unknown device": "40",
        "listed": "9,800",
        "removed again": "250",
        "used": "9,550",
        "free": "250",
    }
    assert "assigning: 9,988 of 9,988 devices" in done.stderr
    (folder,) = tmp_path.glob("fotapool-demo-*")
    assert {path.name for path in folder.iterdir()} >= {"demo.db", "fleet.csv", "registry.csv"}


def test_the_demos_fleet_is_the_same_every_time_and_looks_real(tmp_path: Path) -> None:
    from fotapool.cli.demo_fleet import TYPE_ALLOCATION_CODES, write_fleet

    texts = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        texts.append(write_fleet(tmp_path / name).wanted.read_text())
    lines = texts[0].splitlines()

    assert texts[0] == texts[1]
    assert lines[0] == "imei,site,installed"
    assert sum(map(bool, lines[1:])) == 10_000
    assert "" in lines
    assert any(line.startswith("IMEI:") for line in lines)
    assert any(line.startswith(" ") for line in lines)
    assert {line[:8] for line in lines[1:] if line[:8].isdigit()} >= set(TYPE_ALLOCATION_CODES)


def test_demo_serves_on_the_next_free_port_and_what_it_prints_works(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy = taken.getsockname()[1]
        environment = {**os.environ, "TMPDIR": str(tmp_path)}
        command = [sys.executable, "-m", "fotapool", "demo", "--port", str(busy)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        assert process.stdout is not None
        lines = []
        while "admin account list" not in (line := process.stdout.readline()):
            assert line, process.communicate()
            lines.append(line)
        lines.append(line)
        url = next(line.split()[1] for line in lines if line.startswith("serving"))
        assert int(url.rpartition(":")[2]) > busy
        assert ask(url, "GET", "/readyz")[0] == 200
        steps = "".join(
            line
            for line in lines
            if line.startswith("  export") or "python" in line or "fotapool admin" in line
        )
        tried = subprocess.run(
            ["bash", "-e", "-c", steps], capture_output=True, text=True, timeout=60, check=False
        )
        process.send_signal(2)
        out, err = process.communicate(timeout=20)

    assert "outcome=<Outcome.ASSIGNED: 13>" in tried.stdout, (steps, tried.stderr)
    assert "9,551" in tried.stdout
    assert (process.returncode, "Traceback" in out + err) == (0, False)


def test_demo_wants_a_fresh_database(shell: Shell, capsys: pytest.CaptureFixture[str]) -> None:
    shell("account", "create", ACCOUNT, "--licenses", "1")
    assert main(["demo", "--once", "--db", shell.db, "--port", "0"]) == 3
    assert "the demo wants a fresh database" in capsys.readouterr().err


def test_demo_in_memory_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--once", "--json", "--db", "sqlite:///:memory:", "--port", "0"]) == 0
    told = json.loads(capsys.readouterr().out)

    assert (told["total"], told["used"], told["free"], told["rows"]) == (9800, 9550, 250, 10_000)
    assert sum(told["outcomes"].values()) + sum(told["bad_rows"].values()) == 10_000
