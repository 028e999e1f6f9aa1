"""Verify: a ledger that was touched anywhere is found out, and a sound one is not accused."""

from __future__ import annotations

import random
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fotapool.ledger.chain import seal
from fotapool.ledger.replay import Books
from fotapool.ledger.verify import FINDINGS_MAX, Report, verify
from fotapool.model import (
    AccountKey,
    Change,
    Checkpoint,
    DeviceList,
    Outcome,
    StoreDamaged,
    StoreUnusable,
    Totals,
    Verb,
)
from fotapool.store import SqliteStore, opened_reader
from script import IMEIS, Play, verdicts
from world import ACCOUNT, Clock, World, imeis

DEVICES = imeis(40)
NAMES = [f"{imei:015d}" for imei in DEVICES]
A = NAMES[0]


def report_of(world: World, account: AccountKey, **settings: Any) -> Report:
    return world.store.read(lambda snapshot: verify(snapshot, account, **settings))


def found(report: Report) -> list[tuple[int, str, int | None]]:
    return [(finding.sequence, finding.wrong.code, finding.imei) for finding in report.findings]


def live_a_little(world: World) -> AccountKey:
    """Changes 3 to 9 of an account: all verdicts there are, one device that came and went twice."""
    account = world.add_account(licenses=30, devices=DEVICES[:39])
    for verb, items in [
        (Verb.ASSIGN, [*NAMES[:25], "x", A]),
        (Verb.REMOVE, [*NAMES[:5], NAMES[30], "ä,b"]),
        (Verb.ASSIGN, [A, NAMES[39]]),
        (Verb.REMOVE, [A]),
        (Verb.ASSIGN, NAMES[20:]),
        (Verb.ASSIGN, ["nobody"]),
        (Verb.REMOVE, [NAMES[30]]),
    ]:
        world.clock.advance(minutes=1)
        world.carry_out(account, verb, items)
    return account


def execute(world: World, statement: str, *arguments: object) -> None:
    world.store.write(lambda tx: tx.connection.write(statement, *arguments)).result()


def test_a_sound_ledger(world: World) -> None:
    account = live_a_little(world)
    other = world.add_account("other", licenses=1, devices=[1])

    report = report_of(world, account)

    assert (report.changes, report.verdicts, report.findings) == (
        9,
        39 + 27 + 7 + 2 + 1 + 20 + 2,
        (),
    )
    assert report.first_wrong is None
    assert report.head == world.store.read(lambda snapshot: snapshot.account(account.id)).head
    assert report_of(world, other).findings == ()


@pytest.mark.parametrize("devices_max", [1, 2, 5, 10, 100])
def test_memory_decides_how_often_it_is_read_and_nothing_else(
    world: World, devices_max: int
) -> None:
    account = live_a_little(world)
    assert report_of(world, account, devices_max=devices_max).findings == ()

    execute(world, "UPDATE license SET since_ms = since_ms + 1 WHERE imei = ?", DEVICES[12])
    execute(world, "UPDATE span SET until_ms = until_ms + 1 WHERE imei = ?", DEVICES[2])
    assert sorted(found(report_of(world, account, devices_max=devices_max))) == [
        (3, "license", DEVICES[12]),
        (4, "interval", DEVICES[2]),
    ]


