"""What does PostgreSQL cost under us, against pgbench running the equivalent statements?

python -m bench.postgres [--quick] [--rounds N]
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from bench.cluster import Cluster, programs, running_cluster
from bench.load import Load, request
from bench.processes import address_of
from bench.report import Row, busy, interleave, options, rate
from bench.site import FIRST, V3, clock, folder, open_pool
from fotapool.store import migrate, open_store

# The same lock, registry check, rows, key and counter as ours; a list's devices are made in the
# server, so that nothing has to be sent. `client_id` keeps the lists of clients apart.
PGBENCH = """
\\set first {first} + (:client_id * {lists} + :n) * {size}
\\set n :n + 1
BEGIN;
SELECT sequence + 1 AS sequence FROM account WHERE account = 1 FOR UPDATE \\gset
SELECT count(*) AS free
  FROM generate_series(:first::bigint, :first::bigint + {size} - 1) AS named (imei)
  JOIN device ON device.account = 1 AND device.imei = named.imei AND device.registered = 1
  LEFT JOIN license ON license.account = 1 AND license.imei = named.imei
  WHERE license.imei IS NULL \\gset
INSERT INTO license (account, imei, since_ms, since_sequence)
  SELECT 1, imei, 1511971422000, :sequence
  FROM generate_series(:first::bigint, :first::bigint + {size} - 1) AS named (imei);
INSERT INTO granted VALUES (1, :sequence, {size});
INSERT INTO change SELECT 1, :sequence, 1511971422000, 'bench', request, 3, devices, outcomes,
  1000000000, 0, 0, '', hash FROM payload;
INSERT INTO idempotency SELECT 1, 1, gen_random_uuid()::text, hash, :sequence FROM payload;
UPDATE account SET used = used + :free, sequence = :sequence WHERE account = 1;
COMMIT;
"""

PAYLOAD = """
CREATE TABLE payload AS SELECT decode(repeat('00', 16), 'hex') AS request,
  decode(repeat('00', 8 * {size}), 'hex') AS devices,
  decode(repeat('0d', {size}), 'hex') AS outcomes, decode(repeat('00', 32), 'hex') AS hash
