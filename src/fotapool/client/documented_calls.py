"""The documented operations as calls: what is sent, and what is made of the answers."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from fotapool.client.calls import NO_CURSOR, Call, list_of_imeis, paged, path_of_account, query_of
from fotapool.client.errors import Response
from fotapool.client.results import AccountDevice, LicenseChange, LicensedDevice, Page, Verdict
from fotapool.model import Verb
from fotapool.wire import family_answers as answers
from fotapool.wire import v3
from fotapool.wire.documented import LicensesAssignedRemovedRequest, LicenseSummary

T = TypeVar("T")


def page_call(
    read: Callable[[bytes], LicenseSummary], version: str, account: str, cursor: str | None
) -> Call[LicenseSummary]:
    path = _path(version, account) + query_of({"lastSeenDeviceId": cursor})
    return Call("GET", path, lambda response: read(response.body))


def change_call(
    read: Callable[[bytes], T], version: str, account: str, verb: str, body: bytes
) -> Call[T]:
    path = f"{_path(version, account)}/{verb}"
    return Call("POST", path, lambda response: read(response.body), body)


def plain_change_call(
    account: str, verb: Verb, imeis: Iterable[str], key: str | None
) -> Call[LicenseChange]:
    path = f"{_path('v3', account)}/{verb.word}"
    body = v3.write_request(_request(imeis))
    return Call("POST", path, lambda response: _read_change(verb, response), body, key)


def _path(version: str, account: str) -> str:
    return path_of_account(f"/api/fota/{version}/licenses/", account)


def warn_deprecated(method: str) -> None:
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


def devices_of_page(page: LicenseSummary) -> Iterator[LicensedDevice]:
    imeis = [device.device_id for device in page.device_list]
    texts = [device.assignment_time for device in page.device_list]
    return map(LicensedDevice, imeis, v3.read_moments(texts), texts)


def cursor_after(page: LicenseSummary | answers.DeviceList) -> str | None:
    """The cursor of the page behind this one; None where there is none."""
    if not page.has_more_data:
        return None
    last = page.last_seen_device_id
    return NO_CURSOR if last is None else str(last)


def account_devices_of(page: answers.DeviceList) -> Iterator[AccountDevice]:
    return map(account_device, page.device_list or ())


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
