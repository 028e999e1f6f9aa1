"""The enumerations: verbs, outcomes in order of precedence, purchase types, roles."""

from __future__ import annotations

from enum import Enum, IntEnum


class Verb(IntEnum):
    """What a change did. The number is stored in the ledger and never reused."""

    CREATE_ACCOUNT = 1
    REGISTER = 2
    ASSIGN = 3
    REMOVE = 4
    UNREGISTER = 5
    CANDIDATES = 6
    RESIZE = 7
    SCHEDULE = 8
    START = 9
    FINISH = 10
    FAIL = 11
    CANCEL = 12
    UNDO = 13
    POLICY = 14
    DEACTIVATE = 15
    ACTIVATE = 16
    TYPE = 17

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

    LEFT = 40
    LEFT_AND_FREED = 41
    """The device left, and its license went back to the pool."""

    TAKEN_CANDIDATE = 50
    TAKEN_OLDEST = 51
    PENDING_CANDIDATE = 52
    """Taken by a shrink, yet held until the running upgrade ends."""
    PENDING_OLDEST = 53
    RELEASED = 54
    """A shrink had taken the license and waited; now it may stay."""

    SCHEDULED = 60
    STARTED = 61
    FINISHED = 62
    FAILED = 63
    CANCELLED = 64
    ALREADY_SCHEDULED = 65
    NOT_SCHEDULED = 66
    NOT_RUNNING = 67
    FINISHED_AND_TAKEN = 68
    """The upgrade ended, and with it the license that a shrink had taken."""
    FAILED_AND_TAKEN = 69

    TAKEN_BACK = 70
    GIVEN_BACK = 71
    CHANGED_SINCE = 72
    """A later change altered the device, so that there is nothing left to undo."""
    ALREADY_REVERSED = 73
    """An undo of the same change has altered the device already."""

    LISTED = 80
    ALREADY_LISTED = 81

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
        Outcome.LEFT,
        Outcome.LEFT_AND_FREED,
        Outcome.TAKEN_CANDIDATE,
        Outcome.TAKEN_OLDEST,
        Outcome.PENDING_CANDIDATE,
        Outcome.PENDING_OLDEST,
        Outcome.RELEASED,
        Outcome.SCHEDULED,
        Outcome.STARTED,
        Outcome.FINISHED,
        Outcome.FAILED,
        Outcome.CANCELLED,
        Outcome.FINISHED_AND_TAKEN,
        Outcome.FAILED_AND_TAKEN,
        Outcome.TAKEN_BACK,
        Outcome.GIVEN_BACK,
        Outcome.ALREADY_REVERSED,
        Outcome.LISTED,
        Outcome.ALREADY_LISTED,
    }
)


class PurchaseType(Enum):
    """How an account pays: a monthly number of licenses, per upgrade event, or both."""

    MRC = "MRC"
    EVNT = "EVNT"
    BOTH = "both"


class Policy(Enum):
    """Which devices an account takes: only registered ones, or any that it grants a license."""

    REGISTERED = "registered"
    OPEN = "open"


class Listing(Enum):
    """What is done to the candidate list."""

    REPLACE = "replace"
    APPEND = "append"
    CLEAR = "clear"


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
    Verb.UNREGISTER: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.LEFT_AND_FREED,
        Outcome.LEFT,
    ),
    Verb.CANDIDATES: (Outcome.ALREADY_LISTED, Outcome.LISTED),
    Verb.RESIZE: (
        Outcome.PENDING_CANDIDATE,
        Outcome.TAKEN_CANDIDATE,
        Outcome.PENDING_OLDEST,
        Outcome.TAKEN_OLDEST,
        Outcome.RELEASED,
    ),
    Verb.SCHEDULE: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.ALREADY_SCHEDULED,
        Outcome.UPGRADE_RUNNING,
        Outcome.NOT_LICENSED,
        Outcome.SCHEDULED,
    ),
    Verb.START: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.UPGRADE_RUNNING,
        Outcome.NOT_SCHEDULED,
        Outcome.STARTED,
    ),
    Verb.FINISH: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.NOT_RUNNING,
        Outcome.FINISHED_AND_TAKEN,
        Outcome.FINISHED,
    ),
    Verb.FAIL: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.NOT_RUNNING,
        Outcome.FAILED_AND_TAKEN,
        Outcome.FAILED,
    ),
    Verb.CANCEL: (
        Outcome.MALFORMED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.UPGRADE_RUNNING,
        Outcome.NOT_SCHEDULED,
        Outcome.CANCELLED,
    ),
    Verb.UNDO: (
        Outcome.ALREADY_REVERSED,
        Outcome.CHANGED_SINCE,
        Outcome.UPGRADE_RUNNING,
        Outcome.UPGRADED,
        Outcome.UNKNOWN_DEVICE,
        Outcome.NO_FREE_LICENSE,
        Outcome.RELEASED,
        Outcome.TAKEN_BACK,
        Outcome.GIVEN_BACK,
    ),
    Verb.POLICY: (),
    Verb.DEACTIVATE: (),
    Verb.ACTIVATE: (),
    Verb.TYPE: (),
}
"""The verdicts a verb can give, in order of precedence."""

GAINED = frozenset({Outcome.ASSIGNED, Outcome.GIVEN_BACK})
"""Verdicts by which a device gains a license."""
LOST = frozenset(
    {
        Outcome.REMOVED,
        Outcome.LEFT_AND_FREED,
        Outcome.TAKEN_CANDIDATE,
        Outcome.TAKEN_OLDEST,
        Outcome.FINISHED_AND_TAKEN,
        Outcome.FAILED_AND_TAKEN,
        Outcome.TAKEN_BACK,
    }
)
"""Verdicts by which a device loses its license."""
PENDED = frozenset({Outcome.PENDING_CANDIDATE, Outcome.PENDING_OLDEST})
"""Verdicts by which a license is taken, yet held until the running upgrade ends (R7)."""