# what was done to the tables                                                        first wrong, how, device
TOUCHED = [
    ("UPDATE change SET at_ms = at_ms - 1 WHERE sequence = 5",                          5, "hash", None),
    ("UPDATE change SET actor = 'somebody' WHERE sequence = 4",                         4, "hash", None),
    ("UPDATE change SET outcomes = x'0d0d' WHERE sequence = 5",                         5, "hash", None),
    ("UPDATE change SET outcomes = x'0d' WHERE sequence = 5",                           5, "unreadable", None),
    ("UPDATE change SET devices = x'00' WHERE sequence = 5",                            5, "unreadable", None),
    ("UPDATE change SET verb = 99 WHERE sequence = 6",                                  6, "unreadable", None),
    ("UPDATE change SET verb = 3 WHERE sequence = 6",                                   6, "hash", None),
    ("UPDATE change SET used = used + 1 WHERE sequence = 3",                            3, "hash", None),
    ("UPDATE change SET used = 99 WHERE sequence = 3",                                  3, "unreadable", None),
    ("UPDATE change SET detail = 'x' WHERE sequence = 1",                               1, "hash", None),
    ("UPDATE change SET hash = zeroblob(32) WHERE sequence = 7",                        7, "hash", None),
    ("DELETE FROM change WHERE sequence = 1",                                           1, "missing", None),
    ("DELETE FROM change WHERE sequence = 5",                                           5, "missing", None),
    ("DELETE FROM change WHERE sequence = 9",                                           9, "missing", None),
    ("DELETE FROM change",                                                              1, "missing", None),
    ("UPDATE change SET sequence = 10 WHERE sequence = 9",                              9, "missing", None),
    ("UPDATE account SET used = used - 1",                                              9, "account", None),
    ("UPDATE account SET total = total + 1",                                            9, "account", None),
    ("UPDATE account SET head = zeroblob(32)",                                          9, "account", None),
    ("UPDATE account SET changed_at_ms = changed_at_ms - 1",                            9, "account", None),
    ("UPDATE account SET sequence = 10",                                               10, "missing", None),
    ("UPDATE account SET sequence = 8",                                                 9, "account", None),
    ("DELETE FROM account",                                                             9, "account", None),
    ("UPDATE license SET since_ms = 0 WHERE imei = 990003425730007",                    3, "license", DEVICES[7]),
    ("UPDATE license SET since_sequence = 7 WHERE imei = 990003425730007",              3, "license", DEVICES[7]),
    ("UPDATE license SET since_sequence = 99 WHERE imei = 990003425730007",             3, "license", DEVICES[7]),
    ("DELETE FROM license WHERE imei = 990003425730008",                                3, "license", DEVICES[8]),
    ("INSERT INTO license VALUES (1, 5, 0, 99, NULL, NULL)",                                        9, "license", 5),
    ("UPDATE span SET until_sequence = 9 WHERE imei = 990003425730002",                 4, "interval", DEVICES[2]),
    ("UPDATE span SET since_ms = 0 WHERE imei = 990003425730002",                       4, "interval", DEVICES[2]),
    ("DELETE FROM span WHERE imei = 990003425730002",                                   4, "interval", DEVICES[2]),
    ("INSERT INTO span VALUES (1, 5, 0, 0, 2, 3, NULL, NULL)",                                      2, "interval", 5),
    ("INSERT INTO license VALUES (1, -5, 0, 3, NULL, NULL)",                                        3, "license", None),
    ("INSERT INTO license VALUES (1, 1000000000000000, 0, 3, NULL, NULL)",                          3, "license", None),
    ("INSERT INTO license VALUES (1, 9223372036854775807, 0, 3, NULL, NULL)",                       3, "license", None),
    ("INSERT INTO span VALUES (1, -5, 0, 0, 2, 3, NULL, NULL)",                                     2, "interval", None),
    ("INSERT INTO span VALUES (1, 9000000000000000000, 0, 0, 2, 3, NULL, NULL)",                    2, "interval", None),
    ("UPDATE change SET actor = CAST(x'ff41' AS TEXT) WHERE sequence = 5",              5, "unreadable", None),
    ("DROP TABLE license",                                                              9, "license", None),
    ("DROP TABLE span",                                                                 9, "interval", None),
    ("DROP TABLE account",                                                              9, "account", None),
    ("DROP TABLE change",                                                               1, "unreadable", None),
    ("UPDATE license SET origin_sequence = 2, origin_ms = 0 WHERE imei = 990003425730007", 3, "license", DEVICES[7]),
    ("UPDATE span SET origin_sequence = 2, origin_ms = 0 WHERE imei = 990003425730002", 4, "interval", DEVICES[2]),
    ("UPDATE granted SET held = held + 1 WHERE sequence = 3",                           3, "granted", None),
    ("DELETE FROM granted WHERE sequence = 3",                                          3, "granted", None),
    ("INSERT INTO granted VALUES (1, 4, 1)",                                            4, "granted", None),
    ("INSERT INTO granted VALUES (1, 99, 1)",                                           9, "granted", None),
    ("INSERT INTO candidate VALUES (1, 990003425730007, 3, 0)",                         3, "candidate", DEVICES[7]),
    ("INSERT INTO pending VALUES (1, 990003425730007, 3, 0)",                           3, "pending", DEVICES[7]),
    ("UPDATE account SET active = 0",                                                   9, "account", None),
    ("UPDATE account SET policy = 'open'",                                              9, "account", None),
    ("UPDATE account SET purchase_type = 'both'",                                       9, "account", None),
    ("UPDATE account SET candidates = 1",                                               9, "account", None),
    ("UPDATE account SET subscribed_at_ms = 0",                                         9, "account", None),
    ("DROP TABLE granted",                                                              9, "granted", None),
    ("DROP TABLE candidate",                                                            9, "candidate", None),
    ("DROP TABLE pending",                                                              9, "pending", None),
    ("UPDATE account_name SET name = 'renamed'",                                        1, "hash", None),
]  # fmt: skip


