"""What the tables say, held against what the ledger alone yields."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from fotapool.ledger.replay import Books, Replay
from fotapool.ledger.store import Snapshot
from fotapool.model import (
    IMEI_DIGITS,
    AccountKey,
    Change,
    Place,
    StoreError,
)

CHANGES_READ = 200
ROWS_READ = 10_000


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
    CANDIDATE = "the candidate list is not as the ledger says"
    PENDING = "what waits to be taken is not as the ledger says"
    GRANTED = "the number of licenses still held of the change is not as the ledger says"
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


def read_changes(
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
        if not changes:
            return
        yield from changes
        after += len(changes)
        progress(after)


def compare_all(
    snapshot: Snapshot, account: AccountKey, replay: Replay, books: Books
) -> Iterator[Finding]:
    """Everything in the tables that is not as a sound ledger says, device by device."""
    held = array("q", bytes(8 * (len(books.times) + 1)))
    yield from _guarded(Wrong.CANDIDATE, books, _compare_candidates(snapshot, account, books))
    yield from _guarded(Wrong.PENDING, books, _compare_pending(snapshot, account, books))
    while True:
        for imei, since in replay.held.items():
            held[replay.origin(imei, since)] += 1
        yield from _guarded(
            Wrong.LICENSE, books, _compare_licenses(snapshot, account, replay, books.times)
        )
        yield from _guarded(
            Wrong.INTERVAL, books, _compare_intervals(snapshot, account, replay, books.times)
        )
        if replay.until is None:
            break
        replay = Replay(replay.until, devices_max=replay.devices_max)
        for change in read_changes(snapshot, account, lambda _changes: None):
            # The first reading judged the devices that it had room for.
            if isinstance(change, Change) and not replay.apply(change):
                yield Finding(Wrong.OUTCOMES, change.sequence)
                return
    yield from _guarded(Wrong.GRANTED, books, _compare_granted(snapshot, account, held))


def _guarded(wrong: Wrong, books: Books, found: Iterator[Finding]) -> Iterator[Finding]:
    """A table that cannot be read is a finding of its own."""
    try:
        yield from found
    except (StoreError, TypeError) as error:
        yield Finding(wrong, len(books.times), detail=str(error))


def _compare_licenses(
    snapshot: Snapshot, account: AccountKey, replay: Replay, times: array[int]
) -> Iterator[Finding]:
    expected, after = dict(replay.held), replay.after
    while rows := snapshot.licenses(account.id, after, replay.until, ROWS_READ):
        for imei, since, since_ms, *origin in rows:
            held = expected.pop(imei, 0)
            kept = (since, since_ms, *origin)
            if not held or kept != (held, times[held - 1], *_origin(replay, imei, held, times)):
                yield _differs(Wrong.LICENSE, held or since, imei, times)
        after = rows[-1].imei
    for imei, since in expected.items():
        yield Finding(Wrong.LICENSE, since, imei, "it has no row")


def _compare_intervals(
    snapshot: Snapshot, account: AccountKey, replay: Replay, times: array[int]
) -> Iterator[Finding]:
    expected = {(imei, since): until for (imei, until), since in replay.ended.items()}
    after: tuple[int | None, int] = replay.after, len(times)
    while rows := snapshot.intervals(account.id, after, replay.until, ROWS_READ):
        for imei, since, since_ms, until, until_ms, *origin in rows:
            taken = expected.pop((imei, since), 0)
            kept = (since_ms, until, until_ms, *origin)
            if not taken or kept != (
                times[since - 1],
                taken,
                times[taken - 1],
                *_origin(replay, imei, since, times),
            ):
                yield _differs(Wrong.INTERVAL, taken or since, imei, times)
        after = rows[-1].imei, rows[-1].since_sequence
    for (imei, _), taken in expected.items():
        yield Finding(Wrong.INTERVAL, taken, imei, "it has no row")


def _origin(
    replay: Replay, imei: int, since: int, times: array[int]
) -> tuple[int, int] | tuple[None, None]:
    """What a license says of its first grant; nothing where that is the one it began with."""
    first = replay.origins.get((imei, since))
    return (None, None) if first is None else (first, times[first - 1])


def _compare_candidates(snapshot: Snapshot, account: AccountKey, books: Books) -> Iterator[Finding]:
    return _compare_places(
        Wrong.CANDIDATE,
        books.candidates,
        lambda after: snapshot.candidate_rows(account.id, after, ROWS_READ),
        books.times,
    )


def _compare_pending(snapshot: Snapshot, account: AccountKey, books: Books) -> Iterator[Finding]:
    return _compare_places(
        Wrong.PENDING,
        books.pending,
        lambda after: snapshot.pending_rows(account.id, after, ROWS_READ),
        books.times,
    )


def _compare_places(
    wrong: Wrong,
    places: Mapping[int, tuple[int, int]],
    read: Callable[[int | None], list[Place]],
    times: array[int],
) -> Iterator[Finding]:
    """A list of devices, each with the change and place that put it there."""
    expected = dict(places)
    after: int | None = None
    while rows := read(after):
        for imei, sequence, place in rows:
            if expected.pop(imei, None) != (sequence, place):
                yield _differs(wrong, sequence, imei, times)
        after = rows[-1].imei
    for imei, (sequence, _) in expected.items():
        yield Finding(wrong, sequence, imei, "it has no row")


def _compare_granted(
    snapshot: Snapshot, account: AccountKey, held: array[int]
) -> Iterator[Finding]:
    after = -(2**63)
    while rows := snapshot.granted_rows(account.id, after, ROWS_READ):
        for sequence, count in rows:
            known = 0 < sequence < len(held)
            if not known or not count or held[sequence] != count:
                yield Finding(Wrong.GRANTED, sequence if known else len(held) - 1)
            if known:
                held[sequence] = 0
        after = rows[-1][0]
    for sequence, count in enumerate(held):
        if count:
            yield Finding(Wrong.GRANTED, sequence, detail="it has no row")


def _differs(wrong: Wrong, sequence: object, imei: object, times: array[int]) -> Finding:
    """A row that differs, by what it says of itself as far as that can be."""
    known = isinstance(sequence, int) and 1 <= sequence <= len(times)
    device = imei if isinstance(imei, int) and 0 <= imei < 10**IMEI_DIGITS else None
    detail = "" if device is not None else f"no device could be {imei!r}"
    return Finding(wrong, sequence if known else len(times), device, detail)  # type: ignore[arg-type]
