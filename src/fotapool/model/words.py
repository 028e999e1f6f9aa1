"""The enumerations: verbs, outcomes in order of precedence, purchase types, roles."""

from __future__ import annotations

from enum import Enum, IntEnum


class Verb(IntEnum):
    """What a change did. The number is stored in the ledger and never reused."""

    CREATE_ACCOUNT = 1
    REGISTER = 2
    ASSIGN = 3
    REMOVE = 4

    @property
    def word(self) -> str:
        """The name as people and machines read it: `assign`."""
        return self.name.lower()


class Outcome(IntEnum):
    """One verdict on one item of a list.

    Within a verb the members stand in order of precedence: the first that applies is the
    verdict (protocol.md R2, R3). The number is the byte kept in the ledger and never reused.
    """

    UNRECOGNIZED = 0
    """Only ever read by a client: the server said something this version does not know."""

    MALFORMED = 1
    """The item is not a 15-digit IMEI."""

    ALREADY_LICENSED = 10
    UNKNOWN_DEVICE = 11
    NO_FREE_LICENSE = 12
    ASSIGNED = 13

    NOT_LICENSED = 20
    UPGRADE_RUNNING = 21
    UPGRADED = 22
    """Firmware was upgraded since the license was granted, so the license stays."""
    REMOVED = 23

    ALREADY_REGISTERED = 30
    REGISTERED = 31

    @property
    def word(self) -> str:
        """The name as people and machines read it: `no_free_license`."""
        return self.name.lower()

    @property
    def ok(self) -> bool | None:
        """Whether the device is now as was asked; `None` when the verdict is not recognized."""
        return None if self is Outcome.UNRECOGNIZED else self in _SUCCESSES


_SUCCESSES = frozenset(
    {
        Outcome.ALREADY_LICENSED,
        Outcome.ASSIGNED,
        Outcome.REMOVED,
        Outcome.ALREADY_REGISTERED,
        Outcome.REGISTERED,
    }
)


class PurchaseType(Enum):
    """How an account pays: a monthly number of licenses, per upgrade event, or both."""

    MRC = "MRC"
    EVNT = "EVNT"
    BOTH = "both"


class Role(IntEnum):
    """What a credential may do; each role may also do what the ones below it may (R14)."""

    VIEWER = 1
    OPERATOR = 2
    ADMIN = 3

    @property
    def word(self) -> str:
        return self.name.lower()


OUTCOMES: dict[Verb, tuple[Outcome, ...]] = {
    Verb.CREATE_ACCOUNT: (),
    Verb.REGISTER: (Outcome.MALFORMED, Outcome.ALREADY_REGISTERED, Outcome.REGISTERED),
    Verb.ASSIGN: (
        Outcome.MALFORMED,
        Outcome.ALREADY_LICENSED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.NO_FREE_LICENSE,
        Outcome.ASSIGNED,
    ),
    Verb.REMOVE: (
        Outcome.MALFORMED,
        Outcome.NOT_LICENSED,
        Outcome.UPGRADE_RUNNING,
        Outcome.UPGRADED,
        Outcome.REMOVED,
    ),
}
"""The verdicts a verb can give, in order of precedence."""

GAINED = frozenset({Outcome.ASSIGNED})
"""Verdicts by which a device gains a license."""
LOST = frozenset({Outcome.REMOVED})
"""Verdicts by which a device loses its license."""
