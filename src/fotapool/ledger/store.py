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
    PurchaseType,
    Refused,
)

T = TypeVar("T")


class Snapshot(Protocol):
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

    def grant(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        """Begin a license for each device; each must have none."""
        ...

    def remove(self, account_id: int, imeis: Sequence[int], sequence: int, at_ms: int) -> None:
        """End each device's license and keep its interval; each must have one."""
        ...

    def register(self, account_id: int, imeis: Sequence[int]) -> None:
        """Make devices the account's own; those that had left come back."""
        ...

    def cancel_upgrades(self, account_id: int, imeis: Sequence[int]) -> None:
        """End scheduled upgrades."""
        ...

    def key_uses(self, account_id: int, day: int, texts: Sequence[str]) -> dict[str, KeyUse]:
        """What idempotency keys were used for, on a day or the latest before it that has keys."""
        ...

    def keep_keys(
        self, account_id: int, day: int, used: Sequence[tuple[IdempotencyKey, int]]
    ) -> None:
        """Keep keys with the sequences of their changes, all of this day."""
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
