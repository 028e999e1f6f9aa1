"""The pool: accounts, totals, what is asked of it, what was decided, what a reader sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fotapool.model.devices import DeviceList
from fotapool.model.words import Outcome, PurchaseType, Verb

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01 UTC. Always an argument, never called through a global."""

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An account by its name outside and its number inside."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Licenses bought and licenses held, after a change or at a moment.

    `overhang` counts licenses that a shrink has taken but a running upgrade still holds; while
    it is above 0 nothing is free (R7). Raises ValueError rather than exist with a broken sum.
    """

    total: int
    used: int
    overhang: int = 0

    def __post_init__(self) -> None:
        fits = (
            self.used <= self.total
            if self.overhang == 0
            else self.used == self.total + self.overhang
        )
        if not (fits and min(self.total, self.used, self.overhang) >= 0):
            raise ValueError(f"impossible totals: {self}")

    @property
    def free(self) -> int:
        return 0 if self.overhang else self.total - self.used


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as an operator lists it."""

    key: AccountKey
    purchase_type: PurchaseType
    active: bool
    totals: Totals


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """A name that a client gave its request, and what tells that request from others (R11)."""

    text: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The request that a key was used for, and the change it came to."""

    fingerprint: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Command:
    """One write asked of one account: by whom, under which request id, what, to which devices.

    With `if_sequence` it is carried out only while that is the account's last change.
    """

    account: AccountKey
    verb: Verb
    devices: DeviceList
    actor: str
    request_id: bytes
    key: IdempotencyKey | None = None
    if_sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Account:
    """An account's own row, as read under its lock. `head` is the hash of its last change."""

    id: int
    totals: Totals
    active: bool
    sequence: int
    changed_at_ms: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What is special about the devices that a group of requests names; the rest is ordinary.

    `upgraded` holds devices whose firmware was upgraded by a later change than the one that
    granted their license.
    """

    unknown: frozenset[int] = frozenset()
    licensed: frozenset[int] = frozenset()
    scheduled: frozenset[int] = frozenset()
    running: frozenset[int] = frozenset()
    upgraded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change as a reader of the ledger lists it: who, when, which verb, which verdicts.

    `outcomes` holds one `Outcome` a byte, in the order of the request's devices; `totals` are
    those after the change; `detail` says what a verb without devices did.
    """

    account: AccountKey
    sequence: int
    at_ms: int
    actor: str
    request_id: bytes
    verb: Verb
    outcomes: bytes
    totals: Totals
    detail: str = ""
    hash: bytes = b""

    def count(self, outcome: Outcome) -> int:
        """How many items got this verdict."""
        return self.outcomes.count(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Entry):
    """One committed request, whole. `packed` is `devices` as the ledger keeps them.

    `replayed` tells that this answers a request that was carried out before.
    """

    devices: DeviceList
    packed: bytes
    replayed: bool = False


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after an IMEI, at an offset (v1 only), or with neither at the start."""

    imei: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an account's licensed devices with its totals, from one snapshot (R4).

    `imeis` ascend; `assigned_at_ms` runs parallel to them. `sequence` is the account's last
    change in that snapshot.
    """

    account: AccountKey
    totals: Totals
    sequence: int
    imeis: Sequence[int]
    assigned_at_ms: Sequence[int]
    more: bool
    cursor: Cursor
    cursor_known: bool = True
    """Whether the cursor's device is, or once was, of the account."""
