"""The documented operations as calls: what is sent, and what is made of the answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TypeVar

from fotapool.client.calls import (
    NO_CURSOR,
    Call,
    making,
    paged,
    path_of_account,
    query_of,
)
from fotapool.client.errors import Response
from fotapool.client.results import (
    AccountDevice,
    AccountStatus,
    LicensedDevice,
    Page,
    Subscription,
)
from fotapool.wire import family_answers as answers
from fotapool.wire import v3
from fotapool.wire.documented import LicenseSummary

T = TypeVar("T")


def page_call(
    read: Callable[[bytes], LicenseSummary], version: str, account: str, cursor: str | None
) -> Call[LicenseSummary]:
    path = licenses_path(version, account) + query_of({"lastSeenDeviceId": cursor})
    return Call("GET", path, lambda response: read(response.body))


def licenses_path(version: str, account: str) -> str:
    return path_of_account(f"/api/fota/{version}/licenses/", account)


def warn_deprecated(method: str) -> None:
    # Three frames up is the caller's own line.
    warnings.warn(
        f"{method} is deprecated; use {method}_1, or assign and remove",
        DeprecationWarning,
        stacklevel=3,
    )


def devices_of_page(page: LicenseSummary) -> Iterator[LicensedDevice]:
    imeis = [device.device_id for device in page.device_list]
    texts = [device.assignment_time for device in page.device_list]
    return map(LicensedDevice, imeis, v3.read_moments(texts), texts)


def account_status(page: LicenseSummary) -> AccountStatus:
    return AccountStatus(
        account=page.account_name,
        total=page.total_license,
        used=page.assigned_licenses,
        devices=tuple(devices_of_page(page)),
        has_more=page.has_more_data,
    )


def subscription_call(account: str) -> Call[Subscription]:
    def make(told: answers.Subscription) -> Subscription:
        return Subscription(
            account=told.account_name or account,
            purchase_type=told.purchase_type,
            total=told.license_count,
            used=told.license_used_count,
            updated_at=answers.read_time(told.update_time),
            updated_at_text=told.update_time,
        )

    path = path_of_account("/api/fota/v3/subscriptions/", account)
    return making(make, documented_get(path, answers.read_subscription))


def cursor_after(page: LicenseSummary | answers.DeviceList) -> str | None:
    """The cursor of the page behind this one; None where there is none."""
    if not page.has_more_data:
        return None
    last = page.last_seen_device_id
    return NO_CURSOR if last is None else str(last)


def account_devices_call(
    account: str, cursor: str | None, protocol: str | None
) -> Call[Page[AccountDevice]]:
    path = _devices_path(account) + query_of({"lastSeenDeviceId": cursor, "protocol": protocol})
    return devices_paged(documented_get(path, answers.read_devices))


def named_call(account: str, imeis: list[str]) -> Call[answers.DeviceList]:
    """Asks for up to 1,000 devices by name."""
    body = v3.write_device_names(imeis)
    read = reading(answers.read_devices)
    return Call("POST", _devices_path(account), read, body, writes=False)


def devices_paged(call: Call[answers.DeviceList]) -> Call[Page[AccountDevice]]:
    """The call that reads a page of devices as we tell of them."""
    return paged(call, lambda page: map(account_device, page.device_list or ()), cursor_after)


def _devices_path(account: str) -> str:
    return path_of_account("/api/fota/v3/devices/", account)


def candidates_call(account: str, cursor: str | None) -> Call[Page[str]]:
    """The page of the candidate list that begins at an index."""
    asked = cursor or "0"
    start = int(asked) if asked.isdecimal() else 0  # what is no number, the server refuses

    def next_of(page: answers.CandidateList) -> str | None:
        found = len(page.device_list or ())
        return (str(start + found) if found else NO_CURSOR) if page.has_more_data else None

    path = candidates_path(account) + query_of({"startIndex": asked})
    call = documented_get(path, answers.read_candidates)
    return paged(call, lambda page: page.device_list or (), next_of)


def candidates_path(account: str) -> str:
    return path_of_account("/api/fota/v2/licenses/", account) + "/cancel"


def documented_get(path: str, read: Callable[[bytes], T]) -> Call[T]:
    return Call("GET", path, reading(read))


def reading(read: Callable[[bytes], T]) -> Callable[[Response], T]:
    return lambda response: read(response.body)


def account_device(told: answers.ListedDevice) -> AccountDevice:
    return AccountDevice(
        imei=told.device_id,
        licensed=told.license_assigned,
        found=told.request_status in (None, "Success"),
        make=told.make,
        model=told.model,
        firmware=told.firmware,
        protocol=told.protocol,
        status=told.status,
        upgraded_at=answers.read_time(told.upgrade_time),
    )
