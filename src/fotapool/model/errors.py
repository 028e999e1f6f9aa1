"""Why a request is refused, and one tree of errors.

FotapoolError
├── ConfigurationError         something needed was not given, or not sensibly
├── Refused                    a request as a whole is refused (says which Refusal)
├── CannotListen               a server's address is taken, or is none
├── NotFound                   an account or credential named by an operator is not there
├── AlreadyExists              ... or is there already
├── CheckpointInvalid          a checkpoint is none, or not signed by the key that was named
├── FleetFileError             a fleet file cannot be read at all
├── NotJson                    an answer whose body was asked for as JSON is none
├── StoreError                 the store could not: nothing was done (but for the first)
│   ├── OutcomeUnknown         ... or nobody knows whether it could
│   ├── StoreBusy              ... because another process held it, or the queue is full
│   ├── StoreDamaged           ... because what is stored there cannot be read
│   └── StoreUnusable          ... and will not: wrong file, newer version, second server
└── (the client's errors, in `client/errors.py`)
"""

from __future__ import annotations

from enum import Enum, unique


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
    KEY_INVALID = "the idempotency key is empty, too long, or not printable ASCII"
    KEY_REUSED = "the idempotency key was used for another request"
    BODY_UNREADABLE = "the body is missing or cannot be bound"
    DEVICE_LIST_EMPTY = "the device list is missing or empty"
    DEVICE_LIST_TOO_LONG = "the device list has too many items"
    FIELD_UNKNOWN = "the request has a member or parameter that is not known"
    PARAMETER_INVALID = "a parameter is not what it must be"
    PLACE_INVALID = "the cursor is none that this list gave"
    CHANGE_UNKNOWN = "the account has no change of this number"
    DEVICE_UNKNOWN = "the device never was of the account"
    AS_OF_LATER = "what is asked for is later than now"
    AS_OF_BEFORE = "what is asked for is before the account"
    PRECONDITION_INVALID = "the If-Match header names no sequence"
    PRECONDITION_FAILED = "the account has moved on since"
    DEVICE_ID_INVALID = "a cursor, or an item of a candidate list, is not a device id"
    DEVICE_NOT_REGISTERED = "a device of the list is not the account's"
    LIST_TYPE_INVALID = "the type of a candidate list is neither append nor absent"
    INDEX_INVALID = "the index is no number"
    UPGRADE_ID_INVALID = "the upgrade id is no UUID"
    UPGRADE_UNKNOWN = "the account has no upgrade of this id"
    START_DATE_INVALID = "the start date of an upgrade is none"
    EVENT_ONLY = "the account pays per event and has no pool"
    LICENSES_LEFT = "the account still has licenses"
    UNDO_IMPOSSIBLE = "a change of this verb cannot be undone"
    RESIZED_SINCE = "the pool has been resized since, so that its size cannot be set back"
    MORE_USED = "more licenses are used than the pool had before"
    CURSOR_UNKNOWN = "the cursor is not a device of the account"
    INDEX_TOO_HIGH = "the index exceeds the number of devices"
    REQUEST_MALFORMED = "what was sent is no HTTP request"
    HEAD_TOO_LARGE = "the request line and headers are larger than the limit"
    PATH_UNKNOWN = "no such path"
    METHOD_UNKNOWN = "the path does not answer this method"
    BODY_TOO_LARGE = "the body is larger than the limit"
    BODY_TOO_SLOW = "the body did not arrive in time"
    BUSY = "the server cannot take the request now; nothing was done"
    OUTCOME_UNKNOWN = "the server stopped before it knew what became of the request"
    INTERNAL = "the server failed"


class FotapoolError(Exception):
    """Base of everything fotapool raises on purpose."""


class ConfigurationError(FotapoolError):
    """Something needed was not given, or not sensibly."""


class Refused(FotapoolError):
    """A request as a whole is refused; `refusal` says why, `named` what it is about.

    Nothing was done.
    """

    def __init__(self, refusal: Refusal, **named: int | str) -> None:
        super().__init__(refusal.value)
        self.refusal = refusal
        self.named = named


class CannotListen(FotapoolError):
    """A server's address is taken, or is none of this machine's."""


class NotFound(FotapoolError):
    """An operator named an account or a credential that is not there."""


class AlreadyExists(FotapoolError):
    """An operator asked to create what is there already."""


class CheckpointInvalid(FotapoolError):
    """A file is no checkpoint, or not signed by the key that was named."""


class FleetFileError(FotapoolError):
    """A fleet file cannot be read at all; the message says where and what to do."""


class NotJson(FotapoolError, ValueError):
    """The body of an answer was asked for as JSON, and is none."""


class StoreError(FotapoolError):
    """The store could not do it, and nothing was done."""


class StoreBusy(StoreError):
    """Another process held the store, or too much is waiting already. Trying again is safe."""


class OutcomeUnknown(StoreError):
    """The store was lost in the middle of a commit: it was carried out wholly, or not at all."""


class StoreDamaged(StoreError):
    """Something stored cannot be read, or is not what was written."""


class StoreUnusable(StoreError):
    """This store will not serve: the wrong file, a newer version, or a server on it already."""
