"""What every store promises the ledger. One suite; each engine joins it as a parameter."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fotapool.ledger import Tx
from fotapool.ledger.chain import GENESIS, canonical, seal
from fotapool.model import (
    AccountKey,
    AlreadyExists,
    Change,
    Command,
    Cursor,
    DeviceList,
    IdempotencyKey,
    NotFound,
    PurchaseType,
    Refusal,
    Refused,
    StoreDamaged,
    StoreError,
    Totals,
    Verb,
)
from fotapool.store import GroupedStore, SqliteStore
from fotapool.store.connection import Contradicted
from world import ACCOUNT, NOON_MS, Clock, World, imeis

HOUR_MS = 3_600_000

Answer = Change | Refused


def rows_of(world: World, query: str) -> list[Any]:
    """What stands in the tables, read beside the store's own statements."""
    return list(world.store.read(lambda snapshot: snapshot.connection.rows(query)))


def check_books(world: World, account: AccountKey) -> None:
    """Counter, rows and ledger must tell the same, and the chain must hold."""
    total, used = rows_of(world, f"SELECT total, used FROM account WHERE account = {account.id}")[0]
    held = {
        imei for (imei,) in rows_of(world, f"SELECT imei FROM license WHERE account = {account.id}")
    }
    assert used == len(held) <= total

    head = GENESIS
    replayed: set[int] = set()
    changes = world.store.read(lambda snapshot: snapshot.changes(account, 0, 10**6))
    for number, change in enumerate(changes, start=1):
        assert change.sequence == number
        assert seal(change, head).hash == change.hash
        head = change.hash
        for imei, outcome in zip(change.devices.imeis, change.outcomes, strict=True):
            if outcome == 13:
                replayed.add(imei)
            elif outcome == 23:
                replayed.remove(imei)
    assert replayed == held
    assert rows_of(world, f"SELECT head, sequence FROM account WHERE account = {account.id}") == [
        (head, len(changes))
    ]


def test_an_account_begins_with_its_first_change(world: World) -> None:
    account = world.add_account(licenses=5)

    assert world.totals(account) == Totals(5, 0)
    check_books(world, account)


def test_an_account_name_is_taken_once(world: World) -> None:
    world.add_account()

    with pytest.raises(AlreadyExists, match=ACCOUNT):
        world.add_account()
    assert len(rows_of(world, "SELECT * FROM account")) == 1


def test_an_event_account_has_no_licenses(world: World) -> None:
    account = world.add_account(licenses=0, purchase_type=PurchaseType.EVNT, devices=[1])

    change = world.carry_out(account, Verb.ASSIGN, ["000000000000001"])

    assert change.outcomes == bytes([12])


def test_assign_and_remove_leave_true_books(world: World) -> None:
    devices = imeis(50)
    account = world.add_account(licenses=30, devices=devices)
    world.carry_out(account, Verb.ASSIGN, [*map(str, devices[:40]), "x", str(devices[0]), "1" * 15])
    world.carry_out(account, Verb.REMOVE, [*map(str, devices[25:35]), "ä,b", str(devices[25])])
    world.carry_out(account, Verb.ASSIGN, list(map(str, devices[45:48])))

    assert world.totals(account) == Totals(30, 28)
    check_books(world, account)


def test_a_removed_license_keeps_its_interval(world: World) -> None:
    account = world.add_account(devices=[1])
    world.carry_out(account, Verb.ASSIGN, ["000000000000001"])
    world.clock.advance(minutes=1)
    world.carry_out(account, Verb.REMOVE, ["000000000000001"])

    columns = "imei, since_ms, until_ms, since_sequence, until_sequence"
    assert rows_of(world, f"SELECT {columns} FROM span") == [(1, NOON_MS, NOON_MS + 60_000, 3, 4)]


