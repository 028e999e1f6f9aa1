"""What the ledger asks of a store: snapshots to read, transactions to write, group commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol, TypeVar

from fotapool.model import (
    Account,
    AccountKey,
    Change,
    ChangeFilter,
    Command,
    Cursor,
    Entry,
    Examined,
    Facts,
    IdempotencyKey,
    Interval,
    KeyUse,
    License,
    Page,
    Place,
    PurchaseType,
    Refused,
    RegisteredDevice,
    Step,
    Upgrade,
    UpgradePlan,
)

T = TypeVar("T")


class Queues(Protocol):
    """The order in which licenses go, and what became of those that went. Raises StoreError."""

    def upgrading(self, account_id: int, imeis: Sequence[int]) -> Facts:
        """Of these devices those with an upgrade: `scheduled` and `running`, nothing else."""
        ...

    def listed(self, account_id: int, imeis: Sequence[int]) -> frozenset[int]:
        """Of these devices those on the candidate list."""
        ...

    def candidates_after(self, account_id: int, after: tuple[int, int], count: int) -> list[Place]:
        """Up to `count` of the candidate list, in its order, after a sequence and place."""
        ...

    def candidates_at(self, account_id: int, offset: int, count: int) -> list[int]:
        """Up to `count` of the candidate list from an index on; what lies before is walked."""
        ...

    def pending(self, account_id: int, count: int, named: Sequence[int]) -> list[int]:
        """Licenses taken and still held, the last taken first: the first `count`, and the named."""
        ...

    def grants_after(self, account_id: int, sequence: int, count: int) -> list[tuple[int, int]]:
        """Up to `count` later changes by which licenses were granted that are held, with how many.

        A license that an undo brought back counts for the change that first granted it.
        """
        ...

    def origins(self, account_id: int, imeis: Sequence[int]) -> dict[int, int]:
        """Of these devices those with a license, and the change that first granted it."""
        ...

    def held_since(self, account_id: int, until: int) -> dict[int, list[int]]:
        """Every license first granted up to a sequence, by that change; reads all of them."""
        ...

    def altered_after(self, account_id: int, imeis: Sequence[int], sequence: int) -> dict[int, int]:
        """The last change after a sequence that gave or took each device's license, if one did."""
        ...


class Snapshot(Queues, Protocol):
    """What can be read of pools, all of it at one moment. Raises StoreError."""

    def account(self, account_id: int) -> Account:
        """An account's row, locked first inside a write transaction. Raises NotFound."""
        ...

    def gather(self, account_id: int, imeis: Sequence[int]) -> Facts:
        """What is special about these devices, in one statement."""
        ...

    def page(self, account: AccountKey, cursor: Cursor, size: int) -> Page:
        """Totals and up to `size` licensed devices, IMEIs ascending. Raises NotFound."""
        ...

    def changes(self, account: AccountKey, after: int, count: int) -> list[Change]:
        """Up to `count` whole changes after a sequence, ascending. Raises StoreDamaged."""
        ...

    def licenses(
        self, account_id: int, after: int | None, until: int | None, count: int
    ) -> list[License]:
        """Up to `count` licenses of the devices after one and until another, by IMEI.

        None is no bound, not even that of what a device can be.
        """
        ...

    def intervals(
        self, account_id: int, after: tuple[int | None, int], until: int | None, count: int
    ) -> list[Interval]:
        """The same of ended licenses; `after` is a device and the sequence of its license."""
        ...

    def changes_of(self, account: AccountKey, sequences: Sequence[int]) -> dict[int, Change]:
        """These changes, whole. Raises StoreDamaged."""
        ...

    def verdicts_in(self, account_id: int, sequences: Sequence[int]) -> int:
        """How many verdicts these changes hold in all."""
        ...

    def registered(self, account_id: int, after: int, count: int) -> list[RegisteredDevice]:
        """Up to `count` devices of the account beyond one, IMEIs ascending."""
        ...

    def registered_at(self, account_id: int, offset: int, count: int) -> list[RegisteredDevice]:
        """The same from an offset on; what lies before is walked."""
        ...

    def registered_of(self, account_id: int, imeis: Sequence[int]) -> list[RegisteredDevice]:
        """Of these devices those of the account, in this order."""
        ...

    def upgrade(self, account_id: int, upgrade_id: bytes) -> Upgrade | None:
        """A named upgrade with its devices."""
        ...

    def candidate_rows(self, account_id: int, after: int | None, count: int) -> list[Place]:
        """Up to `count` rows of the candidate list beyond a device, by IMEI."""
        ...

    def pending_rows(self, account_id: int, after: int | None, count: int) -> list[Place]:
        """The same of licenses that are taken and still held."""
        ...

    def granted_rows(self, account_id: int, after: int, count: int) -> list[tuple[int, int]]:
        """Up to `count` rows that say how many licenses of a change are held, by sequence."""
        ...

    def entries(
        self,
        account: AccountKey,
        sequences: range,
        wanted: ChangeFilter,
        count: int,
        *,
        newest_first: bool = True,
    ) -> list[Entry]:
        """Up to `count` changes of a span of sequences that a filter lets through."""
        ...

    def entries_of(self, account: AccountKey, sequences: Sequence[int]) -> dict[int, Entry]:
        """The changes of these sequences."""
        ...

    def time_of(self, account_id: int, sequence: int) -> int:
        """When a change was made. Raises StoreDamaged where there is none."""
        ...

    def knows(self, account_id: int, imei: int) -> bool:
        """Whether a device is, or once was, of the account."""
        ...

    def licenses_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        """Of the next `count` licensed devices, those that were licensed at a sequence already."""
        ...

    def intervals_at(self, account_id: int, sequence: int, after: int, count: int) -> Examined:
        """Of the next `count` devices with ended licenses, those that held one at a sequence."""
        ...

    def has_account(self, account_id: int) -> bool:
        """Whether anything is stored of an account of this number, named or not."""
        ...

    def damage(self) -> str:
        """What the engine's own check finds wrong with the database; empty for nothing."""
        ...


