"""`client.licenses`: the six documented methods, and plainer verbs beside them.

The six keep their documented names, argument names and models (docs/reference/licenses.md).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from urllib.parse import urlencode

from fotapool.client.calls import Call, list_of_imeis, path_of_account
from fotapool.client.errors import ApiError, Response
from fotapool.client.family import FamilyOperations
from fotapool.client.results import AccountStatus, LicenseChange, LicensedDevice, Verdict
from fotapool.model import Verb
from fotapool.wire import v2, v3
from fotapool.wire.documented import (
    LicenseIMEI,
    LicenseResponse,
    LicenseResponse1,
    LicensesAssignedRemovedRequest,
    LicenseSummary,
)

T = TypeVar("T")


class LicensesController(FamilyOperations):
    """The license operations of one client."""

    # --- as documented -----------------------------------------------------------------------

    def get_user_fota_licenses_summary(
        self, account: str, last_seen_device_id: str | None = None
    ) -> LicenseSummary:
        """List license usage, a page of devices at a time (v2). Raises ApiError."""
        return self._performer.perform(_page(v2.read_page, "v2", account, last_seen_device_id))

    def assign_fota_licenses_to_devices(self, account: str, body: LicenseIMEI) -> LicenseResponse:
        """Assign licenses to a list of devices (v2, deprecated). Raises ApiError."""
        _warn_deprecated("assign_fota_licenses_to_devices")
        return self._performer.perform(
            _change(v2.read_change, "v2", account, "assign", v2.write_request(body))
        )

    def remove_licenses_from_devices(self, account: str, body: LicenseIMEI) -> LicenseResponse:
        """Remove licenses from a list of devices (v2, deprecated). Raises ApiError."""
        _warn_deprecated("remove_licenses_from_devices")
        return self._performer.perform(
            _change(v2.read_change, "v2", account, "remove", v2.write_request(body))
        )

    def summarize_fota_licenses_assignment(
        self, acc: str, last_seen_device_id: str | None = None
    ) -> LicenseSummary:
        """List license usage, a page of devices at a time (v3). Raises ApiError."""
        return self._performer.perform(_page(v3.read_page, "v3", acc, last_seen_device_id))

    def assign_fota_licenses_to_devices_1(
        self, acc: str, body: LicensesAssignedRemovedRequest
    ) -> LicenseResponse1:
        """Assign licenses to a list of devices (v3). Raises ApiError."""
        return self._performer.perform(
            _change(v3.read_change, "v3", acc, "assign", v3.write_request(body))
        )

    def remove_licenses_from_devices_1(
        self, acc: str, body: LicensesAssignedRemovedRequest
    ) -> LicenseResponse1:
        """Remove licenses from a list of devices (v3). Raises ApiError."""
        return self._performer.perform(
            _change(v3.read_change, "v3", acc, "remove", v3.write_request(body))
        )

    # --- plainer -----------------------------------------------------------------------------

    def assign(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> LicenseChange:
        """Assign a license to each device: totals after it and a verdict per item, in order.

        A device that has one already is a success and costs nothing. With an
        `idempotency_key` of your own you may ask again after a crash: a server that keeps keys
        carries the request out once and repeats its answer. Raises ApiError when the request as
        a whole fails.
        """
        return self._performer.perform(_plain_change(account, Verb.ASSIGN, imeis, idempotency_key))

    def remove(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> LicenseChange:
        """Take the license of each device: totals after it and a verdict per item, in order.

        `idempotency_key` as for `assign`. Raises ApiError when the request as a whole fails.
        """
        return self._performer.perform(_plain_change(account, Verb.REMOVE, imeis, idempotency_key))

    def status(self, account: str) -> AccountStatus:
        """The account's totals, and the first page of its licensed devices. Raises ApiError."""
        page = self.summarize_fota_licenses_assignment(account)
        return AccountStatus(
            account=page.account_name,
            total=page.total_license,
            used=page.assigned_licenses,
            devices=tuple(_read_devices(page)),
            has_more=page.has_more_data,
        )

    def devices(self, account: str) -> Iterator[LicensedDevice]:
        """Every licensed device, page by page as it is asked for. Raises ApiError."""
        cursor: str | None = None
        while True:
            page = self.summarize_fota_licenses_assignment(account, cursor)
            yield from _read_devices(page)
            if not page.has_more_data:
                return
            if page.last_seen_device_id in (None, cursor):
                raise ApiError(f"the pages of {account} do not go on after {cursor}, yet say so")
            cursor = page.last_seen_device_id


def _page(
    read: Callable[[bytes], LicenseSummary], version: str, account: str, cursor: str | None
) -> Call[LicenseSummary]:
    query = "" if cursor is None else "?" + urlencode({"lastSeenDeviceId": cursor})
    return Call("GET", _path(version, account) + query, lambda response: read(response.body))


def _change(
    read: Callable[[bytes], T], version: str, account: str, verb: str, body: bytes
) -> Call[T]:
    path = f"{_path(version, account)}/{verb}"
    return Call("POST", path, lambda response: read(response.body), body)


def _plain_change(
    account: str, verb: Verb, imeis: Iterable[str], key: str | None
) -> Call[LicenseChange]:
    path = f"{_path('v3', account)}/{verb.word}"
    body = v3.write_request(_request(imeis))
    return Call("POST", path, lambda response: _read_change(verb, response), body, key)


def _path(version: str, account: str) -> str:
    return path_of_account(f"/api/fota/{version}/licenses/", account)


def _warn_deprecated(method: str) -> None:
    # Three frames up is the caller's own line.
    warnings.warn(
        f"{method} is deprecated; use {method}_1, or assign and remove",
        DeprecationWarning,
        stacklevel=3,
    )


def _request(imeis: Iterable[str]) -> LicensesAssignedRemovedRequest:
    return LicensesAssignedRemovedRequest(device_list=list_of_imeis(imeis))


def _read_change(verb: Verb, response: Response) -> LicenseChange:
    answer = v3.read_change(response.body)
    outcomes = v3.read_outcomes(verb, answer.device_list)
    return LicenseChange(
        account=answer.account_name,
        total=answer.lic_total_count,
        used=answer.lic_used_count,
        verdicts=tuple(
            Verdict(item.device_id, outcome, item.status, item.result_reason or item.reason or "")
            for item, outcome in zip(answer.device_list, outcomes, strict=True)
        ),
        change=_read_sequence(response.headers.get("fotapool-change", "")),
        replayed=response.headers.get("idempotency-replayed") == "true",
    )


def _read_sequence(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() else None


def _read_devices(page: LicenseSummary) -> Iterator[LicensedDevice]:
    for device, moment in zip(page.device_list, v3.read_moments(page), strict=True):
        yield LicensedDevice(device.device_id, moment, device.assignment_time)
