"""fotapool: pools of FOTA licenses. The SDK's public names; everything else is internal.

from fotapool import Client

with Client() as client:
    change = client.licenses.assign("0000123456-00001", ["990003425730524"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fotapool.client import (
        AccountDevice,
        AccountNotFound,
        AccountStatus,
        AnswerError,
        ApiError,
        AsOfBefore,
        AsOfLater,
        BadRequest,
        BodyTooSlow,
        CallOptions,
        CandidateEdit,
        ChangeNotFound,
        ChangeSummary,
        Client,
        ClientInvalid,
        ClockHealth,
        Conflict,
        ConnectionFailed,
        CredentialsMissing,
        DeviceNotFound,
        DevicesController,
        DryRun,
        ErrorException,
        EventOnly,
        Forbidden,
        GrantTypeUnsupported,
        HeadersTooLarge,
        Holding,
        HttpRequest,
        IdempotencyKeyInvalid,
        IdempotencyKeyReused,
        InternalError,
        InvalidParameter,
        LicenseChange,
        LicensedDevice,
        LicensesController,
        LicensesLeft,
        Listing,
        LoginRefused,
        MethodNotAllowed,
        MissingPath,
        MoreUsed,
        NamedChange,
        OutcomeUnknown,
        Page,
        PathNotFound,
        PayloadTooLarge,
        PoolAccount,
        PoolChange,
        PoolController,
        PoolDevice,
        PoolStatus,
        PreconditionFailed,
        PreconditionInvalid,
        Refusals,
        ResizedSince,
        Response,
        RoleMissing,
        ServerError,
        ServiceUnavailable,
        SessionExpired,
        SessionInvalid,
        Subscription,
        TimedOut,
        TokenInvalid,
        TokenRequestInvalid,
        TooManyRequests,
        Transport,
        Unauthorized,
        UndoImpossible,
        UnexpectedAnswer,
        UpgradesController,
        Verdict,
    )
    from fotapool.client.aio import (
        AsyncClient,
        AsyncDevicesController,
        AsyncLicensesController,
        AsyncListing,
        AsyncPoolController,
        AsyncTransport,
        AsyncUpgradesController,
    )
    from fotapool.model import ConfigurationError, FotapoolError, NotJson, Outcome
    from fotapool.wire.documented import (
        DeviceResult,
        DeviceResult1,
        LicenseIMEI,
        LicenseResponse,
        LicenseResponse1,
        LicensesAssignedRemovedRequest,
        LicenseSummary,
        LicenseSummaryDevice,
    )

__all__ = [
    "AccountDevice",
    "AccountNotFound",
    "AccountStatus",
    "AnswerError",
    "ApiError",
    "AsOfBefore",
    "AsOfLater",
    "AsyncClient",
    "AsyncDevicesController",
    "AsyncLicensesController",
    "AsyncListing",
    "AsyncPoolController",
    "AsyncTransport",
    "AsyncUpgradesController",
    "BadRequest",
    "BodyTooSlow",
    "CallOptions",
    "CandidateEdit",
    "ChangeNotFound",
    "ChangeSummary",
    "Client",
    "ClientInvalid",
    "ClockHealth",
    "ConfigurationError",
    "Conflict",
    "ConnectionFailed",
    "CredentialsMissing",
    "DeviceNotFound",
    "DeviceResult",
    "DeviceResult1",
    "DevicesController",
    "DryRun",
    "ErrorException",
    "EventOnly",
    "Forbidden",
    "FotapoolError",
    "GrantTypeUnsupported",
    "HeadersTooLarge",
    "Holding",
    "HttpRequest",
    "IdempotencyKeyInvalid",
    "IdempotencyKeyReused",
    "InternalError",
    "InvalidParameter",
    "LicenseChange",
    "LicenseIMEI",
    "LicenseResponse",
    "LicenseResponse1",
    "LicenseSummary",
    "LicenseSummaryDevice",
    "LicensedDevice",
    "LicensesAssignedRemovedRequest",
    "LicensesController",
    "LicensesLeft",
    "Listing",
    "LoginRefused",
    "MethodNotAllowed",
    "MissingPath",
    "MoreUsed",
    "NamedChange",
    "NotJson",
    "Outcome",
    "OutcomeUnknown",
    "Page",
    "PathNotFound",
    "PayloadTooLarge",
    "PoolAccount",
    "PoolChange",
    "PoolController",
    "PoolDevice",
    "PoolStatus",
    "PreconditionFailed",
    "PreconditionInvalid",
    "Refusals",
    "ResizedSince",
    "Response",
    "RoleMissing",
    "ServerError",
    "ServiceUnavailable",
    "SessionExpired",
    "SessionInvalid",
    "Subscription",
    "TimedOut",
    "TokenInvalid",
    "TokenRequestInvalid",
    "TooManyRequests",
    "Transport",
    "Unauthorized",
    "UndoImpossible",
    "UnexpectedAnswer",
    "UpgradesController",
    "Verdict",
    "__version__",
]

__version__ = "0.1.0"

_ROOMS = (
    "fotapool.client",
    "fotapool.model",
    "fotapool.wire.documented",
    "fotapool.client.aio",  # asyncio comes with it
)

if not TYPE_CHECKING:  # a checker is to see the names above, and no others

    def __getattr__(name: str) -> object:
        """A public name, imported when it is first asked for: pytest loads our plugin in every
        run, and a run that does not use it is not to wait for an SDK."""
        if name in __all__:
            for room in _ROOMS[:-1] if not name.startswith("Async") else _ROOMS[-1:]:
                module = import_module(room)
                if hasattr(module, name):
                    return globals().setdefault(name, getattr(module, name))
        raise AttributeError(f"module 'fotapool' has no attribute {name!r}")

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
