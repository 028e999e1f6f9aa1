"""The words of fotapool: frozen values, verdicts, refusals, and one tree of errors.

Imports nothing of ours; every other room speaks in these words.

    FotapoolError
    ├── ConfigurationError         something needed was not given, or not sensibly
    ├── Refused                    a request as a whole is refused (says which Refusal)
    ├── NotFound                   an account or credential named by an operator is not there
    ├── AlreadyExists              ... or is there already
    ├── FleetFileError             a fleet file cannot be read at all
    ├── StoreError                 the store could not: nothing was done
    │   ├── StoreBusy              ... because another process held it, or the queue is full
    │   └── StoreUnusable          ... and will not: wrong file, newer version, second server
    └── (the client's errors, in `client.py`)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, unique

Clock = Callable[[], int]
"""Milliseconds since 1970-01-01 UTC. Always an argument, never called through a global."""

IMEI_DIGITS = 15
ITEM_LENGTH_MAX = 64
MALFORMED_IMEI = -1
ACCOUNT_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")

_IMEI = re.compile(r"[0-9]{15}")
_IMEIS = re.compile(r"[0-9]{15}(?:,[0-9]{15})*")


class Verb(IntEnum):
    """What a change did. The number is stored in the ledger and never reused."""

    CREATE_ACCOUNT = 1
    REGISTER = 2
    ASSIGN = 3
    REMOVE = 4


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


@unique
class Refusal(Enum):
    """Why a request as a whole is refused. How it looks on the wire: `wire/errors.py`."""

    BEARER_MISSING = "no bearer token was sent"
    BEARER_INVALID = "the bearer token is wrong or has expired"
    CLIENT_MISSING = "no client credentials were sent"
    CLIENT_INVALID = "the client credentials are wrong"
    GRANT_TYPE_MISSING = "the token call names no grant type"
    GRANT_TYPE_UNSUPPORTED = "the token call names a grant type other than client_credentials"
    SESSION_INVALID = "the session token is missing, unknown or another credential's"
    SESSION_EXPIRED = "the session was idle for too long"
    LOGIN_REFUSED = "username or password is wrong, or the login is locked"
    ACCOUNT_NAME_INVALID = "the account name has illegal characters or length"
    ACCOUNT_NOT_FOUND = "the account does not exist for this login"
    ACCOUNT_MISMATCH = "the account in the body is not the one in the path"
    ACCOUNT_INACTIVE = "the account is inactive"
    ROLE_MISSING = "the credential's role does not allow this"
    BODY_UNREADABLE = "the body is missing or cannot be bound"
    DEVICE_LIST_EMPTY = "the device list is missing or empty"
    DEVICE_LIST_TOO_LONG = "the device list has too many items"
    DEVICE_ID_INVALID = "the cursor is not a device id"
    CURSOR_UNKNOWN = "the cursor is not a device of the account"
    INDEX_TOO_HIGH = "the index exceeds the number of devices"
    PATH_UNKNOWN = "no such path"
    METHOD_UNKNOWN = "the path does not answer this method"
    BODY_TOO_LARGE = "the body is larger than the limit"
    BODY_TOO_SLOW = "the body did not arrive in time"
    BUSY = "the server cannot take the request now; nothing was done"
    INTERNAL = "the server failed"


class FotapoolError(Exception):
    """Base of everything fotapool raises on purpose."""


class ConfigurationError(FotapoolError):
    """Something needed was not given, or not sensibly."""


class Refused(FotapoolError):
    """A request as a whole is refused; `refusal` says why. Nothing was done."""

    def __init__(self, refusal: Refusal, *, limit: int | None = None) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.limit = limit


class NotFound(FotapoolError):
    """An operator named an account or a credential that is not there."""


class AlreadyExists(FotapoolError):
    """An operator asked to create what is there already."""


class FleetFileError(FotapoolError):
    """A fleet file cannot be read at all; the message says where and what to do."""


class StoreError(FotapoolError):
    """The store could not do it, and nothing was done."""


class StoreBusy(StoreError):
    """Another process held the store, or too much is waiting already. Trying again is safe."""


class StoreUnusable(StoreError):
    """This store will not serve: the wrong file, a newer version, or a server on it already."""


@dataclass(frozen=True, slots=True)
class AccountKey:
    """An account by its name outside and its number inside."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Totals:
    """Licenses bought and licenses held, after a change or at a moment.

    `overhang` counts licenses that a shrink has taken but a running upgrade still holds; while
    it is above 0 nothing is free (R7). Raises ValueError rather than exist with a broken sum.
    """

    total: int
    used: int
    overhang: int = 0

    def __post_init__(self) -> None:
        fits = (
            self.used <= self.total
            if self.overhang == 0
            else self.used == self.total + self.overhang
        )
        if not (fits and min(self.total, self.used, self.overhang) >= 0):
            raise ValueError(f"impossible totals: {self}")

    @property
    def free(self) -> int:
        return 0 if self.overhang else self.total - self.used