def test_removing_cancels_a_scheduled_upgrade_and_heeds_running_and_finished_ones(
    world: World,
) -> None:
    account = world.add_account(devices=[1, 2, 3, 4])
    names = [f"{imei:015d}" for imei in (1, 2, 3, 4)]
    granted = world.carry_out(account, Verb.ASSIGN, names).sequence

    def upgrade(tx: Any) -> None:
        tx.connection.write("UPDATE device SET upgrade = imei WHERE imei IN (1, 2)")
        tx.connection.write("UPDATE device SET upgraded_sequence = ? WHERE imei = 3", granted + 1)
        tx.connection.write("UPDATE device SET upgraded_sequence = ? WHERE imei = 4", granted)

    world.store.write(upgrade).result()
    change = world.carry_out(account, Verb.REMOVE, names)

    assert list(change.outcomes) == [23, 21, 22, 23]
    assert rows_of(world, "SELECT upgrade FROM device ORDER BY imei") == [(0,), (2,), (0,), (0,)]


def test_an_inactive_account_takes_no_writes_and_answers_reads(world: World) -> None:
    account = world.add_account(devices=[1])
    world.store.write(lambda tx: tx.connection.write("UPDATE account SET active = 0")).result()

    refused = world.refusal_of(account, Verb.ASSIGN, ["000000000000001"])

    assert refused.refusal.name == "ACCOUNT_INACTIVE"
    assert world.ledger.status(account, Cursor()).sequence == 2


# --- pages -------------------------------------------------------------------------------------


@pytest.fixture
def licensed(world: World) -> tuple[World, AccountKey]:
    """Five licensed devices, the first of them IMEI 0, and one that once was."""
    devices = [0, 10, 20, 30, 40, 50]
    account = world.add_account(licenses=6, devices=[*devices, 60])
    world.carry_out(account, Verb.ASSIGN, [f"{imei:015d}" for imei in devices])
    world.carry_out(account, Verb.REMOVE, ["000000000000030"])
    return world, account


# cursor               size  imeis on the page        more   cursor known
PAGES = [
    (Cursor(),            10, [0, 10, 20, 40, 50],    False, True),
    (Cursor(),             5, [0, 10, 20, 40, 50],    False, True),
    (Cursor(),             2, [0, 10],                True,  True),
    (Cursor(imei=0),       2, [10, 20],               True,  True),
    (Cursor(imei=20),      2, [40, 50],               False, True),
    (Cursor(imei=30),      2, [40, 50],               False, True),
    (Cursor(imei=50),      2, [],                     False, True),
    (Cursor(imei=60),      2, [],                     False, True),
    (Cursor(imei=31),      2, [40, 50],               False, False),
    (Cursor(offset=0),     2, [0, 10],                True,  True),
    (Cursor(offset=3),     2, [40, 50],               False, True),
    (Cursor(offset=5),     2, [],                     False, True),
    (Cursor(offset=99),    2, [],                     False, True),
]  # fmt: skip


@pytest.mark.parametrize(("cursor", "size", "expected", "more", "known"), PAGES)
def test_pages(
    licensed: tuple[World, AccountKey],
    cursor: Cursor,
    size: int,
    expected: list[int],
    more: bool,
    known: bool,
) -> None:
    world, account = licensed

    page = world.page(account, cursor, size)

    assert page.imeis == expected
    assert page.assigned_at_ms == [NOON_MS] * len(expected)
    assert (page.more, page.cursor_known) == (more, known)
    assert page.totals == Totals(6, 5)
    assert page.sequence == 4


def test_a_page_names_no_device_of_another_account(licensed: tuple[World, AccountKey]) -> None:
    world, _ = licensed
    other = world.add_account("other", devices=[5])

    assert world.page(other, Cursor(), 10).imeis == []
    assert world.page(other, Cursor(imei=10), 10).cursor_known is False


def test_a_page_of_no_account_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        world.page(AccountKey(9, "nine"), Cursor(), 10)


# --- groups ------------------------------------------------------------------------------------


