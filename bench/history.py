"""What does the past cost: an as-of page against a status page, in the worst layouts too?

python -m bench.history [--quick] [--rounds N]
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.load import Load, request
from bench.report import Row, busy, interleave, options, rate
from bench.site import ACCOUNT, FIRST, Site, folder, make_site, served
from fotapool.wire.query import List

CONNECTIONS = 8
OWN = f"/api/fotapool/v1/accounts/{ACCOUNT}"


def remember(path: Path, statement: str, changes: int) -> None:
    """Put intervals beside the licenses of a site, and bare changes for them to refer to."""
    series = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {}) "
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            series.format(changes) + "INSERT INTO change SELECT 1, i + 2, 1511971422000 + i, "
            "'bench', zeroblob(16), 3, x'', x'', 1000000000, 0, 0, '', zeroblob(32) FROM n"
        )
        connection.execute(statement)
        connection.execute(
            "UPDATE account SET sequence = ?, changed_at_ms = 1511971422000 + ?",
            (changes + 1, changes),
        )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


SERIES = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {}) "


def side_by_side(count: int) -> str:
    """One ended license a device, each begun and ended in the first half."""
    return SERIES.format(count) + (
        f"INSERT INTO span SELECT 1, {FIRST} + i, 0, 0, 2 + i / 4, 3 + {count} / 2 + i / 4, "
        "NULL, NULL FROM n"
    )


def heaped(count: int) -> str:
    """All ended licenses on a hundred devices."""
    return SERIES.format(count) + (
        f"INSERT INTO span SELECT 1, {FIRST} + i / ({count} / 100), 0, 0, "
        f"2 + 2 * (i % ({count} / 100)), 3 + 2 * (i % ({count} / 100)), NULL, NULL FROM n"
    )


def layout(
    place: Path,
    name: str,
    *,
    rounds: int,
    count: int,
    licensed: int,
    spans: Callable[[int], str],
    sequence: int,
) -> Row:
    site = make_site(place / "past.db", licensed=licensed, registered=licensed)
    remember(site.path, spans(licensed), licensed)
    with served(site) as load:
        now, then = Paging(site, count, None), Paging(site, count, sequence)
        for side in (now, then):
            side.run(load, -1)
        now_s, then_s = interleave(
            rounds, lambda number: now.run(load, number), lambda number: then.run(load, number)
        )
    site.path.unlink()
    ratios = [there / here for here, there in zip(now_s, then_s, strict=True)]
    remark = f"{rate(count, then_s)} against {rate(count, now_s)}; {busy(then.cpu_shares)}"
    return Row(f"as-of page / status page: {name}", ratios, 10, 4, lower=True, remark=remark)


class Paging:
    """Reads pages at random cursors: of now, or of a sequence."""

    def __init__(self, site: Site, count: int, sequence: int | None) -> None:
        self.site = site
        self.count = count
        self.sequence = sequence
        self.cpu_shares: list[float] = []

    def run(self, load: Load, number: int) -> float:
        chance = random.Random(number)
        cursors = [FIRST + chance.randrange(self.site.licensed - 1000) for _ in range(self.count)]
        measured = load.run([self.request(after) for after in cursors], CONNECTIONS)
        self.cpu_shares.append(measured.cpu_share)
        return measured.seconds

    def request(self, after: int) -> bytes:
        if self.sequence is None:
            place = List("status", ACCOUNT, {}).write_place(after)
            return request("GET", f"{OWN}/status?cursor={place}", self.site.headers)
        asked = {"sequence": str(self.sequence)}
        place = List("as-of", ACCOUNT, asked).write_place(self.sequence, after)
        path = f"{OWN}/as-of?sequence={self.sequence}&cursor={place}"
        return request("GET", path, self.site.headers)


def main() -> None:
    chosen = options(__doc__ or "")
    quick: bool = chosen.quick
    rounds, count = (1, 20) if quick else (chosen.rounds, 400)
    licensed = 20_000 if quick else 1_000_000
    with folder() as place:
        for name, spans, sequence in (
            ("as many ended as held", side_by_side, licensed // 2),
            ("all ended on 100 devices", heaped, licensed // 100),
            ("before all licenses", side_by_side, 1),
        ):
            row = layout(
                place,
                name,
                rounds=rounds,
                count=count,
                licensed=licensed,
                spans=spans,
                sequence=sequence,
            )
            print(row, flush=True)


if __name__ == "__main__":
    main()
