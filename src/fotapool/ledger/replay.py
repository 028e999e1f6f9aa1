"""Who holds a license, as the ledger alone tells it: changes folded one after another.

A replay keeps what its memory allows: when it is full it gives up the upper half of its devices,
and another replay takes them on from the beginning. Together they cover every device.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from itertools import compress

from fotapool.model import GAINED, LOST, Change

DEVICES_MAX = 2_000_000
"""Licenses and ended intervals that one replay keeps in memory, at 100 to 250 bytes each."""

_IS_GAINED = bytes(number in GAINED for number in range(256))
_IS_LOST = bytes(number in LOST for number in range(256))


class Replay:
    """Licenses and ended intervals of the devices above `after`, up to `until`; None is no bound.

    `held` maps a device to the sequence that granted its license; `ended` maps a device and such
    a sequence to the one that took the license.
    """

    def __init__(self, after: int | None = None, *, devices_max: int = DEVICES_MAX) -> None:
        self.after = after
        self.until: int | None = None
        self.held: dict[int, int] = {}
        self.ended: dict[tuple[int, int], int] = {}
        self.devices_max = devices_max

    def apply(self, change: Change) -> bool:
        """Take in the next change; False where it grants what is held, or takes what is not."""
        gained = self._within(_chosen(change, _IS_GAINED))
        lost = self._within(_chosen(change, _IS_LOST))
        if len(set(gained)) < len(gained) or not self.held.keys().isdisjoint(gained):
            return False
        self.held.update(dict.fromkeys(gained, change.sequence))
        for imei in lost:
            since = self.held.pop(imei, None)
            if since is None:
                return False
            self.ended[imei, since] = change.sequence
        if len(self.held) + len(self.ended) > self.devices_max:
            self._make_room()
        return True

    def _within(self, imeis: Iterable[int]) -> Sequence[int]:
        after = -1 if self.after is None else self.after
        if self.until is None:
            return [imei for imei in imeis if imei > after]
        return [imei for imei in imeis if after < imei <= self.until]

    def _make_room(self) -> None:
        """Leave the upper half of the devices to another replay."""
        devices = {*self.held, *(imei for imei, _ in self.ended)}
        if len(devices) < 2:
            return  # a single device, however often it came and went, cannot be parted
        until = int(statistics.median_low(devices))
        self.until = until
        self.held = {imei: since for imei, since in self.held.items() if imei <= until}
        self.ended = {key: taken for key, taken in self.ended.items() if key[0] <= until}


def _chosen(change: Change, wanted: bytes) -> Iterable[int]:
    return compress(change.devices.imeis, change.outcomes.translate(wanted))
