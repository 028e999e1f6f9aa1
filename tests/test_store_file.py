"""The database file: made, known, migrated, locked, full, and shared with other processes."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fotapool.model import ConfigurationError, StoreBusy, StoreError, StoreUnusable
from fotapool.store import (
    SqliteStore,
    open_store,
)
from fotapool.store import sqlite_file as file_module
from fotapool.store.dialect import SQLITE
from fotapool.store.schema import MIGRATIONS, Migration
from fotapool.store.sqlite_file import sole_server
from test_store import assign, check_books, submit_all
from test_store_statements import POOL, all_statements, parse, tables_of
from world import ACCOUNT, Clock, World, imeis

NEWEST = MIGRATIONS[-1].number
NEXT = Migration(
    NEWEST + 1, "CREATE TABLE added (account {integer} NOT NULL PRIMARY KEY) {clustered};\n"
)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    "url", ["", "sqlite:///", "sqlite://", "mysql://x/y", "fleet.db", "postgresqll://x/y"]
)
def test_other_urls_do_not_open(url: str, clock: Clock) -> None:
    with pytest.raises(ConfigurationError, match="use sqlite:///PATH"):
        open_store(url, clock=clock)


def test_a_url_names_a_path_absolute_or_not(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in [("sqlite:///a.db", "a.db"), (f"sqlite:///{tmp_path}/b c.db", "b c.db")]:
        open_store(url, clock=clock).close()
        assert (tmp_path / path).exists()
    store = open_store("sqlite:///:memory:", clock=clock)
    assert isinstance(store, SqliteStore)
    assert store.path is None
    store.close()


@pytest.mark.skipif(os.name == "nt", reason="permissions are POSIX")
def test_the_file_is_its_owners_alone(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "pool.db"
    world = World(SqliteStore(path, clock=clock), clock)
    world.add_account()

    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    world.store.close()
    assert modes == {"pool.db": 0o600, "pool.db-wal": 0o600, "pool.db-shm": 0o600}


def test_commits_are_durable(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "pool.db", clock=clock)
    settings = {
        name: store._writer.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    }
    store.close()

    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_what_is_not_ours_is_refused_and_left_as_it_is(tmp_path: Path, clock: Clock) -> None:
    text, foreign, folder = tmp_path / "notes.txt", tmp_path / "other.db", tmp_path / "folder"
    text.write_text("imei\n" * 100)
    folder.mkdir()
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = digest(text), digest(foreign)

    for path, why in [
        (text, "not an SQLite database"),
        (foreign, "not fotapool's"),
        (folder, "directory"),
        (tmp_path / "no" / "where.db", "No such file"),
    ]:
        with pytest.raises(StoreUnusable, match=why):
            SqliteStore(path, clock=clock)
    assert (digest(text), digest(foreign)) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "notes.txt", "other.db"]


def test_a_newer_database_is_refused_and_left_as_it_is(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "pool.db"
    SqliteStore(path, clock=clock, migrations=[*MIGRATIONS, NEXT]).close()
    before = digest(path)

    with pytest.raises(
        StoreUnusable,
        match=f"schema {NEWEST + 1}, made by a newer fotapool; this one knows up to {NEWEST}",
    ):
        SqliteStore(path, clock=clock)
    assert digest(path) == before
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db"]


def test_an_older_database_is_copied_beside_itself_and_migrated(
    tmp_path: Path, clock: Clock
) -> None:
    path, copy = tmp_path / "pool.db", tmp_path / f"pool.db.schema-{NEWEST:04d}"
    world = World(SqliteStore(path, clock=clock), clock)
    account = world.add_account(devices=[1])
    world.store.close()

    newer = World(SqliteStore(path, clock=clock, migrations=[*MIGRATIONS, NEXT]), clock)
    check_books(newer, account)
    newer.store.close()
    older = World(SqliteStore(copy, clock=clock), clock)
    check_books(older, account)
    older.store.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT number FROM migration").fetchall() == [
            (number,) for number in range(1, NEWEST + 2)
        ]
    connection.close()


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "pool.db"
    SqliteStore(path, clock=clock).close()
    broken = Migration(NEWEST + 1, NEXT.text + "CREATE TABLE added (x);\n")

    with pytest.raises(StoreUnusable, match="added already exists"):
        SqliteStore(path, clock=clock, migrations=[*MIGRATIONS, broken])
    SqliteStore(path, clock=clock).close()


def test_an_old_sqlite_is_refused(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 37, 2))

    with pytest.raises(StoreUnusable, match=r"too old; fotapool needs 3\.38\.0"):
        SqliteStore(tmp_path / "pool.db", clock=clock)


OPEN = """
import sys
from pathlib import Path
from fotapool.store import SqliteStore
SqliteStore(Path(sys.argv[1]), clock=lambda: 1).close()
"""


def test_many_processes_make_one_database(tmp_path: Path) -> None:
    for round_number in range(3):
        path = tmp_path / f"{round_number}.db"
        makers = [subprocess.Popen([sys.executable, "-c", OPEN, str(path)]) for _ in range(4)]
        assert [maker.wait(30) for maker in makers] == [0, 0, 0, 0]


def test_one_server_to_a_file(tmp_path: Path, clock: Clock) -> None:
    path = tmp_path / "pool.db"
    hold = "import sys; from pathlib import Path; from fotapool.store.sqlite_file import sole_server\nwith sole_server(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"

    with pytest.raises(StoreUnusable, match="served by another process"), sole_server(path):
        pass
    holder.kill()
    holder.communicate()
    with sole_server(path):
        pass


def test_two_processes_write_one_file(tmp_path: Path, clock: Clock) -> None:
    """As `admin` does beside a server: nothing that either decides from is remembered."""
    path = tmp_path / "pool.db"
    here, there = (World(SqliteStore(path, clock=clock), clock) for _ in range(2))
    account = here.add_account(licenses=60, devices=imeis(100))

    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(
                lambda world, imei: world.ledger.submit(assign(account, imei)).result(), world, imei
            )
            for at, imei in enumerate(imeis(100))
            for world in [(here, there)[at % 2]]
        ]
        granted = sum(future.result(30).outcomes == bytes([13]) for future in futures)

    assert granted == 60
    check_books(here, account)
    check_books(there, account)
    here.store.close()
    there.store.close()


def test_a_database_held_by_another_is_busy_and_nothing_is_done(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_module, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "pool.db"
    world = World(SqliteStore(path, clock=clock), clock)
    account = world.add_account(licenses=9, devices=[1])
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy, match="nothing was done"):
            world.ledger.submit(assign(account, 1)).result(10)
        other.execute("ROLLBACK")
    other.close()

    assert list(world.ledger.submit(assign(account, 1)).result(10).outcomes) == [13]
    world.store.close()


def test_a_full_disk_in_the_middle_of_a_group(tmp_path: Path, clock: Clock) -> None:
    """What fits is committed, what does not is refused whole, and room made is used again."""
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    account = world.add_account(licenses=100_000, devices=imeis(20_000))
    pages = world.sqlite._writer.execute("PRAGMA page_count").fetchone()[0]
    world.sqlite._writer.execute(f"PRAGMA max_page_count = {pages + 12}")
    devices = imeis(20_000)
    lists = [devices[:1], devices[1:9000], devices[9000:9001], devices[9001:], devices[9001:9002]]

    futures = submit_all(world, [assign(account, *devices) for devices in lists])
    answers = [future.exception(10) for future in futures]

    assert [type(answer) for answer in answers] == [
        type(None),
        StoreError,
        type(None),
        StoreError,
        type(None),
    ]
    assert all("full" in str(answer) for answer in answers if answer)
    check_books(world, account)
    world.sqlite._writer.execute(f"PRAGMA max_page_count = {pages * 10}")
    assert world.ledger.submit(assign(account, *devices[1:9000])).result(10).totals.used == 3 + 8999
    check_books(world, account)
    world.store.close()


# --- the statements ----------------------------------------------------------------------------

# Each device is sought by its own key, a page from its cursor on; no statement walks an account.
#  statement           arguments                    what is sought in which table
PLANS: list[tuple[str, tuple[object, ...], set[str]]] = [
    ("ACCOUNT",          (1,),                        {"account account=?"}),
    ("ACCOUNT_LOCKED",   (1,),                        {"account account=?"}),
    ("ACCOUNT_UPDATE",   (1,) * 13,                   {"account account=?"}),
    ("FACTS",            ("[1]", 1, 1),               {"device account=? AND imei=?", "license account=? AND imei=?"}),
    ("LICENSE_DELETE",   (1, "[1]"),                  {"license account=? AND imei=?"}),
    ("SPAN_INSERT",      (1, 1, 1, "[1]"),            {"license account=? AND imei=?"}),
    ("GRANTED_TAKE",     (1, "[1]", 1),               {"license account=? AND imei=?", "granted account=? AND sequence=?"}),
    ("GRANTED_DELETE",   (1, 1),                      {"granted account=? AND sequence=?"}),
    ("CHANGES_OF",       (1, "[1]"),                  {"change account=? AND sequence=?"}),
    ("VERDICTS_IN",      (1, "[1]"),                  {"change account=? AND sequence=?"}),
    ("DEVICE_LEAVE",     (1, "[1]"),                  {"device account=? AND imei=?"}),
    ("DEVICE_PAGE",      (1, 1, 1, 9),                {"device account=? AND imei>?", "license account=? AND imei=?", "change account=? AND sequence=?"}),
    ("DEVICES_NAMED",    ("[1]", 1, 1),               {"device account=? AND imei=?", "license account=? AND imei=?", "change account=? AND sequence=?"}),
    ("DEVICES_AT",       (1, 1, 9, 0),                {"device account=?", "license account=? AND imei=?", "change account=? AND sequence=?"}),
    ("UPGRADING",        ("[1]", 1),                  {"device account=? AND imei=?"}),
    ("UPGRADE_SCHEDULE", (b"", 1, "[1]"),             {"device account=? AND imei=?"}),
    ("UPGRADE_START",    (1, "[1]"),                  {"device account=? AND imei=?"}),
    ("UPGRADE_END",      (1, 1, "[1]"),               {"device account=? AND imei=?"}),
    ("UPGRADE_ITEMS_STEP", (1, 1, "[1]", 1),          {"device account=? AND imei=?", "upgrade_item account=? AND id=? AND imei=?"}),
    ("UPGRADE",          (1, b""),                    {"upgrade account=? AND id=?"}),
    ("UPGRADE_ITEMS",    (1, b""),                    {"upgrade_item account=? AND id=?"}),
    ("GRANTS_AFTER",     (1, 1, 9),                   {"granted account=? AND sequence>?"}),
    ("GRANTED_BETWEEN",  (1, 1, 9),                   {"granted account=? AND sequence>?"}),
    ("ORIGINS",          ("[1]", 1),                  {"license account=? AND imei=?"}),
    ("HELD_SINCE",       (1, 9),                      {"license account=?"}),
    ("PENDING",          (1, 9, "[1]", 1),            {"pending account=?", "pending account=? AND imei=?"}),
    ("PENDING_DELETE",   (1, "[1]"),                  {"pending account=? AND imei=?"}),
    ("PENDING_AFTER",    (1, 1, 9),                   {"pending account=? AND imei>?"}),
    ("LISTED",           ("[1]", 1),                  {"candidate account=? AND imei=?"}),
    ("CANDIDATES_AFTER", (1, 1, 1, 9),                {"candidate account=? AND (sequence,place)>(?,?)"}),
    ("CANDIDATES_AT",    (1, 9, 0),                   {"candidate account=?"}),
    ("CANDIDATES_BETWEEN", (1, 1, 9),                 {"candidate account=? AND imei>?"}),
    ("CANDIDATES_DELETE", (1, "[1]"),                 {"candidate account=? AND imei=?"}),
    ("CANDIDATES_CLEAR", (1,),                        {"candidate account=?"}),
    ("ALTERED_AFTER",    ("[1]", 1, 1, "[1]", 1, 1),  {"span account=? AND imei=?", "license account=? AND imei=?"}),
    ("LICENSE_GIVE_BACK", (1, 1, "[1]", 1, 1),        {"span account=? AND imei=? AND since_sequence=?", "span account=? AND imei=?"}),
    ("GRANTED_GIVE_BACK", (1, 1, "[1]"),              {"license account=? AND imei=?"}),
    ("KEYS",             (1, 2, 1, 2, '["k"]'),       {"idempotency account=? AND day<?",
                                                       "idempotency account=? AND day=? AND key=?"}),
    ("KEYS_FORGET",      (1, 2, 1, 1, 1, 9),          {"idempotency account=? AND day<?", "idempotency account=? AND day=?",
                                                       "idempotency account=? AND day=? AND key=?"}),
    ("PAGE_AFTER",       (1, 1, 1, 1, 10, 1),         {"license account=? AND imei>?", "device account=? AND imei=?",
                                                       "account account=?"}),
    ("PAGE_AT",          (1, 10, 0, 1),               {"license account=?", "account account=?"}),
    ("CHANGES_AFTER",    (1, 1, 9),                   {"change account=? AND sequence>?"}),
    ("ENTRIES_NEWEST",   (1, 1, 9, *[None] * 6),      {"change account=? AND sequence>? AND sequence<?"}),
    ("ENTRIES_OLDEST",   (1, 1, 9, *[None] * 6),      {"change account=? AND sequence>? AND sequence<?"}),
    ("ENTRIES_OF",       (1, "[1]"),                  {"change account=? AND sequence=?"}),
    ("CHANGE_OF_REQUEST", (1, 1, b""),                {"change account=? AND sequence>?"}),
    ("DEVICES_OF",       (1, 1),                      {"change account=? AND sequence=?"}),
    ("TIME_OF",          (1, 1),                      {"change account=? AND sequence=?"}),
    ("HAS_ACCOUNT",      (1, 1),                      {"account account=?", "change account=?"}),
    ("KNOWS",            (1, 1),                      {"device account=? AND imei=?"}),
    ("LICENSES_AT",      (1, 1, 1, 1, 9),             {"license account=? AND imei>?"}),
    ("SPANS_AT",         (1, 1, 1, 9, 1, 1, 1, 1, 1), {"span account=? AND imei>?", "span account=? AND imei=? AND since_sequence=?",
                                                       "span account=? AND imei=? AND since_sequence<?"}),
    ("LICENSES_BETWEEN", (1, 1, 9, 9),                {"license account=? AND imei>? AND imei<?"}),
    ("SPANS_BETWEEN",    (1, 1, 1, 9, 9),             {"span account=? AND (imei,since_sequence)>(?,?) AND imei<?"}),
]  # fmt: skip


@pytest.mark.sqlite
@pytest.mark.parametrize(("name", "arguments", "sought"), PLANS)
def test_what_a_statement_seeks(
    small_world: World, name: str, arguments: tuple[object, ...], sought: set[str]
) -> None:
    plan = small_world.sqlite._writer.execute(
        "EXPLAIN QUERY PLAN " + SQLITE.render(all_statements()[name]), arguments
    ).fetchall()
    steps = [re.match(rf"(SEARCH|SCAN) ({'|'.join(POOL)})\b", step) and step for *_, step in plan]
    touched = [step for step in steps if step]

    assert {
        re.sub(r"SEARCH (\w+) USING .*?\((.*)\).*", r"\1 \2", step) for step in touched
    } == sought


def test_every_statement_that_seeks_in_pools_has_its_plan_told() -> None:
    seeking = {
        name
        for name, statement in all_statements().items()
        if {table.name for table in tables_of(parse(statement))} <= POOL
        and re.search(r"\b(FROM [a-z]+\s|WHERE account)", statement)
    }

    assert seeking - {name for name, *_ in PLANS} == set()


def test_an_account_is_named_in_the_directory(small_world: World) -> None:
    account = small_world.add_account()

    assert small_world.store.read(lambda directory: directory.find_account(ACCOUNT)) == account
    assert small_world.store.read(lambda directory: directory.find_account("other")) is None
