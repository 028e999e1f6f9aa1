"""Upgrades: a firmware for some devices, under an id (R6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum


class Step(IntEnum):
    """How far an upgrade is with one device. The number is stored."""

    SCHEDULED = 1
    RUNNING = 2
    FINISHED = 3
    FAILED = 4
    CANCELLED = 5


@dataclass(frozen=True, slots=True)
class UpgradePlan:
    """An upgrade as it was asked for. Firmware and dates are kept as they came."""

    id: bytes
    firmware_name: str = ""
    firmware_to: str = ""
    start_date: str = ""
    end_date: str = ""


@dataclass(frozen=True, slots=True)
class UpgradeItem:
    """One device of an upgrade, and how far it is."""

    imei: int
    step: Step


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade and its devices, in the order in which they were added."""

    plan: UpgradePlan
    sequence: int
    items: Sequence[UpgradeItem]
