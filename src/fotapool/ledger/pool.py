"""A pool as it stands between two requests of a group, and what a decision does to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from fotapool.model import (
    Account,
    Command,
    DeviceList,
    Facts,
    Policy,
    PurchaseType,
    Refused,
    Totals,
)


class Effect(Enum):
    """What is written for some devices. They are written in this order."""

    RELEASE = auto()
    """The license is no longer waiting to be taken."""
    REMOVE = auto()
    CANCEL = auto()
    FAIL = auto()
    FINISH = auto()
    LEAVE = auto()
    REGISTER = auto()
    GRANT = auto()
    GIVE_BACK = auto()
    """A license with the date and the place in the queue that it had before it was lost."""
    SCHEDULE = auto()
    START = auto()
    PEND = auto()
    """The license is taken, and held until the running upgrade ends."""
    UNLIST = auto()
    CLEAR_LIST = auto()
    """The whole candidate list; it names no devices."""
    LIST = auto()


@dataclass(frozen=True, slots=True)
class Decision:
    """What one request comes to: a verdict per device, what to write, and the account after it.

    `account` still has the sequence and the head of before: they are the chain's.
    """

    command: Command
    sequence: int
    at_ms: int
    devices: DeviceList
    outcomes: bytes
    account: Account
    effects: Mapping[Effect, Sequence[int]]
    detail: str = ""
    changed_by: Sequence[int] = ()


Verdict = Decision | Refused


@dataclass(slots=True)
class Pool:
    """The facts and the account as they stand. Every rule reads and changes them through here."""

    account: Account
    facts: Facts
    at_ms: int
    total: int
    used: int
    unknown: set[int]
    licensed: set[int]
    scheduled: set[int]
    running: set[int]
    upgraded: set[int]
    listed: set[int]
    pending: list[int]
    """The last taken first; where there are very many, only as many as could be needed."""
    pending_count: int
    effects: dict[Effect, Sequence[int]] = field(default_factory=dict)

    @classmethod
    def of(cls, account: Account, facts: Facts, at_ms: int) -> Pool:
        return cls(
            account,
            facts,
            at_ms,
            account.totals.total,
            account.totals.used,
            set(facts.unknown),
            set(facts.licensed),
            set(facts.scheduled),
            set(facts.running),
            set(facts.upgraded),
            set(facts.listed),
            list(facts.pending),
            account.totals.overhang,
        )

    @property
    def free(self) -> int:
        """Licenses that can be given; none while a shrink waits for upgrades to end (R7)."""
        return max(0, self.total - self.used)

    @property
    def is_open(self) -> bool:
        return self.account.policy is Policy.OPEN

    @property
    def is_event_only(self) -> bool:
        return self.account.purchase_type is PurchaseType.EVNT

    def write(self, effect: Effect, imeis: Sequence[int]) -> None:
        """Note what is to be written for some devices."""
        if imeis or effect is Effect.CLEAR_LIST:
            noted = self.effects.get(effect)
            self.effects[effect] = imeis if noted is None else [*noted, *imeis]

    def change(
        self,
        *,
        purchase_type: PurchaseType | None = None,
        policy: Policy | None = None,
        active: bool | None = None,
    ) -> None:
        """Change what the account is; how it pays is part of what was bought."""
        if purchase_type is not None:
            self.account = replace(self.account, subscribed_at_ms=self.at_ms)
        self.account = replace(
            self.account,
            purchase_type=purchase_type or self.account.purchase_type,
            policy=policy or self.account.policy,
            active=self.account.active if active is None else active,
        )

    def resize(self, total: int) -> None:
        """Set how many licenses were bought."""
        self.total = total
        self.account = replace(self.account, subscribed_at_ms=self.at_ms)

    def gain(self, imeis: Sequence[int], effect: Effect = Effect.GRANT) -> None:
        """Licenses for devices that have none."""
        self.licensed.update(imeis)
        self.used += len(imeis)
        self.write(effect, imeis)
        if self.unknown:
            # Only an open account grants a device that it does not know (R5).
            new = [imei for imei in imeis if imei in self.unknown]
            self.unknown.difference_update(new)
            self.write(Effect.REGISTER, new)

    def lose(self, imeis: Sequence[int]) -> None:
        """End licenses, and with them what hangs on them (R3, R7, R8)."""
        self.licensed.difference_update(imeis)
        self.upgraded.difference_update(imeis)
        self.used -= len(imeis)
        self.write(Effect.REMOVE, imeis)
        if self.scheduled:
            self.end(Effect.CANCEL, [imei for imei in imeis if imei in self.scheduled])
        if self.listed:
            self.unlist(imeis)
        if self.pending:
            going = set(imeis)
            self._drop_pending([imei for imei in self.pending if imei in going])

    def end(self, effect: Effect, imeis: Sequence[int]) -> None:
        """End upgrades, scheduled or running."""
        self.scheduled.difference_update(imeis)
        self.running.difference_update(imeis)
        self.write(effect, imeis)

    def unlist(self, imeis: Iterable[int]) -> None:
        """Take devices off the candidate list."""
        gone = [imei for imei in imeis if imei in self.listed]
        if gone:
            self.listed.difference_update(gone)
            self.write(Effect.UNLIST, gone)
            self.count_candidates(self.account.candidates - len(gone))

    def count_candidates(self, count: int) -> None:
        """Set how long the candidate list is now."""
        self.account = replace(self.account, candidates=count, candidates_at_ms=self.at_ms)

    def pend(self, imeis: Sequence[int]) -> None:
        """Take licenses that are held until the running upgrades end."""
        self.pending[:0] = reversed(imeis)
        self.pending_count += len(imeis)
        self.write(Effect.PEND, imeis)

    def settle(self) -> list[int]:
        """Release the licenses that need no longer be taken, the last taken first (R7)."""
        needless = self.pending_count - max(0, self.used - self.total)
        released = self.pending[:needless] if needless > 0 else []
        self._drop_pending(released)
        return released

    def decide(
        self,
        command: Command,
        sequence: int,
        outcomes: bytes,
        *,
        devices: DeviceList | None = None,
        detail: str = "",
        changed_by: Sequence[int] = (),
    ) -> Decision:
        """The decision that the pool has come to; the next one begins with no effects."""
        effects, self.effects = self.effects, {}
        if self.pending_count != max(0, self.used - self.total):
            raise RuntimeError(f"{self.pending_count} pending for {self.used} of {self.total}")
        # Totals itself refuses sums that cannot be.
        totals = Totals(self.total, self.used, self.pending_count)
        self.account = replace(self.account, totals=totals)
        return Decision(
            command,
            sequence,
            self.at_ms,
            command.devices if devices is None else devices,
            outcomes,
            self.account,
            effects,
            detail,
            changed_by,
        )

    def _drop_pending(self, imeis: Sequence[int]) -> None:
        if imeis:
            gone = set(imeis)
            self.pending = [imei for imei in self.pending if imei not in gone]
            self.pending_count -= len(imeis)
            self.write(Effect.RELEASE, imeis)
