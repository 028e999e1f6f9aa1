"""What PostgreSQL alone has to do: its schema, what it loses, what its errors mean."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from bench.cluster import running_cluster

from fotapool.ledger.verify import verify
from fotapool.model import (
    AccountKey,
    Change,
    Command,
    ConfigurationError,
    DeviceList,
    OutcomeUnknown,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreUnusable,
    Verb,
)
from fotapool.store import migrate, open_store, opened_reader, shown_url
from fotapool.store import postgres as postgres_module
from fotapool.store import postgres_schema as schema_module
from fotapool.store.dialect import POSTGRES
from fotapool.store.group import GroupCommit
from fotapool.store.postgres import PostgresStore
from fotapool.store.postgres_schema import connecting
from fotapool.store.postgres_schema import migrate as migrate_with
from fotapool.store.schema import MIGRATIONS, Migration
from postgres import Databases
from test_store import check_books
from test_store_file import PLANS
from test_store_statements import all_statements
from world import Clock, World, imeis

NEWEST = MIGRATIONS[-1].number
NEXT = Migration(NEWEST + 1, "CREATE TABLE added (account {integer} NOT NULL PRIMARY KEY);\n")
BROKEN = Migration(NEWEST + 1, "CREATE TABLE half (a {integer});\nCREATE TABLE account (a text);\n")


@pytest.fixture
def world(postgres_url: str, clock: Clock) -> Iterator[World]:
    store = open_store(postgres_url, clock=clock)
    yield World(store, clock)
    store.close()


@pytest.fixture
def other(postgres_url: str, clock: Clock) -> Iterator[World]:
    """A second process's view of the same database."""
    store = open_store(postgres_url, clock=clock)
    yield World(store, clock)
    store.close()


def cut_all(url: str) -> None:
    run(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def run(url: str, statement: str) -> list[Any]:
    with psycopg.connect(url, autocommit=True) as raw:
        cursor = raw.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def assign(account: AccountKey, *devices: int, request_id: bytes = bytes(16)) -> Command:
    return Command(account, Verb.ASSIGN, DeviceList.of(list(devices)), "me", request_id)


# --- the schema --------------------------------------------------------------------------------


def test_an_empty_database_is_refused_until_it_is_migrated(
    postgres_server: Databases, clock: Clock
) -> None:
    url = postgres_server.fresh()
    with pytest.raises(StoreUnusable, match=r"is empty; .*fotapool admin migrate$"):
        open_store(url, clock=clock)

    assert migrate(url, clock=clock) == (0, NEWEST)
    assert migrate(url, clock=clock) == (NEWEST, NEWEST)
    open_store(url, clock=clock).close()


def test_migrations_at_once_wait_for_one_another(postgres_server: Databases, clock: Clock) -> None:
    url = postgres_server.fresh()
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: migrate(url, clock=clock), range(4)))

    assert sorted(told) == [(0, NEWEST), *[(NEWEST, NEWEST)] * 3]


def test_a_newer_schema_is_refused_and_an_older_one_too(
    postgres_server: Databases, clock: Clock
) -> None:
    url = postgres_server.fresh()
    migrate_with(url, clock=clock, migrations=MIGRATIONS[:1])
    with pytest.raises(StoreUnusable, match=rf"has schema 1, .* needs {NEWEST}; .*admin migrate"):
        open_store(url, clock=clock)
    migrate_with(url, clock=clock, migrations=[*MIGRATIONS, NEXT])
    for refused in (lambda: open_store(url, clock=clock), lambda: migrate(url, clock=clock)):
        with pytest.raises(StoreUnusable, match=rf"schema {NEWEST + 1}, made by a newer fotapool"):
            refused()


def test_a_migration_that_fails_leaves_nothing(postgres_server: Databases, clock: Clock) -> None:
    url = postgres_server.fresh()
    migrate(url, clock=clock)
    with pytest.raises(StoreUnusable, match="left as it is"):
        migrate_with(url, clock=clock, migrations=[*MIGRATIONS, BROKEN])

    assert run(url, "SELECT to_regclass('half')") == [(None,)]
    assert run(url, "SELECT max(number) FROM migration") == [(NEWEST,)]


def test_data_of_an_older_schema_is_kept(postgres_server: Databases, clock: Clock) -> None:
    url = postgres_server.fresh()
    migrate_with(url, clock=clock, migrations=MIGRATIONS[:2])
    run(url, "INSERT INTO account VALUES (1, 'MRC', 1, 9, 2, 0, 3, 7, '\\x')")
    run(url, "INSERT INTO license VALUES (1, 11, 7, 3), (1, 12, 7, 3)")
    migrate(url, clock=clock)

    assert run(url, "SELECT policy, candidates FROM account") == [("registered", 0)]
    assert run(url, "SELECT account, sequence, held FROM granted") == [(1, 3, 2)]