@pytest.mark.sqlite
@pytest.mark.parametrize(("statement", "sequence", "code", "imei"), TOUCHED)
def test_whatever_is_touched_is_found(
    small_world: World, statement: str, sequence: int, code: str, imei: int | None
) -> None:
    account = live_a_little(small_world)
    execute(small_world, statement)
    (account,) = small_world.store.read(lambda snapshot: snapshot.accounts())

    report = report_of(small_world, account)

    assert found(report) == [(sequence, code, imei)]
    assert report.first_wrong == sequence


def test_a_device_granted_twice_is_found_also_where_memory_is_short(small_world: World) -> None:
    """A forger who keeps hashes, totals and rows, in a change of devices that wait their turn."""
    account = live_a_little(small_world)

    def forge(tx: Any) -> None:
        head = bytes(32)
        for change in tx.changes(account, 0, 1000):
            outcomes = bytearray(change.outcomes)
            if change.sequence == 7:
                twice, never = outcomes.index(10), outcomes.index(13)
                outcomes[twice], outcomes[never] = 13, 12
                lost = change.devices.imeis[never]
                tx.connection.write("DELETE FROM license WHERE imei = ?", lost)
            forged = seal(replace(change, outcomes=bytes(outcomes)), head)
            head = forged.hash
            tx.connection.write(
                "UPDATE change SET outcomes = ?, hash = ? WHERE sequence = ?",
                forged.outcomes,
                head,
                change.sequence,
            )
        tx.connection.write("UPDATE account SET head = ?", head)

    small_world.store.write(forge).result()

    for devices_max in (1, 3, 5, 10, 2_000_000):
        report = report_of(small_world, account, devices_max=devices_max)
        assert (7, "outcomes", None) in found(report), devices_max


