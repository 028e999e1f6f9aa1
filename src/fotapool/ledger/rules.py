"""The rules: what happens to each device of a request. Pure functions over frozen values.

`decide` takes the requests of one account in order, with what was gathered about the devices
they name, and says for each request what it comes to. It reads no clock and no store. The order
of the tests in `_assign_each`, `_remove_each` and their like is the documented order of
precedence (docs/reference/protocol.md R2, R3, R5). Upgrades are in `upgrades`, the size of the
pool in `resize`, the candidate list in `candidates`, taking back in `undo`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fotapool.ledger import accounts, candidates, upgrades
from fotapool.ledger.pool import Decision, Effect, Pool, Verdict
from fotapool.ledger.resize import resize
from fotapool.ledger.undo import undo
from fotapool.model import (
    MALFORMED_IMEI,
    Account,
    Command,
    Facts,
    KeyUse,
    Outcome,
    Refusal,
    Refused,
    Verb,
)

ALONE = frozenset(
    {
        Verb.CANDIDATES,
        Verb.RESIZE,
        Verb.UNDO,
        Verb.POLICY,
        Verb.TYPE,
        Verb.DEACTIVATE,
        Verb.ACTIVATE,
    }
)
"""Verbs whose facts are gathered for each request by itself, after what was written before it."""

_WHILE_INACTIVE = frozenset({Verb.ACTIVATE, Verb.DEACTIVATE})


@dataclass(frozen=True, slots=True)
class Replay:
    """The request was carried out before, under the same key, by the change of this sequence."""

    sequence: int
    answer: bytes | None = None


def time_of(account: Account, now_ms: int) -> int:
    """The time of the account's next change.

    Time never goes back within an account: while the clock is behind, the last time repeats (R9).
    """
    return max(now_ms, account.changed_at_ms)


def decide(
    account: Account,
    facts: Facts,
    commands: Sequence[Command],
    now_ms: int,
    uses: Mapping[str, KeyUse] = MappingProxyType({}),
) -> list[Decision | Replay | Refused]:
    """Decide the requests of one account, in order, each seeing what the ones before it did.

    Every decision is one change, also where all its items are refused; a `Replay` or a `Refused`
    is none. `uses` holds what is known of the idempotency keys of these requests (R11).
    """
    pool = Pool.of(account, facts, time_of(account, now_ms))
    uses = dict(uses)
    decided: list[Decision | Replay | Refused] = []
    sequence = account.sequence
    for command in commands:
        settled = settled_before(account, sequence, command, uses)
        verdict = _RULES[command.verb](pool, command, sequence + 1) if settled is None else settled
        decided.append(verdict)
        if isinstance(verdict, Decision):
            sequence += 1
            if command.key is not None:
                uses[command.key.text] = KeyUse(command.key.fingerprint, sequence)
    return decided


def settled_before(
    account: Account, sequence: int, command: Command, uses: Mapping[str, KeyUse]
) -> Replay | Refused | None:
    """What settles a request without a change. A replay comes first: it writes nothing."""
    use = uses.get(command.key.text) if command.key is not None else None
    if command.key is not None and use is not None:
        same = use.fingerprint == command.key.fingerprint
        return Replay(use.sequence, use.answer) if same else Refused(Refusal.KEY_REUSED)
    if not account.active and command.verb not in _WHILE_INACTIVE:
        return Refused(Refusal.ACCOUNT_INACTIVE)
    if command.if_sequence not in (None, sequence):
        return Refused(Refusal.PRECONDITION_FAILED, sequence=sequence)
    return None


def _assign(pool: Pool, command: Command, sequence: int) -> Decision:
    imeis = command.devices.imeis
    if len(imeis) <= pool.free and _ordinary(imeis, pool.unknown, pool.licensed):
        outcomes, granted = _uniform(Outcome.ASSIGNED, imeis), imeis
    else:
        outcomes = _assign_each(pool, imeis)
        granted = _with_verdict(Outcome.ASSIGNED, imeis, outcomes)
    pool.gain(granted)
    return pool.decide(command, sequence, outcomes)


def _assign_each(pool: Pool, imeis: Sequence[int]) -> bytes:
    """Protocol R2: the first that matches, item by item in list order."""
    outcomes = bytearray()
    granted: set[int] = set()
    unknown: set[int] = set() if pool.is_open else pool.unknown
    for imei in imeis:
        if imei == MALFORMED_IMEI:
            outcomes.append(Outcome.MALFORMED)
        elif imei in pool.licensed or imei in granted:
            outcomes.append(Outcome.ALREADY_LICENSED)
        elif imei in unknown:
            outcomes.append(Outcome.UNKNOWN_DEVICE)
        elif len(granted) >= pool.free:
            outcomes.append(Outcome.NO_FREE_LICENSE)
        else:
            granted.add(imei)
            outcomes.append(Outcome.ASSIGNED)
    return bytes(outcomes)


def _remove(pool: Pool, command: Command, sequence: int) -> Decision:
    imeis = command.devices.imeis
    if pool.licensed.issuperset(imeis) and _ordinary(imeis, pool.running, pool.upgraded):
        outcomes, removed = _uniform(Outcome.REMOVED, imeis), imeis
    else:
        outcomes = _remove_each(pool, imeis)
        removed = _with_verdict(Outcome.REMOVED, imeis, outcomes)
    pool.lose(removed)
    pool.settle()
    return pool.decide(command, sequence, outcomes)


def _remove_each(pool: Pool, imeis: Sequence[int]) -> bytes:
    """Protocol R3: the first that matches, item by item in list order."""
    outcomes = bytearray()
    removed: set[int] = set()
    for imei in imeis:
        if imei == MALFORMED_IMEI:
            outcomes.append(Outcome.MALFORMED)
        elif imei not in pool.licensed or imei in removed:
            outcomes.append(Outcome.NOT_LICENSED)
        elif imei in pool.running:
            outcomes.append(Outcome.UPGRADE_RUNNING)
        elif imei in pool.upgraded:
            outcomes.append(Outcome.UPGRADED)
        else:
            removed.add(imei)
            outcomes.append(Outcome.REMOVED)
    return bytes(outcomes)


def _register(pool: Pool, command: Command, sequence: int) -> Decision:
    imeis = command.devices.imeis
    outcomes = _register_each(pool, imeis)
    registered = _with_verdict(Outcome.REGISTERED, imeis, outcomes)
    pool.unknown.difference_update(registered)
    pool.write(Effect.REGISTER, registered)
    return pool.decide(command, sequence, outcomes)


def _register_each(pool: Pool, imeis: Sequence[int]) -> bytes:
    """Protocol R5: a device stands once in an account's registry."""
    outcomes = bytearray()
    registered: set[int] = set()
    for imei in imeis:
        if imei == MALFORMED_IMEI:
            outcomes.append(Outcome.MALFORMED)
        elif imei not in pool.unknown or imei in registered:
            outcomes.append(Outcome.ALREADY_REGISTERED)
        else:
            registered.add(imei)
            outcomes.append(Outcome.REGISTERED)
    return bytes(outcomes)


