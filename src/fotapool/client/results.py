"""What the plain verbs return: totals, verdicts, licensed devices.

What a call returns is `WithResponse`: `response` is the answer it was read from. What comes by the
thousand is a `Struct`, made ten times as fast as a dataclass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Generic, TypeVar

import msgspec

from fotapool.model import Outcome
from fotapool.wire.answered import Answered, WithResponse

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Answered, Generic[T]):
    """A part of a list. `cursor` tells where the next one begins; None where this is the last."""

    items: tuple[T, ...]
    cursor: str | None

    def __iter__(self) -> Iterator[T]:
        return iter(self.items)

    def __len__(self) -> int:
        return len(self.items)


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What became of one item. `status` and `reason` are the server's own words.

    `by` is the later change that altered the device, where an undo came too late. A `reconciled`
    verdict is no answer, so that its words are empty: an answer was lost, and the device was found
    as asked, by this request or by an earlier one.
    """

    imei: str
    outcome: Outcome
    status: str
    reason: str
    by: int | None = None
    reconciled: bool = False

    @property
    def ok(self) -> bool | None:
        """Whether the device is now as asked; None when the server's words are not known here."""
        return self.outcome.ok


@dataclass(frozen=True, slots=True)
class LicenseChange(Answered):
    """The answer to an assign or remove: the account's totals after it, a verdict per item.

    `change` is its number in the account's ledger, None from a server that keeps none;
    `replayed` tells that the request had been carried out before, under the same idempotency
    key, and that this is its answer of then. `reconciled` tells that an answer was lost on the way,
    that what the devices hold was read, and only what was missing then sent.
    """

    account: str
    total: int
    used: int
    verdicts: tuple[Verdict, ...]
    change: int | None = None
    replayed: bool = False
    reconciled: bool = False

    @property
    def free(self) -> int:
        return max(0, self.total - self.used)

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The items that are not as was asked, each with its reason."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)

    def count(self, outcome: Outcome) -> int:
        """How many items got this verdict."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)


class LicensedDevice(msgspec.Struct, frozen=True, gc=False):
    """A device that holds a license.

    `assigned_at` is in UTC, None where the server's text is no time; `assigned_at_text` is that
    text as received.
    """

    imei: str
    assigned_at: datetime | None
    assigned_at_text: str | None


@dataclass(frozen=True, slots=True)
class AccountStatus(Answered):
    """An account's totals, and the first page of its licensed devices.

    `total` is None where a server does not print it.
    """

    account: str
    total: int | None
    used: int
    devices: tuple[LicensedDevice, ...]
    has_more: bool

    @property
    def free(self) -> int | None:
        return None if self.total is None else max(0, self.total - self.used)


@dataclass(frozen=True, slots=True)
class Subscription(Answered):
    """What an account has bought. A member is None where the server does not print it.

    `purchase_type` is the server's own word, such as `TS-HFOTA-MRC`; `updated_at` is in UTC, and
    `updated_at_text` that text as received.
    """

    account: str
    purchase_type: str | None
    total: int | None
    used: int | None
    updated_at: datetime | None
    updated_at_text: str | None


class AccountDevice(msgspec.Struct, frozen=True, gc=False):
    """A device of an account as the documented lists have it; None for what is not printed.

    `found` is False where it was asked for by name and the account does not have it.
    """

    imei: str
    licensed: bool | None
    found: bool
    make: str | None
    model: str | None
    firmware: str | None
    protocol: str | None
    status: str | None
    upgraded_at: datetime | None


@dataclass(frozen=True, slots=True)
class CandidateEdit(Answered):
    """The candidate list after an edit: its length, and its beginning; `reconciled` as above."""

    account: str
    count: int | None
    imeis: tuple[str, ...]
    reconciled: bool = False


@dataclass(frozen=True, slots=True)
class PlanChange(Answered):
    """The answer to a planned upgrade, or to a change of one: a verdict per item.

    `upgrade_id` names it from then on. `change` and `replayed` as for `LicenseChange`. A plan that
    was cancelled has no verdicts.
    """

    account: str
    upgrade_id: str
    verdicts: tuple[Verdict, ...]
    change: int | None = None
    replayed: bool = False

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The items that are not as was asked, each with its reason."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)


class PlannedDevice(msgspec.Struct, frozen=True, gc=False):
    """A device of a planned upgrade. `status` and `reason` are the server's own words."""

    imei: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class PlannedUpgrade(Answered):
    """A planned upgrade, and how far it is with each of its devices; None for what is not printed.

    `status` is the server's own word. `starts_on` is None where its text, `starts_on_text`, is no
    day.
    """

    account: str
    upgrade_id: str
    firmware_name: str | None
    firmware_to: str | None
    starts_on: date | None
    starts_on_text: str | None
    status: str | None
    devices: tuple[PlannedDevice, ...]


