"""Undo: one new change that takes back what still stands of an earlier one (R12)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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
    if root is Verb.RESIZE:
        refused = _set_back(pool, facts)
        if refused is not None:
            return refused
    verdicts = list(_judge_each(pool, facts))
    pool.lose([imei for imei, outcome in verdicts if outcome is Outcome.TAKEN_BACK])
    pool.gain(
        [imei for imei, outcome in verdicts if outcome is Outcome.GIVEN_BACK], Effect.GIVE_BACK
    )
    released = pool.settle()
    if root is Verb.RESIZE:
        told = {imei for imei, _ in verdicts}
        verdicts += [(imei, Outcome.RELEASED) for imei in released if imei not in told]
    return pool.decide(
        command,
        sequence,
        bytes([outcome for _, outcome in verdicts]),
        devices=DeviceList.of([imei for imei, _ in verdicts]),
        detail=f"change={facts.change.sequence} verb={root.word}",
        changed_by=[facts.changed_by.get(imei, 0) for imei, _ in verdicts],
    )


def _set_back(pool: Pool, facts: UndoneFacts) -> Refused | None:
    """The number of licenses of before, if it is still the one that the change set."""
    before = facts.before
    if pool.total != facts.change.totals.total or before < pool.used or pool.is_event_only:
        return Refused(Refusal.RESIZED_SINCE, total=pool.total, used=pool.used, before=before)
    pool.resize(before)
    return None


def _judge_each(pool: Pool, facts: UndoneFacts) -> Iterator[tuple[int, Outcome]]:
    """Device by device in the order of the change, while seats last."""
    free = pool.free
    for imei, was in altered(facts.change, facts.change.devices.imeis):
        by = facts.changed_by.get(imei)
        if by is not None:
            outcome = _LATE[by in facts.undoings]
        elif was in PENDED:
            outcome = Outcome.RELEASED
        else:
            outcome = (_judge_taking if was in GAINED else _judge_giving)(pool, imei, free)
        free -= outcome is Outcome.GIVEN_BACK
        yield imei, outcome


_LATE = {False: Outcome.CHANGED_SINCE, True: Outcome.ALREADY_REVERSED}


def _judge_taking(pool: Pool, imei: int, _free: int) -> Outcome:
    """Protocol R3, for a license that was granted."""
    if imei in pool.running:
        return Outcome.UPGRADE_RUNNING
    return Outcome.UPGRADED if imei in pool.upgraded else Outcome.TAKEN_BACK


def _judge_giving(pool: Pool, imei: int, free: int) -> Outcome:
    """Protocol R2, for a license that was taken."""
    if imei in pool.unknown and not pool.is_open:
        return Outcome.UNKNOWN_DEVICE
    return Outcome.GIVEN_BACK if free > 0 else Outcome.NO_FREE_LICENSE
