"""What does a status page cost, against the raw database fetching the same rows?

python -m bench.status [--quick] [--rounds N]
"""

from __future__ import annotations

import random
from pathlib import Path

from bench.load import Load
from bench.report import Row, busy, interleave, options, rate
from bench.site import FIRST, Raw, Site, folder, make_site, served

PAGE = 1000
CONNECTIONS = 8


def cursors(site: Site, count: int, seed: int) -> list[int]:
    """Devices with a full page after them, a random one each time."""
    chance = random.Random(seed)
    return [FIRST + chance.randrange(site.licensed - PAGE) for _ in range(count)]


class Paging:
    """Reads pages of a site at random cursors, a fresh set each round."""

    def __init__(self, site: Site, version: str, count: int) -> None:
        self.site = site
        self.version = version
        self.count = count
        self.cpu_shares: list[float] = []

    def over_http(self, load: Load, number: int) -> float:
        asked = [
            self.site.page(self.version, after) for after in cursors(self.site, self.count, number)
        ]
        measured = load.run(asked, CONNECTIONS)
        self.cpu_shares.append(measured.cpu_share)
        return measured.seconds


def against_raw(place: Path, version: str, *, rounds: int, count: int, licensed: int) -> Row:
    site = make_site(place / "status.db", licensed=licensed, registered=licensed)
    raw = Raw(site.path)
    ours = Paging(site, version, count)
    with served(site) as load:
        ours.over_http(load, -1)
        ours_s, raw_s = interleave(
            rounds,
            lambda number: ours.over_http(load, number),
            lambda number: raw.pages(cursors(site, count, number)),
        )
    raw.close()
    site.path.unlink()
    ratios = [there / here for here, there in zip(ours_s, raw_s, strict=True)]
    name = f"status page of 1000 ({version}), 8 connections / raw fetchall"
    remark = f"{rate(count, ours_s)} against {rate(count, raw_s)}; {busy(ours.cpu_shares)}"
    return Row(name, ratios, 0.3, 0.5, lower=False, remark=remark)


def by_size(place: Path, *, rounds: int, count: int, large: int) -> Row:
    big = make_site(place / "big.db", licensed=large, registered=large)
    small = make_site(place / "small.db", licensed=10_000, registered=10_000)
    in_big, in_small = Paging(big, "v3", count), Paging(small, "v3", count)
    with served(big) as big_load, served(small) as small_load:
        in_big.over_http(big_load, -1)
        in_small.over_http(small_load, -1)
        big_s, small_s = interleave(
            rounds,
            lambda number: in_big.over_http(big_load, number),
            lambda number: in_small.over_http(small_load, number),
        )
    ratios = [b / s for b, s in zip(big_s, small_s, strict=True)]
    name = f"status page of 1000, 8 connections: {large:,} licensed / 10,000"
    return Row(
        name,
        ratios,
        1.3,
        1.1,
        lower=True,
        remark=f"{rate(count, big_s)}; {busy(in_big.cpu_shares)}",
    )


def main() -> None:
    chosen = options(__doc__ or "")
    quick: bool = chosen.quick
    rounds, count = (1, 20) if quick else (chosen.rounds, 600)
    with folder() as place:
        for version in ("v2", "v3"):
            licensed = 10_000 if quick else 1_000_000
            print(
                against_raw(place, version, rounds=rounds, count=count, licensed=licensed),
                flush=True,
            )
        large = 20_000 if quick else 10_000_000
        print(by_size(place, rounds=rounds, count=count, large=large), flush=True)


if __name__ == "__main__":
    main()
