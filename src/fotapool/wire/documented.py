"""The models of the documented SDK: requests to fill in, results that do not change.

Names are those of docs/reference/licenses.md. A result has every documented field: an absent
optional is None, an absent list empty, and zero stays zero. It keeps its answer, `response`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import msgspec

from fotapool.wire.answered import Answered


class LicenseIMEI(msgspec.Struct, rename="camel", omit_defaults=True):
    """What v2 assign and remove send: IMEIs, and optionally the account once more."""

    device_list: list[str] | None = None
    account_name: str | None = None


class LicensesAssignedRemovedRequest(msgspec.Struct, rename="camel", omit_defaults=True):
    """What v3 assign and remove send: IMEIs."""

    device_list: list[str] | None = None


class LicenseSummaryDevice(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A licensed device, its assignment time as received (the style differs between versions)."""

    device_id: str
    assignment_time: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseSummary(Answered):
    """One page of an account's licensed devices with the account's totals."""

    account_name: str
    total_license: int | None
    assigned_licenses: int
    has_more_data: bool
    last_seen_device_id: str | None
    max_page_size: int
    device_list: tuple[LicenseSummaryDevice, ...] = ()

    @property
    def total_licenses(self) -> int | None:
        """The same number under the name that v1 and v3 print."""
        return self.total_license


class DeviceResult(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One device's verdict as v2 prints it."""

    device_id: str
    status: str
    result_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseResponse(Answered):
    """The answer to a v2 assign or remove: totals after it, a verdict for each item."""

    account_name: str
    lic_total_count: int
    lic_used_count: int
    device_list: tuple[DeviceResult, ...] = ()
    reconciled: bool = False
    """An answer was lost on the way: what was done already was read, and only the rest sent."""


class DeviceResult1(msgspec.Struct, frozen=True, gc=False):
    """One device's verdict as v3 prints it. A time is its text as received where it is none."""

    device_id: str
    status: str
    result_reason: str | None = None
    reason: str | None = None
    updated_time: datetime | str | None = None
    recent_attempt_time: datetime | str | None = None
    next_attempt_time: datetime | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenseResponse1(Answered):
    """The answer to a v3 assign or remove. `lic_count` is printed with two meanings; trust
    `lic_total_count`, which falls back to it where a server prints only that."""

    account_name: str
    lic_count: int | None
    lic_total_count: int
    lic_used_count: int
    device_list: tuple[DeviceResult1, ...] = ()
    reconciled: bool = False
    """An answer was lost on the way: what was done already was read, and only the rest sent."""