def _unregister(pool: Pool, command: Command, sequence: int) -> Decision:
    """Protocol R5: license freed, upgrade ended, dropped from the candidates."""
    imeis = command.devices.imeis
    outcomes = _unregister_each(pool, imeis)
    left = [
        imei
        for imei, outcome in zip(imeis, outcomes, strict=True)
        if outcome in (Outcome.LEFT, Outcome.LEFT_AND_FREED)
    ]
    pool.lose(_with_verdict(Outcome.LEFT_AND_FREED, imeis, outcomes))
    pool.end(Effect.CANCEL, [imei for imei in left if imei in pool.scheduled])
    pool.end(Effect.FAIL, [imei for imei in left if imei in pool.running])
    pool.unlist(left)
    pool.unknown.update(left)
    pool.write(Effect.LEAVE, left)
    pool.settle()
    return pool.decide(command, sequence, outcomes)


def _unregister_each(pool: Pool, imeis: Sequence[int]) -> bytes:
    outcomes = bytearray()
    left: set[int] = set()
    for imei in imeis:
        if imei == MALFORMED_IMEI:
            outcomes.append(Outcome.MALFORMED)
        elif imei in pool.unknown or imei in left:
            outcomes.append(Outcome.UNKNOWN_DEVICE)
        else:
            left.add(imei)
            freed = imei in pool.licensed
            outcomes.append(Outcome.LEFT_AND_FREED if freed else Outcome.LEFT)
    return bytes(outcomes)


def _ordinary(imeis: Sequence[int], *specials: set[int]) -> bool:
    """Whether no device is malformed, named twice, or special in any of these ways."""
    distinct = set(imeis)
    return (
        len(distinct) == len(imeis)
        and MALFORMED_IMEI not in distinct
        and all(distinct.isdisjoint(special) for special in specials)
    )


def _uniform(outcome: Outcome, imeis: Sequence[int]) -> bytes:
    return bytes((outcome,)) * len(imeis)


def _with_verdict(outcome: Outcome, imeis: Iterable[int], outcomes: bytes) -> list[int]:
    return [imei for imei, verdict in zip(imeis, outcomes, strict=True) if verdict == outcome]


_RULES: dict[Verb, Callable[[Pool, Command, int], Verdict]] = {
    Verb.ASSIGN: _assign,
    Verb.REMOVE: _remove,
    Verb.REGISTER: _register,
    Verb.UNREGISTER: _unregister,
    Verb.SCHEDULE: upgrades.schedule,
    Verb.START: upgrades.start,
    Verb.FINISH: upgrades.finish,
    Verb.FAIL: upgrades.fail,
    Verb.CANCEL: upgrades.cancel,
    Verb.CANDIDATES: candidates.edit,
    Verb.RESIZE: resize,
    Verb.UNDO: undo,
    Verb.POLICY: accounts.set_policy,
    Verb.TYPE: accounts.set_type,
    Verb.DEACTIVATE: accounts.deactivate,
    Verb.ACTIVATE: accounts.activate,
}
