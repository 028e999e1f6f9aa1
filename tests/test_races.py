"""Many clients for few licenses: exactly as many granted as there are, to the device."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fotapool import Client, Outcome
from fotapool.model import Totals
from fotapool.store import SqliteStore
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
