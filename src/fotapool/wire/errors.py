"""The error table: how each refusal looks on the wire, read forwards by the server and
backwards by the client (docs/reference/protocol.md, errors)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

import msgspec

from fotapool.model import Refusal
from fotapool.wire._json import encode
from fotapool.wire.answered import UNREADABLE


class Shape(Enum):
    """The three bodies that errors come in."""

    SERVICE = "errorCode and errorMessage"
    GATEWAY = "fault, from the gateway in front of the service"
    OAUTH = "error and error_description (RFC 6749)"


class Row(msgspec.Struct, frozen=True):
    """One refusal on the wire. A message names what it is about in braces.

    `own_status` and `own_message` are those of our own paths, where they differ.
    """

    status: int
    code: str
    message: str
    shape: Shape = Shape.SERVICE
    own_status: int | None = None
    own_message: str = ""


_PARAMETER = "INVALID_PARAMETER"
_LOGIN = "UnifiedWebService."

ERRORS: dict[Refusal, Row] = {
    # Documented texts.
    Refusal.BEARER_MISSING: Row(401, "900902", "Missing Credentials", Shape.GATEWAY),
    Refusal.BEARER_INVALID: Row(401, "900901", "Invalid Credentials", Shape.GATEWAY),
    Refusal.CLIENT_MISSING: Row(401, "900902", "Missing Credentials", Shape.GATEWAY),
    Refusal.GRANT_TYPE_MISSING: Row(
        400, "invalid_request", "Missing grant_type parameter value", Shape.OAUTH
    ),
    Refusal.ACCOUNT_NAME_INVALID: Row(400, _PARAMETER, "Invalid account name format"),
    Refusal.ACCOUNT_INACTIVE: Row(400, _PARAMETER, "Inactive account"),
    Refusal.BODY_UNREADABLE: Row(400, _PARAMETER, "Input binding error"),
    Refusal.DEVICE_LIST_EMPTY: Row(400, _PARAMETER, "Device list is empty"),
    Refusal.DEVICE_ID_INVALID: Row(
        400,
        _PARAMETER,
        "Invalid device id format",
        own_message='"{item}" is not a 15-digit IMEI',
    ),
    Refusal.CURSOR_UNKNOWN: Row(400, _PARAMETER, "LastSeenDeviceId Not Valid"),
    Refusal.INDEX_TOO_HIGH: Row(400, _PARAMETER, "Index exceeds number of devices in list"),
    Refusal.INDEX_INVALID: Row(400, _PARAMETER, "Invalid index value"),
    Refusal.DEVICE_NOT_REGISTERED: Row(
        400,
        _PARAMETER,
        "Device does not exist.",
        own_message="{imei} is not a device of the account",
    ),
    Refusal.UPGRADE_ID_INVALID: Row(400, _PARAMETER, "Invalid uuid"),
    Refusal.UPGRADE_UNKNOWN: Row(400, _PARAMETER, "Invalid upgradeId"),
    Refusal.START_DATE_INVALID: Row(400, _PARAMETER, "FotaPostUpgrades: invalid state date"),
    # Documented codes; the texts are ours.
    Refusal.CLIENT_INVALID: Row(
        401, "invalid_client", "Client id or client secret is wrong.", Shape.OAUTH
    ),
    Refusal.GRANT_TYPE_UNSUPPORTED: Row(
        400, "unsupported_grant_type", "Only client_credentials is supported.", Shape.OAUTH
    ),
    Refusal.SESSION_INVALID: Row(
        400,
        _LOGIN + "INPUT_INVALID.SessionToken.Invalid",
        "The VZ-M2M-Token header is missing, unknown, or of another login. Log in for a new one.",
    ),
    Refusal.SESSION_EXPIRED: Row(
        400,
        _LOGIN + "REQUEST_FAILED.SessionToken.Expired",
        "The session was idle for more than 20 minutes. Log in for a new one.",
    ),
    Refusal.LOGIN_REFUSED: Row(
        400,
        _LOGIN + "INPUT_INVALID.Password.Invalid",
        "Username or password is wrong. Five failures in a row lock the login.",
    ),
    Refusal.ACCOUNT_NOT_FOUND: Row(
        400,
        _LOGIN + "REQUEST_FAILED.AccountNotFound",
        "The account does not exist, or this login may not see it.",
    ),
    Refusal.INTERNAL: Row(
        500, "INTERNAL_SYSTEM_ERROR", "The system encountered an internal error."
    ),
    # Ours altogether.
    Refusal.ROLE_MISSING: Row(
        400, "INVALID_ACCESS", "The role of this login does not allow this.", own_status=403
    ),
    Refusal.LIST_TYPE_INVALID: Row(400, _PARAMETER, "type must be append, or absent to replace"),
    Refusal.EVENT_ONLY: Row(
        409, "EVENT_ONLY", "The account pays per event; it has no licenses to resize."
    ),
    Refusal.LICENSES_LEFT: Row(
        409,
        "LICENSES_LEFT",
        "The account has {total} licenses, {used} of them used; resize it to 0 first.",
    ),
    Refusal.UNDO_IMPOSSIBLE: Row(
        409,
        "UNDO_IMPOSSIBLE",
        "Change {sequence} is a {verb}; only assign, remove, resize and their undos can be undone.",
    ),
    Refusal.RESIZED_SINCE: Row(
        409,
        "RESIZED_SINCE",
        "Change {sequence} set {made} licenses and the pool has {total} now, so that its size is "
        "not taken back; use resize.",
    ),
    Refusal.MORE_USED: Row(
        409,
        "MORE_USED",
        "{used} licenses are used now, more than the {before} of before change {sequence}; "
        "use resize.",
    ),
    Refusal.FIELD_UNKNOWN: Row(400, _PARAMETER, "{name} is not known here"),
    Refusal.PARAMETER_INVALID: Row(400, _PARAMETER, "{name} must be {expected}"),
    Refusal.PLACE_INVALID: Row(400, _PARAMETER, "cursor is not one that this list gave"),
    Refusal.CHANGE_UNKNOWN: Row(404, "CHANGE_NOT_FOUND", "The account has no change {sequence}."),
    Refusal.DEVICE_UNKNOWN: Row(
        404, "DEVICE_NOT_FOUND", "{imei} is not, and never was, a device of the account."
    ),
    Refusal.AS_OF_LATER: Row(
        400, "AS_OF_LATER", "That is later than now; the account's last change is {sequence}."
    ),
    Refusal.AS_OF_BEFORE: Row(400, "AS_OF_BEFORE", "That is before the account was made."),
    Refusal.PRECONDITION_INVALID: Row(
        400, "PRECONDITION_INVALID", 'If-Match must be one sequence in quotes, such as "7".'
    ),
    Refusal.PRECONDITION_FAILED: Row(
        412, "PRECONDITION_FAILED", "The account has moved on; its last change is {sequence}."
    ),
    Refusal.ACCOUNT_MISMATCH: Row(
        400, _PARAMETER, "accountName in the body is not the account in the path"
    ),
    Refusal.KEY_INVALID: Row(
        400,
        "IDEMPOTENCY_KEY_INVALID",
        "Idempotency-Key must be 1 to 128 printable ASCII characters.",
    ),
    Refusal.KEY_REUSED: Row(
        422, "IDEMPOTENCY_KEY_REUSED", "This Idempotency-Key was used for another request."
    ),
    Refusal.DEVICE_LIST_TOO_LONG: Row(400, _PARAMETER, "Device list exceeds {limit} devices"),
    Refusal.REQUEST_MALFORMED: Row(400, "BAD_REQUEST", "This is no HTTP/1.1 request."),
    Refusal.HEAD_TOO_LARGE: Row(
        431, "HEADERS_TOO_LARGE", "The request line and headers are too large."
    ),
    Refusal.PATH_UNKNOWN: Row(404, "NOT_FOUND", "No such path."),
    Refusal.METHOD_UNKNOWN: Row(
        405, "METHOD_NOT_ALLOWED", "This path does not answer this method; see the Allow header."
    ),
    Refusal.BODY_TOO_SLOW: Row(408, "REQUEST_TIMEOUT", "The body did not arrive in time."),
    Refusal.BODY_TOO_LARGE: Row(413, "PAYLOAD_TOO_LARGE", "The body exceeds {limit} bytes."),
    Refusal.BUSY: Row(
        503, "SERVICE_UNAVAILABLE", "The request was not carried out; try it again later."
    ),
    Refusal.OUTCOME_UNKNOWN: Row(
        503, "OUTCOME_UNKNOWN", "It is not known whether the request was carried out."
    ),
}


SPELT_OTHERWISE = {_LOGIN + "REQUEST_FAILED.SessionToken.Format": Refusal.SESSION_INVALID}
"""Codes that are documented for the same, and that this server does not send."""

OWN_API = "/fotapool/"
"""How the family of our own paths begins; their errors have one shape, whatever they tell."""


def write_error(
    refusal: Refusal, *, named: Mapping[str, int | str] = MappingProxyType({}), api: str = ""
) -> tuple[int, bytes]:
    """Status and body that tell a refusal.

    `named` fills the message; `api` is the path's family, such as `/fota/v3`.
    """
    row = ERRORS[refusal]
    own = api.startswith(OWN_API)
    text = row.own_message if own and row.own_message else row.message
    message = text.format_map(named)
    told: dict[str, object] = {}
    if own or row.shape is Shape.SERVICE:
        told |= {"errorCode": row.code, "errorMessage": message}
    if row.shape is Shape.GATEWAY:
        version = api.rpartition("/")[2]
        description = f"Access failure for API: {api}, version: {version}."
        told["fault"] = {"code": row.code, "message": message, "description": description}
    if row.shape is Shape.OAUTH:
        told |= {"error": row.code, "error_description": message}
    return (row.own_status if own and row.own_status else row.status), encode(told)


class _Fault(msgspec.Struct):
    code: str | int = ""
    message: str = ""


class _Error(msgspec.Struct):
    errorCode: str | None = None
    errorMessage: str | None = None
    error: str | None = None
    error_description: str | None = None
    fault: _Fault | None = None


_error = msgspec.json.Decoder(_Error)
_by_code = {
    (status, row.code): refusal
    for refusal, row in ERRORS.items()
    for status in (row.status, row.own_status)
    if status
} | {(ERRORS[refusal].status, code): refusal for code, refusal in SPELT_OTHERWISE.items()}
# One code stands for many parameter errors, told apart by their documented text alone.
_by_text = {(row.status, row.code, row.message): refusal for refusal, row in ERRORS.items()}


def read_error(status: int, body: bytes) -> tuple[str | None, str | None, Refusal | None]:
    """Code, message and, where it is one of ours, the refusal; never raises.

    A body that is none of the three shapes, such as a proxy's page, gives (None, None, None).
    """
    try:
        read = _error.decode(body)
    except UNREADABLE:
        return None, None, None
    if read.errorCode is not None:
        code, message = read.errorCode, read.errorMessage or ""
    elif read.fault is not None:
        code, message = str(read.fault.code), read.fault.message
    elif read.error is not None:
        code, message = read.error, read.error_description or ""
    else:
        return None, None, None
    refusal = _by_text.get((status, code, message))
    if refusal is None and code != _PARAMETER:
        refusal = _by_code.get((status, code))
    return code, message, refusal
