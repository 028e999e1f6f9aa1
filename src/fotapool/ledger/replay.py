"""A pool as the ledger alone tells it: changes folded one after another.

`Replay` follows who holds a license. It keeps what its memory allows: when it is full it gives up
the upper half of its devices, and another replay takes them on from the beginning. Together they
cover every device. `Books` follows all the rest, which is small.
"""

from __future__ import annotations

import re
import statistics
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from fotapool.ledger.undo import undone_by
from fotapool.model import (
    GAINED,
    LOST,
    PENDED,
    Change,
    Listing,
    Outcome,
    Policy,
    PurchaseType,
    Verb,
)

DEVICES_MAX = 2_000_000
"""Licenses and ended intervals that one replay keeps in memory, at 100 to 250 bytes each."""


def _choice(outcomes: Iterable[Outcome]) -> bytes:
    return bytes(number in set(outcomes) for number in range(256))


_IS_GAINED = _choice(GAINED)
_IS_LOST = _choice(LOST)
_IS_GIVEN_BACK = _choice({Outcome.GIVEN_BACK})
_IS_PENDED = _choice(PENDED)
_IS_LISTED = _choice({Outcome.LISTED})
_IS_UNLISTED = _choice(LOST | {Outcome.LEFT})
_IS_ENDED = _choice({Outcome.FINISHED, Outcome.FAILED})
_IS_ENDED_AND_TAKEN = _choice({Outcome.FINISHED_AND_TAKEN, Outcome.FAILED_AND_TAKEN})
_IS_RELEASED = _choice({Outcome.RELEASED})

_SETTING = re.compile(r"(policy|purchase_type|list)=(\w+)")


class Replay:
    """Licenses and ended intervals of the devices above `after`, up to `until`; None is no bound.

    `held` maps a device to the sequence that granted its license; `ended` maps a device and the
    sequence that took a license to the one that granted it. `origins` maps a device and such a
    granting sequence to that of the first grant, where an undo brought the license back.
    """

    def __init__(self, after: int | None = None, *, devices_max: int = DEVICES_MAX) -> None:
        self.after = after
        self.until: int | None = None
        self.held: dict[int, int] = {}
        self.ended: dict[tuple[int, int], int] = {}
        self.origins: dict[tuple[int, int], int] = {}
        self.devices_max = devices_max

    def apply(self, change: Change) -> bool:
        """Take in the next change; False where it grants what is held, or takes what is not."""
        gained = self._within(_chosen(change, _IS_GAINED))
        lost = self._within(_chosen(change, _IS_LOST))
        if len(set(gained)) < len(gained) or not self.held.keys().isdisjoint(gained):
            return False
        if change.verb is Verb.UNDO and not self._carry_over(change):
            return False
        self.held.update(dict.fromkeys(gained, change.sequence))
        for imei in lost:
            since = self.held.pop(imei, None)
            if since is None:
                return False
            self.ended[imei, change.sequence] = since
        if len(self.held) + len(self.ended) > self.devices_max:
            self._make_room()
        return True

    def origin(self, imei: int, since: int) -> int:
        """The change that first granted a license."""
        return self.origins.get((imei, since), since)

    def _carry_over(self, change: Change) -> bool:
        """Licenses that an undo brings back go on from where they were taken."""
        undone = undone_by(change)
        for imei in self._within(_chosen(change, _IS_GIVEN_BACK)):
            since = self.ended.get((imei, undone.sequence)) if undone else None
            if since is None:
                return False
            self.origins[imei, change.sequence] = self.origin(imei, since)
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
        self.ended = {key: since for key, since in self.ended.items() if key[0] <= until}
        self.origins = {key: first for key, first in self.origins.items() if key[0] <= until}


