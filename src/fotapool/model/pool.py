"""The pool: accounts, totals, what is asked of it, what was decided, what a reader sees."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fotapool.model.devices import Cursor, DeviceList
from fotapool.model.upgrades import UpgradePlan
from fotapool.model.words import Listing, Outcome, Policy, PurchaseType, Verb

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01 UTC. Always an argument, never called through a global."""

TOUCHED_MANY = 100_000
"""The weight of a request that names no devices and may touch any number."""

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
class IdempotencyKey:
    """A name that a client gave its request, and what tells that request from others (R11)."""

    text: str
    fingerprint: bytes


@dataclass(frozen=True, slots=True)
class KeyUse:
    """The request that a key was used for, and the change it came to.

    `answer` is the answer's body where the change does not hold the whole of it.
    """

    fingerprint: bytes
    sequence: int
    answer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Command:
    """One write asked of one account: by whom, under which request id, what, to which devices.

    With `if_sequence` it is carried out only while that is the account's last change. What one
    verb needs besides devices: `total` a resize, `undoes` (a sequence) an undo, `listing` a
    change of the candidate list, `policy` and `purchase_type` the verbs of these names, `upgrade`
    a step of a named upgrade. `render` makes the body of the answer, to be kept with the key where
    the change does not hold the whole of it.
    """

    account: AccountKey
    verb: Verb
    devices: DeviceList
    actor: str
    request_id: bytes
    key: IdempotencyKey | None = None
    if_sequence: int | None = None
    total: int | None = None
    undoes: int | None = None
    listing: Listing | None = None
    policy: Policy | None = None
    purchase_type: PurchaseType | None = None
    upgrade: UpgradePlan | None = None
    render: Callable[[Change], bytes] | None = None

    @property
    def weight(self) -> int:
        """About how many devices this may touch."""
        return TOUCHED_MANY if self.verb in (Verb.RESIZE, Verb.UNDO) else len(self.devices)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account's own row, as read under its lock. `head` is the hash of its last change.

    `candidates` counts its candidate list, which was last changed at `candidates_at_ms`; the
    number of licenses or the purchase type was last set at `subscribed_at_ms`.
    """

    id: int
    totals: Totals
    purchase_type: PurchaseType
    sequence: int
    changed_at_ms: int
    head: bytes
    active: bool = True
    policy: Policy = Policy.REGISTERED
    subscribed_at_ms: int = 0
    candidates: int = 0
    candidates_at_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change as a reader of the ledger lists it: who, when, which verb, which verdicts.

    `outcomes` holds one `Outcome` a byte, in the order of the request's devices; `totals` are
    those after the change; `detail` says what the devices do not, such as `policy=open`.
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

    The rest is of the answer alone and in no ledger. `replayed` tells that this answers a request
    that was carried out before, with the body `answer` where one was kept. `changed_by` names, for
    each item of an undo that came too late, the change that was before it, else 0. `candidates` is
    the beginning of the candidate list after the change.
    """

    devices: DeviceList
    packed: bytes
    replayed: bool = False
    answer: bytes | None = None
    changed_by: Sequence[int] = ()
    candidates: CandidatePage | None = None


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


@dataclass(frozen=True, slots=True)
class CandidatePage:
    """Part of a candidate list, in its order, from an index on (R8)."""

    account: AccountKey
    sequence: int
    count: int
    changed_at_ms: int
    start: int
    imeis: Sequence[int]

    @property
    def more(self) -> bool:
        return self.start + len(self.imeis) < self.count


@dataclass(frozen=True, slots=True)
class Subscription:
    """An account's own row, as a reader sees it."""

    account: AccountKey
    row: Account
