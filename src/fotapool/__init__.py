"""fotapool: pools of FOTA licenses. The SDK's public names; everything else is internal.

from fotapool import Client

with Client() as client:
    change = client.licenses.assign("0000123456-00001", ["990003425730524"])
"""

from __future__ import annotations

from fotapool.client import (
    AccountStatus,
    AnswerError,
    ApiError,
    ChangeSummary,
    Client,
    ClockHealth,
    ConnectionFailed,
    DryRun,
    ErrorException,
    Forbidden,
    Holding,
    HttpRequest,
    LicenseChange,
    LicensedDevice,
    LicensesController,
    MissingPath,
    NamedChange,
    PoolChange,
    PoolController,
    PoolStatus,
    Refusals,
    Response,
    ServerError,
    TimedOut,
    TooManyRequests,
    Transport,
    Unauthorized,
    UnexpectedAnswer,
    Verdict,
)
from fotapool.model import ConfigurationError, FotapoolError, Outcome
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
    "AccountStatus",
    "AnswerError",
    "ApiError",
    "ChangeSummary",
    "Client",
    "ClockHealth",
    "ConfigurationError",
    "ConnectionFailed",
    "DeviceResult",
    "DeviceResult1",
    "DryRun",
    "ErrorException",
    "Forbidden",
    "FotapoolError",
    "Holding",
    "HttpRequest",
    "LicenseChange",
    "LicenseIMEI",
    "LicenseResponse",
    "LicenseResponse1",
    "LicenseSummary",
    "LicenseSummaryDevice",
    "LicensedDevice",
    "LicensesAssignedRemovedRequest",
    "LicensesController",
    "MissingPath",
    "NamedChange",
    "Outcome",
    "PoolChange",
    "PoolController",
    "PoolStatus",
    "Refusals",
    "Response",
    "ServerError",
    "TimedOut",
    "TooManyRequests",
    "Transport",
    "Unauthorized",
    "UnexpectedAnswer",
    "Verdict",
    "__version__",
]

__version__ = "0.1.0"
