"""Proof: does the ledger hold together, and do the tables say what it says?

`verify` reads an account's ledger from its first change on: the chain of hashes, the order of
sequences and times, verdicts and totals. Then it holds licenses, ended intervals and counters
against what the ledger alone yields (docs/reference/protocol.md R9). It reads one snapshot, so a
live database may go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from fotapool.ledger.chain import GENESIS, seal
from fotapool.ledger.compare import Finding, Wrong, compare_all, read_changes
from fotapool.ledger.replay import DEVICES_MAX, Books, Replay
from fotapool.ledger.store import Snapshot
from fotapool.model import (
    OUTCOMES,
    Account,
    AccountKey,
    Change,
    Checkpoint,
    NotFound,
    StoreError,
    Totals,
)

__all__ = ["FINDINGS_MAX", "Finding", "Report", "Wrong", "verify"]

FINDINGS_MAX = 20
"""Findings that a report lists of the tables; of the ledger it lists the first alone."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was verified of one account, and what was found wrong with it.

    Where the ledger itself is wrong, nothing after its first wrong change was judged.
    """

    account: AccountKey
    changes: int
    verdicts: int
    head: bytes
    findings: tuple[Finding, ...]

    @property
    def first_wrong(self) -> int | None:
        """The sequence of the first wrong change."""
        return min((finding.sequence for finding in self.findings), default=None)


def verify(
    snapshot: Snapshot,
    account: AccountKey,
    *,
    checkpoint: Checkpoint | None = None,
    progress: Callable[[int], None] = lambda _changes: None,
    devices_max: int = DEVICES_MAX,
) -> Report:
    """Verify one account; `progress` is told how many changes have been read.

    A `checkpoint` also finds a ledger whose tail was cut or rewritten. Raises StoreError where
    the database does not answer at all.
    """
    replay = Replay(devices_max=devices_max)
    walk = _Walk(replay, checkpoint)
    wrong = walk.through(read_changes(snapshot, account, progress))
    wrong = wrong or walk.end(snapshot, account)
    found = [wrong] if wrong else compare_all(snapshot, account, replay, walk.books)
    return Report(
        account,
        len(walk.books.times),
        walk.verdicts,
        walk.head,
        tuple(islice(found, FINDINGS_MAX)),
    )


@dataclass(slots=True)
class _Walk:
    """Where the reading of a ledger stands."""

    replay: Replay
    checkpoint: Checkpoint | None
    head: bytes = GENESIS
    books: Books = field(default_factory=Books)
    verdicts: int = 0

    def through(self, changes: Iterator[Change | Finding]) -> Finding | None:
        """The first thing wrong with the changes."""
        for change in changes:
            if isinstance(change, Finding):
                return change
            sequence = len(self.books.times) + 1
            wrong = self._judge(change)
            if wrong is not None:
                return Finding(wrong, sequence)
            self.verdicts += len(change.outcomes)
            self.head = change.hash
        return None

    def end(self, snapshot: Snapshot, account: AccountKey) -> Finding | None:
        """What is wrong with where the ledger ends."""
        last = len(self.books.times)
        try:
            row = snapshot.account(account.id)
        except (NotFound, StoreError, ValueError) as error:
            return Finding(Wrong.ACCOUNT, last, detail=str(error))
        if row.sequence > last:
            return Finding(Wrong.MISSING, last + 1)
        if self.checkpoint is not None and self.checkpoint.sequence > last:
            return Finding(Wrong.CHECKPOINT, last + 1, detail="the ledger ends before it")
        if not last or row != self._expected(account):
            return Finding(Wrong.ACCOUNT, last)
        return None

    def _expected(self, account: AccountKey) -> Account:
        """The account's row as the ledger tells it."""
        books = self.books
        total = books.totals[-1]
        return Account(
            id=account.id,
            totals=Totals(total, books.used, max(0, books.used - total)),
            purchase_type=books.purchase_type,
            sequence=len(books.times),
            changed_at_ms=books.times[-1],
            head=self.head,
            active=books.active,
            policy=books.policy,
            subscribed_at_ms=books.subscribed_at_ms,
            candidates=len(books.candidates),
            candidates_at_ms=books.candidates_at_ms,
        )

    def _judge(self, change: Change) -> Wrong | None:
        times = self.books.times
        if change.sequence != len(times) + 1:
            return Wrong.MISSING
        if seal(change, self.head).hash != change.hash:
            return Wrong.HASH
        if self._contradicts_checkpoint(change):
            return Wrong.CHECKPOINT
        if times and change.at_ms < times[-1]:
            return Wrong.TIME
        if not set(change.outcomes) <= set(OUTCOMES[change.verb]) or not self.replay.apply(change):
            return Wrong.OUTCOMES
        sound = self.books.adds_up(change) and self.books.apply(change)
        return None if sound else Wrong.TOTALS

    def _contradicts_checkpoint(self, change: Change) -> bool:
        named = self.checkpoint
        return named is not None and named.sequence == change.sequence and named.hash != change.hash
