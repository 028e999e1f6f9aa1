"""`fotapool admin migrate`, `backup`, `distribute`, and `serve --workers`: the database itself."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
from bench.processes import address_of, children_of, wait_until

from fotapool.cli import main
from fotapool.model import DeviceList, Verb
from fotapool.store import SqliteStore, open_store
from fotapool.store.schema import MIGRATIONS
from postgres import Databases
from test_cli import Shell
from test_store import check_books
from world import ACCOUNT, Clock, World, imeis

NEWEST = MIGRATIONS[-1].number


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(f"sqlite:///{tmp_path / 'pool.db'}", capsys)


# --- migrate -----------------------------------------------------------------------------------


def test_a_database_is_migrated_once(
    postgres_server: Databases, capsys: pytest.CaptureFixture[str], shell: Shell
) -> None:
    for db in (postgres_server.fresh(), shell.db):
        command = Shell(db, capsys)
        assert command("migrate") == (f"{db} now has schema {NEWEST} (before: none)\n", "")
        assert command("migrate") == (f"{db} has schema {NEWEST} already\n", "")
        assert command.json("migrate") == {"db": db, "schema_before": NEWEST, "schema": NEWEST}


def test_an_unmigrated_postgres_is_refused_by_every_command(
    postgres_server: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    db = postgres_server.fresh()
    for arguments in (["admin", "account", "list"], ["serve", "--port", "0"], ["admin", "verify"]):
        assert main([*arguments, "--db", db]) == 3
        out, err = capsys.readouterr()
        assert (out, err.splitlines()) == (
            "",
            ["fotapool: the database is empty; bring it there with: fotapool admin migrate"],
        )


def test_accounts_devices_and_proof_work_on_postgres(
    postgres_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fleet = tmp_path / "fleet.csv"
    fleet.write_text("imei\n" + "".join(f"{imei}\n" for imei in imeis(30)))
    shell = Shell(postgres_url, capsys)
    shell("account", "create", ACCOUNT, "--licenses", "20")
    shell("device", "import", ACCOUNT, str(fleet))

    assert shell.json("account", "list")["accounts"][0]["total"] == 20
    assert shell.json("verify")["sound"] is True
    out, _ = shell("credential", "create", ACCOUNT)
    assert "client_secret" in out


# --- backup ------------------------------------------------------------------------------------


def test_a_backup_of_a_live_database_is_of_one_moment(shell: Shell, tmp_path: Path) -> None:
    clock = Clock()
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    account = world.add_account(licenses=60_000, devices=imeis(10_000))
    stop = threading.Event()

    def write() -> None:
        devices = [f"{imei:015d}" for imei in imeis(10_000)]
        while not stop.is_set():
            for verb in (Verb.ASSIGN, Verb.REMOVE):
                world.carry_out(account, verb, devices[:500])

    thread = threading.Thread(target=write)
    thread.start()
    time.sleep(0.2)
    told = shell.json("backup", str(tmp_path / "copy.db"))
    stop.set()
    thread.join()
    world.store.close()

    assert told["bytes"] == (tmp_path / "copy.db").stat().st_size
    assert sorted(path.name for path in tmp_path.glob("copy*")) == ["copy.db"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    copy = World(SqliteStore(tmp_path / "copy.db", clock=clock), clock)
    check_books(copy, account)
    assert copy.totals(account).used in {0, 500}
    copy.store.close()


REFUSED = [
    (["backup", "pool.db"],         3, "pool.db exists already; give another name"),
    (["backup", "no/where/x.db"],   3, "no/where/x.db: No such file or directory"),
    (["backup"],                    2, "Missing argument 'FILE'"),
    (["distribute"],                2, "only a PostgreSQL database can be distributed; give its URL"),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "code", "told"), REFUSED)
def test_what_cannot_be_is_told_in_one_line(
    shell: Shell,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    told: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    shell("migrate")
    before = (tmp_path / "pool.db").read_bytes()

    _, err = shell(*arguments, code=code)
    assert told in err
    assert (tmp_path / "pool.db").read_bytes() == before
    assert not list(tmp_path.glob("*.part"))


def test_a_backup_of_nothing_or_of_postgres_is_refused(
    shell: Shell, tmp_path: Path, postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, err = shell("backup", str(tmp_path / "x.db"), code=3)
    assert "there is no database at" in err
    _, err = Shell(postgres_url, capsys)("backup", str(tmp_path / "x.db"), code=2)
    assert "pg_dump" in err
    assert not (tmp_path / "x.db").exists()


def test_a_copy_that_is_not_sound_is_not_kept(shell: Shell, tmp_path: Path) -> None:
    clock = Clock()
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    world.add_account(devices=imeis(9000))
    world.store.close()
    raw = bytearray((tmp_path / "pool.db").read_bytes())
    raw[-4096 * 3 : -4096 * 2] = os.urandom(4096)
    (tmp_path / "pool.db").write_bytes(raw)

    _, err = shell("backup", str(tmp_path / "copy.db"), code=3)
    assert "not sound" in err or "malformed" in err
    assert not list(tmp_path.glob("copy*"))


# --- distribute --------------------------------------------------------------------------------

# The extension's own functions, as far as we call them: what they are asked is kept.
CITUS = """
CREATE TABLE asked (call text);
CREATE VIEW citus_tables AS
  SELECT split_part(call, ' ', 2) AS table_name FROM asked;
