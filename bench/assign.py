"""What does a durable assign cost, against the raw database writing the same rows?

python -m bench.assign [--quick] [--rounds N]
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.load import Load
from bench.report import Row, busy, interleave, options, rate
from bench.site import FIRST, Raw, Site, folder, make_site, served

LIST = 1000


def blocks(start: int, count: int, size: int) -> list[list[int]]:
    """Neighbouring devices, a list each."""
    return [list(range(at, at + size)) for at in range(start, start + count * size, size)]


class Assigning:
    """Assigns the next devices of a site, ours over HTTP or raw, and counts them afterwards."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.next = FIRST + site.licensed
        self.cpu_shares: list[float] = []

    def lists(self, count: int, size: int) -> list[list[int]]:
        taken = blocks(self.next, count, size)
        self.next += count * size
        return taken

    def over_http(self, load: Load, lists: Sequence[Sequence[int]], connections: int) -> float:
        measured = load.run([self.site.assign(imeis) for imeis in lists], connections)
        self.cpu_shares.append(measured.cpu_share)
        return measured.seconds

    def check(self) -> None:
        used, rows = self.site.used()
        if not used == rows == self.next - FIRST:
            raise RuntimeError(f"{used} used, {rows} rows, {self.next - FIRST} asked for")


def against_raw(
    place: Path,
    name: str,
    *,
    rounds: int,
    count: int,
    size: int,
    connections: int,
    bar: float,
    aim: float,
    commit_delay_ms: float = 0.0,
) -> Row:
    """Ours over HTTP and the yardstick in turn, each on a file of its own."""
    registered = 10_000 + (rounds + 1) * count * size
    ours = Assigning(make_site(place / "ours.db", licensed=10_000, registered=registered))
    theirs = Assigning(make_site(place / "raw.db", licensed=10_000, registered=registered))
    raw = Raw(theirs.site.path, commit_delay_ms=commit_delay_ms)
    with served(ours.site, commit_delay_ms=commit_delay_ms) as load:
        ours.over_http(load, ours.lists(count, size), connections)
        raw.assign(theirs.lists(count, size))
        ours_s, raw_s = interleave(
            rounds,
            lambda _: ours.over_http(load, ours.lists(count, size), connections),
            lambda _: raw.assign(theirs.lists(count, size)),
        )
    raw.close()
    for side in (ours, theirs):
        side.check()
        side.site.path.unlink()
    ratios = [there / here for here, there in zip(ours_s, raw_s, strict=True)]
    remark = f"{rate(count, ours_s)} against {rate(count, raw_s)}; {busy(ours.cpu_shares)}"
    return Row(name, ratios, bar, aim, lower=False, remark=remark)


def by_size(place: Path, *, rounds: int, count: int, large: int) -> Row:
    """The same assign with many licenses present and with few, each on a file of its own."""
    sites = [
        Assigning(
            make_site(place / f"{n}.db", licensed=n, registered=n + (rounds + 1) * count * LIST)
        )
        for n in (large, 10_000)
    ]
    big, small = sites
    with served(big.site) as big_load, served(small.site) as small_load:
        for site, load in ((big, big_load), (small, small_load)):
            site.over_http(load, site.lists(count, LIST), 8)
        big_s, small_s = interleave(
            rounds,
            lambda _: big.over_http(big_load, big.lists(count, LIST), 8),
            lambda _: small.over_http(small_load, small.lists(count, LIST), 8),
        )
    for site in sites:
        site.check()
        site.site.path.unlink()
    ratios = [b / s for b, s in zip(big_s, small_s, strict=True)]
    name = f"assign 1000, 8 connections: {large:,} licensed / 10,000"
    return Row(
        name, ratios, 1.4, 1.1, lower=True, remark=f"{rate(count, big_s)}; {busy(big.cpu_shares)}"
    )


def main() -> None:
    chosen = options(__doc__ or "")
    quick: bool = chosen.quick
    rounds = 1 if quick else chosen.rounds
    with folder() as place:
        lists, singles = (4, 40) if quick else (60, 3000)
        print(
            against_raw(
                place,
                "durable assign 1000, 8 connections / raw set-based",
                rounds=rounds,
                count=lists,
                size=LIST,
                connections=8,
                bar=0.5,
                aim=0.7,
            ),
            flush=True,
        )
        print(
            by_size(place, rounds=rounds, count=lists, large=20_000 if quick else 10_000_000),
            flush=True,
        )
        print(
            against_raw(
                place,
                "one device a request, 64 connections / raw one by one",
                rounds=rounds,
                count=singles,
                size=1,
                connections=64,
                bar=1.2,
                aim=1.6,
            ),
            flush=True,
        )
        print(
            against_raw(
                place,
                "the same, 2 ms more for each commit on both sides",
                rounds=rounds,
                count=singles // 3,
                size=1,
                connections=64,
                bar=6,
                aim=9,
                commit_delay_ms=2.0,
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
