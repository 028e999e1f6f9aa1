"""An error for each code that an answer may name, below the error of its status.

A code that is not known here, or comes with a status of another kind, is the error of its status.
"""

from __future__ import annotations

from fotapool.client.errors import (
    AnswerError,
    Conflict,
    ErrorException,
    Forbidden,
    MissingPath,
    Response,
    ServerError,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
    redirected,
)
from fotapool.model import Refusal
from fotapool.wire.errors import ERRORS, SPELT_OTHERWISE


class InvalidParameter(ErrorException):
    """A member, parameter, list or account name is not what it must be; the message says which.

    `refusal` tells those apart whose texts are documented.
    """


class BadRequest(ErrorException):
    """What arrived is no HTTP request: something on the way has mangled it."""


class AccountNotFound(ErrorException):
    """The account does not exist, or this login may not see it."""


class SessionExpired(ErrorException):
    """The session was idle for too long, and the client was given no login to begin another."""


class SessionInvalid(ErrorException):
    """The session token is unknown, or of another credential."""


class LoginRefused(ErrorException):
    """Username or password is wrong, or the login is locked. It is not sent again."""


class TokenRequestInvalid(ErrorException):
    """The call for a bearer token lacks its grant type."""


class GrantTypeUnsupported(ErrorException):
    """The call for a bearer token names a grant type that the server does not know."""


class AsOfLater(ErrorException):
    """A position of the past that is later than now."""


class AsOfBefore(ErrorException):
    """A position of the past from before the account was made."""


class PreconditionInvalid(ErrorException):
    """`If-Match` is not one sequence in quotes."""


class IdempotencyKeyInvalid(ErrorException):
    """The idempotency key is not 1 to 128 printable ASCII characters."""


class CredentialsMissing(Unauthorized):
    """The server saw no bearer token, or no client credentials."""


class TokenInvalid(Unauthorized):
    """The bearer token is wrong or has expired, and a new one did not help or was not to be had."""


class ClientInvalid(Unauthorized):
    """Client id or client secret is wrong. They are not sent again."""


class RoleMissing(Forbidden, ErrorException):
    """The role of this login does not allow it: 403, and 400 on the documented paths."""


class PathNotFound(MissingPath):
    """The server knows no such path."""


class ChangeNotFound(MissingPath):
    """The account has no change of this number."""


class DeviceNotFound(MissingPath):
    """The device is not, and never was, one of the account's."""


class PreconditionFailed(Conflict):
    """The account has moved on from `if_sequence`. Nothing was done."""


class EventOnly(Conflict):
    """The account pays per event: it has no licenses to resize."""


class LicensesLeft(Conflict):
    """The account has licenses, so that it cannot pay per event."""


class UndoImpossible(Conflict):
    """A change of this verb cannot be undone."""


class ResizedSince(Conflict):
    """Another resize came after the one that was to be undone."""


class MoreUsed(Conflict):
    """More licenses are used now than there were before the resize that was to be undone."""


class MethodNotAllowed(UnexpectedAnswer):
    """The server's path does not answer this method."""

    reason = "Method not allowed"


class BodyTooSlow(UnexpectedAnswer):
    """The server did not get the whole request in time. Nothing was done."""

    reason = "Request timeout"


class PayloadTooLarge(UnexpectedAnswer):
    """The request is larger than the server takes: send shorter lists."""

    reason = "Payload too large"


class IdempotencyKeyReused(UnexpectedAnswer):
    """The idempotency key was used for another request. Nothing was done."""

    reason = "Idempotency key reused"


class HeadersTooLarge(UnexpectedAnswer):
    """The request line and headers are larger than the server takes."""

    reason = "Headers too large"


class InternalError(ServerError):
    """The server failed."""


class ServiceUnavailable(ServerError):
    """The server cannot take the request now. Nothing was done."""


class OutcomeUnknown(ServerError):
    """The server does not know whether the request was carried out: wholly, or not at all."""


_BY_STATUS: dict[int, type[AnswerError]] = {
    400: ErrorException,
    401: Unauthorized,
    403: Forbidden,
    404: MissingPath,
    409: Conflict,
    412: Conflict,
    429: TooManyRequests,
}

# One refusal for each code; the code itself stands in the table that the server writes from.
_BY_REFUSAL: dict[Refusal, type[AnswerError]] = {
    Refusal.PARAMETER_INVALID: InvalidParameter,
    Refusal.REQUEST_MALFORMED: BadRequest,
    Refusal.ACCOUNT_NOT_FOUND: AccountNotFound,
    Refusal.SESSION_EXPIRED: SessionExpired,
    Refusal.SESSION_INVALID: SessionInvalid,
    Refusal.LOGIN_REFUSED: LoginRefused,
    Refusal.GRANT_TYPE_MISSING: TokenRequestInvalid,
    Refusal.GRANT_TYPE_UNSUPPORTED: GrantTypeUnsupported,
    Refusal.AS_OF_LATER: AsOfLater,
    Refusal.AS_OF_BEFORE: AsOfBefore,
    Refusal.PRECONDITION_INVALID: PreconditionInvalid,
    Refusal.KEY_INVALID: IdempotencyKeyInvalid,
    Refusal.BEARER_MISSING: CredentialsMissing,
    Refusal.BEARER_INVALID: TokenInvalid,
    Refusal.CLIENT_INVALID: ClientInvalid,
    Refusal.ROLE_MISSING: RoleMissing,
    Refusal.PATH_UNKNOWN: PathNotFound,
    Refusal.CHANGE_UNKNOWN: ChangeNotFound,
    Refusal.DEVICE_UNKNOWN: DeviceNotFound,
    Refusal.PRECONDITION_FAILED: PreconditionFailed,
    Refusal.EVENT_ONLY: EventOnly,
    Refusal.LICENSES_LEFT: LicensesLeft,
    Refusal.UNDO_IMPOSSIBLE: UndoImpossible,
    Refusal.RESIZED_SINCE: ResizedSince,
    Refusal.MORE_USED: MoreUsed,
    Refusal.METHOD_UNKNOWN: MethodNotAllowed,
    Refusal.BODY_TOO_SLOW: BodyTooSlow,
    Refusal.BODY_TOO_LARGE: PayloadTooLarge,
    Refusal.KEY_REUSED: IdempotencyKeyReused,
    Refusal.HEAD_TOO_LARGE: HeadersTooLarge,
    Refusal.INTERNAL: InternalError,
    Refusal.BUSY: ServiceUnavailable,
    Refusal.OUTCOME_UNKNOWN: OutcomeUnknown,
}

BY_CODE = {ERRORS[refusal].code: kind for refusal, kind in _BY_REFUSAL.items()} | {
    code: _BY_REFUSAL[refusal] for code, refusal in SPELT_OTHERWISE.items()
}
"""The error of each code."""


def error_of(response: Response) -> AnswerError:
    """The exception that an answer outside 2xx means."""
    fallback = ServerError if response.status_code >= 500 else UnexpectedAnswer
    broad = _BY_STATUS.get(response.status_code, fallback)
    error = broad(response, redirected(response))
    narrow = BY_CODE.get(error.error_code or "", broad)
    return narrow(response) if narrow is not broad and issubclass(narrow, broad) else error