def test_an_old_server_is_refused(
    postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema_module, "SERVER_VERSION_MIN", 990_000)
    with pytest.raises(StoreUnusable, match="is too old; fotapool needs 99 or newer"):
        open_store(postgres_url, clock=clock)


# --- urls --------------------------------------------------------------------------------------

# url                                              shown
SHOWN = [
    ("postgresql://me:secret@host/db",             "postgresql://me@host/db"),
    ("postgresql://me:se:cret@a,b/db?x=1",         "postgresql://me@a,b/db?x=1"),
    ("postgresql://me@host/db?password=secret&a=b", "postgresql://me@host/db?password=***&a=b"),
    ("postgresql:///db",                           "postgresql:///db"),
    ("sqlite:///a@b.db",                           "sqlite:///a@b.db"),
]  # fmt: skip


@pytest.mark.parametrize(("url", "shown"), SHOWN)
def test_a_password_in_a_url_is_not_shown(url: str, shown: str) -> None:
    assert shown_url(url) == shown


def test_what_a_url_says_goes_before_our_choice() -> None:
    told = connecting("postgresql://a,b/db?connect_timeout=1&options=-c%20work_mem%3D1MB")

    assert told["connect_timeout"] == "1"
    assert told["target_session_attrs"] == "read-write"
    assert told["options"].endswith("-c work_mem=1MB")


@pytest.mark.parametrize(
    ("url", "error", "told"),
    [
        ("postgresql://127.0.0.1:1/x", StoreUnusable, "cannot be reached: .*refused"),
        ("postgresql://127.0.0.1/x?nonsense=1", ConfigurationError, "cannot be read: .*nonsense"),
    ],
)
def test_a_database_that_is_not_there_is_told_in_one_line(
    url: str, error: type[Exception], told: str, clock: Clock
) -> None:
    with pytest.raises(error, match=told) as caught:
        open_store(url, clock=clock)
    assert "\n" not in str(caught.value)


# --- several processes -------------------------------------------------------------------------


def test_processes_side_by_side_count_as_one(world: World, other: World) -> None:
    account = world.add_account(licenses=150, devices=imeis(400))
    devices = imeis(400)
    lists = [devices[at : at + 40] for at in range(0, 400, 20)]
    with ThreadPoolExecutor(8) as pool:
        changes = list(
            pool.map(
                lambda at: (
                    (world, other)[at % 2].ledger.submit(assign(account, *lists[at])).result()
                ),
                range(len(lists)),
            )
        )

    assert sum(change.outcomes.count(13) for change in changes) == 150
    check_books(world, account)


def test_accounts_and_credentials_are_made_in_turn(world: World, other: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(lambda at: (world, other)[at % 2].add_account(f"a{at}"), range(16)))
        made = list(
            pool.map(lambda at: (world, other)[at % 2].credentials.create([f"a{at}"]), range(16))
        )

    assert sorted(key.id for key in keys) == list(range(1, 17))
    assert len({secrets.client_id for secrets in made}) == 16


