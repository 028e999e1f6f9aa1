"""The rules: what happens to each device of a request. Pure functions over frozen values.

`decide` takes the requests of one account in order, with what the store gathered about the
devices they name, and says for each request what it comes to. It reads no clock and no store.
The order of the tests in `_assign_each` and `_remove_each` is the documented order of precedence
(docs/reference/protocol.md R2, R3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fotapool.model import (
    MALFORMED_IMEI,
    Account,
    Command,
    Facts,
    KeyUse,
    Outcome,
    Refusal,
    Refused,
    Totals,
    Verb,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """What one request comes to: a verdict per item, what to write, and the totals after it."""

    command: Command
    sequence: int
    at_ms: int
    outcomes: bytes
    totals: Totals
    granted: Sequence[int] = ()
    removed: Sequence[int] = ()
    registered: Sequence[int] = ()
    cancelled: Sequence[int] = ()
    """Devices whose scheduled upgrade ends with their license."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The request was carried out before, under the same key, by the change of this sequence."""

    sequence: int


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
    pool = _Pool.of(account, facts)
    at_ms = time_of(account, now_ms)
    uses = dict(uses)
    decided: list[Decision | Replay | Refused] = []
    sequence = account.sequence
    for command in commands:
        settled = _settled_before(account, sequence, command, uses)
        if settled is not None:
            decided.append(settled)
            continue
        sequence += 1
        decided.append(_RULES[command.verb](pool, command, sequence, at_ms))
        if command.key is not None:
            uses[command.key.text] = KeyUse(command.key.fingerprint, sequence)
    return decided


def _settled_before(
    account: Account, sequence: int, command: Command, uses: Mapping[str, KeyUse]
) -> Replay | Refused | None:
    """What settles a request without a change. A replay comes first: it writes nothing."""
    use = uses.get(command.key.text) if command.key is not None else None
    if command.key is not None and use is not None:
        same = use.fingerprint == command.key.fingerprint
        return Replay(use.sequence) if same else Refused(Refusal.KEY_REUSED)
    if not account.active:
        return Refused(Refusal.ACCOUNT_INACTIVE)
    if command.if_sequence not in (None, sequence):
        return Refused(Refusal.PRECONDITION_FAILED, sequence=sequence)
    return None


@dataclass(slots=True)
class _Pool:
    """The facts as they stand between two requests of a group."""

    total: int
    used: int
    overhang: int
    unknown: set[int]
    licensed: set[int]
    scheduled: set[int]
    running: set[int]
    upgraded: set[int]

    @classmethod
    def of(cls, account: Account, facts: Facts) -> _Pool:
        return cls(
            account.totals.total,
            account.totals.used,
            account.totals.overhang,
            set(facts.unknown),
            set(facts.licensed),
            set(facts.scheduled),
            set(facts.running),
            set(facts.upgraded),
        )

    @property
    def totals(self) -> Totals:
        """The sums as they stand. `Totals` itself refuses sums that cannot be."""
        return Totals(self.total, self.used, self.overhang)


def _assign(pool: _Pool, command: Command, sequence: int, at_ms: int) -> Decision:
    imeis = command.devices.imeis
    free = pool.totals.free
    if len(imeis) <= free and _ordinary(imeis, pool.unknown, pool.licensed):
        outcomes, granted = _uniform(Outcome.ASSIGNED, imeis), imeis
    else:
        outcomes = _assign_each(pool, imeis, free)
        granted = _with_verdict(Outcome.ASSIGNED, imeis, outcomes)
    pool.licensed.update(granted)
    pool.used += len(granted)
    return Decision(command, sequence, at_ms, outcomes, pool.totals, granted=granted)


def _assign_each(pool: _Pool, imeis: Sequence[int], free: int) -> bytes:
    """Protocol R2: the first that matches, item by item in list order."""
    outcomes = bytearray()
    granted: set[int] = set()
    for imei in imeis:
        if imei == MALFORMED_IMEI:
            outcomes.append(Outcome.MALFORMED)
        elif imei in pool.licensed or imei in granted:
            outcomes.append(Outcome.ALREADY_LICENSED)
        elif imei in pool.unknown:
            outcomes.append(Outcome.UNKNOWN_DEVICE)
        elif len(granted) >= free:
            outcomes.append(Outcome.NO_FREE_LICENSE)
        else:
            granted.add(imei)
            outcomes.append(Outcome.ASSIGNED)
    return bytes(outcomes)


def _remove(pool: _Pool, command: Command, sequence: int, at_ms: int) -> Decision:
    imeis = command.devices.imeis
    if pool.licensed.issuperset(imeis) and _ordinary(imeis, pool.running, pool.upgraded):
        outcomes, removed = _uniform(Outcome.REMOVED, imeis), imeis
    else:
        outcomes = _remove_each(pool, imeis)
        removed = _with_verdict(Outcome.REMOVED, imeis, outcomes)
    pool.licensed.difference_update(removed)
    pool.used -= len(removed)
    cancelled = [imei for imei in removed if imei in pool.scheduled]
    pool.scheduled.difference_update(cancelled)
    return Decision(
        command, sequence, at_ms, outcomes, pool.totals, removed=removed, cancelled=cancelled
    )


def _remove_each(pool: _Pool, imeis: Sequence[int]) -> bytes:
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


def _register(pool: _Pool, command: Command, sequence: int, at_ms: int) -> Decision:
    imeis = command.devices.imeis
    outcomes = _register_each(pool, imeis)
    registered = _with_verdict(Outcome.REGISTERED, imeis, outcomes)
    pool.unknown.difference_update(registered)
    return Decision(command, sequence, at_ms, outcomes, pool.totals, registered=registered)


def _register_each(pool: _Pool, imeis: Sequence[int]) -> bytes:
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


_RULES: dict[Verb, Callable[[_Pool, Command, int, int], Decision]] = {
    Verb.ASSIGN: _assign,
    Verb.REMOVE: _remove,
    Verb.REGISTER: _register,
}
