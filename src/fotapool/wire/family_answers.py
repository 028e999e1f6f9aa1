"""The documented neighbours of the license operations, as a client reads them.

Tolerant as the license answers are: members not known are passed over, absent ones are None.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import msgspec

from fotapool.wire._json import encode, parse_time


class Subscription(msgspec.Struct, rename="camel"):
    account_name: str | None = None
    purchase_type: str | None = None
    license_count: int | None = None
    license_used_count: int | None = None
    update_time: str | None = None


class CandidateList(msgspec.Struct, rename="camel"):
    """The answer to an edit, and a page of the list: `count` is that of the whole list."""

    count: int | None = None
    has_more_data: bool = False
    update_time: str | None = None
    device_list: list[str] | None = None


class ListedDevice(msgspec.Struct, gc=False, rename="camel"):
    """A device as any version lists it."""

    device_id: str
    license_assigned: bool | None = None
    fota_eligible: bool | str | None = None
    mdn: str | None = None
    make: str | None = None
    model: str | None = None
    firmware: str | None = None
    protocol: str | None = None
    status: str | None = None
    request_status: str | None = None
    result_reason: str | None = None
    upgrade_time: str | None = None


class DeviceList(msgspec.Struct, rename="camel"):
    has_more_data: bool = False
    last_seen_device_id: str | int | None = None
    device_list: list[ListedDevice] | None = None


_subscription = msgspec.json.Decoder(Subscription)
_candidates = msgspec.json.Decoder(CandidateList)
_devices = msgspec.json.Decoder(DeviceList)


def read_subscription(body: bytes) -> Subscription:
    """What an account has bought. Raises msgspec.DecodeError."""
    return _subscription.decode(body)


def read_candidates(body: bytes) -> CandidateList:
    """A candidate list, or the answer to an edit of it. Raises msgspec.DecodeError."""
    return _candidates.decode(body)


def read_devices(body: bytes) -> DeviceList:
    """A page of devices. Raises msgspec.DecodeError."""
    return _devices.decode(body)


def read_time(text: str | None) -> datetime | None:
    """A moment in any style the service prints; None for none and for what is no time."""
    return parse_time(text)


def write_candidates(imeis: Iterable[str], *, append: bool) -> bytes:
    """The body of an edit of the candidate list."""
    body: dict[str, object] = {"deviceList": list(imeis)}
    return encode(body | ({"type": "append"} if append else {}))
