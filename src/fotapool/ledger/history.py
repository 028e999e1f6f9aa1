"""The past: who held what, when and why; what was refused; what stood at any moment.

Everything here reads one snapshot and a bounded number of rows a page. Sequences decide; a time
stands for the last change that is not later (docs/reference/protocol.md R10).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence

from fotapool.ledger import PAGE_SIZE_MAX
from fotapool.ledger.rules import time_of
from fotapool.ledger.store import Snapshot, Store
from fotapool.model import (
    OUTCOMES,
    Account,
    AccountKey,
    AsOfPage,
    ChangeFilter,
    Clock,
    ClockHealth,
    Entry,
    EntryPage,
    Examined,
    FoundChange,
    Holding,
    HoldingPage,
    Interval,
    Outcome,
    Refusal,
    RefusalCounts,
    Refused,
    Verb,
    imei_text,
)

CHANGES_LISTED_MAX = 100
CHANGES_EXAMINED_MAX = 1000
"""Changes that one page looks at for what no row indexes."""
INTERVALS_LISTED_MAX = 100


class History:
    """The questions to the past of pools. Thread-safe if its store is."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def changes(
        self,
        account: AccountKey,
        wanted: ChangeFilter,
        *,
        newest_first: bool = True,
        after: int | None = None,
    ) -> EntryPage:
        """A page of changes, beginning beyond the sequence `after` in its direction."""

        def read(snapshot: Snapshot) -> EntryPage:
            last = snapshot.account(account.id).sequence
            span = _span(snapshot, account, wanted, last)
            if after is not None and newest_first:
                span = range(span.start, min(span.stop, after))
            elif after is not None:
                span = range(max(span.start, after + 1), span.stop)
            entries, reached = _examine(snapshot, account, wanted, span, newest_first=newest_first)
            return EntryPage(account, last, entries, reached)

        return self._store.read(read)

    def change(self, account: AccountKey, sequence: int) -> FoundChange:
        """One change, whole. Raises Refused for a sequence that the account has not come to."""

        def read(snapshot: Snapshot) -> FoundChange:
            found = snapshot.changes(account, sequence - 1, 1)
            if not found or found[0].sequence != sequence:
                raise Refused(Refusal.CHANGE_UNKNOWN, sequence=sequence)
            return FoundChange(found[0], snapshot.account(account.id).sequence)

        return self._store.read(read)

    def device(self, account: AccountKey, imei: int, *, after: int = 0) -> HoldingPage:
        """The times for which a device held a license, beginning beyond a granting sequence.

        Raises Refused for a device that never was of the account.
        """

        def read(snapshot: Snapshot) -> HoldingPage:
            if not snapshot.knows(account.id, imei):
                raise Refused(Refusal.DEVICE_UNKNOWN, imei=imei_text(imei))
            found = _intervals(snapshot, account, imei, after)
            shown, more = found[:INTERVALS_LISTED_MAX], len(found) > INTERVALS_LISTED_MAX
            began = [held.since_sequence for held in shown]
            ended = [held.until_sequence for held in shown if held.until_sequence is not None]
            entries = snapshot.entries_of(account, began + ended)
            return HoldingPage(
                account,
                snapshot.account(account.id).sequence,
                imei,
                [_holding(held, entries) for held in shown],
                next=began[-1] if more else None,
            )

        return self._store.read(read)

    def as_of(
        self,
        account: AccountKey,
        *,
        sequence: int | None = None,
        at_ms: int | None = None,
        after: int = -1,
    ) -> AsOfPage:
        """Licensed devices beyond one, and totals, as a sequence or a time left them.

        A sequence is exact and final; a time stands for the last change not later than it. Give
        one of the two. Raises Refused for what is later than now, or before the account.
        """

        def read(snapshot: Snapshot) -> AsOfPage:
            row = snapshot.account(account.id)
            stood = self._stood(snapshot, account, row, sequence, at_ms)
            imeis, times, reached = _merge(
                snapshot.licenses_at(account.id, stood.sequence, after, PAGE_SIZE_MAX),
                snapshot.intervals_at(account.id, stood.sequence, after, PAGE_SIZE_MAX),
            )
            return AsOfPage(
                account,
                row.sequence,
                stood.sequence,
                stood.at_ms,
                stood.totals,
                imeis,
                times,
                reached,
            )

        return self._store.read(read)

    def refusals(
        self,
        account: AccountKey,
        *,
        since_ms: int | None = None,
        until_ms: int | None = None,
        verb: Verb | None = None,
        before: int | None = None,
    ) -> RefusalCounts:
        """How many devices were refused and why, counted from the newest change back.

        One answer counts a bounded number of changes; the sum of all pages is the whole.
        """
        wanted = ChangeFilter(verb=verb, since_ms=since_ms, until_ms=until_ms)

        def read(snapshot: Snapshot) -> RefusalCounts:
            last = snapshot.account(account.id).sequence
            span = _span(snapshot, account, wanted, last)
            span = range(span.start, span.stop if before is None else min(span.stop, before))
            examined = span[-CHANGES_EXAMINED_MAX:]
            counts: Counter[tuple[Verb, Outcome]] = Counter()
            for entry in snapshot.entries(account, examined, wanted, CHANGES_EXAMINED_MAX):
                counts.update(_refused(entry))
            more = examined.start > span.start
            return RefusalCounts(
                account, last, counts, len(examined), examined.start if more else None
            )

        return self._store.read(read)

    def clock(self, account: AccountKey) -> ClockHealth:
        """Whether the clock is behind the account's own time, and by how much."""
        row = self._store.read(lambda snapshot: snapshot.account(account.id))
        return ClockHealth(account, row.sequence, self._clock(), row.changed_at_ms)

    def _stood(
        self,
        snapshot: Snapshot,
        account: AccountKey,
        row: Account,
        sequence: int | None,
        at_ms: int | None,
    ) -> Entry:
        """The change that a sequence or a time stands for. Raises Refused."""
        if at_ms is not None:
            if at_ms > time_of(row, self._clock()):
                raise Refused(Refusal.AS_OF_LATER, sequence=row.sequence)
            sequence = _sequence_at(snapshot, account, row.sequence, at_ms)
        if sequence is None or sequence < 1:
            raise Refused(Refusal.AS_OF_BEFORE)
        if sequence > row.sequence:
            raise Refused(Refusal.AS_OF_LATER, sequence=row.sequence)
        return snapshot.entries_of(account, [sequence])[sequence]


