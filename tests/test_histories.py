"""Histories of many clients at once on real servers, each explained by one order: the ledger's."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from databases import Database
from fotapool.model import Role
from linear import Asked
from recorded import Client, Recorded, add_recorded, prove, run_together
from world import imeis

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
HISTORIES, CLIENTS, STEPS = (30, 24, 250) if SOAK else (3, 24, 60)
QUEUE_REQUESTS_MAX = 12
"""Fewer than there are clients, so that some are refused."""


async def live(client: Client, accounts: list[Recorded]) -> None:
    """What one client does: writes and reads of every kind, some of them cut short."""
    async with client:
        for step in range(STEPS):
            await do_one(client, client.chance.choice(accounts), f"{client.name}-{step}")


async def do_one(client: Client, account: Recorded, key: str) -> None:
    chance = client.chance
    kind = chance.choices(
        ["licenses", "keyed", "resize", "candidates", "condition", "read", "read candidates"],
        [40, 12, 4, 6, 6, 28, 4],
    )[0]
    documented = chance.random() < 0.5
    if kind == "licenses":
        asked = licenses(account, chance)
        hang_up = chance.random() < 0.05
        await client.write(account, asked, documented=documented, hang_up=hang_up)
    elif kind == "keyed":
        asked = licenses(account, chance)
        await client.write(account, asked, key=key, documented=documented, hang_up=True)
        await client.settle(account, asked, key, documented=documented)
    elif kind == "resize":
        await client.write(account, Asked("resize", (), chance.randint(60, 160)))
    elif kind == "candidates":
        await client.write(account, candidates(account, chance))
    elif kind == "condition":
        known = max((read.sequence for read in account.history.reads), default=0)
        await client.write(account, licenses(account, chance), if_sequence=known)
    elif kind == "read":
        after = chance.choice(["", *account.devices]) if documented else ""
        await client.read_licenses(account, after, documented=documented)
    else:
        await client.read_candidates(account)


def licenses(account: Recorded, chance: random.Random) -> Asked:
    """An overlapping list in an order of its own, sometimes with what is no device."""
    items = chance.choices(account.devices, k=chance.choice([1, 1, 2, 10, 60]))
    if chance.random() < 0.1:
        items[chance.randrange(len(items))] = chance.choice(["x", "000000000000001", "A,B"])
    return Asked(chance.choice(["assign", "assign", "remove"]), tuple(items))


def candidates(account: Recorded, chance: random.Random) -> Asked:
    verb = chance.choice(["replace", "append", "append", "clear"])
    items = chance.sample(account.devices, chance.randint(1, 5))
    if chance.random() < 0.2:
        items[0] = "000000000000001"  # of no account, so that the whole is refused
    return Asked(verb, () if verb == "clear" else tuple(items))


@pytest.mark.heavy
@pytest.mark.parametrize("seed", range(HISTORIES))
def test_one_order_explains_what_every_client_saw(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    with database.opened() as world:
        names = [f"account-{number}" for number in range(3)]
        accounts = [
            add_recorded(world, name, licenses=100, devices=imeis(200, first=1000 * at))
            for at, name in enumerate(names)
        ]
        headers = world.add_login(*names, role=Role.ADMIN).headers

    with database.served("--queue-requests-max", str(QUEUE_REQUESTS_MAX)) as servers:
        clients = [
            Client(f"client {number}", servers.ports, headers, random.Random(chance.random()))
            for number in range(CLIENTS)
        ]
        run_together(live(client, accounts) for client in clients)

    seen: Counter[str] = Counter()
    for account in accounts:
        changes = prove(database, account)
        seen["changes"] += len(changes)
        seen.update(kinds(account, {change.request for change in changes}))
    print(f"seed {seed}: {dict(seen)}")  # noqa: T201 -- what was seen, with -s
    assert not {name for name in KINDS if not seen[name]}


KINDS = ["answered", "refused 400", "refused 412", "refused 503", "lost", "repeated", "read"]


def kinds(account: Recorded, made: set[str]) -> Counter[str]:
    """What a history holds of each kind: a test without them would prove little."""
    seen: Counter[str] = Counter(read=len(account.history.reads))
    for write in account.history.writes:
        if write.answer is None:
            seen["lost"] += 1
        elif write.answer.status != 200:
            seen[f"refused {write.answer.status}"] += 1
        else:
            seen["repeated" if write.answer.replayed else "answered"] += 1
    return seen
