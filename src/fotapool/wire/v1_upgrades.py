"""Upgrades of wire version 1: `/api/fota/v1/upgrades` (docs/reference/protocol.md R6)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from uuid import UUID

import msgspec

from fotapool.model import (
    AccountKey,
    Change,
    Outcome,
    Refusal,
    Refused,
    Step,
    Upgrade,
    UpgradePlan,
    Verb,
    imei_text,
)
from fotapool.wire._json import encode, find_field, read_device_list, read_fields
from fotapool.wire.answered import UNREADABLE
from fotapool.wire.family import account_name_of, check_account
from fotapool.wire.upgrade_answers import DONE, FAILED, PENDING, REASONS

_text = msgspec.json.Decoder(str | None)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

STEPS = {
    Step.SCHEDULED: ("Device Accepted", "success"),
    Step.RUNNING: ("InProgress", "Upgrade in progress."),
    Step.FINISHED: ("Finished", "success"),
    Step.FAILED: ("UpgradeFailed", "Upgrade failed."),
    Step.CANCELLED: (FAILED, "Upgrade cancelled."),
}
"""Status and reason of one device; of these pairs only the first is documented."""


# --- requests ----------------------------------------------------------------------------------


def read_account(body: bytes) -> str:
    """The account that a new upgrade is for; empty where the body names none. Raises Refused."""
    return account_name_of(read_fields(body)) or ""


def read_upgrade(body: bytes, upgrade_id: bytes, items_max: int) -> tuple[UpgradePlan, list[str]]:
    """A new upgrade, and the devices it is for. Raises Refused.

    The firmware and the days are kept as they come; only the first day must be one.
    """
    fields = read_fields(body)
    items = read_device_list(fields, items_max)
    plan = UpgradePlan(
        upgrade_id,
        firmware_name=_read_text(fields, "firmwarename"),
        firmware_to=_read_text(fields, "firmwareto"),
        start_date=_read_text(fields, "startdate"),
        end_date=_read_text(fields, "enddate"),
    )
    if not _is_day(plan.start_date):
        raise Refused(Refusal.START_DATE_INVALID)
    return plan, items


def read_step(body: bytes, account: str, items_max: int) -> tuple[Verb, list[str]]:
    """What is to be done to an upgrade's devices: schedule (`append`) or cancel (`remove`).

    The body may name the account once more; it must be the one in the path. Raises Refused.
    """
    fields = read_fields(body)
    check_account(fields, account)
    kind = _read_text(fields, "type")
    if kind not in _KINDS:
        raise Refused(Refusal.PARAMETER_INVALID, name="type", expected="append or remove")
    return _KINDS[kind], read_device_list(fields, items_max)


_KINDS = {"append": Verb.SCHEDULE, "remove": Verb.CANCEL}


def read_upgrade_id(text: str) -> bytes:
    """An upgrade's id out of a path. Raises Refused."""
    try:
        return UUID(text).bytes
    except ValueError:
        raise Refused(Refusal.UPGRADE_ID_INVALID) from None


def _read_text(fields: dict[str, msgspec.Raw], name: str) -> str:
    raw = find_field(fields, (name,))
    try:
        return "" if raw is None else _text.decode(raw) or ""
    except UNREADABLE:
        raise Refused(Refusal.BODY_UNREADABLE) from None


def _is_day(text: str) -> bool:
    """A day, or a moment that begins with one."""
    match = _DAY.match(text)
    try:
        return match is not None and date.fromisoformat(match[0]) is not None
    except ValueError:
        return False


# --- answers -----------------------------------------------------------------------------------


def write_made(change: Change, plan: UpgradePlan) -> bytes:
    """The answer to a new upgrade: what is asked for each device, or why it is refused."""
    return _write(change.account, plan, PENDING, list(map(_made_item, *_verdicts(change))))


def write_upgrade(account: AccountKey, upgrade: Upgrade) -> bytes:
    """An upgrade, and how far it is with each of its devices."""
    return _write(
        account,
        upgrade.plan,
        upgrade_status({item.step for item in upgrade.items}),
        [_item(imei_text(item.imei), *STEPS[item.step]) for item in upgrade.items],
    )


def write_step(change: Change, upgrade_id: bytes) -> bytes:
    """The answer to a change of an upgrade's devices."""
    return encode(
        {
            "accountName": change.account.name,
            "id": str(UUID(bytes=upgrade_id)),
            "deviceList": [
                {"deviceId": item, **dict(zip(("status", "Reason"), _told(outcome), strict=True))}
                for item, outcome in zip(*_verdicts(change), strict=True)
            ],
        }
    )


def upgrade_status(steps: set[Step]) -> str:
    """How far an upgrade is as a whole (R6)."""
    if not steps:
        return FAILED
    for step, status in ((Step.RUNNING, "InProgress"), (Step.SCHEDULED, "Queued")):
        if step in steps:
            return status
    return "Finished" if Step.FINISHED in steps else "UpgradeFailed"


def _write(
    account: AccountKey, plan: UpgradePlan, status: str, devices: list[dict[str, str]]
) -> bytes:
    return encode(
        {
            "id": str(UUID(bytes=plan.id)),
            "accountName": account.name,
            "firmwareName": plan.firmware_name,
            "firmwareTo": plan.firmware_to,
            "startDate": plan.start_date,
            "status": status,
            "deviceList": devices,
        }
    )


def _verdicts(change: Change) -> tuple[Sequence[str], list[Outcome]]:
    return change.devices.items, [Outcome(number) for number in change.outcomes]


def _made_item(item: str, outcome: Outcome) -> dict[str, str]:
    if outcome is Outcome.SCHEDULED:
        return {"deviceId": item, "status": PENDING}
    return _item(item, FAILED, REASONS[outcome])


def _item(item: str, status: str, reason: str) -> dict[str, str]:
    return {"deviceId": item, "status": status, "resultReason": reason}


def _told(outcome: Outcome) -> tuple[str, str]:
    return DONE.get(outcome) or (FAILED, REASONS[outcome])
