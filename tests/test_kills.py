"""SIGKILL in the middle of many writes: what was acknowledged is there, nothing is half there."""

from __future__ import annotations

import http.client
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fotapool.model import AccountKey, DeviceList, Outcome, Verb
from fotapool.store import SqliteStore
from test_store import check_books
from world import ACCOUNT, Clock, World, imeis

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
KILLS = 500 if SOAK else 50
CLIENTS = 4
LICENSES = 400
DEVICES = [f"{imei:015d}" for imei in imeis(1000)]

REASONS = {
    "assign": {
        "Success": Outcome.ASSIGNED,
        "Device license preexisting": Outcome.ALREADY_LICENSED,
        "No available license": Outcome.NO_FREE_LICENSE,
    },
    "remove": {"Success": Outcome.REMOVED, "No license attached to device": Outcome.NOT_LICENSED},
}


@dataclass
class Acknowledged:
    """What one answer said: its change, verb, devices and verdicts."""

    sequence: int
    verb: str
    devices: list[str]
    outcomes: bytes


@dataclass
class Load:
    """Clients that write until their server dies, and remember every answer."""

    port: int
    headers: dict[str, str]
    seed: int
    acknowledged: list[Acknowledged] = field(default_factory=list)
    lost: int = 0

    def run(self) -> list[threading.Thread]:
        threads = [
            threading.Thread(target=self._client, args=(random.Random(f"{self.seed}-{number}"),))
            for number in range(CLIENTS)
        ]
        for thread in threads:
            thread.start()
        return threads

    def _client(self, chance: random.Random) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            while True:
                verb = chance.choice(["assign", "assign", "remove"])
                devices = chance.sample(DEVICES, chance.choice([1, 2, 10, 200]))
                self._ask(connection, verb, devices)
        except (OSError, http.client.HTTPException):
            self.lost += 1
        finally:
            connection.close()

    def _ask(self, connection: http.client.HTTPConnection, verb: str, devices: list[str]) -> None:
        body = json.dumps({"deviceList": devices})
        connection.request("POST", f"/api/fota/v3/licenses/{ACCOUNT}/{verb}", body, self.headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
        assert answer.status == 200, told
        outcomes = bytes(REASONS[verb][item["Reason"]] for item in told["deviceList"])
        self.acknowledged.append(
            Acknowledged(int(answer.headers["Fotapool-Change"]), verb, devices, outcomes)
        )


def start(db: str) -> tuple[subprocess.Popen[str], int]:
    command = [
        sys.executable,
        "-m",
        "fotapool",
        "serve",
        "--port",
        "0",
        "--db",
        db,
        "--log-level",
        "error",
        "--json",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while "}" not in said:
        line = process.stdout.readline()
        assert line, "the server did not start again"
        said += line
    return process, int(json.loads(said)["url"].rpartition(":")[2])


def check_acknowledged(world: World, account: AccountKey, answers: Sequence[Acknowledged]) -> None:
    """Every answer that a client got must stand in the ledger, to the item."""
    for answer in answers:
        row: Any = world.sqlite._writer.execute(
            "SELECT verb, devices, outcomes FROM change WHERE account = ? AND sequence = ?",
            (account.id, answer.sequence),
        ).fetchone()
        assert row is not None, f"change {answer.sequence} was acknowledged and is lost"
        verb, packed, outcomes = row
        assert (
            Verb(verb).name.lower(),
            DeviceList.unpack(packed, len(outcomes)).items,
            outcomes,
        ) == (
            answer.verb,
            answer.devices,
            answer.outcomes,
        )


def open_world(path: Path) -> World:
    clock = Clock(time.time_ns() // 1_000_000)
    return World(SqliteStore(path, clock=clock), clock)


@pytest.mark.heavy
@pytest.mark.timeout(1800 if SOAK else 400)
def test_nothing_acknowledged_is_lost_and_nothing_is_half_done(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"
    world = open_world(path)
    account = world.add_account(licenses=LICENSES, devices=list(map(int, DEVICES)))
    headers = world.add_login().headers
    world.store.close()
    seed = random.randrange(10**9)
    print(f"seed {seed}")  # noqa: T201 -- shown when the test fails
    chance = random.Random(seed)

    changes_before, acknowledged = 2, 0
    process, port = start(f"sqlite:///{path}")
    for round_number in range(KILLS):
        load = Load(port, headers, seed + round_number)
        threads = load.run()
        time.sleep(chance.uniform(0.02, 0.5))
        process.kill()
        process.communicate()
        for thread in threads:
            thread.join()
        process, port = start(f"sqlite:///{path}")

        beside = open_world(path)
        check_acknowledged(beside, account, load.acknowledged)
        changes = beside.sqlite._writer.execute("SELECT sequence FROM account").fetchone()[0]
        beside.store.close()
        assert (
            len(load.acknowledged) <= changes - changes_before <= len(load.acknowledged) + CLIENTS
        )
        assert load.lost == CLIENTS
        changes_before, acknowledged = changes, acknowledged + len(load.acknowledged)
    process.kill()
    process.communicate()

    last = open_world(path)
    check_books(last, account)
    assert last.totals(account).used <= LICENSES
    last.store.close()
    assert acknowledged > KILLS
