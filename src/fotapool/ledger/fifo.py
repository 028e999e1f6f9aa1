"""Who loses a license first: the candidate list in its order, then the oldest licenses (R7).

The oldest is the one of the earliest granting change, and within it the first in its list; time
plays no part. No index has this order, for every assign would pay for it. What is kept is how
many licenses of each granting change are still held, and the change itself has the list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import islice

from fotapool.ledger.store import Snapshot
from fotapool.model import Account, AccountKey, Outcome

ROWS_AT_ONCE = 10_000
CHANGES_AT_ONCE = 100

SCAN_FROM = 4
"""Reading all licenses in a row costs about as much as looking up a quarter of them."""


def listed_first(
    snapshot: Snapshot, account: Account, count: int, skipped: Collection[int]
) -> list[int]:
    """Up to `count` licensed devices of the candidate list, in its order."""
    return list(islice(_listed(snapshot, account.id, skipped), count))


def _listed(snapshot: Snapshot, account_id: int, skipped: Collection[int]) -> Iterator[int]:
    after = 0, -1
    while rows := snapshot.candidates_after(account_id, after, ROWS_AT_ONCE):
        imeis = [row.imei for row in rows if row.imei not in skipped]
        licensed = snapshot.origins(account_id, imeis)
        yield from (imei for imei in imeis if imei in licensed)
        after = rows[-1].sequence, rows[-1].place


def granted_first(
    snapshot: Snapshot, key: AccountKey, account: Account, count: int, skipped: Collection[int]
) -> list[int]:
    """Up to `count` licensed devices, the oldest first."""
    if count < 1:
        return []
    sequences = _grants(snapshot, account.id, count + len(skipped))
    named = snapshot.verdicts_in(key.id, sequences)
    if named * SCAN_FROM > account.totals.used:
        found = _by_scan(snapshot, key, sequences)
    else:
        found = _by_lists(snapshot, key, sequences)
    return list(islice((imei for imei in found if imei not in skipped), count))


def _grants(snapshot: Snapshot, account_id: int, count: int) -> list[int]:
    """The earliest granting changes of which at least `count` licenses are held in all."""
    sequences: list[int] = []
    while count > 0:
        after = sequences[-1] if sequences else 0
        rows = snapshot.grants_after(account_id, after, ROWS_AT_ONCE)
        if not rows:
            break
        for sequence, held in rows:
            sequences.append(sequence)
            count -= held
            if count <= 0:
                break
    return sequences


def _by_lists(snapshot: Snapshot, key: AccountKey, sequences: Sequence[int]) -> Iterator[int]:
    """List by list, each device looked up: good where most of a list is still held."""
    for sequence, imeis in _lists(snapshot, key, sequences):
        origins = snapshot.origins(key.id, imeis)
        yield from (imei for imei in imeis if origins.get(imei) == sequence)


def _by_scan(snapshot: Snapshot, key: AccountKey, sequences: Sequence[int]) -> Iterator[int]:
    """All licenses in one reading, then each list for its order: good where little is left."""
    held = snapshot.held_since(key.id, sequences[-1])
    alone = {sequence for sequence in sequences if len(held[sequence]) == 1}
    rest = [sequence for sequence in sequences if sequence not in alone]
    lists = _lists(snapshot, key, rest)
    for sequence in sequences:
        if sequence in alone:
            yield from held[sequence]
        else:
            _, imeis = next(lists)
            left = set(held[sequence])
            yield from (imei for imei in imeis if imei in left)


def _lists(
    snapshot: Snapshot, key: AccountKey, sequences: Sequence[int]
) -> Iterator[tuple[int, list[int]]]:
    """What each of these changes granted, in its order."""
    for at in range(0, len(sequences), CHANGES_AT_ONCE):
        some = sequences[at : at + CHANGES_AT_ONCE]
        changes = snapshot.changes_of(key, some)
        for sequence in some:
            change = changes[sequence]
            yield (
                sequence,
                [
                    imei
                    for imei, outcome in zip(change.devices.imeis, change.outcomes, strict=True)
                    if outcome == Outcome.ASSIGNED
                ],
            )
