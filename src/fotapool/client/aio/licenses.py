"""`client.licenses`: the six documented methods, and plainer verbs beside them.

The six keep their documented names, argument names and models (docs/reference/licenses.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Unpack

from fotapool.client.aio.family import AsyncFamilyOperations
from fotapool.client.aio.paging import AsyncListing
from fotapool.client.calls import Call, making, paged
from fotapool.client.change_calls import plain_change_call, v2_change_call, v3_change_call
from fotapool.client.documented_calls import (
    account_status,
    cursor_after,
    devices_of_page,
    page_call,
    warn_deprecated,
)
from fotapool.client.options import CallOptions
from fotapool.client.results import AccountStatus, LicenseChange, LicensedDevice, Page
from fotapool.model import Verb
from fotapool.wire import v2, v3
from fotapool.wire.documented import (
    LicenseIMEI,
    LicenseResponse,
    LicenseResponse1,
    LicensesAssignedRemovedRequest,
    LicenseSummary,
)


class AsyncLicensesController(AsyncFamilyOperations):
    """The license operations of one client."""

    # --- as documented -----------------------------------------------------------------------

    async def get_user_fota_licenses_summary(
        self, account: str, last_seen_device_id: str | None = None, **options: Unpack[CallOptions]
    ) -> LicenseSummary:
        """List license usage, a page of devices at a time (v2). Raises ApiError."""
        return await self._performer.perform(
            page_call(v2.read_page, "v2", account, last_seen_device_id), **options
        )

    async def assign_fota_licenses_to_devices(
        self, account: str, body: LicenseIMEI, **options: Unpack[CallOptions]
    ) -> LicenseResponse:
        """Assign licenses to a list of devices (v2, deprecated). Raises ApiError."""
        warn_deprecated("assign_fota_licenses_to_devices")
        return await self._performer.perform(v2_change_call(account, Verb.ASSIGN, body), **options)

    async def remove_licenses_from_devices(
        self, account: str, body: LicenseIMEI, **options: Unpack[CallOptions]
    ) -> LicenseResponse:
        """Remove licenses from a list of devices (v2, deprecated). Raises ApiError."""
        warn_deprecated("remove_licenses_from_devices")
        return await self._performer.perform(v2_change_call(account, Verb.REMOVE, body), **options)

    async def summarize_fota_licenses_assignment(
        self, acc: str, last_seen_device_id: str | None = None, **options: Unpack[CallOptions]
    ) -> LicenseSummary:
        """List license usage, a page of devices at a time (v3). Raises ApiError."""
        return await self._performer.perform(
            page_call(v3.read_page, "v3", acc, last_seen_device_id), **options
        )

    async def assign_fota_licenses_to_devices_1(
        self, acc: str, body: LicensesAssignedRemovedRequest, **options: Unpack[CallOptions]
    ) -> LicenseResponse1:
        """Assign licenses to a list of devices (v3). Raises ApiError."""
        return await self._performer.perform(v3_change_call(acc, Verb.ASSIGN, body), **options)

    async def remove_licenses_from_devices_1(
        self, acc: str, body: LicensesAssignedRemovedRequest, **options: Unpack[CallOptions]
    ) -> LicenseResponse1:
        """Remove licenses from a list of devices (v3). Raises ApiError."""
        return await self._performer.perform(v3_change_call(acc, Verb.REMOVE, body), **options)

    # --- plainer -----------------------------------------------------------------------------

    async def assign(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> LicenseChange:
        """Assign a license to each device: totals after it and a verdict per item, in order.

        A device that has one already is a success and costs nothing. With an
        `idempotency_key` of your own you may ask again after a crash: a server that keeps keys
        carries the request out once and repeats its answer. Raises ApiError when the request as
        a whole fails.
        """
        return await self._performer.perform(
            plain_change_call(account, Verb.ASSIGN, imeis, idempotency_key), **options
        )

    async def remove(
        self,
        account: str,
        imeis: Iterable[str],
        *,
        idempotency_key: str | None = None,
        **options: Unpack[CallOptions],
    ) -> LicenseChange:
        """Take the license of each device: totals after it and a verdict per item, in order.

        `idempotency_key` as for `assign`. Raises ApiError when the request as a whole fails.
        """
        return await self._performer.perform(
            plain_change_call(account, Verb.REMOVE, imeis, idempotency_key), **options
        )

    async def status(self, account: str, **options: Unpack[CallOptions]) -> AccountStatus:
        """The account's totals, and the first page of its licensed devices. Raises ApiError."""
        call = page_call(v3.read_page, "v3", account, None)
        return await self._performer.perform(making(account_status, call), **options)

    def devices(self, account: str, **options: Unpack[CallOptions]) -> AsyncListing[LicensedDevice]:
        """Every licensed device, page by page as it is asked for. Raises ApiError."""

        def call_at(cursor: str | None) -> Call[Page[LicensedDevice]]:
            call = page_call(v3.read_page, "v3", account, cursor)
            return paged(call, devices_of_page, cursor_after)

        return AsyncListing(self._performer.with_options(**options), account, call_at)