# What a shrink left waiting, and the verdicts that tell of it: the last change of a script, as it is
# and as it might be forged with totals that fit.
# played                                                        is                      forged               totals
WAITING = [
    ("assign ABC; schedule A; start A; resize 2; finish A",     "A finished_and_taken", "A finished",           (2, 3, 1)),
    ("assign ABC; schedule A; start A; resize 2; fail A",       "A failed_and_taken",   "A failed",             (2, 3, 1)),
    ("assign ABC; schedule AB; start AB; resize 2; finish B",   "B finished",           "B finished_and_taken", (2, 2, 0)),
    ("assign ABC; schedule AB; start AB; resize 2; fail B",     "B failed",             "B failed_and_taken",   (2, 2, 0)),
    ("assign ABC; schedule AB; start AB; resize 1; resize 2",   "B released",           "A released",           (2, 3, 1)),
    ("assign ABC; schedule AB; start AB; resize 1; resize 2",   "B released",           "",                     (2, 3, 1)),
    ("assign ABC; schedule AB; start AB; resize 1; undo 6",     "A released, B released", "A released",         (9, 3, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("script", "told", "forged", "totals"), WAITING)
def test_a_verdict_on_what_waits_that_is_not_true_is_found(
    small_world: World, script: str, told: str, forged: str, totals: tuple[int, int, int]
) -> None:
    play = Play(small_world)
    play.play(script)
    changes = small_world.store.read(lambda snapshot: snapshot.changes(play.account, 0, 99))
    assert verdicts(changes[-1]) == told
    words = [verdict.split() for verdict in forged.split(", ") if verdict]
    other = replace(
        changes[-1],
        devices=DeviceList.of([IMEIS[letter] for letter, _ in words]),
        outcomes=bytes(Outcome[word.upper()] for _, word in words),
        totals=Totals(*totals),
    )

    def sound(last: Change) -> bool:
        books = Books()
        assert all(books.adds_up(made) and books.apply(made) for made in changes[:-1])
        return books.adds_up(last) and books.apply(last)

    assert sound(changes[-1])
    assert not sound(other)


def test_two_rows_that_were_swapped(small_world: World) -> None:
    account = live_a_little(small_world)
    for moved, to in ((4, 100), (5, 4), (100, 5)):
        execute(small_world, "UPDATE change SET sequence = ? WHERE sequence = ?", to, moved)

    assert found(report_of(small_world, account)) == [(4, "hash", None)]


def test_many_findings_are_cut_short(small_world: World) -> None:
    account = small_world.add_account(licenses=100, devices=imeis(60))
    small_world.carry_out(account, Verb.ASSIGN, list(map(str, imeis(60))))
    execute(small_world, "UPDATE license SET since_ms = 0")

    assert len(report_of(small_world, account).findings) == FINDINGS_MAX


def rewrite(world: World, account: AccountKey, until: int) -> None:
    """What somebody who can write the file would do: cut the tail and make all else fit."""
    changes = world.store.read(lambda snapshot: snapshot.changes(account, 0, 1000))
    last = changes[until - 1]

    def cut(tx: Any) -> None:
        tx.connection.write("DELETE FROM change WHERE sequence > ?", until)
        tx.connection.write("DELETE FROM license WHERE since_sequence > ?", until)
        reopened = "SELECT account, imei, since_ms, since_sequence, origin_sequence, origin_ms FROM span WHERE until_sequence > ? AND since_sequence <= ?"
        tx.connection.write(f"INSERT INTO license {reopened}", until, until)
        tx.connection.write("DELETE FROM span WHERE until_sequence > ?", until)
        tx.connection.write("DELETE FROM granted")
        tx.connection.write(
            "INSERT INTO granted SELECT account, since_sequence, count(*) FROM license GROUP BY account, since_sequence"
        )
        row = tx.account(account.id)
        tx.save(
            replace(
                row,
                totals=last.totals,
                sequence=until,
                changed_at_ms=last.at_ms,
                head=last.hash,
            )
        )

    world.store.write(cut).result()


def test_a_tail_cut_with_care_is_found_by_a_checkpoint_alone(world: World) -> None:
    account = live_a_little(world)
    heads = world.store.read(
        lambda snapshot: {
            change.sequence: change.hash for change in snapshot.changes(account, 0, 99)
        }
    )
    rewrite(world, account, 6)

    assert found(report_of(world, account)) == []
    for sequence, expected in [
        (9, [(7, "checkpoint", None)]),
        (7, [(7, "checkpoint", None)]),
        (6, []),
        (2, []),
    ]:
        checkpoint = Checkpoint(ACCOUNT, sequence, heads[sequence])
        assert found(report_of(world, account, checkpoint=checkpoint)) == expected

    for _ in range(5):  # grown again past where it was, with other changes
        world.carry_out(account, Verb.ASSIGN, [A])
    assert found(report_of(world, account)) == []
    checkpoint = Checkpoint(ACCOUNT, 9, heads[9])
    assert found(report_of(world, account, checkpoint=checkpoint)) == [(9, "checkpoint", None)]


def test_a_history_rewritten_with_all_its_hashes_is_found_by_its_contents(
    small_world: World,
) -> None:
    """Whoever recomputes the chain must also keep the books, and then only a checkpoint tells."""
    account = live_a_little(small_world)

    def forge(tx: Any) -> None:
        head = bytes(32)
        for change in tx.changes(account, 0, 1000):
            refused = bytes([12]) if change.sequence == 3 else change.outcomes[:1]
            forged = seal(replace(change, outcomes=refused + change.outcomes[1:]), head)
            head = forged.hash
            tx.connection.write(
                "UPDATE change SET outcomes = ?, hash = ? WHERE sequence = ?",
                forged.outcomes,
                forged.hash,
                forged.sequence,
            )
        tx.connection.write("UPDATE account SET head = ?", head)

    small_world.store.write(forge).result()

    assert found(report_of(small_world, account)) == [(3, "totals", None)]


# --- bytes on the disk -------------------------------------------------------------------------


def varint(number: int) -> bytes:
    assert number < 2**14
    return bytes([number]) if number < 128 else bytes([128 | number >> 7, number & 127])


def record_of(row: tuple[Any, ...]) -> tuple[bytes, list[int]]:
    """A row as SQLite's file format has it, and where in it each column begins."""
    kinds, bodies = [], []
    for value in row:
        if value is None:
            kinds.append(0)
            bodies.append(b"")
        elif isinstance(value, int):
            size = next(
                size
                for size in (1, 2, 3, 4, 6, 8)
                if -(1 << 8 * size - 1) <= value < 1 << 8 * size - 1
            )
            small = value in (0, 1)
            kinds.append(8 + value if small else {1: 1, 2: 2, 3: 3, 4: 4, 6: 5, 8: 6}[size])
            bodies.append(b"" if small else value.to_bytes(size, "big", signed=True))
        else:
            raw = value.encode() if isinstance(value, str) else value
            kinds.append(2 * len(raw) + (13 if isinstance(value, str) else 12))
            bodies.append(raw)
    header = b"".join(map(varint, kinds))
    header = varint(len(header) + 1) + header
    starts = [len(header) + sum(map(len, bodies[:at])) for at in range(len(bodies))]
    return header + b"".join(bodies), starts


@pytest.fixture
def closed(tmp_path: Path, clock: Clock) -> Path:
    """A database file at rest, all of it in the file itself."""
    path = tmp_path / "pool.db"
    world = World(SqliteStore(path, clock=clock), clock)
    live_a_little(world)
    world.store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


def is_sound(path: Path) -> bool:
    """As `admin verify` judges. It may find damage, and may fail in no other way."""
    try:
        with opened_reader(f"sqlite:///{path}") as reader:
            if reader.read(lambda snapshot: snapshot.damage()):
                return False
            (account,) = reader.read(lambda snapshot: snapshot.accounts())
            return not reader.read(lambda snapshot: verify(snapshot, account)).findings
    except StoreDamaged:
        return False


def test_any_byte_of_a_ledger_row_flipped_on_disk_is_found(closed: Path, tmp_path: Path) -> None:
    """Every byte of a row: its header and every column in it; by its lowest bit and by chance."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")  # noqa: T201 -- shown when the test fails
    chance = random.Random(seed)
    with closing(sqlite3.connect(closed)) as connection:
        rows = connection.execute("SELECT * FROM change WHERE sequence > 4").fetchall()
    record, starts = record_of(chance.choice(rows))
    whole = closed.read_bytes()
    at = whole.index(record)
    assert whole.count(record) == 1
    assert len(starts) == 13
    assert is_sound(closed)

    copy = tmp_path / "touched.db"
    missed = []
    for offset in range(len(record)):
        for flip in (1, chance.randrange(1, 256)):
            touched = bytearray(whole)
            touched[at + offset] ^= flip
            copy.write_bytes(touched)
            if is_sound(copy):
                missed.append((offset, flip))
    assert missed == []


def rows_of(path: Path, table: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(f"SELECT * FROM {table}").fetchall()


@pytest.mark.parametrize("table", ["license", "span"])
def test_any_byte_of_a_license_flipped_on_disk_is_found(
    closed: Path, tmp_path: Path, table: str
) -> None:
    """But for the few that leave the row as it was: an absent last column is read as NULL."""
    with closing(sqlite3.connect(closed)) as connection:
        stored = connection.execute(
            "SELECT sql FROM sqlite_schema WHERE name = ?", (table,)
        ).fetchone()
        # Key columns come first in a table that is clustered by its key.
        key = re.findall(r"PRIMARY KEY \(([a-z_, ]+)\)", stored[0])[0].split(", ")
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        order = key + [name for name in columns if name not in key]
        rows = connection.execute(f"SELECT {', '.join(order)} FROM {table}").fetchall()
    whole = closed.read_bytes()
    whole_rows = rows_of(closed, table)
    copy = tmp_path / "touched.db"
    missed = []
    for row in (rows[0], rows[-1]):
        record, _ = record_of(row)
        at = whole.index(record)
        assert whole.count(record) == 1
        for offset, bit in product(range(len(record)), range(8)):
            touched = bytearray(whole)
            touched[at + offset] ^= 1 << bit
            copy.write_bytes(touched)
            if is_sound(copy) and rows_of(copy, table) != whole_rows:
                missed.append((row, offset, bit))
    assert missed == []


def test_a_page_or_a_file_cut_or_blanked_is_found(closed: Path, tmp_path: Path) -> None:
    whole = closed.read_bytes()
    pages = len(whole) // 4096
    copy = tmp_path / "touched.db"
    with closing(sqlite3.connect(closed)) as connection:
        (root,) = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = 'change'"
        ).fetchone()
    for size in (len(whole) - 4096, len(whole) // 2 - 100, 4096):
        copy.write_bytes(whole[:size])
        assert not is_sound(copy), size
    copy.write_bytes(whole[:50])
    with pytest.raises(StoreUnusable):
        is_sound(copy)
    for page in (root, pages):
        copy.write_bytes(whole[: (page - 1) * 4096] + bytes(4096) + whole[page * 4096 :])
        assert not is_sound(copy), page
    shutil.copy(closed, copy)
    assert is_sound(copy)


# --- at work -----------------------------------------------------------------------------------


def test_a_live_database_is_verified_in_one_snapshot(tmp_path: Path, clock: Clock) -> None:
    store = SqliteStore(tmp_path / "pool.db", clock=clock)
    world = World(store, clock)
    account = world.add_account(licenses=30, devices=DEVICES)
    stop = threading.Event()

    def go_on() -> None:
        chance = random.Random(1)
        while not stop.is_set():
            verb = chance.choice([Verb.ASSIGN, Verb.REMOVE])
            world.carry_out(account, verb, chance.sample(NAMES, 5))

    writing = threading.Thread(target=go_on)
    writing.start()
    try:
        reports = [report_of(world, account)]
        while len(reports) < 20 or reports[-1].changes < reports[0].changes + 20:
            reports.append(report_of(world, account))
    finally:
        stop.set()
        writing.join()
        store.close()

    assert {report.findings for report in reports} == {()}


STEPS = st.lists(
    st.tuples(
        st.sampled_from([Verb.ASSIGN, Verb.REMOVE, Verb.REGISTER]),
        st.lists(st.sampled_from([*NAMES[:8], "x"]), min_size=1, max_size=6),
        st.integers(-5, 5),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(STEPS, st.integers(1, 20))
def test_whatever_happens_the_ledger_is_sound(
    steps: list[tuple[Verb, list[str], int]], devices_max: int
) -> None:
    clock = Clock()
    store = SqliteStore(None, clock=clock)
    world = World(store, clock)
    account = world.add_account(licenses=4, devices=DEVICES[:4])
    for verb, items, ms in steps:
        clock.advance(ms=ms)
        world.carry_out(account, verb, items)

    report = report_of(world, account, devices_max=devices_max)
    store.close()

    assert report.findings == ()
    assert report.changes == 2 + len(steps)
