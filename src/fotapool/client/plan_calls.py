"""The documented upgrades of version 1 as calls: what is sent, and what is made of the answers.

Only cancelling comes to the same when it is done twice. Nobody can ask by name for a plan whose
answer was lost, and a device that was added once is refused the next time: such a write is left in
doubt, never sent again blindly.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from functools import partial
from urllib.parse import quote

import msgspec

from fotapool.client.calls import (
    Call,
    change_number,
    is_replayed,
    list_of_imeis,
    making,
    path_of_account,
)
from fotapool.client.documented_calls import documented_get
from fotapool.client.errors import Response
from fotapool.client.results import PlanChange, PlannedDevice, PlannedUpgrade, Verdict
from fotapool.model import Outcome
from fotapool.wire import upgrade_answers as answers

_PATH = "/api/fota/v1/upgrades"
_KINDS = {Outcome.SCHEDULED: "append", Outcome.CANCELLED: "remove"}


def plan_call(
    account: str,
    imeis: Iterable[str],
    firmware: tuple[str, str],
    days: tuple[date, date],
    key: str | None,
) -> Call[PlanChange]:
    """Plans an upgrade: `firmware` is its name and version, `days` the first and the last."""
    for day in days:
        if isinstance(day, datetime):
            raise TypeError(f"{day!r} is a moment; give a day, such as moment.date()")
    body = answers.write_upgrade(account, list_of_imeis(imeis), firmware, days)
    read = partial(_read_change, account, None, Outcome.SCHEDULED)
    return Call("POST", _PATH, read, body, key)


def planned_call(account: str, upgrade_id: str) -> Call[PlannedUpgrade]:
    """Reads an upgrade."""

    def make(told: answers.Upgrade) -> PlannedUpgrade:
        return PlannedUpgrade(
            account=told.account_name or account,
            upgrade_id=told.id or upgrade_id,
            firmware_name=told.firmware_name,
            firmware_to=told.firmware_to,
            starts_on=answers.read_day(told.start_date),
            starts_on_text=told.start_date,
            status=told.status,
            devices=tuple(
                PlannedDevice(item.deviceId, item.status, answers.reason_of(item))
                for item in told.device_list or ()
            ),
        )

    return making(make, documented_get(_path_of(account, upgrade_id), answers.read_upgrade))


def step_call(
    account: str, upgrade_id: str, done: Outcome, imeis: Iterable[str], key: str | None
) -> Call[PlanChange]:
    """Adds devices to an upgrade (SCHEDULED), or takes them out of it (CANCELLED)."""
    body = answers.write_step(_KINDS[done], list_of_imeis(imeis))
    read = partial(_read_change, account, upgrade_id, done)
    return Call("PUT", _path_of(account, upgrade_id), read, body, key, writes=True)


def cancel_call(account: str, upgrade_id: str, key: str | None) -> Call[PlanChange]:
    """Cancels what is still scheduled of an upgrade, which may be done twice."""

    def read(response: Response) -> PlanChange:
        answers.read_success(response.body)
        return _change_of(response, account, upgrade_id, ())

    path = _path_of(account, upgrade_id)
    return Call("DELETE", path, read, key=key, writes=True, idempotent=True)


def _path_of(account: str, upgrade_id: str) -> str:
    """Raises ValueError for an id that no URL can carry."""
    if upgrade_id in ("", ".", ".."):
        raise ValueError(f"upgrade {upgrade_id!r}: no upgrade has this id")
    return path_of_account(f"{_PATH}/", account) + "/upgrade/" + quote(upgrade_id, safe="")


def _read_change(
    account: str, upgrade_id: str | None, done: Outcome, response: Response
) -> PlanChange:
    told = answers.read_upgrade(response.body)
    named = told.id or upgrade_id
    if named is None:
        raise msgspec.ValidationError("the service does not say which upgrade it made")
    verdicts = tuple(
        Verdict(
            item.deviceId, answers.read_outcome(item, done), item.status, answers.reason_of(item)
        )
        for item in told.device_list or ()
    )
    return _change_of(response, told.account_name or account, named, verdicts)


def _change_of(
    response: Response, account: str, upgrade_id: str, verdicts: tuple[Verdict, ...]
) -> PlanChange:
    return PlanChange(
        account=account,
        upgrade_id=upgrade_id,
        verdicts=verdicts,
        change=change_number(response),
        replayed=is_replayed(response),
    )