class Tx(Snapshot, Protocol):
    """One write transaction. What it reads stays true until it ends, and it commits as a whole."""

    def grant(
        self, account_id: int, grants: Sequence[tuple[int, Sequence[int]]], at_ms: int
    ) -> None:
        """Begin a license for each device of some changes, by sequence; each must have none."""
        ...

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        """End each device's license and keep its interval; each must have one."""
        ...

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        """Make devices the account's own; those that had left come back."""
        ...

    def give_back(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        """Begin licenses anew that each device had before, with their date and place of then."""
        ...

    def leave(self, account_id: int, imeis: Sequence[int]) -> None:
        """Devices are the account's no more; what is known of them stays."""
        ...

    def open_upgrade(self, account_id: int, plan: UpgradePlan, sequence: int) -> None:
        """Keep a named upgrade, if it is not there already."""
        ...

    def schedule(
        self, account_id: int, imeis: Sequence[int], sequence: int, plan: UpgradePlan | None
    ) -> None:
        """Plan an upgrade of each device, of a name or of none; it must have none yet."""
        ...

    def step(self, account_id: int, imeis: Sequence[int], step: Step, sequence: int) -> None:
        """Take the upgrade of each device a step further; it must have one."""
        ...

    def pend(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        """Take licenses that are held until the running upgrades end."""
        ...

    def release(self, account_id: int, imeis: Sequence[int]) -> None:
        """Take them no more."""
        ...

    def list_candidates(self, account_id: int, imeis: Sequence[int], sequence: int) -> None:
        """Put devices at the end of the candidate list, in this order."""
        ...

    def unlist_candidates(self, account_id: int, imeis: Sequence[int]) -> None:
        """Take devices off the candidate list; each must be on it."""
        ...

    def clear_candidates(self, account_id: int) -> None:
        """Empty the candidate list."""
        ...

    def key_uses(self, account_id: int, day: int, texts: Sequence[str]) -> dict[str, KeyUse]:
        """What idempotency keys were used for, on a day or the latest before it that has keys."""
        ...

    def keep_keys(
        self, account_id: int, day: int, used: Sequence[tuple[IdempotencyKey, int, bytes | None]]
    ) -> None:
        """Keep keys with the sequences of their changes, all of this day, and kept answers."""
        ...

    def forget_keys(self, account_id: int, day: int, count: int) -> None:
        """Forget up to `count` keys of days before the two of which `key_uses` tells."""
        ...

    def append(self, changes: Sequence[Change]) -> None:
        """Append changes of one account to the ledger."""
        ...

    def save(self, account: Account) -> None:
        """Store an account's counters, position, time and head."""
        ...

    def open_account(self, name: str, purchase_type: PurchaseType) -> AccountKey:
        """Make an account with an empty pool, and its name. Raises AlreadyExists."""
        ...


Apply = Callable[[Tx, Sequence[Command]], Sequence[Change | Refused]]


class Store(Protocol):
    """Where pools live. Every answer to a write comes after its commit, or not at all.

    A failing `submit` or `write` ends with StoreError in its future: nothing was done.
    """

    def submit(self, command: Command, apply: Apply) -> Future[Change]:
        """Queue a request; the store hands `apply` those of one account together, in order.

        Should a group fail, each request is tried again from nothing and alone, so that one
        harms no other.
        """
        ...

    def write(self, job: Callable[[Tx], T]) -> Future[T]:
        """Run a job in a transaction of its own."""
        ...

    def read(self, job: Callable[[Snapshot], T]) -> T:
        """Run a job that only reads, on this thread and in one snapshot. Raises StoreError."""
        ...
