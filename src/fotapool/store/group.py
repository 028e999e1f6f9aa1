"""Group commit: many requests to a transaction, answers only after COMMIT.

A group is decided together. When anything in it fails, the whole is rolled back and every
request is run again from nothing, alone under a savepoint, so that one harms no other;
nothing decided in the first pass is used again (docs/reference/protocol.md R16).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from fotapool.model import Change, Command, OutcomeUnknown, Refused, StoreBusy, StoreError
from fotapool.store.waiting import Waiting


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

    @property
    def lane(self) -> int:
        return self.command.account.id

    @property
    def weight(self) -> int:
        return self.command.weight


@dataclass(slots=True, eq=False)
class Job(Generic[TxT]):
    """Anything else to be done in a transaction, alone."""

    future: Future[Any]
    run: Callable[[TxT], Any]
    lane: None = None
    weight: int = 1


Entry = Write[TxT] | Job[TxT]
Answered = list[tuple[Entry[TxT], Answer]]


class _Gone(Exception):
    """The engine dropped the transaction under this entry."""


class GroupCommit(Generic[TxT]):
    """Writers that take entries, commit them in groups, and answer after COMMIT.

    `begin` begins a transaction, commits on leaving and rolls back on an exception; it raises
    StoreError, and OutcomeUnknown when it cannot tell whether the COMMIT took. `was_committed`
    then finds out by a change of that transaction, or raises StoreError. With more than one
    writer a group is of one account, and an account's groups come one after another.
    """

    def __init__(
        self,
        begin: Callable[[], AbstractContextManager[TxT]],
        was_committed: Callable[[Change], bool],
        *,
        writers: int = 1,
    ) -> None:
        self._begin = begin
        self._was_committed = was_committed
        self._waiting: Waiting[Entry[TxT]] = Waiting(mixed=writers == 1)
        self._threads = [
            threading.Thread(target=self._run, name=f"fotapool-writer-{number}", daemon=True)
            for number in range(writers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, entry: Entry[TxT]) -> None:
        """Queue an entry. Its future ends with StoreError when the writers have been closed."""
        if not self._waiting.put(entry):
            _settle(entry, StoreError("the store is closed"))

    def close(self) -> None:
        """Finish what is queued, then stop."""
        self._waiting.close()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while group := self._waiting.take():
            for entry, answer in self._commit(group):
                _settle(entry, answer)
            self._waiting.done(group)

    def _commit(self, group: Sequence[Entry[TxT]]) -> Answered[TxT]:
        answered: Answered[TxT] = []
        try:
            with self._begin() as tx:
                for unit in _units(group):
                    answered += _run_unit(tx, unit)
        except OutcomeUnknown as unknown:
            return self._find_out(answered, unknown)
        except StoreBusy as busy:
            # Each would wait as long again, one after another.
            return [(entry, busy) for entry in group]
        except Exception as error:  # noqa: BLE001 -- it becomes the entries' answer
            if len(group) == 1 and not isinstance(error, StoreError):
                return [(group[0], error)]
            return self._commit_each(list(group))
        return answered

    def _commit_each(self, group: list[Entry[TxT]]) -> Answered[TxT]:
        """Run a group again from nothing, request by request."""
        dropped: Answered[TxT] = []
        while group:
            answered: Answered[TxT] = []
            try:
                with self._begin() as tx:
                    for entry in group:  # one by one: where it stops is the culprit
                        answered.append((entry, _run_alone(tx, entry)))
                return dropped + answered
            except _Gone as gone:
                culprit = group[len(answered)]
                group.remove(culprit)
                dropped.append((culprit, gone.__cause__))
            except OutcomeUnknown as unknown:
                return dropped + self._find_out(answered, unknown)
            except Exception as error:  # noqa: BLE001 -- it becomes the entries' answer
                return dropped + [(entry, error) for entry in group]
        return dropped

    def _find_out(self, answered: Answered[TxT], unknown: OutcomeUnknown) -> Answered[TxT]:
        """Answer after a COMMIT of which nobody knows whether it took.

        A transaction is whole, so that one change of it tells of all.
        """
        made = [answer for _, answer in answered if isinstance(answer, Change)]
        fresh = [change for change in made if not change.replayed]
        if not fresh:
            return [(entry, unknown if isinstance(entry, Job) else a) for entry, a in answered]
        lost: StoreError = unknown
        with suppress(StoreError):
            if self._was_committed(fresh[0]):
                return answered
            lost = StoreError("the database lost the request; nothing was done")
        return [(entry, lost) for entry, _ in answered]


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
            by_account.setdefault(entry.lane, []).append(entry)
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
    except StoreBusy:
        raise
    except Exception as error:
        # Outside a transaction a savepoint would commit by itself at its release.
        if not tx.alive:
            raise _Gone from error
        return error
