"""Upgrades of wire version 1 as a client writes and reads them, and the words for their devices.

Tolerant as the license answers are: members not known are passed over, absent ones are None.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import msgspec

from fotapool.model import Outcome
from fotapool.wire._json import ReadItem, encode

PENDING, FAILED = "RequestPending", "RequestFailed"
DONE = {
    Outcome.SCHEDULED: ("AddDeviceSucceed", "Device added Successfully"),
    Outcome.CANCELLED: ("RemoveDeviceSucceed", "Device removed Successfully"),
}
"""Status and reason of a device that came to an upgrade, or left it."""
REASONS = {
    Outcome.MALFORMED: "Invalid Device IMEI.",
    Outcome.UNKNOWN_DEVICE: "Device does not exist.",
    Outcome.ALREADY_SCHEDULED: "Upgrade already scheduled.",
    Outcome.UPGRADE_RUNNING: "Upgrade in progress.",
    Outcome.NOT_LICENSED: "No license attached to device",
    Outcome.NOT_SCHEDULED: "Upgrade not scheduled.",
}
"""Why a device was refused: written by the server, read backwards by the client."""
_REFUSALS = {reason: outcome for outcome, reason in REASONS.items()}


class Upgrade(msgspec.Struct, rename="camel"):
    """An upgrade, also one that was just made; of a change of its devices `id` and these alone."""

    id: str | None = None
    account_name: str | None = None
    firmware_name: str | None = None
    firmware_to: str | None = None
    start_date: str | None = None
    status: str | None = None
    device_list: list[ReadItem] | None = None


class _Success(msgspec.Struct):
    success: bool = True


_upgrade = msgspec.json.Decoder(Upgrade)
_success = msgspec.json.Decoder(_Success)


def write_upgrade(
    account: str, imeis: Iterable[str], firmware: tuple[str, str], days: tuple[date, date]
) -> bytes:
    """The body that makes an upgrade; `firmware` is its name and version, `days` first and last."""
    return encode(
        {
            "accountName": account,
            "firmwareName": firmware[0],
            "firmwareTo": firmware[1],
            "startDate": days[0].isoformat(),
            "endDate": days[1].isoformat(),
            "deviceList": list(imeis),
        }
    )


def write_step(kind: str, imeis: Iterable[str]) -> bytes:
    """The body that adds devices to an upgrade (`append`) or takes them out of it (`remove`)."""
    return encode({"type": kind, "deviceList": list(imeis)})


def read_upgrade(body: bytes) -> Upgrade:
    """An upgrade, or the answer to a change of its devices. Raises msgspec.DecodeError."""
    return _upgrade.decode(body)


def read_success(body: bytes) -> None:
    """Raises msgspec.DecodeError where the service says that it did nothing."""
    if not _success.decode(body).success:
        raise msgspec.ValidationError("the service says success: false")


def read_outcome(item: ReadItem, done: Outcome) -> Outcome:
    """What became of one device; UNRECOGNIZED where status and reason say nothing known."""
    lowered = item.status.lower()
    if lowered.endswith(("pending", "succeed", "success")):
        return done
    if lowered.endswith(("failed", "failure", "fail")):
        return _REFUSALS.get(reason_of(item), Outcome.UNRECOGNIZED)
    return Outcome.UNRECOGNIZED


def reason_of(item: ReadItem) -> str:
    """Why, under whichever name; empty where the service gives no reason."""
    return item.resultReason or item.said or ""


def read_day(text: str | None) -> date | None:
    """The day that a text begins with; None for none and for what is no day."""
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