CREATE FUNCTION create_reference_table(name text) RETURNS void LANGUAGE sql AS
  $$ INSERT INTO asked VALUES ('reference ' || name) $$;
CREATE FUNCTION create_distributed_table(name text, by text, colocate_with text DEFAULT 'default')
  RETURNS void LANGUAGE sql AS
  $$ INSERT INTO asked VALUES ('distributed ' || name || ' ' || by || ' ' || colocate_with) $$;
"""


def test_without_the_extension_nothing_is_distributed(
    postgres_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = Shell(postgres_url, capsys)("distribute", code=3)

    assert (out, len(err.splitlines())) == ("", 1)
    assert "this database has no Citus: install the extension on every node" in err


def test_the_calls_that_distribute(
    postgres_server: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    shell = Shell(postgres_server.fresh(), capsys)
    shell("migrate")
    with psycopg.connect(shell.db, autocommit=True) as raw:
        raw.execute(CITUS.encode())
        first, again = shell.json("distribute"), shell.json("distribute")
        asked = [call for (call,) in raw.execute(b"SELECT call FROM asked").fetchall()]

    assert len(first["tables"]) == 18
    assert again["tables"] == []
    assert asked[:2] == ["reference account_name", "reference credential"]
    assert asked[7:10] == [
        "distributed account account default",
        "distributed device account account",
        "distributed license account account",
    ]
    assert len(asked) == 18


# --- several processes -------------------------------------------------------------------------


@contextmanager
def serving(db: str, *more: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "fotapool", "serve", "--db", db, "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process, address_of(process)
    finally:
        process.kill()
        process.communicate()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url + "/readyz", timeout=10) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def workers(process: subprocess.Popen[str]) -> list[int]:
    return children_of(process.pid, "spawn_main")


def test_several_processes_serve_one_port_and_replace_one_another(
    postgres_url: str, clock: Clock
) -> None:
    store = open_store(postgres_url, clock=clock)
    World(store, clock).add_account()
    store.close()
    with serving(postgres_url, "--workers", "2") as (process, url):
        assert answers(url)
        before = workers(process)
        assert len(before) == 2

        os.kill(before[0], signal.SIGKILL)
        wait_until(
            lambda: len(set(workers(process)) - {before[0]}) == 2,
            "a new process in the place of the dead one",
        )
        assert answers(url)

        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=30)
        assert process.returncode == 0
        assert "a server process died; another takes its place" in err
        assert not answers(url)


def test_nobody_serves_on_when_the_first_process_is_killed(postgres_url: str) -> None:
    with serving(postgres_url, "--workers", "2") as (process, url):
        assert answers(url)
        process.kill()
        process.wait(10)

        wait_until(lambda: not answers(url), "the end of the other processes")


def test_several_processes_on_a_file_are_refused(shell: Shell) -> None:
    assert main(["serve", "--workers", "2", "--db", shell.db]) == 2
    _, err = shell._capsys.readouterr()

    assert err.splitlines() == [
        "fotapool: --workers 2 needs PostgreSQL: one process serves an SQLite file"
    ]


def test_a_copied_ledger_says_the_same(shell: Shell, tmp_path: Path) -> None:
    clock = Clock()
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    account = world.add_account(licenses=9, devices=imeis(9))
    change = world.carry_out(account, Verb.ASSIGN, [f"{imei:015d}" for imei in imeis(9)])
    world.store.close()
    shell("backup", str(tmp_path / "copy.db"))

    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy:
        kept = copy.execute("SELECT devices, hash FROM change WHERE sequence = 3").fetchall()
    assert kept == [(DeviceList.of(imeis(9)).pack(), change.hash)]
