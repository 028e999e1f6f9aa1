"""Undo: one new change that takes back what still stands of an earlier one (R12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from fotapool.ledger.pool import Effect, Pool, Verdict
from fotapool.model import (
    GAINED,
    LOST,
    PENDED,
    Command,
    DeviceList,
    Entry,
    Outcome,
    Refusal,
    Refused,
    UndoneFacts,
    Verb,
)

UNDOABLE = frozenset({Verb.ASSIGN, Verb.REMOVE, Verb.RESIZE})

_DETAIL = re.compile(r"change=([0-9]+) verb=([a-z_]+)")


class Undone(NamedTuple):
    """What an undo takes back: the change it names, and the verb of the one that was first."""

    sequence: int
    root: Verb


def undone_by(entry: Entry) -> Undone | None:
    """What an undo took back; None for any other change."""
    match = _DETAIL.fullmatch(entry.detail) if entry.verb is Verb.UNDO else None
    return None if match is None else Undone(int(match[1]), Verb[match[2].upper()])


def root_of(entry: Entry) -> Verb:
    """The verb of a change, or of the one that was first where it is an undo."""
    undone = undone_by(entry)
    return entry.verb if undone is None else undone.root


def altered(entry: Entry, imeis: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    """The devices that a change granted, took, or would take, in its order."""
    for imei, number in zip(imeis, entry.outcomes, strict=True):
        if number in _ALTERED:
            yield imei, Outcome(number)


_ALTERED = frozenset(GAINED | LOST | PENDED)


def undo(pool: Pool, command: Command, sequence: int) -> Verdict:
    """Take back what a change granted, give back what it took, where that still stands."""
    facts = pool.facts.undone
    if facts is None:
        raise ValueError("what is to be undone was not gathered")
    root = root_of(facts.change)
    if root not in UNDOABLE:
        return Refused(
            Refusal.UNDO_IMPOSSIBLE, sequence=facts.change.sequence, verb=facts.change.verb.word
        )
    seats = pool.free
    if root is Verb.RESIZE:
        refused = _set_back(pool, facts)
        if refused is not None:
            return refused
        # What still waits to be taken has no claim on a seat that the resize took away.
        seats = pool.total - (pool.used - pool.pending_count)
    verdicts = list(_judge_each(pool, facts, seats))
    pool.lose([imei for imei, outcome in verdicts if outcome is Outcome.TAKEN_BACK])
    pool.gain(
        [imei for imei, outcome in verdicts if outcome is Outcome.GIVEN_BACK], Effect.GIVE_BACK
    )
    released = pool.settle()
    if root is Verb.RESIZE:
        verdicts = _with_released(verdicts, released)
    return pool.decide(
        command,
        sequence,
        bytes([outcome for _, outcome in verdicts]),
        devices=DeviceList.of([imei for imei, _ in verdicts]),
        detail=f"change={facts.change.sequence} verb={root.word}",
        changed_by=[
            facts.changed_by.get(imei, 0) if outcome in _LATE.values() else 0
            for imei, outcome in verdicts
        ],
    )


def _set_back(pool: Pool, facts: UndoneFacts) -> Refused | None:
    """The number of licenses of before, if it is still the one that the change set."""
    before, sequence, made = facts.before, facts.change.sequence, facts.change.totals.total
    if pool.is_event_only:
        return Refused(Refusal.EVENT_ONLY)
    if pool.total != made:
        return Refused(Refusal.RESIZED_SINCE, sequence=sequence, made=made, total=pool.total)
    if before < pool.used:
        return Refused(Refusal.MORE_USED, sequence=sequence, before=before, used=pool.used)
    pool.resize(before)
    return None


def _judge_each(pool: Pool, facts: UndoneFacts, seats: int) -> Iterator[tuple[int, Outcome]]:
    """Device by device in the order of the change, while seats last.

    What the change left pending has not stayed so, unless `_with_released` knows better.
    """
    for imei, was in altered(facts.change, facts.change.devices.imeis):
        by = facts.changed_by.get(imei)
        if by is not None or was in PENDED:
            outcome = _LATE[by in facts.undoings]
        else:
            outcome = (_judge_taking if was in GAINED else _judge_giving)(pool, imei, seats)
        seats -= outcome is Outcome.GIVEN_BACK
        yield imei, outcome


def _with_released(
    verdicts: Iterable[tuple[int, Outcome]], released: Sequence[int]
) -> list[tuple[int, Outcome]]:
    """The verdicts where those who keep their license after all are told so, and no one else."""
    outcomes = dict(verdicts)
    outcomes.update(dict.fromkeys(released, Outcome.RELEASED))
    return list(outcomes.items())


_LATE = {False: Outcome.CHANGED_SINCE, True: Outcome.ALREADY_REVERSED}


def _judge_taking(pool: Pool, imei: int, _seats: int) -> Outcome:
    """Protocol R3, for a license that was granted."""
    if imei in pool.running:
        return Outcome.UPGRADE_RUNNING
    return Outcome.UPGRADED if imei in pool.upgraded else Outcome.TAKEN_BACK


def _judge_giving(pool: Pool, imei: int, seats: int) -> Outcome:
    """Protocol R2, for a license that was taken."""
    if imei in pool.unknown and not pool.is_open:
        return Outcome.UNKNOWN_DEVICE
    return Outcome.GIVEN_BACK if seats > 0 else Outcome.NO_FREE_LICENSE