def test_a_group_waits_once_for_an_account_that_is_held(
    postgres_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rerun: list[object] = []
    each = GroupCommit._commit_each

    def noted(self: Any, group: Any) -> Any:
        rerun.append(group)
        return each(self, group)

    monkeypatch.setattr(GroupCommit, "_commit_each", noted)
    store = open_store(f"{postgres_url}?options=-c%20lock_timeout%3D300ms", clock=clock)
    world = World(store, clock)
    account = world.add_account("held", licenses=9, devices=range(1, 9))
    with psycopg.connect(postgres_url) as raw:
        raw.execute("SELECT * FROM account WHERE account = 1 FOR UPDATE")
        waiting = [world.ledger.submit(assign(account, imei)) for imei in range(1, 9)]

        assert all(isinstance(each.exception(20), StoreBusy) for each in waiting)
        assert rerun == []
    assert world.totals(account).used == 0
    store.close()


def test_one_account_held_elsewhere_keeps_no_other_waiting(world: World, postgres_url: str) -> None:
    held = world.add_account("held", licenses=9, devices=[1])
    free = world.add_account("free", licenses=9, devices=[1])
    with psycopg.connect(postgres_url) as raw:
        raw.execute("SELECT * FROM account WHERE account = 1 FOR UPDATE")
        waiting = world.ledger.submit(assign(held, 1))

        assert world.ledger.submit(assign(free, 1)).result(5).totals.used == 1
        assert not waiting.done()
    assert waiting.result(5).totals.used == 1


# --- a server that goes away -------------------------------------------------------------------


def test_connections_cut_by_a_restart_are_made_anew(world: World, postgres_url: str) -> None:
    account = world.add_account(licenses=9, devices=[1, 2])
    world.carry_out(account, Verb.ASSIGN, ["000000000000001"])
    for _ in range(3):
        cut_all(postgres_url)
        assert world.totals(account).used == 1
        cut_all(postgres_url)
        again = world.carry_out(account, Verb.ASSIGN, ["000000000000001"])
        assert list(again.outcomes) == [10]


def test_while_the_server_is_down_nothing_is_done_and_afterwards_all_goes_on(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_module, "CONNECTION_WAIT_S", 0.3)
    with running_cluster() as cluster:
        migrate(cluster.url, clock=clock)
        store = open_store(cluster.url, clock=clock)
        world = World(store, clock)
        account = world.add_account(licenses=9, devices=[1])
        cluster.stop("immediate")
        for _ in range(2):
            with pytest.raises(StoreError, match="nothing was done"):
                world.ledger.submit(assign(account, 1)).result(20)
            with pytest.raises(StoreBusy, match="nothing was done"):
                world.totals(account)
        cluster.start()

        assert world.ledger.submit(assign(account, 1)).result(20).totals.used == 1
        check_books(world, account)
        store.close()


class Cut:
    """Cuts the connection at a moment of the commit, or lets the standby's wait be cut short."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, cut: Callable[[Any], None]) -> None:
        commit = postgres_module._commit
        self.left = 1

        def commit_once(raw: psycopg.Connection[Any]) -> None:
            if not self.left:
                commit(raw)
                return
            self.left -= 1
            cut(raw)
            commit(raw)

        monkeypatch.setattr(postgres_module, "_commit", commit_once)


def lose(raw: psycopg.Connection[Any]) -> None:
    """The connection breaks, and the server has not heard of the COMMIT."""
    raw.pgconn.finish()


def lose_late(raw: psycopg.Connection[Any]) -> None:
    """The server has carried out the COMMIT, and its answer is lost."""
    raw.execute("COMMIT")
    raw.pgconn.finish()


def test_a_commit_whose_answer_is_lost_is_found_and_answered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = world.add_account(licenses=9, devices=[1])
    Cut(monkeypatch, lose_late)

    change = world.ledger.submit(assign(account, 1, request_id=b"r" * 16)).result(20)

    assert (change.sequence, list(change.outcomes)) == (3, [13])
    check_books(world, account)


def test_a_commit_that_never_came_there_is_told_to_be_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = world.add_account(licenses=9, devices=[1])
    Cut(monkeypatch, lose)

    with pytest.raises(StoreError, match="nothing was done"):
        world.ledger.submit(assign(account, 1, request_id=b"r" * 16)).result(20)
    assert world.totals(account).used == 0
    assert world.ledger.submit(assign(account, 1)).result(20).sequence == 3
    check_books(world, account)


def test_while_nobody_can_tell_the_outcome_is_unknown(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = world.add_account(licenses=9, devices=[1])
    monkeypatch.setattr(postgres_module, "FINDING_OUT_S", 0.2)

    def not_now(_store: Any, _change: Change) -> bool:
        raise StoreBusy("the database cannot be reached")

    monkeypatch.setattr(PostgresStore, "_look_for", not_now)
    Cut(monkeypatch, lose_late)

    with pytest.raises(OutcomeUnknown):
        world.ledger.submit(assign(account, 1, request_id=b"r" * 16)).result(20)
    assert world.totals(account).used == 1
    Cut(monkeypatch, lose_late)
    with pytest.raises(OutcomeUnknown):
        world.credentials.create([account.name])


def test_another_request_of_the_same_position_is_not_taken_for_it(
    world: World, other: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = world.add_account(licenses=9, devices=[1, 2])
    done = threading.Event()

    def lose_and_wait(raw: psycopg.Connection[Any]) -> None:
        raw.pgconn.finish()
        other.ledger.submit(assign(account, 2, request_id=b"o" * 16)).result(20)
        done.set()

    Cut(monkeypatch, lose_and_wait)
    with pytest.raises(StoreError, match="nothing was done"):
        world.ledger.submit(assign(account, 1, request_id=b"r" * 16)).result(20)

    assert done.is_set()
    assert world.totals(account).used == 1
    check_books(world, account)


# --- what is read ------------------------------------------------------------------------------

DROPPED = ["account", "change", "license", "span", "granted", "pending", "candidate"]


@pytest.mark.parametrize("table", DROPPED)
def test_verify_goes_on_where_something_cannot_be_read(
    postgres_server: Databases, clock: Clock, table: str
) -> None:
    url = postgres_server.fresh()
    migrate(url, clock=clock)
    store = open_store(url, clock=clock)
    account = World(store, clock).add_account(licenses=9, devices=[1])
    store.close()
    run(url, f"DROP TABLE {table}")

    with opened_reader(url) as reader:
        report = reader.read(lambda snapshot: verify(snapshot, account))
    assert report.findings


def test_damage_is_told_as_such(world: World, postgres_server: Databases, clock: Clock) -> None:
    url = postgres_server.fresh()
    migrate(url, clock=clock)
    store = open_store(url, clock=clock)
    account = World(store, clock).add_account(licenses=9, devices=[1])
    run(url, "DROP TABLE license")

    with pytest.raises(StoreDamaged):
        store.read(lambda snapshot: snapshot.gather(account.id, [1]))
    with pytest.raises(StoreDamaged):
        World(store, clock).ledger.submit(assign(account, 1)).result(20)
    store.close()


def test_a_snapshot_sees_one_moment(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1])

    def look(snapshot: Any) -> tuple[int, int]:
        before = snapshot.account(account.id).totals.used
        world.ledger.submit(assign(account, 1)).result(20)
        return before, snapshot.account(account.id).totals.used

    assert world.store.read(look) == (0, 0)
    assert world.totals(account).used == 1


def test_nothing_is_left_of_a_read_that_fails(world: World, postgres_url: str) -> None:
    account = world.add_account(licenses=9, devices=[1])
    for _ in range(30):
        with pytest.raises(ZeroDivisionError):
            world.store.read(lambda snapshot: snapshot.account(account.id).sequence // 0)

    left = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
    assert run(postgres_url, left) == [(0,)]
    assert world.totals(account).total == 9


def test_the_same_request_again_is_answered_from_its_change(world: World) -> None:
    """Numbers of 15 digits and bytes of every kind come back as they went in."""
    devices = [0, 999_999_999_999_999, 2**31, 2**15]
    account = world.add_account(licenses=9, devices=devices)
    command = assign(account, *devices, request_id=bytes(range(240, 256)))
    change = world.ledger.submit(command).result(20)

    (kept,) = world.store.read(lambda snapshot: snapshot.changes(account, 2, 1))
    assert kept == replace(change, answer=None)


@pytest.fixture(scope="module")
def unused_url(postgres_server: Databases) -> str:
    """A database in which nothing ever was."""
    url = postgres_server.fresh()
    migrate(url, clock=lambda: 0)
    with psycopg.connect(url, autocommit=True) as raw:
        for (table,) in raw.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            raw.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)".encode())
    return url


@pytest.mark.parametrize(("name", "_arguments", "sought"), PLANS)
def test_what_a_statement_seeks(
    unused_url: str, name: str, _arguments: object, sought: set[str]
) -> None:
    """As in SQLite, and before the tables have any statistics: such a plan is kept."""
    text = POSTGRES.render(all_statements()[name])
    with psycopg.connect(**connecting(unused_url)) as raw:
        plan = [line for (line,) in raw.execute(b"EXPLAIN (GENERIC_PLAN) " + text.encode())]

    assert not [line for line in plan if re.search("Seq Scan|Bitmap", line)]
    assert set(seeks_of(plan)) == sought


def seeks_of(plan: list[str]) -> Iterator[str]:
    """Each scan of an index as SQLite tells it: `table column=? AND column>?`."""
    for at, line in enumerate(plan):
        if found := re.search(r"Index (?:Only )?Scan .*using \w+ on (\w+)", line):
            told = plan[at + 1].partition("Index Cond: ")[2]
            told = re.sub(r"ROW\((\w+), (\w+)\) > ROW\([^)]*\)", r"pair(\1,\2) > 0", told)
            conditions = re.findall(r"(pair\(\w+,\w+\)|\w+) ([<>=])", told)
            words = [f"{name}{sign}?" for name, sign in conditions]
            yield f"{found[1]} " + " AND ".join(
                re.sub(r"pair(\(.*\))>\?", r"\1>(?,?)", word) for word in words
            )