# --- of our own operations ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolCounts:
    """An account's counts: bought, held, free, and held beyond what was bought."""

    total: int
    used: int
    free: int
    overhang: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSummary(PoolCounts):
    """One change of a ledger: who did what when, how many devices got which verdict.

    `request_id` is that of the request which made it.
    """

    change: int
    at: datetime
    actor: str
    verb: str
    request_id: str
    outcomes: Mapping[str, int]
    hash: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolChange(ChangeSummary, WithResponse):
    """One change: a verdict per item. `replayed` as for `LicenseChange`.

    `has_more` tells that these are the first verdicts of more. `candidates` is the length of the
    candidate list, after a change of it. `request_id` is that of the request which made the change;
    that of the one which asked for it is `response.request_id`.
    """

    account: str
    verdicts: tuple[Verdict, ...]
    replayed: bool = False
    has_more: bool = False
    candidates: int | None = None

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The items that are not as was asked."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun(PoolCounts, Answered):
    """What a write would come to while `sequence` is the account's last change."""

    account: str
    sequence: int
    verb: str
    outcomes: Mapping[str, int]
    verdicts: tuple[Verdict, ...] = ()

    @property
    def refused(self) -> tuple[Verdict, ...]:
        """The items that would not be as asked."""
        return tuple(verdict for verdict in self.verdicts if not verdict.ok)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStatus(PoolCounts, Answered):
    """An account's counts, and the first page of its licensed devices.

    `sequence` is the change that it stands at; `at` that change's time where the past was asked.
    """

    account: str
    sequence: int
    devices: tuple[LicensedDevice, ...]
    has_more: bool
    at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolAccount(PoolCounts, Answered):
    """What an account is: how it pays, which devices it takes, how long its candidate list is.

    `subscribed_at` is when the number of licenses or the purchase type was last set.
    """

    account: str
    sequence: int
    purchase_type: str
    policy: str
    active: bool
    candidates: int
    subscribed_at: datetime
    changed_at: datetime


class PoolDevice(msgspec.Struct, frozen=True, gc=False):
    """A device of an account. `upgrade` is `none`, `scheduled` or `running`.

    `assigned_at` is None for a device without a license, `upgraded_at` for one never upgraded.
    """

    imei: str
    upgrade: str
    assigned_at: datetime | None
    upgraded_at: datetime | None


class NamedChange(msgspec.Struct, frozen=True, gc=False):
    """A change by its number, with who made it and when."""

    change: int
    at: datetime
    actor: str
    verb: str


class Holding(msgspec.Struct, frozen=True, gc=False):
    """A time for which a device held a license; `until` is None while it does."""

    since: NamedChange
    until: NamedChange | None


@dataclass(frozen=True, slots=True)
class Refusals(Answered):
    """How many devices were refused, by verb and outcome."""

    account: str
    counts: Mapping[tuple[str, str], int]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class ClockHealth(Answered):
    """A server's clock against an account's own time. Behind it, the last time repeats."""

    account: str
    sequence: int
    now: datetime
    changed_at: datetime
    behind_ms: int
