"""Rounds and rows: what a benchmark measures, and how it is printed."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One question: ours against the yardstick, round by round. `lower` rows are costs."""

    name: str
    ratios: Sequence[float]
    bar: float
    aim: float
    lower: bool
    remark: str

    def __str__(self) -> str:
        sign = "<=" if self.lower else ">="
        spread = f"{min(self.ratios):.2f}-{max(self.ratios):.2f}"
        return (
            f"{self.name:<58} {statistics.median(self.ratios):5.2f}  ({spread:>9}, "
            f"{len(self.ratios)} rounds)  bar {sign} {self.bar:g}, aim {self.aim:g}   {self.remark}"
        )


def interleave(rounds: int, *sides: Callable[[int], float]) -> list[list[float]]:
    """Run the sides in turn, round by round; gives the seconds of each side."""
    seconds: list[list[float]] = [[] for _ in sides]
    for number in range(rounds):
        for side, taken in zip(sides, seconds, strict=True):
            taken.append(side(number))
    return seconds


def rate(count: int, seconds: Sequence[float]) -> str:
    return f"{count / statistics.median(seconds):,.0f}/s"


def busy(cpu_shares: Sequence[float]) -> str:
    """How busy the load was itself: near a whole core it is the load that is measured."""
    return f"load {statistics.median(cpu_shares):.0%} of a core"


def options(description: str) -> argparse.Namespace:
    """`--quick` runs everything once and small: to see that it runs, not to measure."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="small and once: measures nothing")
    parser.add_argument("--rounds", type=int, default=7)
    return parser.parse_args()
