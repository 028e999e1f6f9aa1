"""Many clients for few licenses: exactly as many granted as there are, to the device."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import recorded
from databases import Database
from fotapool import Client, Outcome
from fotapool.model import Totals
from fotapool.store import SqliteStore
from linear import Asked, Change
from recorded import Recorded, begin, clients_of, prove, run_together
from test_store import check_books
from world import ACCOUNT, Clock, World, imeis

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
ROUNDS = 30 if SOAK else 3
CLIENTS, LICENSES = 8, 1000
DEVICES = [f"{imei:015d}" for imei in imeis(5000)]


@pytest.fixture
def racing(tmp_path: Path) -> Iterator[World]:
    clock = Clock()
    store = SqliteStore(tmp_path / "pool.db", clock=clock)
    yield World(store, clock)
    store.close()


def lists(seed: int) -> list[list[str]]:
    """All devices in an order of one's own, in lists of 1 to 200."""
    chance = random.Random(seed)
    order = chance.sample(DEVICES, len(DEVICES))
    found: list[list[str]] = []
    while order:
        size = chance.randint(1, 200)
        found.append(order[:size])
        order = order[size:]
    return found


def assign_all(client: Client, seed: int) -> Counter[Outcome]:
    verdicts: Counter[Outcome] = Counter()
    for devices in lists(seed):
        change = client.licenses.assign(ACCOUNT, devices)
        assert change.used <= change.total
        verdicts.update(verdict.outcome for verdict in change.verdicts)
    return verdicts


@pytest.mark.heavy
@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_8_clients_race_5000_devices_for_1000_licenses(racing: World, round_number: int) -> None:
    account = racing.add_account(licenses=LICENSES, devices=list(map(int, DEVICES)))
    login = racing.add_login()
    with racing.serving() as url, login.client(url) as client, ThreadPoolExecutor(CLIENTS) as pool:
        counted = list(
            pool.map(lambda number: assign_all(client, round_number * 100 + number), range(CLIENTS))
        )
        held = {device.imei for device in client.licenses.devices(ACCOUNT)}
    verdicts = sum(counted, Counter())

    assert verdicts[Outcome.ASSIGNED] == LICENSES == len(held)
    assert set(verdicts) <= {Outcome.ASSIGNED, Outcome.ALREADY_LICENSED, Outcome.NO_FREE_LICENSE}
    assert sum(verdicts.values()) == CLIENTS * len(DEVICES)
    assert racing.totals(account) == Totals(LICENSES, LICENSES)
    check_books(racing, account)


def churn(client: Client, seed: int) -> tuple[int, int]:
    """Assign and remove at random; how many licenses that granted and took."""
    chance = random.Random(seed)
    granted = taken = 0
    for _ in range(60):
        devices = chance.sample(DEVICES, chance.choice([1, 10, 100]))
        if chance.random() < 0.6:
            granted += client.licenses.assign(ACCOUNT, devices).count(Outcome.ASSIGNED)
        else:
            taken += client.licenses.remove(ACCOUNT, devices).count(Outcome.REMOVED)
    return granted, taken


@pytest.mark.heavy
def test_assigning_and_removing_at_once_adds_up(racing: World) -> None:
    account = racing.add_account(licenses=300, devices=list(map(int, DEVICES)))
    login = racing.add_login()
    with racing.serving() as url, login.client(url) as client, ThreadPoolExecutor(CLIENTS) as pool:
        counted = list(pool.map(lambda number: churn(client, number), range(CLIENTS)))

    granted, taken = (sum(numbers) for numbers in zip(*counted, strict=True))
    assert granted - taken == racing.totals(account).used
    check_books(racing, account)


# --- 200 clients on real servers -----------------------------------------------------------------

CROWD = 200
LISTS = 6
CROWDS = 20 if SOAK else 1
POOLS = {"first": 1500, "second": 400, "third": 40}
"""How many licenses each account has for its 2000 devices."""


async def crowd_in(client: recorded.Client, accounts: Sequence[Recorded]) -> None:
    """Lists of 1 to 1000; two in five give back, so that pools are used up and refilled."""
    chance = client.chance
    async with client:
        for _ in range(LISTS):
            account = chance.choice(accounts)
            items = chance.sample(account.devices, chance.randint(1, 1000))
            verb = chance.choice(["assign", "assign", "assign", "remove", "remove"])
            answer = await client.write(account, Asked(verb, tuple(items)))
            assert answer is not None
            assert answer.status == 200, answer
            if chance.random() < 0.2:
                after = chance.choice(["", *account.devices])
                await client.read_licenses(account, after, documented=True)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(CROWDS))
def test_200_clients_race_for_pools_that_empty_and_fill(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    accounts, headers = begin(database, POOLS, 2000)
    with database.served() as servers:
        clients = clients_of(servers.ports, headers, CROWD, chance)
        run_together(crowd_in(client, accounts) for client in clients)

    for account in accounts:
        ledger = prove(database, account)
        assert len(ledger) == len(account.history.writes)
        told: Counter[str] = Counter()
        for write in account.history.writes:
            assert write.answer is not None
            told.update(outcome for _, outcome in write.answer.verdicts)
        assert sum(told.values()) == sum(len(write.asked.items) for write in account.history.writes)
        assert told["assigned"] - told["removed"] == len(account.pool.licensed)
        assert times_refilled(ledger) > 1
    assert any(read.more for account in accounts for read in account.history.reads)
    assert sum(len(account.history.writes) for account in accounts) == CROWD * LISTS


def times_refilled(ledger: Sequence[Change]) -> int:
    """How often a license was granted of a pool that had been used up before."""
    times, used_up = 0, False
    for change in ledger:
        granted = any(outcome == "assigned" for _, outcome in change.verdicts)
        times += used_up and granted
        used_up = change.counts.used == change.counts.total or (used_up and not granted)
    return times