class Held:
    """Keeps the writer busy, so that what is submitted meanwhile becomes one group."""

    def __init__(self, store: GroupedStore) -> None:
        self._release = threading.Event()
        entered = threading.Event()

        def wait(_tx: object) -> None:
            entered.set()
            self._release.wait(10)

        self._job = store.write(wait)
        entered.wait(10)

    def release(self) -> None:
        self._release.set()
        self._job.result(10)


def submit_all(
    world: World, commands: Sequence[Command], apply: Any = None
) -> list[Future[Change]]:
    held = Held(world.store)
    futures = [
        world.store.submit(command, apply or world.ledger._carry_out) for command in commands
    ]
    held.release()
    return futures


def assign(account: AccountKey, *devices: int) -> Command:
    return Command(account, Verb.ASSIGN, DeviceList.of(list(devices)), "me", bytes(16))


def test_requests_that_wait_together_are_decided_together_and_in_order(world: World) -> None:
    account = world.add_account(licenses=3, devices=range(1, 9))
    other = world.add_account("other", licenses=9, devices=[1])
    groups: list[list[int]] = []

    def apply(tx: Tx, commands: Sequence[Command]) -> Sequence[Answer]:
        groups.append([command.devices.imeis[0] for command in commands])
        return world.ledger._carry_out(tx, commands)

    commands = [assign(account, imei) for imei in (1, 2, 3, 4)]
    commands.insert(2, assign(other, 1))
    changes = [future.result(10) for future in submit_all(world, commands, apply)]

    assert groups == [[1, 2, 3, 4], [1]]
    assert [list(change.outcomes) for change in changes] == [[13], [13], [13], [13], [12]]
    check_books(world, account)
    check_books(world, other)


def test_one_failing_request_harms_no_other(world: World) -> None:
    account = world.add_account(licenses=9, devices=range(1, 9))
    seen: list[int] = []

    def apply(tx: Tx, commands: Sequence[Command]) -> Sequence[Answer]:
        seen.append(len(commands))
        answers = world.ledger._carry_out(tx, commands)
        if any(command.devices.imeis[0] == 2 for command in commands):
            raise RuntimeError("poison")
        return answers

    first, poisoned, third = submit_all(world, [assign(account, imei) for imei in (1, 2, 3)], apply)

    assert first.result(10).sequence == 3
    with pytest.raises(RuntimeError, match="poison"):
        poisoned.result(10)
    assert third.result(10).sequence == 4
    assert seen == [3, 1, 1, 1]
    check_books(world, account)


def test_a_rerun_decides_from_nothing(world: World) -> None:
    """With one license left, the poisoned first request must not have taken it."""
    account = world.add_account(licenses=1, devices=[1, 2])

    def apply(tx: Tx, commands: Sequence[Command]) -> Sequence[Answer]:
        answers = world.ledger._carry_out(tx, commands)
        if any(command.devices.imeis[0] == 1 for command in commands):
            raise RuntimeError("poison")
        return answers

    poisoned, second = submit_all(world, [assign(account, 1), assign(account, 2)], apply)

    assert isinstance(poisoned.exception(10), RuntimeError)
    assert list(second.result(10).outcomes) == [13]
    check_books(world, account)


def test_when_the_engine_drops_the_transaction_the_rest_starts_again(world: World) -> None:
    account = world.add_account(licenses=9, devices=range(1, 9))

    def apply(tx: Any, commands: Sequence[Command]) -> Sequence[Answer]:
        answers = world.ledger._carry_out(tx, commands)
        if any(command.devices.imeis[0] == 2 for command in commands):
            tx.connection.write("ROLLBACK")
            raise StoreError("disk I/O error")
        return answers

    first, dropped, third = submit_all(world, [assign(account, imei) for imei in (1, 2, 3)], apply)

    assert list(first.result(10).outcomes) == [13]
    assert isinstance(dropped.exception(10), StoreError)
    assert list(third.result(10).outcomes) == [13]
    check_books(world, account)


