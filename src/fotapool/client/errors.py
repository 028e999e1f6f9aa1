"""What a client raises. Broad classes to catch, narrow ones to recover.

FotapoolError
├── ConfigurationError            before any request: something is missing or not sensible
└── ApiError                      a call did not bring its result
    ├── ConnectionFailed          no answer: no connection, or it broke
    │   └── TimedOut              ... or took too long
    └── AnswerError               an answer, but not a good one
        ├── ErrorException        400, as documented: errorCode and errorMessage
        ├── Unauthorized          401
        ├── Forbidden             403
        ├── MissingPath           404
        ├── Conflict              409, 412: not as things stand
        ├── TooManyRequests       429
        ├── ServerError           5xx
        └── UnexpectedAnswer      any other status, or a good one that cannot be read

Below each of these stands one for every errorCode of it: `errors_by_code`.
"""

from __future__ import annotations

from fotapool.client.retry_after import retry_after_s
from fotapool.model import FotapoolError, Refusal
from fotapool.wire.answered import Response as Response  # noqa: PLC0414 -- told on from here
from fotapool.wire.errors import read_error

TEXT_SHOWN_MAX = 200
MESSAGE_SHOWN_MAX = 1000


class ApiError(FotapoolError):
    """A call did not bring its result.

    `in_doubt` is True where the call was a write that may have been carried out all the same:
    an answer was lost, and nothing since told what became of it.
    """

    in_doubt = False


class ConnectionFailed(ApiError):
    """No answer came. `sent` says whether the request may have reached the server."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), str(self), self.sent), self.__dict__


class TimedOut(ConnectionFailed):
    """No answer came in time."""


class AnswerError(ApiError):
    """A bad answer. Picklable; `str()` always works, whatever the body was.

    `error_code` and `error_message` are None where the body names none; `refusal` is the
    condition behind them where this version knows it.
    """

    reason: str = "Unexpected error"

    def __init__(self, response: Response, reason: str | None = None) -> None:
        super().__init__(response, reason)
        self.response = response
        self.response_code: int = response.status_code
        self.reason = reason or type(self).reason
        self.error_code: str | None
        self.error_message: str | None
        self.refusal: Refusal | None
        self.error_code, self.error_message, self.refusal = read_error(
            response.status_code, response.body
        )

    @property
    def request_id(self) -> str | None:
        """The server's id for the request, to quote when asking about it."""
        return self.response.request_id

    @property
    def retry_after_s(self) -> float | None:
        """How many seconds the server asks to wait before the next attempt, if it does."""
        return retry_after_s(self.response.headers)

    def __str__(self) -> str:
        if self.error_code is not None:
            said = _line(f"{self.error_code}: {self.error_message}", MESSAGE_SHOWN_MAX)
        else:
            said = _line(self.response.text, TEXT_SHOWN_MAX)
        shown = f"{self.response_code} {self.reason}"
        return f"{shown}: {said}" if said else shown

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class ErrorException(AnswerError):
    """400: the service refused the request as a whole."""


class Unauthorized(AnswerError):
    """401: the bearer token or the client credentials are wrong or have expired."""

    reason = "Unauthorized"


class Forbidden(AnswerError):
    """403: this login may not do that."""

    reason = "Forbidden"


class MissingPath(AnswerError):
    """404: the path, or what it names, is not there. No `error_code`? Check the base URL."""

    reason = "Not found"


class Conflict(AnswerError):
    """409, 412: the account stands otherwise than the request needs. Nothing was done.

    PreconditionFailed where `if_sequence` is no longer the last change; UndoImpossible,
    ResizedSince or MoreUsed for an undo; EventOnly for a resize.
    """

    reason = "Conflict"


class TooManyRequests(AnswerError):
    """429: slower, please."""

    reason = "Too many requests"


class ServerError(AnswerError):
    """5xx: the server failed, or cannot take requests now."""

    reason = "Server error"


class UnexpectedAnswer(AnswerError):
    """An answer that this client cannot read, or a status it does not expect."""

    reason = "Unexpected answer"


def redirected(response: Response) -> str | None:
    """What is said of a redirect: where it leads, without what the place was to be told."""
    place = response.headers.get("location")
    if place is None or not 300 <= response.status_code < 400:
        return None
    shown = place.partition("?")[0].partition("#")[0]
    scheme, slashes, rest = shown.partition("//")
    host, slash, path = rest.partition("/")
    shown = f"{scheme}{slashes}{host.rpartition('@')[2]}{slash}{path}"[:TEXT_SHOWN_MAX]
    return (
        f"Redirected to {shown!r}, where no login is sent: "
        "set base_url to where the API itself answers"
    )


def _line(text: str, longest: int) -> str:
    """A text as one line that is not too long to be shown."""
    line = " ".join(text.split())
    return line[:longest] + ("…" if len(line) > longest else "")


def _rebuild(kind: type[ConnectionFailed], message: str, sent: bool) -> ConnectionFailed:
    return kind(message, sent=sent)
