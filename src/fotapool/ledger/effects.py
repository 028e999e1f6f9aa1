"""Write: every effect of a decision, each one set-based call on the transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby

from fotapool.ledger.pool import Decision, Effect
from fotapool.ledger.store import Tx
from fotapool.model import Step, Verb


def write_effects(tx: Tx, decisions: Sequence[Decision]) -> None:
    """Write what decisions of one moment do to devices; those that only grant go together."""
    for only_grant, some in groupby(decisions, lambda made: made.effects.keys() == {Effect.GRANT}):
        if only_grant:
            _grant(tx, list(some))
            continue
        for decision in some:
            _write_one(tx, decision)


def _grant(tx: Tx, decisions: Sequence[Decision]) -> None:
    grants = [(made.sequence, made.effects[Effect.GRANT]) for made in decisions]
    tx.grant(decisions[0].account.id, grants, decisions[0].at_ms)


def _write_one(tx: Tx, decision: Decision) -> None:
    """Write what a decision does to devices, in the order of `Effect`."""
    plan = decision.command.upgrade
    if plan is not None and decision.command.verb is Verb.SCHEDULE:
        tx.open_upgrade(decision.account.id, plan, decision.sequence)
    for effect in sorted(decision.effects, key=_ORDER.__getitem__):
        _WRITES[effect](tx, decision, decision.effects[effect])


_WRITES: dict[Effect, Callable[[Tx, Decision, Sequence[int]], None]] = {
    Effect.RELEASE: lambda tx, made, imeis: tx.release(made.account.id, imeis),
    Effect.REMOVE: lambda tx, made, imeis: tx.remove(
        made.account.id, imeis, made.sequence, made.at_ms
    ),
    Effect.CANCEL: lambda tx, made, imeis: tx.step(
        made.account.id, imeis, Step.CANCELLED, made.sequence
    ),
    Effect.FAIL: lambda tx, made, imeis: tx.step(
        made.account.id, imeis, Step.FAILED, made.sequence
    ),
    Effect.FINISH: lambda tx, made, imeis: tx.step(
        made.account.id, imeis, Step.FINISHED, made.sequence
    ),
    Effect.LEAVE: lambda tx, made, imeis: tx.leave(made.account.id, imeis),
    Effect.REGISTER: lambda tx, made, imeis: tx.register(made.account.id, imeis),
    Effect.GRANT: lambda tx, made, imeis: tx.grant(
        made.account.id, [(made.sequence, imeis)], made.at_ms
    ),
    Effect.GIVE_BACK: lambda tx, made, imeis: tx.give_back(
        made.account.id, imeis, made.sequence, made.at_ms
    ),
    Effect.SCHEDULE: lambda tx, made, imeis: tx.schedule(
        made.account.id, imeis, made.sequence, made.command.upgrade
    ),
    Effect.START: lambda tx, made, imeis: tx.step(
        made.account.id, imeis, Step.RUNNING, made.sequence
    ),
    Effect.PEND: lambda tx, made, imeis: tx.pend(made.account.id, imeis, made.sequence),
    Effect.UNLIST: lambda tx, made, imeis: tx.unlist_candidates(made.account.id, imeis),
    Effect.CLEAR_LIST: lambda tx, made, _: tx.clear_candidates(made.account.id),
    Effect.LIST: lambda tx, made, imeis: tx.list_candidates(made.account.id, imeis, made.sequence),
}
_ORDER = {effect: order for order, effect in enumerate(Effect)}
