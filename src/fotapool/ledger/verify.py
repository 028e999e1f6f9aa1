"""Proof: does the ledger hold together, and do the tables say what it says?

`verify` reads an account's ledger from its first change on: the chain of hashes, the order of
sequences and times, verdicts and totals. Then it holds licenses, ended intervals and counters
against what the ledger alone yields (docs/reference/protocol.md R9). It reads one snapshot, so a
live database may go on meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import islice

from fotapool.ledger.chain import GENESIS, seal
from fotapool.ledger.replay import DEVICES_MAX, Replay
from fotapool.ledger.store import Snapshot
from fotapool.model import (
    GAINED,
    IMEI_DIGITS,
    LOST,
    OUTCOMES,
    AccountKey,
    Change,
    Checkpoint,
    NotFound,
    StoreError,
    Verb,
)

CHANGES_READ = 200
ROWS_READ = 10_000
FINDINGS_MAX = 20
"""Findings that a report lists of the tables; of the ledger it lists the first alone."""


class Wrong(Enum):
    """What can be wrong. The member's name is a stable code."""

    UNREADABLE = "the change cannot be read"
    MISSING = "the change is not there"
    HASH = "the change is not what was written: its hash does not fit"
    TIME = "the change is older than the one before it"
    OUTCOMES = "the verdicts fit neither the verb nor the licenses held then"
    TOTALS = "the totals do not fit the verdicts"
    ACCOUNT = "the account's row does not end where its ledger ends"
    LICENSE = "the license is not held as the ledger says"
    INTERVAL = "the ended license is not kept as the ledger says"
    CHECKPOINT = "the change is not the one that the checkpoint names"

    @property
    def code(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong: what, with which change, and which device where it is about one."""

    wrong: Wrong
    sequence: int
    imei: int | None = None
    detail: str = ""


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
    wrong = walk.through(_read(snapshot, account, progress))
    wrong = wrong or walk.end(snapshot, account)
    found = [wrong] if wrong else _compare_all(snapshot, account, replay, walk.times)
    return Report(
        account,
        len(walk.times),
        walk.verdicts,
        walk.head,
        tuple(islice(found, FINDINGS_MAX)),
    )


def _read(
    snapshot: Snapshot, account: AccountKey, progress: Callable[[int], None]
) -> Iterator[Change | Finding]:
    """The changes in order; where one cannot be read, that is found, and it is the last."""
    after, count = 0, CHANGES_READ
    while True:
        try:
            changes = snapshot.changes(account, after, count)
        except StoreError as error:
            if count == 1:
                yield Finding(Wrong.UNREADABLE, after + 1, detail=str(error))
                return
            count = 1  # one by one, up to the one that cannot be read
            continue
        yield from changes
        after += len(changes)
        progress(after)
        if len(changes) < count:
            return


@dataclass(slots=True)
class _Walk:
    """Where the reading of a ledger stands; `times[n - 1]` is the time of change n."""

    replay: Replay
    checkpoint: Checkpoint | None
    head: bytes = GENESIS
    times: array[int] = field(default_factory=lambda: array("q"))
    verdicts: int = 0
    total: int = 0
    used: int = 0

    def through(self, changes: Iterator[Change | Finding]) -> Finding | None:
        """The first thing wrong with the changes."""
        for change in changes:
            if isinstance(change, Finding):
                return change
            wrong = self._judge(change)
            if wrong is not None:
                return Finding(wrong, len(self.times) + 1)
            self.times.append(change.at_ms)
            self.verdicts += len(change.outcomes)
            self.head = change.hash
            self.total, self.used = change.totals.total, change.totals.used
        return None

    def end(self, snapshot: Snapshot, account: AccountKey) -> Finding | None:
        """What is wrong with where the ledger ends."""
        last = len(self.times)
        try:
            row = snapshot.account(account.id)
        except (NotFound, StoreError, ValueError) as error:
            return Finding(Wrong.ACCOUNT, last, detail=str(error))
        if row.sequence > last:
            return Finding(Wrong.MISSING, last + 1)
        if self.checkpoint is not None and self.checkpoint.sequence > last:
            return Finding(Wrong.CHECKPOINT, last + 1, detail="the ledger ends before it")
        ended = (row.sequence, row.head, row.totals.total, row.totals.used, row.changed_at_ms)
        if not last or ended != (last, self.head, self.total, self.used, self.times[-1]):
            return Finding(Wrong.ACCOUNT, last)
        return None

    def _judge(self, change: Change) -> Wrong | None:
        if change.sequence != len(self.times) + 1:
            return Wrong.MISSING
        if seal(change, self.head).hash != change.hash:
            return Wrong.HASH
        if self._contradicts_checkpoint(change):
            return Wrong.CHECKPOINT
        if self.times and change.at_ms < self.times[-1]:
            return Wrong.TIME
        if not set(change.outcomes) <= set(OUTCOMES[change.verb]) or not self.replay.apply(change):
            return Wrong.OUTCOMES
        return None if self._adds_up(change) else Wrong.TOTALS

    def _adds_up(self, change: Change) -> bool:
        total = change.totals.total if change.verb is Verb.CREATE_ACCOUNT else self.total
        used = self.used + sum(map(change.count, GAINED)) - sum(map(change.count, LOST))
        return (change.totals.total, change.totals.used) == (total, used)

    def _contradicts_checkpoint(self, change: Change) -> bool:
        named = self.checkpoint
        return named is not None and named.sequence == change.sequence and named.hash != change.hash


def _compare_all(
    snapshot: Snapshot, account: AccountKey, replay: Replay, times: array[int]
) -> Iterator[Finding]:
    """Everything in the tables that is not as a sound ledger says, device by device."""
    while True:
        yield from _compare_licenses(snapshot, account, replay, times)
        yield from _compare_intervals(snapshot, account, replay, times)
        if replay.until is None:
            return
        replay = Replay(replay.until, devices_max=replay.devices_max)
        for change in _read(snapshot, account, lambda _changes: None):
            # The first reading judged the devices that it had room for.
            if isinstance(change, Change) and not replay.apply(change):
                yield Finding(Wrong.OUTCOMES, change.sequence)
                return


def _compare_licenses(
    snapshot: Snapshot, account: AccountKey, replay: Replay, times: array[int]
) -> Iterator[Finding]:
    expected, after = replay.held, replay.after
    try:
        while rows := snapshot.licenses(account.id, after, replay.until, ROWS_READ):
            for imei, since, since_ms in rows:
                held = expected.pop(imei, 0)
                if not held or (since, since_ms) != (held, times[held - 1]):
                    yield _differs(Wrong.LICENSE, held or since, imei, times)
            after = rows[-1].imei
    except (StoreError, TypeError) as error:
        yield Finding(Wrong.LICENSE, len(times), detail=str(error))
        return
    for imei, since in expected.items():
        yield Finding(Wrong.LICENSE, since, imei, "it has no row")


def _compare_intervals(
    snapshot: Snapshot, account: AccountKey, replay: Replay, times: array[int]
) -> Iterator[Finding]:
    expected = replay.ended
    after: tuple[int | None, int] = replay.after, len(times)
    try:
        while rows := snapshot.intervals(account.id, after, replay.until, ROWS_READ):
            for imei, since, since_ms, until, until_ms in rows:
                taken = expected.pop((imei, since), 0)
                kept = (since_ms, until, until_ms)
                if not taken or kept != (times[since - 1], taken, times[taken - 1]):
                    yield _differs(Wrong.INTERVAL, taken or since, imei, times)
            after = rows[-1].imei, rows[-1].since_sequence
    except (StoreError, TypeError) as error:
        yield Finding(Wrong.INTERVAL, len(times), detail=str(error))
        return
    for (imei, _), taken in expected.items():
        yield Finding(Wrong.INTERVAL, taken, imei, "it has no row")


def _differs(wrong: Wrong, sequence: object, imei: object, times: array[int]) -> Finding:
    """A row that differs, by what it says of itself as far as that can be."""
    known = isinstance(sequence, int) and 1 <= sequence <= len(times)
    device = imei if isinstance(imei, int) and 0 <= imei < 10**IMEI_DIGITS else None
    detail = "" if device is not None else f"no device could be {imei!r}"
    return Finding(wrong, sequence if known else len(times), device, detail)  # type: ignore[arg-type]
