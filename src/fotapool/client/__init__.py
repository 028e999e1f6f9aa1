"""The SDK. `Client` logs in by itself and offers `client.licenses`, `client.pool`,
`client.devices` and `client.upgrades`.

A `Call` says what to send and how to read the answer (`documented_calls`, `own_calls`); a shell
carries it: tokens, retries, errors. It works against a fotapool server and against the vendor's.

Every verb is written once, as a coroutine, in `aio`; `AsyncClient` is there. The modules of
`Client` are made of those by `scripts/uncolour`.
"""

from __future__ import annotations

from fotapool.client.devices import DevicesController, UpgradesController
from fotapool.client.errors import (
    AnswerError,
    ApiError,
    Conflict,
    ConnectionFailed,
    ErrorException,
    Forbidden,
    MissingPath,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
    Unauthorized,
    UnexpectedAnswer,
)
from fotapool.client.licenses import LicensesController
from fotapool.client.network import Network
from fotapool.client.options import CallOptions
from fotapool.client.paging import Listing
from fotapool.client.pool import PoolController
from fotapool.client.results import (
    AccountDevice,
    AccountStatus,
    CandidateEdit,
    ChangeSummary,
    ClockHealth,
    DryRun,
    Holding,
    LicenseChange,
    LicensedDevice,
    NamedChange,
    Page,
    PoolAccount,
    PoolChange,
    PoolDevice,
    PoolStatus,
    Refusals,
    Subscription,
    Verdict,
)
from fotapool.client.shell import Client
from fotapool.client.transport import (
    DefaultTransport,
    HttpRequest,
    Transport,
    Urllib3Transport,
    standing_in,
)

__all__ = [
    "AccountDevice",
    "AccountStatus",
    "AnswerError",
    "ApiError",
    "CallOptions",
    "CandidateEdit",
    "ChangeSummary",
    "Client",
    "ClockHealth",
    "Conflict",
    "ConnectionFailed",
    "DefaultTransport",
    "DevicesController",
    "DryRun",
    "ErrorException",
    "Forbidden",
    "Holding",
    "HttpRequest",
    "LicenseChange",
    "LicensedDevice",
    "LicensesController",
    "Listing",
    "MissingPath",
    "NamedChange",
    "Network",
    "Page",
    "PoolAccount",
    "PoolChange",
    "PoolController",
    "PoolDevice",
    "PoolStatus",
    "Refusals",
    "Response",
    "ServerError",
    "Subscription",
    "TimedOut",
    "TooManyRequests",
    "Transport",
    "Unauthorized",
    "UnexpectedAnswer",
    "UpgradesController",
    "Urllib3Transport",
    "Verdict",
    "standing_in",
]