def test_a_decision_that_the_tables_contradict_is_not_written(world: World) -> None:
    account = world.add_account(licenses=1, devices=[1, 2])

    def oversell(tx: Tx, commands: Sequence[Command]) -> Sequence[Answer]:
        answers = world.ledger._carry_out(tx, commands)
        world_tx: Any = tx
        world_tx.connection.write("UPDATE account SET used = 2")
        return answers

    with pytest.raises(Contradicted, match=r"(?i)check"):
        world.store.submit(assign(account, 1), oversell).result(10)
    with pytest.raises(Contradicted, match=r"(?i)unique"):
        world.store.write(lambda tx: tx.grant(account.id, [(9, [1, 1])], 9)).result(10)
    with pytest.raises(Contradicted, match="wrote 0 rows where 1"):
        world.store.write(lambda tx: tx.remove(account.id, [1], 9, 9)).result(10)
    check_books(world, account)


# --- idempotency keys --------------------------------------------------------------------------


def ask_with(world: World, account: AccountKey, text: str, *devices: int) -> Change:
    key = IdempotencyKey(text, bytes(devices))
    return world.ledger.submit(replace(assign(account, *devices), key=key)).result(10)


def test_a_replay_gives_the_change_of_then_and_writes_nothing(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1, 2, 3])
    first = ask_with(world, account, "k", 1, 2)
    world.carry_out(account, Verb.REMOVE, ["000000000000001"])
    world.clock.advance(minutes=5)

    again = ask_with(world, account, "k", 1, 2)

    assert again == replace(first, replayed=True)
    assert world.totals(account) == Totals(9, 1)
    check_books(world, account)


def test_a_key_belongs_to_its_account_and_its_request(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1, 2])
    other = world.add_account("other", licenses=9, devices=[1])
    ask_with(world, account, "k", 1)

    assert not ask_with(world, other, "k", 1).replayed
    with pytest.raises(Refused) as caught:
        ask_with(world, account, "k", 2)
    assert caught.value.refusal is Refusal.KEY_REUSED


def test_requests_with_one_key_at_once_are_carried_out_once(world: World) -> None:
    account = world.add_account(licenses=9, devices=range(1, 9))
    key = IdempotencyKey("k", b"1")
    commands = [replace(assign(account, 1), key=key) for _ in range(5)]
    commands.insert(3, replace(assign(account, 2), key=IdempotencyKey("k", b"2")))

    futures = submit_all(world, commands)
    answers = [future.exception(10) or future.result() for future in futures]

    assert [getattr(answer, "replayed", "refused") for answer in answers] == [
        False,
        True,
        True,
        "refused",
        True,
        True,
    ]
    assert {answer.sequence for answer in answers if isinstance(answer, Change)} == {3}
    check_books(world, account)


def test_a_request_that_fails_leaves_its_key_unused(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1])
    keyed = replace(assign(account, 1), key=IdempotencyKey("k", b"1"))

    def broken(tx: Tx, commands: Sequence[Command]) -> Sequence[Answer]:
        world.ledger._carry_out(tx, commands)
        raise StoreError("disk I/O error")

    with pytest.raises(StoreError):
        world.store.submit(keyed, broken).result(10)
    execute(world, "UPDATE account SET active = 0")
    assert world.refusal_of_command(keyed).refusal is Refusal.ACCOUNT_INACTIVE
    execute(world, "UPDATE account SET active = 1")
    assert not world.ledger.submit(keyed).result(10).replayed


# another key used after these hours   hours when asked again   replayed
WINDOW = [
    ([],              0,         True),
    ([],              24,        True),
    ([],              24 * 365,  True),    # no other key since: it is kept
    ([1, 7.9],        7.9,       True),    # noon 16:03 that day: its day ends 7 h 56 min later
    ([8],             31.9,      True),    # keys of the next day
    ([8],             32,        False),   # and that day is over
    ([24 * 365],      24 * 365,  True),    # one other day is not enough, however late it is
    ([8, 24 * 365],   24 * 365,  False),
    ([24 * 9],        1,         True),    # the clock jumped ahead for one change, and came back
    ([],              -24 * 365, True),    # a clock that goes back: the account's time stands still
]  # fmt: skip


