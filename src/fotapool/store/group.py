"""Group commit: one thread, many requests to a transaction, answers only after COMMIT.

A group is decided together. When anything in it fails, the whole is rolled back and every
request is run again from nothing, alone under a savepoint, so that one harms no other;
nothing decided in the first pass is used again (docs/reference/protocol.md R16).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, Protocol, TypeVar

from fotapool.model import Change, Command, Refused, StoreError

GROUP_REQUESTS_MAX = 32
GROUP_DEVICES_MAX = 100_000


class Transaction(Protocol):
    """What the group needs to know of an open transaction."""

    def savepoint(self) -> AbstractContextManager[None]:
        """Undo what is done inside if it fails, and nothing else."""
        ...

    @property
    def alive(self) -> bool:
        """False once the engine has thrown the transaction away by itself."""
        ...


TxT = TypeVar("TxT", bound=Transaction)
Answer = Any
"""What an entry's future will hold: a value, or the exception to raise."""


@dataclass(slots=True, eq=False)
class Write(Generic[TxT]):
    """A command in the queue, with the function that applies those of one account together."""

    future: Future[Change]
    command: Command
    apply: Callable[[TxT, Sequence[Command]], Sequence[Change | Refused]]


@dataclass(slots=True, eq=False)
class Job(Generic[TxT]):
    """Anything else to be done in a transaction, alone."""

    future: Future[Any]
    run: Callable[[TxT], Any]


Entry = Write[TxT] | Job[TxT]


class _Gone(Exception):
    """The engine dropped the transaction under this entry."""


class GroupCommit(Generic[TxT]):
    """The single writer: takes entries in order, commits them in groups, answers after COMMIT.

    `transaction` begins, commits on leaving and rolls back on an exception; it raises StoreError.
    """

    def __init__(self, transaction: Callable[[], AbstractContextManager[TxT]]) -> None:
        self._transaction = transaction
        self._queue: SimpleQueue[Entry[TxT] | None] = SimpleQueue()
        self._closed = False
        self._closing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="fotapool-writer", daemon=True)
        self._thread.start()

    def put(self, entry: Entry[TxT]) -> None:
        """Queue an entry. Its future ends with StoreError when the writer has been closed."""
        with self._closing:
            if not self._closed:
                self._queue.put(entry)
                return
        _settle(entry, StoreError("the store is closed"))

    def close(self) -> None:
        """Finish what is queued, then stop."""
        with self._closing:
            self._closed = True
            self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            group, open_ = self._collect(first)
            for entry, answer in self._commit(group):
                _settle(entry, answer)
            if not open_:
                return

    def _collect(self, first: Entry[TxT]) -> tuple[list[Entry[TxT]], bool]:
        """Whatever waits already, up to the group's limits; no request is waited for."""
        group = [first]
        weight = _weight(first)
        while len(group) < GROUP_REQUESTS_MAX and weight < GROUP_DEVICES_MAX:
            try:
                entry = self._queue.get_nowait()
            except Empty:
                break
            if entry is None:
                return group, False
            group.append(entry)
            weight += _weight(entry)
        return group, True

    def _commit(self, group: Sequence[Entry[TxT]]) -> list[tuple[Entry[TxT], Answer]]:
        try:
            with self._transaction() as tx:
                return [pair for unit in _units(group) for pair in _run_unit(tx, unit)]
        except Exception as error:  # noqa: BLE001 -- it becomes the entries' answer
            if len(group) == 1 and not isinstance(error, StoreError):
                return [(group[0], error)]
            return self._commit_each(list(group))

    def _commit_each(self, group: list[Entry[TxT]]) -> list[tuple[Entry[TxT], Answer]]:
        """Run a group again from nothing, request by request."""
        dropped: list[tuple[Entry[TxT], Answer]] = []
        while group:
            answers: list[tuple[Entry[TxT], Answer]] = []
            try:
                with self._transaction() as tx:
                    for entry in group:  # one by one: where it stops is the culprit
                        answers.append((entry, _run_alone(tx, entry)))  # noqa: PERF401
                return dropped + answers
            except _Gone as gone:
                culprit = group[len(answers)]
                group.remove(culprit)
                dropped.append((culprit, gone.__cause__))
            except Exception as error:  # noqa: BLE001 -- it becomes the entries' answer
                return dropped + [(entry, error) for entry in group]
        return dropped


def _weight(entry: Entry[TxT]) -> int:
    return len(entry.command.devices) if isinstance(entry, Write) else 1


def _settle(entry: Entry[TxT], answer: Answer) -> None:
    if isinstance(answer, BaseException):
        entry.future.set_exception(answer)
    else:
        entry.future.set_result(answer)


def _units(group: Sequence[Entry[TxT]]) -> Iterator[Job[TxT] | list[Write[TxT]]]:
    """The writes of one account together and in order; a job alone, in its place."""
    by_account: dict[int, list[Write[TxT]]] = {}
    for entry in group:
        if isinstance(entry, Write):
            by_account.setdefault(entry.command.account.id, []).append(entry)
        else:
            yield from by_account.values()
            by_account = {}
            yield entry
    yield from by_account.values()


def _run_unit(
    tx: TxT, unit: Job[TxT] | Sequence[Write[TxT]]
) -> Sequence[tuple[Entry[TxT], Answer]]:
    if isinstance(unit, Job):
        return [(unit, unit.run(tx))]
    answers = unit[0].apply(tx, [write.command for write in unit])
    return list(zip(unit, answers, strict=True))


def _run_alone(tx: TxT, entry: Entry[TxT]) -> Answer:
    try:
        with tx.savepoint():
            ((_, answer),) = _run_unit(tx, entry if isinstance(entry, Job) else [entry])
            return answer
    except Exception as error:
        # Outside a transaction a savepoint would commit by itself at its release.
        if not tx.alive:
            raise _Gone from error
        return error