"""


@dataclass
class Site:
    """A database in which devices FIRST … are registered, and how far they are licensed."""

    url: str
    headers: dict[str, str]
    next: int = FIRST

    def assign(self, imeis: Sequence[int]) -> bytes:
        body = json.dumps({"deviceList": [f"{imei:015d}" for imei in imeis]}).encode()
        key = {"idempotency-key": os.urandom(16).hex()}
        return request("POST", V3 + "/assign", self.headers | key, body)

    def lists(self, count: int, size: int) -> list[bytes]:
        starts = range(self.next, self.next + count * size, size)
        self.next += count * size
        return [self.assign(range(start, start + size)) for start in starts]

    def check(self, licensed: int) -> None:
        with psycopg.connect(self.url) as raw:
            found = raw.execute("SELECT used, (SELECT count(*) FROM license) FROM account")
            if (told := found.fetchone()) != (licensed, licensed):
                raise RuntimeError(f"{told} used and rows, {licensed} asked for")


def make_site(cluster: Cluster, name: str, registered: int) -> Site:
    with psycopg.connect(cluster.url, autocommit=True) as raw:
        raw.execute(f"CREATE DATABASE {name}".encode())
    url = cluster.url.replace("/postgres", f"/{name}")
    migrate(url, clock=clock)
    with closing(open_store(url, clock=clock)) as store:
        headers = open_pool(store)
    with psycopg.connect(url, autocommit=True) as raw:
        devices = f"SELECT 1, generate_series({FIRST}, {FIRST + registered - 1})"
        raw.execute(f"INSERT INTO device (account, imei) {devices}".encode())
        raw.execute(b"VACUUM ANALYZE")
    return Site(url, headers)


@contextmanager
def served(site: Site, workers: int = 1) -> Iterator[Load]:
    """The real server as a process, and a load for it."""
    command = [sys.executable, "-m", "fotapool", "serve", "--db", site.url, "--port", "0", "--json"]
    process = subprocess.Popen(
        [*command, "--workers", str(workers)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        load = Load(int(address_of(process).rpartition(":")[2]))
        yield load
        load.close()
    finally:
        process.terminate()
        process.wait()


class PgBench:
    """The yardstick: pgbench over a site of its own, one list a transaction."""

    def __init__(self, site: Site, place: Path, *, size: int, clients: int, lists: int) -> None:
        self.site, self.size, self.clients, self.lists = site, size, clients, lists
        self.script = place / f"pgbench-{size}-{clients}.sql"
        with psycopg.connect(site.url, autocommit=True) as raw:
            raw.execute(b"DROP TABLE IF EXISTS payload")
            raw.execute(PAYLOAD.format(size=size).encode())

    def run(self) -> float:
        """Seconds a list."""
        text = PGBENCH.format(first=self.site.next, lists=self.lists, size=self.size)
        self.script.write_text(text)
        folder_of_programs = programs()
        assert folder_of_programs is not None
        done = subprocess.run(
            [
                *(str(folder_of_programs / "pgbench"), "-n", "-M", "prepared", "-D", "n=0"),
                *("-c", str(self.clients), "-j", "1", "-t", str(self.lists)),
                *("-f", str(self.script), self.site.url),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        self.site.next += self.clients * self.lists * self.size
        found = re.search(r"tps = ([\d.]+) \(without initial", done.stdout)
        if found is None:
            raise RuntimeError(done.stdout + done.stderr)
        return 1 / float(found[1])


def against_pgbench(
    sites: tuple[Site, Site],
    place: Path,
    name: str,
    *,
    rounds: int,
    count: int,
    size: int,
    connections: int,
    clients: int,
    bar: float,
    aim: float,
    workers: int = 1,
) -> Row:
    """Ours over HTTP and pgbench in turn, on one server, in databases of their own."""
    ours, theirs = sites
    first = ours.next
    pgbench = PgBench(theirs, place, size=size, clients=clients, lists=max(1, count // clients))
    shares: list[float] = []
    with served(ours, workers) as load:

        def side(_round: int) -> float:
            measured = load.run(ours.lists(count, size), connections)
            shares.append(measured.cpu_share)
            return measured.seconds / count

        side(-1)
        pgbench.run()
        seconds, raw = interleave(rounds, side, lambda _round: pgbench.run())
    ours.check(ours.next - FIRST)
    theirs.check(theirs.next - FIRST)
    assert ours.next == first + (rounds + 1) * count * size
    ratios = [theirs_s / ours_s for ours_s, theirs_s in zip(seconds, raw, strict=True)]
    remark = f"{rate(1, seconds)} / {rate(1, raw)}, {busy(shares)}"
    return Row(name, ratios, bar, aim, lower=False, remark=remark)


# name                                                     size, ours, pgbench, bar, aim
ROWS = [
    ("durable assign of 1000, 1 connection / pgbench at 1",     1000,  1, 1, 0.0, 1.0),
    ("durable assign of 1000, 8 connections / pgbench at 8",    1000,  8, 8, 0.8, 1.0),
    ("durable assign of 1000, 32 connections / pgbench at 32",  1000, 32, 32, 0.0, 1.0),
    ("one device a request, 1 connection / pgbench at 1",          1,  1, 1, 0.0, 1.0),
    ("one device a request, 8 connections / pgbench at 8",         1,  8, 8, 1.1, 1.5),
    ("one device a request, 64 connections / pgbench at 8",        1, 64, 8, 1.8, 3.0),
]  # fmt: skip


def main() -> None:
    asked = options(__doc__ or "")
    rounds = 1 if asked.quick else asked.rounds
    with folder() as place, running_cluster(shared_buffers="1GB") as cluster:
        registered = 20_000 if asked.quick else 2_500_000
        sites = make_site(cluster, "ours", registered), make_site(cluster, "theirs", registered)
        for name, size, connections, clients, bar, aim in ROWS[::4] if asked.quick else ROWS:
            count = clients if asked.quick else 64_000 // size if size > 1 else 2048
            row = against_pgbench(
                sites,
                place,
                name,
                rounds=rounds,
                count=count,
                size=size,
                connections=connections,
                clients=clients,
                bar=bar,
                aim=aim,
            )
            print(row, flush=True)


if __name__ == "__main__":
    main()
