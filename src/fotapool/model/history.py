"""The past of a pool: what a reader of the ledger asks for, and what is found there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from fotapool.model.pool import AccountKey, Change, Entry, Totals
from fotapool.model.words import Outcome, Verb


class License(NamedTuple):
    """A license as held: its device, and the change and moment that granted it.

    Where an undo brought it back, `origin_sequence` and `origin_ms` are those of the first grant:
    what status shows, and the place in the queue when the pool shrinks.
    """

    imei: int
    since_sequence: int
    since_ms: int
    origin_sequence: int | None = None
    origin_ms: int | None = None


class Interval(NamedTuple):
    """A time for which a device held a license: from one change to another.

    `until_sequence` and `until_ms` are None while it is held.
    """

    imei: int
    since_sequence: int
    since_ms: int
    until_sequence: int | None
    until_ms: int | None
    origin_sequence: int | None = None
    origin_ms: int | None = None


class Examined(NamedTuple):
    """Devices found among those that were looked at, IMEIs ascending, each with its moment.

    `until` is the last device looked at; None where that was all.
    """

    imeis: Sequence[int]
    times_ms: Sequence[int]
    until: int | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where an account's ledger stood at some time: its last change and that change's hash."""

    account: str
    sequence: int
    hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes a reader wants; None is any. Times are from `since_ms` to before `until_ms`.

    With a device and an outcome both, it is that device that got that outcome.
    """

    verb: Verb | None = None
    actor: str | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    imei: int | None = None
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class EntryPage:
    """Changes of an account. `next` is where the following page begins; None at the end.

    A page may be short or empty with more to come: what no row indexes is looked for in a
    bounded number of changes.
    """

    account: AccountKey
    sequence: int
    entries: Sequence[Entry]
    next: int | None


@dataclass(frozen=True, slots=True)
class FoundChange:
    """One change, and the account's last one when it was looked up."""

    change: Change
    sequence: int


@dataclass(frozen=True, slots=True)
class Holding:
    """An interval with the changes that began and ended it."""

    interval: Interval
    since: Entry
    until: Entry | None


@dataclass(frozen=True, slots=True)
class HoldingPage:
    """Times for which a device held a license, the earliest first."""

    account: AccountKey
    sequence: int
    imei: int
    holdings: Sequence[Holding]
    next: int | None


@dataclass(frozen=True, slots=True)
class AsOfPage:
    """Part of the licensed devices, and the totals, as they were after a change (R10).

    `imeis` ascend; `assigned_at_ms` runs parallel to them. `next` is the device after which the
    following page begins; a page may be short or empty with more to come. `last` is the account's
    last change when this was read.
    """

    account: AccountKey
    last: int
    sequence: int
    at_ms: int
    totals: Totals
    imeis: Sequence[int]
    assigned_at_ms: Sequence[int]
    next: int | None


@dataclass(frozen=True, slots=True)
class RefusalCounts:
    """How many devices were refused, by verb and verdict, in the changes from one to another.

    `next` is the sequence before which counting goes on; None when the whole span is counted.
    """

    account: AccountKey
    sequence: int
    counts: Mapping[tuple[Verb, Outcome], int]
    changes: int
    next: int | None


@dataclass(frozen=True, slots=True)
class ClockHealth:
    """The clock against the account's own time. While it is behind, the last time repeats."""

    account: AccountKey
    sequence: int
    now_ms: int
    changed_at_ms: int

    @property
    def behind_ms(self) -> int:
        return max(0, self.changed_at_ms - self.now_ms)
