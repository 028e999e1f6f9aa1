"""Gather: everything that a decision needs to know, read before it and in its transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from fotapool.ledger import fifo
from fotapool.ledger.resize import needed
from fotapool.ledger.rules import settled_before
from fotapool.ledger.store import Snapshot
from fotapool.ledger.undo import altered, undone_by
from fotapool.model import (
    PENDED,
    Account,
    AccountKey,
    Change,
    ChangeFilter,
    Command,
    Facts,
    KeyUse,
    Outcome,
    Refusal,
    Refused,
    ShrinkFacts,
    Step,
    UndoneFacts,
    Verb,
)

T = TypeVar("T")

DEVICES_AT_ONCE = 10_000
CHANGES_EXAMINED_MAX = 1000
"""Changes that an undo looks at for what no row indexes."""


def gather(
    snapshot: Snapshot,
    account: Account,
    commands: Sequence[Command],
    uses: Mapping[str, KeyUse],
) -> Facts:
    """The facts for requests that are decided together. Raises Refused, for a lone one."""
    (first, *others) = commands
    if others or (first.verb not in (Verb.RESIZE, Verb.UNDO) and first.upgrade is None):
        imeis = [imei for command in commands for imei in command.devices.imeis if imei >= 0]
        return _about(snapshot, account, imeis)
    if settled_before(account, account.sequence, first, uses) is not None:
        return Facts()
    if first.verb is Verb.RESIZE:
        return _gather_shrink(snapshot, account, first)
    if first.verb is Verb.UNDO:
        return _gather_undone(snapshot, account, first.account, first.undoes or 0)
    return _gather_members(snapshot, account, first)


def _gather_members(snapshot: Snapshot, account: Account, command: Command) -> Facts:
    """Who is scheduled under the upgrade that a request names. Raises Refused."""
    plan = command.upgrade
    found = None if plan is None else snapshot.upgrade(account.id, plan.id)
    if found is None and command.verb is not Verb.SCHEDULE:
        raise Refused(Refusal.UPGRADE_UNKNOWN)
    items = () if found is None else found.items
    members = dict.fromkeys(item.imei for item in items if item.step is Step.SCHEDULED)
    named = [imei for imei in command.devices.imeis if imei >= 0]
    return replace(_about(snapshot, account, named or list(members)), members=members)


def _about(snapshot: Snapshot, account: Account, imeis: Sequence[int]) -> Facts:
    """What is special about devices, and who could be released when some lose their licenses."""
    facts = snapshot.gather(account.id, imeis)
    if account.candidates:
        facts = replace(facts, listed=snapshot.listed(account.id, imeis))
    if account.totals.overhang:
        facts = replace(facts, pending=snapshot.pending(account.id, 2 * len(imeis), imeis))
    return facts


def _about_many(snapshot: Snapshot, account: Account, imeis: Sequence[int]) -> Facts:
    """The same of any number of devices, with all that is pending."""
    found = Facts(pending=snapshot.pending(account.id, account.totals.overhang, ()))
    for some in _batches(imeis):
        facts = snapshot.gather(account.id, some)
        listed = snapshot.listed(account.id, some) if account.candidates else frozenset()
        found = replace(
            found,
            unknown=found.unknown | facts.unknown,
            licensed=found.licensed | facts.licensed,
            scheduled=found.scheduled | facts.scheduled,
            running=found.running | facts.running,
            upgraded=found.upgraded | facts.upgraded,
            listed=found.listed | listed,
        )
    return found


def _gather_shrink(snapshot: Snapshot, account: Account, command: Command) -> Facts:
    """Who would lose a license, and which of them are being upgraded."""
    totals = account.totals
    pending = snapshot.pending(account.id, totals.overhang, ())
    count = needed(command.total or 0, totals.used, totals.overhang)
    if not count:
        return Facts(pending=pending)
    skipped = set(pending)
    listed = fifo.listed_first(snapshot, account, count, skipped) if account.candidates else []
    skipped.update(listed)
    oldest = fifo.granted_first(snapshot, command.account, account, count - len(listed), skipped)
    scheduled: set[int] = set()
    running: set[int] = set()
    for some in _batches([*listed, *oldest]):
        upgrading = snapshot.upgrading(account.id, some)
        scheduled |= upgrading.scheduled
        running |= upgrading.running
    return Facts(
        scheduled=frozenset(scheduled),
        running=frozenset(running),
        listed=frozenset(listed),
        pending=pending,
        shrink=ShrinkFacts(listed, oldest),
    )


def _gather_undone(snapshot: Snapshot, account: Account, key: AccountKey, sequence: int) -> Facts:
    """The change to undo, and what became of its devices. Raises Refused."""
    found = snapshot.changes(key, sequence - 1, 1) if sequence > 0 else []
    if not found or found[0].sequence != sequence:
        raise Refused(Refusal.CHANGE_UNKNOWN, sequence=sequence)
    change = found[0]
    devices = dict(altered(change, change.devices.imeis))
    facts = _about_many(snapshot, account, list(devices))
    changed_by = dict(_altered_after(snapshot, account.id, change))
    released = {imei for imei, was in devices.items() if was in PENDED}
    released.difference_update(changed_by, facts.pending)
    changed_by.update(_released_by(snapshot, key, account.sequence, change, released))
    entries = snapshot.entries_of(key, sorted({*changed_by.values(), max(1, sequence - 1)}))
    undoings = {
        number
        for number, entry in entries.items()
        if (undone := undone_by(entry)) is not None and undone.sequence == sequence
    }
    before = entries[max(1, sequence - 1)].totals.total
    return replace(
        facts, undone=UndoneFacts(change, before, changed_by, undoings=frozenset(undoings))
    )


def _altered_after(
    snapshot: Snapshot, account_id: int, change: Change
) -> Iterator[tuple[int, int]]:
    """Devices whose license came or went after a change, each with the last that did so."""
    devices = [imei for imei, _ in altered(change, change.devices.imeis)]
    for some in _batches(devices):
        yield from snapshot.altered_after(account_id, some, change.sequence).items()


def _released_by(
    snapshot: Snapshot, key: AccountKey, last: int, change: Change, released: set[int]
) -> Iterator[tuple[int, int]]:
    """Devices that wait no longer to be taken, each with the change whose verdict says so.

    A remove, too, can release without a word; and no row indexes these verdicts, so that only
    so many changes are looked at, from the last one back.
    """
    looked_at = range(max(change.sequence, last - CHANGES_EXAMINED_MAX) + 1, last + 1)
    wanted = ChangeFilter(outcome=Outcome.RELEASED)
    entries = snapshot.entries(key, looked_at, wanted, len(looked_at)) if released else []
    for sequence in (entry.sequence for entry in entries):
        found = snapshot.changes_of(key, [sequence])[sequence]
        for imei, number in zip(found.devices.imeis, found.outcomes, strict=True):
            if number == Outcome.RELEASED and imei in released:
                released.discard(imei)
                yield imei, sequence
        if not released:
            break


def _batches(items: Sequence[T]) -> Iterable[Sequence[T]]:
    return (items[at : at + DEVICES_AT_ONCE] for at in range(0, len(items), DEVICES_AT_ONCE))
