"""Upgrades: none → scheduled → running → none; all else is refused for itself (R6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from fotapool.ledger.pool import Decision, Effect, Pool
from fotapool.model import MALFORMED_IMEI, Command, DeviceList, Outcome, PurchaseType, Verb

Judge = Callable[[Pool, int], Outcome]


def schedule(pool: Pool, command: Command, sequence: int) -> Decision:
    """Plan upgrades. Where each license is paid by the month, a device needs one."""
    outcomes, scheduled = _judge(pool, command, _judge_schedule, Outcome.SCHEDULED)
    pool.scheduled.update(scheduled)
    pool.write(Effect.SCHEDULE, scheduled)
    return pool.decide(command, sequence, outcomes, detail=_detail(command))


def start(pool: Pool, command: Command, sequence: int) -> Decision:
    """Begin upgrades that were scheduled."""
    outcomes, started = _judge(pool, command, _judge_start, Outcome.STARTED)
    pool.scheduled.difference_update(started)
    pool.running.update(started)
    pool.write(Effect.START, started)
    return pool.decide(command, sequence, outcomes, detail=_detail(command))


def cancel(pool: Pool, command: Command, sequence: int) -> Decision:
    """Give up upgrades that were scheduled; those of a named upgrade only, all if none is named."""
    if command.upgrade is not None and not command.devices.items:
        command = replace(command, devices=DeviceList.of(list(pool.facts.members or ())))
    outcomes, cancelled = _judge(pool, command, _judge_cancel, Outcome.CANCELLED)
    pool.end(Effect.CANCEL, cancelled)
    return pool.decide(command, sequence, outcomes, detail=_detail(command))


def finish(pool: Pool, command: Command, sequence: int) -> Decision:
    """End upgrades well. A license that a shrink had taken goes with it (R7)."""
    return _end(pool, command, sequence, Effect.FINISH)


def fail(pool: Pool, command: Command, sequence: int) -> Decision:
    """End upgrades without a new firmware. A license that a shrink had taken goes with it."""
    return _end(pool, command, sequence, Effect.FAIL)


def _end(pool: Pool, command: Command, sequence: int, effect: Effect) -> Decision:
    plain, taken = _ENDS[command.verb]

    def judge(pool: Pool, imei: int) -> Outcome:
        if imei not in pool.running:
            return Outcome.NOT_RUNNING
        return taken if imei in pending else plain

    pending = frozenset(pool.pending)
    outcomes, kept = _judge(pool, command, judge, plain, taken)
    going = [imei for imei in kept if imei in pending]
    pool.end(effect, kept)
    if effect is Effect.FINISH:
        # Sequences decide: this change is later than the one that granted the license (R3).
        pool.upgraded.update(imei for imei in kept if imei in pool.licensed)
    pool.lose(going)
    return pool.decide(command, sequence, outcomes, detail=_detail(command))


_ENDS = {
    Verb.FINISH: (Outcome.FINISHED, Outcome.FINISHED_AND_TAKEN),
    Verb.FAIL: (Outcome.FAILED, Outcome.FAILED_AND_TAKEN),
}


def _judge_schedule(pool: Pool, imei: int) -> Outcome:
    if imei in pool.scheduled:
        return Outcome.ALREADY_SCHEDULED
    if imei in pool.running:
        return Outcome.UPGRADE_RUNNING
    needs_license = pool.account.purchase_type is PurchaseType.MRC
    if needs_license and imei not in pool.licensed:
        return Outcome.NOT_LICENSED
    return Outcome.SCHEDULED


def _judge_start(pool: Pool, imei: int) -> Outcome:
    if imei in pool.running:
        return Outcome.UPGRADE_RUNNING
    return Outcome.STARTED if imei in pool.scheduled else Outcome.NOT_SCHEDULED


def _judge_cancel(pool: Pool, imei: int) -> Outcome:
    if imei in pool.running:
        return Outcome.UPGRADE_RUNNING
    members = pool.facts.members
    if imei not in pool.scheduled or (members is not None and imei not in members):
        return Outcome.NOT_SCHEDULED
    return Outcome.CANCELLED


_AGAIN = {
    Verb.SCHEDULE: Outcome.ALREADY_SCHEDULED,
    Verb.START: Outcome.UPGRADE_RUNNING,
    Verb.CANCEL: Outcome.NOT_SCHEDULED,
    Verb.FINISH: Outcome.NOT_RUNNING,
    Verb.FAIL: Outcome.NOT_RUNNING,
}
"""What a device is told that the same list named before, and that has taken this step there."""


def _judge(
    pool: Pool, command: Command, judge: Judge, *goods: Outcome
) -> tuple[bytes, Sequence[int]]:
    """A verdict for each item, and the devices that take the step."""
    outcomes = bytearray()
    stepped: dict[int, None] = {}
    for imei in command.devices.imeis:
        if imei == MALFORMED_IMEI:
            outcome = Outcome.MALFORMED
        elif imei in pool.unknown:
            outcome = Outcome.UNKNOWN_DEVICE
        elif imei in stepped:
            outcome = _AGAIN[command.verb]
        else:
            outcome = judge(pool, imei)
        if outcome in goods:
            stepped[imei] = None
        outcomes.append(outcome)
    return bytes(outcomes), list(stepped)


def _detail(command: Command) -> str:
    return "" if command.upgrade is None else f"upgrade={command.upgrade.id.hex()}"