@dataclass(slots=True)
class Books:
    """What the account is, and its lists, after the changes so far.

    `times[n - 1]` and `totals[n - 1]` are the time of change n and the licenses bought after it.
    `pending` and `candidates` map a device to the sequence and place that put it on the list.
    """

    times: array[int] = field(default_factory=lambda: array("q"))
    totals: array[int] = field(default_factory=lambda: array("q"))
    used: int = 0
    active: bool = True
    policy: Policy = Policy.REGISTERED
    purchase_type: PurchaseType = PurchaseType.MRC
    subscribed_at_ms: int = 0
    pending: dict[int, tuple[int, int]] = field(default_factory=dict)
    candidates: dict[int, tuple[int, int]] = field(default_factory=dict)
    candidates_at_ms: int = 0

    def adds_up(self, change: Change) -> bool:
        """Whether the totals of the next change follow from its verdicts."""
        gained = sum(map(change.count, GAINED)) - sum(map(change.count, LOST))
        if change.totals.used != self.used + gained:
            return False
        return self.total_after(change) in (None, change.totals.total)

    def total_after(self, change: Change) -> int | None:
        """The licenses bought after the next change; None where it may set any number."""
        if change.verb in (Verb.CREATE_ACCOUNT, Verb.RESIZE):
            return None
        undone = undone_by(change)
        if undone is not None and undone.root is Verb.RESIZE and undone.sequence > 1:
            return self.totals[undone.sequence - 2]
        return self.totals[-1] if self.totals else 0

    def apply(self, change: Change) -> bool:
        """Take in the next change.

        False where what it leaves pending is not its overhang, or its verdicts tell otherwise of
        what was pending.
        """
        self.times.append(change.at_ms)
        self._set(change)
        self.totals.append(change.totals.total)
        self.used = change.totals.used
        self._edit_candidates(change)
        return self._edit_pending(change)

    def _set(self, change: Change) -> None:
        sizes = change.verb in (Verb.CREATE_ACCOUNT, Verb.RESIZE, Verb.TYPE)
        if sizes or _undoes_resize(change):
            self.subscribed_at_ms = change.at_ms
        if change.verb in (Verb.ACTIVATE, Verb.DEACTIVATE):
            self.active = change.verb is Verb.ACTIVATE
        name, value = _setting(change)
        if name == "policy":
            self.policy = Policy(value)
        elif name == "purchase_type":
            self.purchase_type = PurchaseType(value)

    def _edit_candidates(self, change: Change) -> None:
        if change.verb is Verb.CANDIDATES:
            if _setting(change) != ("list", Listing.APPEND.value):
                self.candidates.clear()
            for place, imei in enumerate(_chosen(change, _IS_LISTED)):
                self.candidates[imei] = change.sequence, place
            self.candidates_at_ms = change.at_ms
        elif self.candidates:
            for imei in _chosen(change, _IS_UNLISTED):
                if self.candidates.pop(imei, None):
                    self.candidates_at_ms = change.at_ms

    def _edit_pending(self, change: Change) -> bool:
        if change.verb in (Verb.FINISH, Verb.FAIL):
            kept, taken = _chosen(change, _IS_ENDED), _chosen(change, _IS_ENDED_AND_TAKEN)
            if not self.pending.keys().isdisjoint(kept) or not self.pending.keys() >= set(taken):
                return False
        if self.pending:
            for imei in _chosen(change, _IS_LOST):
                self.pending.pop(imei, None)
        for place, imei in enumerate(_chosen(change, _IS_PENDED)):
            self.pending[imei] = change.sequence, place
        released = []
        while len(self.pending) > change.totals.overhang:
            released.append(self.pending.popitem()[0])  # the last taken first
        named = list(_chosen(change, _IS_RELEASED))
        if change.verb is Verb.RESIZE and released != named:
            return False
        if _undoes_resize(change) and sorted(released) != sorted(named):
            return False
        return len(self.pending) == change.totals.overhang


def _undoes_resize(change: Change) -> bool:
    undone = undone_by(change)
    return undone is not None and undone.root is Verb.RESIZE


def _setting(change: Change) -> tuple[str, str]:
    match = _SETTING.fullmatch(change.detail)
    return ("", "") if match is None else (match[1], match[2])


def _chosen(change: Change, wanted: bytes) -> Iterable[int]:
    return compress(change.devices.imeis, change.outcomes.translate(wanted))
