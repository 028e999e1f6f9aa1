"""Histories of many clients at once on real servers, each explained by one order: the ledger's."""

from __future__ import annotations

import os
import random
from collections import Counter

import pytest

from databases import Database
from fotapool.model import Role
from linear import Asked
from recorded import (
    STEPS,
    Client,
    Recorded,
    add_recorded,
    carry_out_beside,
    clients_of,
    prove,
    run_together,
)
from world import World, imeis

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
HISTORIES, CLIENTS, STEPS_OF_A_CLIENT = (40, 24, 200) if SOAK else (2, 24, 80)
OPERATIONS = STEPS_OF_A_CLIENT // 2
QUEUE_REQUESTS_MAX = 14
"""Fewer than there are clients, so that some are refused."""


KINDS_OF_STEPS = {
    "licenses": 32,
    "keyed": 12,
    "resize": 4,
    "undo": 3,
    "upgrade": 8,
    "candidates": 6,
    "condition": 5,
    "read": 24,
    "read candidates": 6,
}
"""Of a hundred steps of a client, how many of each."""


async def live(client: Client, accounts: list[Recorded]) -> None:
    """What one client does: writes and reads of every kind, some of them cut short."""
    async with client:
        for step in range(STEPS_OF_A_CLIENT):
            await do_one(client, client.chance.choice(accounts), f"{client.name}-{step}")


async def do_one(client: Client, account: Recorded, key: str) -> None:
    chance = client.chance
    kind = chance.choices(
        [*KINDS_OF_STEPS],
        [*KINDS_OF_STEPS.values()],
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
        await client.write(account, Asked("resize", (), chance.randint(30, 150)))
    elif kind == "undo":
        await client.write(
            account, Asked("undo", (), max(1, newest(account) - chance.randint(0, 9)))
        )
    elif kind == "upgrade":
        items = tuple(chance.sample(account.devices, 60))
        await client.write(account, Asked(chance.choice([*STEPS, "schedule", "start"]), items))
    elif kind == "candidates":
        await client.write(account, candidates(account, chance))
    elif kind == "condition":
        await client.write(account, licenses(account, chance), if_sequence=newest(account))
    elif kind == "read":
        after = chance.choice(["", *account.devices]) if documented else ""
        await client.read_licenses(account, after, documented=documented)
    else:
        await client.read_candidates(account)


def newest(account: Recorded) -> int:
    """The last change that anybody was shown."""
    reads = account.history.reads[-99:]
    return max((read.sequence for read in reads), default=0)


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


async def operate(world: World, accounts: list[Recorded], chance: random.Random) -> None:
    """An operator beside the servers, in another process, as often as the others leave room."""
    for _ in range(OPERATIONS):
        account = chance.choice(accounts)
        asked = licenses(account, chance)
        if chance.random() < 0.4:
            asked = Asked("resize", (), chance.randint(30, 150))
        await carry_out_beside(world, account, asked)


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

    few = ("--queue-requests-max", str(QUEUE_REQUESTS_MAX))
    with database.served(*few) as servers, database.opened() as beside:
        clients = clients_of(servers.ports, headers, CLIENTS, chance)
        living = [live(client, accounts) for client in clients]
        run_together([operate(beside, accounts, random.Random(seed)), *living])

    seen: Counter[str] = Counter()
    for account in accounts:
        changes = prove(database, account)
        seen["changes"] += len(changes)
        seen["overhang"] += sum(change.counts.overhang > 0 for change in changes)
        seen.update(kinds(account))
    print(f"seed {seed}: {dict(seen)}")  # noqa: T201 -- what was seen, with -s
    assert {name for name in KINDS if not seen[name]} == set()


KINDS = {"answered", "refused 4xx", "refused 503", "lost", "repeated", "read", "overhang"}


def kinds(account: Recorded) -> Counter[str]:
    """What a history holds of each kind: a test without them would prove little."""
    seen: Counter[str] = Counter(read=len(account.history.reads))
    for write in account.history.writes:
        if write.answer is None:
            seen["lost"] += 1
        elif write.answer.status != 200:
            seen["refused 503" if write.answer.status == 503 else "refused 4xx"] += 1
        else:
            seen["repeated" if write.answer.replayed else "answered"] += 1
    return seen
