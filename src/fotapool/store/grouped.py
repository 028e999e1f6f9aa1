"""What every store does alike: it queues what is to be written, and answers after the commit."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, TypeVar

from fotapool.model import Change, Clock, Command, Refused
from fotapool.store.group import GroupCommit, Job, Write
from fotapool.store.snapshot import StoredSnapshot
from fotapool.store.tx import StoredTx

T = TypeVar("T")


class GroupedStore(ABC):
    """A store over one database; what the ledger's `Store` promises. Thread-safe."""

    _group: GroupCommit[StoredTx]
    _clock: Clock

    def submit(
        self,
        command: Command,
        apply: Callable[[StoredTx, Sequence[Command]], Sequence[Change | Refused]],
    ) -> Future[Change]:
        """Queue a request; those of one account that wait together are handed over together."""
        entry: Write[StoredTx] = Write(_uncancellable(), command, apply)
        self._group.put(entry)
        return entry.future

    def write(self, job: Callable[[StoredTx], T]) -> Future[T]:
        """Run a job in a transaction of its own."""
        entry: Job[StoredTx] = Job(_uncancellable(), job)
        self._group.put(entry)
        return entry.future

    @abstractmethod
    def read(self, job: Callable[[StoredSnapshot], T]) -> T:
        """Run a job that only reads, on this thread, in one snapshot. Raises StoreError."""

    def probe(self) -> None:
        """Commit a heartbeat, to know that the database can be written. Raises StoreError."""
        self.write(lambda tx: tx.beat(os.getpid(), self._clock())).result()

    @abstractmethod
    def serving(self) -> AbstractContextManager[None]:
        """Hold the right to serve this database. Raises StoreUnusable where one must be alone."""

    @abstractmethod
    def close(self) -> None:
        """Finish what is queued, then let go of the database."""


def _uncancellable() -> Future[Any]:
    """A future that its waiter cannot cancel: what is queued will be done, waited for or not."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future
