"""How long does one request wait: alone, in company, in a large pool, on either engine?

Every line is one run: the median and the 99th percentile of an answer's wait, and the rate.

python -m bench.latency [--quick] [--rounds N]
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import postgres
from bench.cluster import running_cluster
from bench.load import Load
from bench.report import options
from bench.site import FIRST, folder, make_site, served

SIZES = ("10 k", 10_000), ("1 M", 1_000_000), ("10 M", 10_000_000)


@dataclass
class Fleet:
    """Devices that are registered and not licensed yet, given out once."""

    next: int
    end: int
    random: random.Random = field(default_factory=lambda: random.Random(7))

    def neighbours(self, count: int) -> list[int]:
        start, self.next = self.next, self.next + count
        if self.next > self.end:
            raise RuntimeError("the fleet is used up")
        return list(range(start, start + count))

    def scattered(self, lists: int, size: int) -> list[list[int]]:
        """Lists from all over what is left of the fleet, which is used up by it."""
        chosen = self.random.sample(range(self.next, self.end), lists * size)
        self.next = self.end
        return [chosen[at * size : (at + 1) * size] for at in range(lists)]


def told(name: str, waits_s: Sequence[float], rate: float) -> str:
    """A line: what a request waited."""
    ordered = sorted(waits_s)
    p50, p99 = (ordered[int(len(ordered) * part)] * 1000 for part in (0.5, 0.99))
    return f"wait {name:<58} p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  {rate:8,.0f}/s"


def measure(load: Load, name: str, requests: Sequence[bytes], connections: int) -> None:
    measured = load.run(requests, connections)
    print(told(name, measured.waits_s, len(requests) / measured.seconds), flush=True)


def on_sqlite(label: str, licensed: int, scale: int) -> None:
    """The waits in a pool that is so large already."""
    fresh = 60_000
    with folder() as place:
        site = make_site(place / "pool.db", licensed=licensed, registered=licensed + fresh)
        fleet = Fleet(FIRST + licensed, FIRST + licensed + fresh)
        with served(site) as load:
            load.run([site.assign(fleet.neighbours(1)) for _ in range(64)], 8)
            for connections in (1, 8, 64):
                asked = [site.assign(fleet.neighbours(1)) for _ in range(4000 // scale)]
                measure(load, f"{label}: 1 device, {connections} connections", asked, connections)
            asked = [site.assign(fleet.neighbours(10)) for _ in range(2000 // scale)]
            measure(load, f"{label}: lists of 10, 32 connections", asked, 32)
            cursors = [random.randrange(FIRST, FIRST + licensed - 1000) for _ in range(2000)]
            for connections in (1, 8, 64):
                pages = [site.page("v3", after) for after in cursors[: 1600 // scale]]
                measure(load, f"{label}: page, {connections} connections", pages, connections)
            near = [site.assign(fleet.neighbours(1000)) for _ in range(8)]
            measure(load, f"{label}: neighbouring lists of 1000, 1 connection", near, 1)
            far = [site.assign(one) for one in fleet.scattered(8, 1000)]
            measure(load, f"{label}: scattered lists of 1000, 1 connection", far, 1)


def on_postgres(scale: int) -> None:
    with running_cluster(shared_buffers="1GB") as cluster:
        site = postgres.make_site(cluster, "ours", 200_000)
        with postgres.served(site) as load:
            load.run(site.lists(64, 1), 8)
            for connections in (1, 8, 32, 64):
                asked = site.lists(2000 // scale, 1)
                measure(
                    load, f"PostgreSQL: 1 device, {connections} connections", asked, connections
                )
            measure(
                load, "PostgreSQL: lists of 10, 32 connections", site.lists(1600 // scale, 10), 32
            )
            for connections in (1, 8):
                asked = site.lists(48 // scale or 2, 1000)
                measure(
                    load,
                    f"PostgreSQL: lists of 1000, {connections} connections",
                    asked,
                    connections,
                )


def main() -> None:
    asked = options(__doc__ or "")
    scale = 40 if asked.quick else 1
    for label, licensed in SIZES[:1] if asked.quick else SIZES:
        on_sqlite(label, licensed, scale)
    on_postgres(scale)


if __name__ == "__main__":
    main()
