"""The part of `client.licenses` beside licenses: subscription, candidate list, devices.

Documented operations, so that they work on the vendor's service as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar
from urllib.parse import urlencode

from fotapool.client.calls import Call, Performer, list_of_imeis, path_of_account
from fotapool.client.errors import ApiError, Response
from fotapool.client.results import AccountDevice, CandidateEdit, Subscription
from fotapool.wire import family_answers as answers
from fotapool.wire import v3

T = TypeVar("T")


class FamilyOperations:
    """What an account has bought, which devices it has, and who loses a license first."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def subscription(self, account: str) -> Subscription:
        """What the account has bought, and how much of it is used. Raises ApiError."""
        path = path_of_account("/api/fota/v3/subscriptions/", account)
        told = self._performer.perform(_get(path, answers.read_subscription))
        return Subscription(
            account=told.account_name or account,
            purchase_type=told.purchase_type,
            total=told.license_count,
            used=told.license_used_count,
            updated_at=answers.read_time(told.update_time),
            updated_at_text=told.update_time,
        )

    def account_devices(
        self, account: str, *, protocol: str | None = None
    ) -> Iterator[AccountDevice]:
        """Every device of the account, page by page as it is asked for. Raises ApiError."""
        cursor: str | None = None
        while True:
            asked = {"lastSeenDeviceId": cursor, "protocol": protocol}
            path = path_of_account("/api/fota/v3/devices/", account) + _query(asked)
            page = self._performer.perform(_get(path, answers.read_devices))
            yield from map(_device, page.device_list or ())
            if not page.has_more_data:
                return
            last = page.last_seen_device_id
            if last is None or str(last) == cursor:
                raise ApiError(f"the pages of {account} do not go on after {cursor}, yet say so")
            cursor = str(last)

    def named_devices(self, account: str, imeis: Iterable[str]) -> list[AccountDevice]:
        """Up to 1,000 devices by name; `found` tells which of them the account has.

        Raises ApiError.
        """
        body = v3.write_device_names(list_of_imeis(imeis))
        path = path_of_account("/api/fota/v3/devices/", account)
        call = Call("POST", path, _reading(answers.read_devices), body, writes=False)
        return list(map(_device, self._performer.perform(call).device_list or ()))

    def candidates(self, account: str) -> Iterator[str]:
        """Who loses a license first when the pool shrinks, in order (v2). Raises ApiError."""
        start, more = 0, True
        while more:
            path = _cancel(account) + _query({"startIndex": str(start)})
            page = self._performer.perform(_get(path, answers.read_candidates))
            found = page.device_list or []
            yield from found
            start += len(found)
            more = page.has_more_data
            if more and not found:
                raise ApiError(f"the list of {account} does not go on after {start}, yet says so")

    def replace_candidates(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> CandidateEdit:
        """Make these the candidate list (v2). Raises ApiError."""
        return self._edit(account, imeis, idempotency_key, append=False)

    def append_candidates(
        self, account: str, imeis: Iterable[str], *, idempotency_key: str | None = None
    ) -> CandidateEdit:
        """Put these at the end of the candidate list (v2). Raises ApiError."""
        return self._edit(account, imeis, idempotency_key, append=True)

    def clear_candidates(self, account: str, *, idempotency_key: str | None = None) -> None:
        """Empty the candidate list (v2). Raises ApiError."""
        call = Call(
            "DELETE", _cancel(account), lambda _response: None, key=idempotency_key, writes=True
        )
        self._performer.perform(call)

    def _edit(
        self, account: str, imeis: Iterable[str], key: str | None, *, append: bool
    ) -> CandidateEdit:
        body = answers.write_candidates(list_of_imeis(imeis), append=append)
        call = Call("POST", _cancel(account), _reading(answers.read_candidates), body, key)
        told = self._performer.perform(call)
        return CandidateEdit(account, told.count, tuple(told.device_list or ()))


def _cancel(account: str) -> str:
    return path_of_account("/api/fota/v2/licenses/", account) + "/cancel"


def _query(asked: dict[str, str | None]) -> str:
    given = {name: value for name, value in asked.items() if value is not None}
    return "?" + urlencode(given) if given else ""


def _get(path: str, read: Callable[[bytes], T]) -> Call[T]:
    return Call("GET", path, _reading(read))


def _reading(read: Callable[[bytes], T]) -> Callable[[Response], T]:
    return lambda response: read(response.body)


def _device(told: answers.ListedDevice) -> AccountDevice:
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
