"""How long a shrink holds the writer, and how long another account waits for it meanwhile.

There is no yardstick: nobody else does this. What is printed is seconds, not a ratio.
"""

from __future__ import annotations

import os
import random
import sqlite3
import statistics
import struct
import time
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.report import options
from bench.site import FIRST, clock, folder
from fotapool.ledger import Ledger
from fotapool.model import (
    AccountKey,
    Change,
    Command,
    DeviceList,
    Listing,
    PurchaseType,
    Verb,
)
from fotapool.store import SqliteStore
from fotapool.store.sqlite_file import open_connection

LIST = 1000
CANDIDATES_AT_ONCE = 10_000


def fill(path: Path, licensed: int, single: int) -> None:
    """Licenses of one account, by lists of a thousand; the oldest `single` one by one."""
    with closing(open_connection(path)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        sequence, first = 1, 0
        while first < licensed:
            count = 1 if first < single else min(LIST, licensed - first)
            sequence += 1
            _grant(connection, sequence, range(FIRST + first, FIRST + first + count), licensed)
            first += count
        connection.execute(
            "UPDATE account SET total = ?, used = ?, sequence = ?, changed_at_ms = ? "
            "WHERE account = 1",
            (licensed, licensed, sequence, clock()),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _grant(connection: sqlite3.Connection, sequence: int, imeis: Sequence[int], total: int) -> None:
    rows = [(imei, sequence) for imei in imeis]
    devices = [(imei,) for imei in imeis]
    packed = struct.pack(f">{len(imeis)}q", *imeis)
    connection.executemany("INSERT INTO device (account, imei) VALUES (1, ?)", devices)
    connection.executemany(
        "INSERT INTO license (account, imei, since_ms, since_sequence) VALUES (1, ?, 0, ?)", rows
    )
    connection.execute("INSERT INTO granted VALUES (1, ?, ?)", (sequence, len(rows)))
    connection.execute(
        "INSERT INTO change VALUES (1, ?, 0, 'bench', x'', 3, ?, ?, ?, 0, 0, '', x'')",
        (sequence, packed, bytes([13]) * len(rows), total),
    )


@dataclass(slots=True)
class Pool:
    """A large account, and another one on the same file."""

    ledger: Ledger
    large: AccountKey
    other: AccountKey

    def ask(
        self, account: AccountKey, verb: Verb, imeis: Sequence[int] = (), **more: Any
    ) -> Future[Change]:
        devices = DeviceList.of(list(imeis))
        return self.ledger.submit(Command(account, verb, devices, "bench", os.urandom(16), **more))

    def shrink(self, total: int) -> tuple[float, float, int]:
        """Seconds until the shrink was committed, and until another account's request was."""
        started_s = time.perf_counter()
        resized = self.ask(self.large, Verb.RESIZE, total=total)
        other = self.ask(self.other, Verb.ASSIGN, [1])
        made = resized.result()
        resized_s = time.perf_counter() - started_s
        other.result()
        return resized_s, time.perf_counter() - started_s, made.sequence

    def list_candidates(self, imeis: Sequence[int]) -> None:
        self.ask(self.large, Verb.CANDIDATES, listing=Listing.CLEAR).result()
        for at in range(0, len(imeis), CANDIDATES_AT_ONCE):
            some = imeis[at : at + CANDIDATES_AT_ONCE]
            self.ask(self.large, Verb.CANDIDATES, some, listing=Listing.APPEND).result()


def measure(pool: Pool, licensed: int, count: int, rounds: int, *, candidates: bool) -> str:
    """Shrink, and take it back, some times; the seconds of each."""
    taken, waited, undone = [], [], []
    for number in range(rounds):
        if candidates:
            listed = random.Random(number).sample(range(FIRST, FIRST + licensed), count)
            pool.list_candidates(listed)
        resized_s, other_s, sequence = pool.shrink(licensed - count)
        started_s = time.perf_counter()
        pool.ask(pool.large, Verb.UNDO, undoes=sequence).result()
        undone.append(time.perf_counter() - started_s)
        taken.append(resized_s)
        waited.append(other_s)
    if candidates:
        pool.ask(pool.large, Verb.CANDIDATES, listing=Listing.CLEAR).result()
    listed_text = "candidates" if candidates else "the oldest"
    return (
        f"shrink {licensed:,} by {count:,}, {listed_text:<10}  {statistics.median(taken):8.3f} s  "
        f"({min(taken):.3f}-{max(taken):.3f}, {rounds} rounds)   another account waited "
        f"{max(waited):.3f} s at most; undo {statistics.median(undone):.3f} s"
    )


def main() -> None:
    chosen = options(__doc__ or "")
    quick: bool = chosen.quick
    licensed, counts = (20_000, (1, 100, 2000)) if quick else (10_000_000, (1, 1000, 1_000_000))
    for name, single in (("granted by lists of 1,000", 0), ("the oldest granted one by one", 10)):
        with folder() as place:
            store = SqliteStore(place / "pool.db", clock=clock)
            ledger = Ledger(store, clock)
            large, other = (
                ledger.create_account(
                    account,
                    purchase_type=PurchaseType.MRC,
                    licenses=5,
                    actor="bench",
                    request_id=os.urandom(16),
                ).account
                for account in ("large", "other")
            )
            pool = Pool(ledger, large, other)
            pool.ask(other, Verb.REGISTER, [1]).result()
            fill(place / "pool.db", licensed, licensed // single if single else 0)
            print(name, flush=True)
            for count in counts:
                for candidates in (False, True):
                    # Listing a million candidates takes minutes, and is not what is asked.
                    rounds = 1 if quick or (candidates and count > CANDIDATES_AT_ONCE) else 3
                    print(measure(pool, licensed, count, rounds, candidates=candidates), flush=True)
            store.close()


if __name__ == "__main__":
    main()