@dataclass(frozen=True, slots=True)
class AccountSummary:
    """An account as an operator lists it."""

    key: AccountKey
    purchase_type: PurchaseType
    active: bool
    totals: Totals


@dataclass(frozen=True, slots=True)
class DeviceList:
    """The devices of one request, item by item as they were sent (R1).

    `imeis[i]` is `items[i]` as an integer, or -1 where the item is not a 15-digit IMEI.
    """

    items: Sequence[str]
    imeis: Sequence[int]

    @classmethod
    def parse(cls, items: Sequence[str]) -> DeviceList:
        """Read IMEIs out of texts; an item that is not one is kept, to be refused for itself."""
        joined = ",".join(items)
        # The length settles that no item hides a comma: "A,B" is one bad item, not two.
        if len(joined) == (IMEI_DIGITS + 1) * len(items) - 1 and _IMEIS.fullmatch(joined):
            return cls(items, list(map(int, items)))
        return cls(
            items, [int(item) if _IMEI.fullmatch(item) else MALFORMED_IMEI for item in items]
        )

    @classmethod
    def of(cls, imeis: Sequence[int]) -> DeviceList:
        """Name devices that are known to be IMEIs already."""
        return cls([imei_text(imei) for imei in imeis], imeis)

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Command:
    """One write asked of one account: by whom, under which request id, what, to which devices."""

    account: AccountKey
    verb: Verb
    devices: DeviceList
    actor: str
    request_id: bytes


@dataclass(frozen=True, slots=True)
class Account:
    """An account's own row, as read under its lock. `head` is the hash of its last change."""

    id: int
    totals: Totals
    active: bool
    sequence: int
    changed_at_ms: int
    head: bytes


@dataclass(frozen=True, slots=True)
class Facts:
    """What is special about the devices that a group of requests names; the rest is ordinary.

    `upgraded` holds devices whose firmware was upgraded by a later change than the one that
    granted their license.
    """

    unknown: frozenset[int] = frozenset()
    licensed: frozenset[int] = frozenset()
    scheduled: frozenset[int] = frozenset()
    running: frozenset[int] = frozenset()
    upgraded: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One committed request: who, when, which verb, which devices, which verdicts, totals after.

    `outcomes` holds one `Outcome` a byte, in the order of `devices`; `packed` is `devices` as
    the ledger keeps them; `detail` says what a verb without devices did.
    """

    account: AccountKey
    sequence: int
    at_ms: int
    actor: str
    request_id: bytes
    verb: Verb
    devices: DeviceList
    packed: bytes
    outcomes: bytes
    totals: Totals
    detail: str = ""
    hash: bytes = b""

    def count(self, outcome: Outcome) -> int:
        """How many items got this verdict."""
        return self.outcomes.count(outcome)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after an IMEI, at an offset (v1 only), or with neither at the start."""

    imei: int | None = None
    offset: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Part of an account's licensed devices with its totals, from one snapshot (R4).

    `imeis` ascend; `assigned_at_ms` runs parallel to them. `sequence` is the account's last
    change in that snapshot.
    """

    account: AccountKey
    totals: Totals
    sequence: int
    imeis: Sequence[int]
    assigned_at_ms: Sequence[int]
    more: bool
    cursor: Cursor
    cursor_known: bool = True
    """Whether the cursor's device is, or once was, of the account."""


def imei_text(imei: int) -> str:
    """The 15 digits of a device, leading zeros included."""
    return f"{imei:015d}"


def parse_imei(text: str) -> int | None:
    """The device a text names, or None when it is not 15 digits. Strips nothing."""
    return int(text) if _IMEI.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Credential:
    """Who calls: an OAuth pair and a login, for named accounts, with a role (R14).

    Secrets stand here as stored: hashed. Times are 0 where the thing never happened.
    """

    id: int
    name: str
    role: Role
    client_id: str
    client_secret_hash: str
    username: str
    password_hash: str
    created_at_ms: int
    failed_logins: int = 0
    locked_until_ms: int = 0
    revoked_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Token:
    """A credential's bearer token of this hour, as stored: its hash, and what it is made from."""

    credential_id: int
    hash: bytes
    nonce: bytes
    expires_at_ms: int


@dataclass(frozen=True, slots=True)
class Session:
    """A login, as stored: the hash of its token, and its last use to the minute."""

    hash: bytes
    credential_id: int
    used_at_ms: int
