# Made of aio/family.py by scripts/uncolour: change that one.
# ruff: noqa: UP028 -- a coroutine knows no `yield from`
"""The part of `client.licenses` beside licenses: subscription, candidate list, devices.

Documented operations, so that they work on the vendor's service as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from fotapool.client.calls import (
    NO_CURSOR,
    Call,
    Performer,
    list_of_imeis,
    path_of_account,
    query_of,
)
from fotapool.client.documented_calls import (
    account_device,
    candidates_path,
    cursor_after,
    documented_get,
    reading,
)
from fotapool.client.paging import each_page
from fotapool.client.results import AccountDevice, CandidateEdit, Subscription
from fotapool.wire import family_answers as answers
from fotapool.wire import v3


class FamilyOperations:
    """What an account has bought, which devices it has, and who loses a license first."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer

    def subscription(self, account: str) -> Subscription:
        """What the account has bought, and how much of it is used. Raises ApiError."""
        path = path_of_account("/api/fota/v3/subscriptions/", account)
        told = self._performer.perform(documented_get(path, answers.read_subscription))
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
        path = path_of_account("/api/fota/v3/devices/", account)

        def call_at(cursor: str | None) -> Call[answers.DeviceList]:
            asked = {"lastSeenDeviceId": cursor, "protocol": protocol}
            return documented_get(path + query_of(asked), answers.read_devices)

        for page in each_page(self._performer, account, call_at, cursor_after):
            for device in page.device_list or ():
                yield account_device(device)

    def named_devices(self, account: str, imeis: Iterable[str]) -> list[AccountDevice]:
        """Up to 1,000 devices by name; `found` tells which of them the account has.

        Raises ApiError.
        """
        body = v3.write_device_names(list_of_imeis(imeis))
        path = path_of_account("/api/fota/v3/devices/", account)
        call = Call("POST", path, reading(answers.read_devices), body, writes=False)
        told = self._performer.perform(call)
        return list(map(account_device, told.device_list or ()))

    def candidates(self, account: str) -> Iterator[str]:
        """Who loses a license first when the pool shrinks, in order (v2). Raises ApiError."""
        start = 0

        def call_at(cursor: str | None) -> Call[answers.CandidateList]:
            path = candidates_path(account) + query_of({"startIndex": cursor or "0"})
            return documented_get(path, answers.read_candidates)

        def next_of(page: answers.CandidateList) -> str | None:
            found = len(page.device_list or ())
            return (str(start + found) if found else NO_CURSOR) if page.has_more_data else None

        for page in each_page(self._performer, account, call_at, next_of):
            for imei in page.device_list or ():
                yield imei
            start += len(page.device_list or ())

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
            "DELETE",
            candidates_path(account),
            lambda _response: None,
            key=idempotency_key,
            writes=True,
        )
        self._performer.perform(call)

    def _edit(
        self, account: str, imeis: Iterable[str], key: str | None, *, append: bool
    ) -> CandidateEdit:
        body = answers.write_candidates(list_of_imeis(imeis), append=append)
        call = Call("POST", candidates_path(account), reading(answers.read_candidates), body, key)
        told = self._performer.perform(call)
        return CandidateEdit(account, told.count, tuple(told.device_list or ()))
