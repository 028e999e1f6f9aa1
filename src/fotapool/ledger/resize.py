"""The size of the pool, and who loses a license when it shrinks (R7)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from fotapool.ledger.pool import Pool, Verdict
from fotapool.model import Command, DeviceList, Outcome, Refusal, Refused, ShrinkFacts

LICENSES_MAX = 10**9


def needed(total: int, used: int, pending: int) -> int:
    """How many more licenses a pool of `total` would have to take."""
    return max(0, used - total - pending)


def resize(pool: Pool, command: Command, sequence: int) -> Verdict:
    """Set the number of licenses. Fewer than are used takes some, more releases pending ones.

    Candidates lose theirs first, in the list's order, then the oldest. A device whose upgrade
    runs counts among them, and keeps its license until the upgrade ends.
    """
    total = command.total
    if total is None or not 0 <= total <= LICENSES_MAX:
        raise ValueError(f"no pool can have {total} licenses")
    if pool.is_event_only:
        return Refused(Refusal.EVENT_ONLY)
    taken, outcomes = _choose(pool, needed(total, pool.used, pool.pending_count))
    pool.resize(total)
    pool.lose([imei for imei in taken if imei not in pool.running])
    pool.pend([imei for imei in taken if imei in pool.running])
    released = pool.settle()
    return pool.decide(
        command,
        sequence,
        outcomes + bytes((Outcome.RELEASED,)) * len(released),
        devices=DeviceList.of([*taken, *released]),
    )


def _choose(pool: Pool, count: int) -> tuple[list[int], bytes]:
    """Who loses a license, in order, each with how it was come by."""
    facts = pool.facts.shrink or ShrinkFacts()
    listed = list(islice(facts.candidates, count))
    oldest = list(islice(facts.oldest, count - len(listed)))
    return listed + oldest, bytes(
        [
            *_each(pool, listed, Outcome.TAKEN_CANDIDATE, Outcome.PENDING_CANDIDATE),
            *_each(pool, oldest, Outcome.TAKEN_OLDEST, Outcome.PENDING_OLDEST),
        ]
    )


def _each(pool: Pool, imeis: Sequence[int], taken: Outcome, pending: Outcome) -> list[Outcome]:
    if not pool.running:
        return [taken] * len(imeis)
    return [pending if imei in pool.running else taken for imei in imeis]
