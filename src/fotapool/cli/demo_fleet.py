"""The demonstration's fleet: 10,000 rows as real files have them, the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

ACCOUNT = "0000123456-00001"
ROWS = 10_000
LICENSES = 9_800
DUPLICATES = 25
FOREIGN = 40
SHORT = 12

# Eight digits that name a model: a reporting body's prefix, then numbers made up here.
TYPE_ALLOCATION_CODES = (
    "35290611",
    "35391805",
    "35684610",
    "86147503",
    "86812904",
    "01539200",
    "99000342",
    "99001575",
)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the two files lie: what the account owns, and what it wants licensed."""

    registry: Path
    wanted: Path


def write_fleet(folder: Path) -> Fleet:
    """Write both files. Every row of the fleet file counts once among `ROWS`."""
    from random import Random

    fleet = Fleet(folder / "registry.csv", folder / "fleet.csv")
    chance = Random(20261123)  # noqa: S311 -- the same fleet every time
    imeis = _imeis(chance, ROWS)
    owned = imeis[: ROWS - FOREIGN - SHORT - DUPLICATES]
    foreign = imeis[len(owned) : len(owned) + FOREIGN]
    short = [imei[:14] for imei in imeis[len(owned) + FOREIGN : len(owned) + FOREIGN + SHORT]]
    fleet.registry.write_text("imei\n" + "\n".join(owned) + "\n")
    rows = [*owned, *foreign, *short]
    chance.shuffle(rows)
    # A name stands twice in the first half, where there are licenses left for the first of them.
    rows[ROWS // 2 : ROWS // 2] = rows[:DUPLICATES]
    lines = ["imei,site,installed", *_dressed(rows, chance)]
    fleet.wanted.write_text("\n".join(lines) + "\n")
    return fleet


def _imeis(chance: Random, count: int) -> list[str]:
    serials = chance.sample(range(1_000_000), count)
    codes = chance.choices(TYPE_ALLOCATION_CODES, k=count)
    return [
        _with_check_digit(f"{code}{serial:06d}")
        for code, serial in zip(codes, serials, strict=True)
    ]


def _with_check_digit(body: str) -> str:
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(body))
    return body + str(-sum(number // 10 + number % 10 for number in doubled) % 10)


def _dressed(rows: list[str], chance: Random) -> Iterator[str]:
    """Rows as people keep them: some spaced, some prefixed, blank lines between."""
    for at, imei in enumerate(rows):
        shown = imei
        if at % 211 == 0:
            shown = f"IMEI: {imei}"
        elif at % 97 == 0:
            shown = f" {imei[:2]} {imei[2:8]} {imei[8:]} "
        yield f"{shown},site-{chance.randrange(40):02d},2026-{1 + at % 12:02d}-15"
        if at % 1500 == 700:
            yield ""
