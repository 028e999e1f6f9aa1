"""A database of a given size, a server process over it, and the raw yardstick beside it."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.load import Load, request
from fotapool.auth import Auth, Credentials
from fotapool.ledger import Ledger
from fotapool.model import PurchaseType
from fotapool.store import GroupedStore, SqliteStore
from fotapool.store.sqlite_file import open_connection

ACCOUNT = "0000123456-00001"
FIRST = 350_000_000_000_000
V3 = f"/api/fota/v3/licenses/{ACCOUNT}"


def clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Site:
    """A database file on which devices FIRST … are registered, the first `licensed` licensed."""

    path: Path
    headers: dict[str, str]
    licensed: int

    def assign(self, imeis: Sequence[int]) -> bytes:
        body = json.dumps({"deviceList": [f"{imei:015d}" for imei in imeis]}).encode()
        return request("POST", V3 + "/assign", self.headers, body)

    def page(self, version: str, after: int) -> bytes:
        path = f"/api/fota/{version}/licenses/{ACCOUNT}?lastSeenDeviceId={after:015d}"
        return request("GET", path, self.headers)

    def used(self) -> tuple[int, int]:
        """The counter, and the rows counted."""
        with closing(sqlite3.connect(self.path)) as connection:
            (used,) = connection.execute("SELECT used FROM account").fetchone()
            (rows,) = connection.execute("SELECT count(*) FROM license").fetchone()
        return used, rows


@contextmanager
def folder() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="fotapool-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def make_site(path: Path, *, licensed: int, registered: int) -> Site:
    """A fresh database with a login whose tokens are ready."""
    with closing(SqliteStore(path, clock=clock)) as store:
        headers = open_pool(store)
    with closing(open_connection(path)) as connection:
        _fill(connection, licensed, registered)
    return Site(path, headers, licensed)


def open_pool(store: GroupedStore) -> dict[str, str]:
    """Make the account, with more licenses than any benchmark needs; headers of a login for it."""
    Ledger(store, clock).create_account(
        ACCOUNT,
        purchase_type=PurchaseType.MRC,
        licenses=10**9,
        actor="bench",
        request_id=os.urandom(16),
    )
    secrets = Credentials(store, clock=clock, random=os.urandom).create([ACCOUNT])
    auth = Auth(store, clock=clock, random=os.urandom)
    bearer, _ = auth.issue_token(secrets.client_id, secrets.client_secret)
    session = auth.log_in(auth.identify(bearer), secrets.username, secrets.password)
    return {"authorization": f"Bearer {bearer}", "vz-m2m-token": session}


def _fill(connection: sqlite3.Connection, licensed: int, registered: int) -> None:
    series = (
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
        "INSERT INTO {} SELECT {} FROM n"
    )
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(series.format("device (account, imei)", f"1, {FIRST} + i"), (registered,))
    if licensed:
        # A thousand licenses share a moment, as lists do.
        columns = "license (account, imei, since_ms, since_sequence)"
        values = f"1, {FIRST} + i, 1511971422000 + i / 1000 * 1000, 1"
        connection.execute(series.format(columns, values), (licensed,))
    connection.execute("UPDATE account SET used = ?", (licensed,))
    connection.execute("COMMIT")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def served(site: Site, *, commit_delay_ms: float = 0.0) -> Iterator[Load]:
    """The real server over the site's file, as a process, and a load for it."""
    command = [sys.executable, "-m", "bench.server", str(site.path), str(commit_delay_ms)]
    # Its log lines are written, as in real life, and go nowhere.
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        load = Load(int(process.stdout.readline()))
        yield load
        load.close()
    finally:
        process.terminate()
        process.wait()


class Raw:
    """The yardstick: one raw connection that writes the same rows, a durable commit a request.

    In the best form known: the registry check is part of the insert, and the row count tells
    that every device was there and free.
    """

    INSERT = (
        "INSERT INTO license (account, imei, since_ms, since_sequence) "
        "SELECT 1, named.value, ?, ? FROM json_each(?) AS named CROSS JOIN device "
        "ON device.account = 1 AND device.imei = named.value AND device.registered = 1"
    )
    INSERT_ONE = (
        "INSERT INTO license (account, imei, since_ms, since_sequence) "
        "SELECT 1, imei, ?, ? FROM device WHERE account = 1 AND imei = ? AND registered = 1"
    )
    CHANGE = "INSERT INTO change VALUES (1, ?, ?, 'bench', ?, 3, ?, ?, 1000000000, ?, 0, '', ?)"
    ACCOUNT = (
        "UPDATE account SET used = used + ?, sequence = ?, changed_at_ms = ? WHERE account = 1"
    )

    def __init__(self, path: Path, *, commit_delay_ms: float = 0.0) -> None:
        self._connection = open_connection(path)
        self._delay_s = commit_delay_ms / 1000
        self._sequence, self._used = self._connection.execute(
            "SELECT sequence, used FROM account"
        ).fetchone()

    def close(self) -> None:
        self._connection.close()

    def assign(self, lists: Sequence[Sequence[int]]) -> float:
        """Seconds for these lists, one durable transaction each."""
        prepared = [(json.dumps(list(imeis)), imeis) for imeis in lists]
        before = time.perf_counter()
        for text, imeis in prepared:
            self._assign_one_list(text, imeis)
        return time.perf_counter() - before

    def _assign_one_list(self, text: str, imeis: Sequence[int]) -> None:
        execute, now_ms, count = self._connection.execute, clock(), len(imeis)
        self._sequence += 1
        self._used += count
        execute("BEGIN IMMEDIATE")
        if count == 1:
            cursor = execute(self.INSERT_ONE, (now_ms, self._sequence, imeis[0]))
        else:
            cursor = execute(self.INSERT, (now_ms, self._sequence, text))
        if cursor.rowcount != count:
            raise RuntimeError("the yardstick met a device it did not expect")
        packed = struct.pack(f">{count}q", *imeis)
        row = (self._sequence, now_ms, bytes(16), packed, b"\x0d" * count, self._used, bytes(32))
        execute(self.CHANGE, row)
        execute(self.ACCOUNT, (count, self._sequence, now_ms))
        if self._delay_s:
            time.sleep(self._delay_s)
        execute("COMMIT")

    def pages(self, cursors: Sequence[int]) -> float:
        """Seconds for these pages, each fetched row by row."""
        query = (
            "SELECT imei, since_ms FROM license "
            "WHERE account = 1 AND imei > ? ORDER BY imei LIMIT 1000"
        )
        before = time.perf_counter()
        for after in cursors:
            if len(self._connection.execute(query, (after,)).fetchall()) != 1000:
                raise RuntimeError("the yardstick met a short page")
        return time.perf_counter() - before
