"""The devices of an account, as a reader sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fotapool.model.devices import Cursor
from fotapool.model.pool import AccountKey


class RegisteredDevice(NamedTuple):
    """A device of an account: its upgrade (0 none, 1 scheduled, 2 running), since when it has a
    license, and when its firmware was last upgraded."""

    imei: int
    upgrade: int
    assigned_at_ms: int | None
    upgraded_at_ms: int | None


@dataclass(frozen=True, slots=True)
class DevicePage:
    """Part of an account's devices, IMEIs ascending. `sequence` is the account's last change."""

    account: AccountKey
    sequence: int
    devices: Sequence[RegisteredDevice]
    more: bool
    cursor: Cursor