@pytest.mark.parametrize(("others", "hours", "replayed"), WINDOW)
def test_a_key_is_kept_until_the_next_day_with_keys_is_over(
    world: World, others: list[float], hours: float, replayed: bool
) -> None:
    account = world.add_account(licenses=9, devices=[1])
    start_ms = world.clock.now_ms
    ask_with(world, account, "k", 1)
    for later in others:
        world.clock.now_ms = start_ms + int(later * HOUR_MS)
        ask_with(world, account, f"after {later}", 1)
    world.clock.now_ms = start_ms + int(hours * HOUR_MS)

    assert ask_with(world, account, "k", 1).replayed is replayed
    assert ask_with(world, account, "k", 1).replayed
    check_books(world, account)


def test_a_key_that_names_another_change_is_damage_and_no_answer(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1, 2])
    ask_with(world, account, "k", 1)
    ask_with(world, account, "l", 2)
    for other in (2, 4, 99):
        execute(world, f"UPDATE idempotency SET sequence = {other} WHERE key = 'k'")
        with pytest.raises(StoreDamaged, match="idempotency key"):
            ask_with(world, account, "k", 1)
    check_books(world, account)


def test_keys_are_forgotten_a_few_at_a_time(world: World) -> None:
    account = world.add_account(licenses=9, devices=[1])
    for number in range(150):
        ask_with(world, account, f"k{number}", 1)
    left: list[int] = []
    for days in (3, 3, 0, 0, 0):
        world.clock.advance(minutes=days * 24 * 60)
        ask_with(world, account, f"later {len(left)}", 1)
        left.append(rows_of(world, "SELECT count(*) FROM idempotency")[0][0])

    assert left == [151, 88, 25, 4, 5]


def execute(world: World, statement: str) -> None:
    world.store.write(lambda tx: tx.connection.write(statement)).result(10)


def test_a_closed_store_refuses_and_what_was_queued_is_done(tmp_path: Path, clock: Clock) -> None:
    world = World(SqliteStore(tmp_path / "pool.db", clock=clock), clock)
    account = world.add_account(licenses=9, devices=range(1, 9))
    futures = [world.ledger.submit(assign(account, imei)) for imei in range(1, 9)]
    world.store.close()

    assert all(list(future.result(0).outcomes) == [13] for future in futures)
    with pytest.raises(StoreError, match="closed"):
        world.ledger.submit(assign(account, 1)).result(1)


ITEMS = st.lists(
    st.one_of(
        st.integers(0, 12).map(lambda imei: f"{imei:015d}"), st.sampled_from(["", "x", "1234"])
    ),
    min_size=1,
    max_size=14,
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    licenses=st.integers(0, 8),
    requests=st.lists(
        st.tuples(st.sampled_from([Verb.ASSIGN, Verb.REMOVE, Verb.REGISTER]), ITEMS), max_size=12
    ),
)
def test_the_books_stay_true_whatever_is_asked(
    licenses: int, requests: list[tuple[Verb, list[str]]]
) -> None:
    clock = Clock()
    store = SqliteStore(None, clock=clock)
    world = World(store, clock)
    account = world.add_account(licenses=licenses, devices=[1, 2, 3, 4, 5, 6])
    commands = [
        Command(account, verb, DeviceList.parse(items), "me", bytes(16)) for verb, items in requests
    ]

    futures = submit_all(world, commands) if commands else []
    changes = [future.result(10) for future in futures]

    assert [change.sequence for change in changes] == list(range(3, 3 + len(changes)))
    assert all(canonical(change) for change in changes)
    check_books(world, account)
    store.close()