def _sequence_at(snapshot: Snapshot, account: AccountKey, last: int, at_ms: int) -> int:
    """The last change not later than a time; 0 where all are. Times never go back, so halving
    finds it without an index that every write would pay for."""
    return bisect_right(
        range(1, last + 1), at_ms, key=lambda sequence: snapshot.time_of(account.id, sequence)
    )


def _span(snapshot: Snapshot, account: AccountKey, wanted: ChangeFilter, last: int) -> range:
    """The sequences within the times that are wanted."""
    first, final = 1, last
    if wanted.since_ms is not None:
        first = _sequence_at(snapshot, account, last, wanted.since_ms - 1) + 1
    if wanted.until_ms is not None:
        final = _sequence_at(snapshot, account, last, wanted.until_ms - 1)
    return range(first, final + 1)


def _examine(
    snapshot: Snapshot,
    account: AccountKey,
    wanted: ChangeFilter,
    span: range,
    *,
    newest_first: bool,
) -> tuple[Sequence[Entry], int | None]:
    """What is wanted among the changes at one end of a span; and how far that got, if not all."""
    examined = span[-CHANGES_EXAMINED_MAX:] if newest_first else span[:CHANGES_EXAMINED_MAX]
    entries = snapshot.entries(
        account, examined, wanted, CHANGES_LISTED_MAX, newest_first=newest_first
    )
    if len(entries) == CHANGES_LISTED_MAX:
        reached = entries[-1].sequence
    else:
        reached = examined.start if newest_first else examined.stop - 1
    more = reached > span.start if newest_first else reached < span.stop - 1
    return entries, reached if more else None


def _refused(entry: Entry) -> dict[tuple[Verb, Outcome], int]:
    return {
        (entry.verb, outcome): count
        for outcome in OUTCOMES[entry.verb]
        if not outcome.ok and (count := entry.count(outcome))
    }


def _intervals(snapshot: Snapshot, account: AccountKey, imei: int, after: int) -> list[Interval]:
    """One more than a page of a device's intervals, the one that goes on last."""
    found = snapshot.intervals(account.id, (imei, after), imei, INTERVALS_LISTED_MAX + 1)
    if len(found) <= INTERVALS_LISTED_MAX:
        found += [
            Interval(imei, held.since_sequence, held.since_ms, until_sequence=None, until_ms=None)
            for held in snapshot.licenses(account.id, imei - 1, imei, 1)
            if held.since_sequence > after
        ]
    return found


def _holding(held: Interval, entries: dict[int, Entry]) -> Holding:
    until = None if held.until_sequence is None else entries[held.until_sequence]
    return Holding(held, entries[held.since_sequence], until)


def _merge(held: Examined, ended: Examined) -> tuple[Sequence[int], Sequence[int], int | None]:
    """Two arms of devices as one page: as far as both have been looked at, and no further."""
    bounds = [arm.until for arm in (held, ended) if arm.until is not None]
    until = min(bounds, default=None)
    rows = sorted(
        (imei, at_ms)
        for arm in (held, ended)
        for imei, at_ms in zip(arm.imeis, arm.times_ms, strict=True)
        if until is None or imei <= until
    )
    if len(rows) > PAGE_SIZE_MAX:
        rows = rows[:PAGE_SIZE_MAX]
        until = rows[-1][0]
    return [imei for imei, _ in rows], [at_ms for _, at_ms in rows], until
