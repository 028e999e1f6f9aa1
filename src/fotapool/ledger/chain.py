"""The chain: a change as canonical bytes, and its hash over the one before it.

The layout is documented for auditors in docs/reference/protocol.md R9 and never changes under
its format number; a new layout is a new number.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import replace

from fotapool.model import MALFORMED_IMEI, Change, DeviceList, imei_text

FORMAT = 1
GENESIS = bytes(32)
"""What the first change of an account hashes over, in place of a change before it."""


def pack_devices(devices: DeviceList) -> bytes:
    """Eight bytes a device, big-endian; for an item that is no IMEI its text at its place.

    Such an item is the negative of its length in UTF-8 bytes less one, then those bytes.
    """
    if MALFORMED_IMEI not in devices.imeis:
        return struct.pack(f">{len(devices)}q", *devices.imeis)
    return b"".join(map(_pack_item, devices.imeis, devices.items))


def _pack_item(imei: int, item: str) -> bytes:
    if imei != MALFORMED_IMEI:
        return struct.pack(">q", imei)
    text = item.encode()
    return struct.pack(">q", -len(text) - 1) + text


def unpack_devices(packed: bytes) -> DeviceList:
    """The inverse of `pack_devices`."""
    items: list[str] = []
    imeis: list[int] = []
    at = 0
    while at < len(packed):
        (number,) = struct.unpack_from(">q", packed, at)
        at += 8
        if number >= 0:
            items.append(imei_text(number))
            imeis.append(number)
        else:
            end = at - number - 1
            items.append(packed[at:end].decode())
            imeis.append(MALFORMED_IMEI)
            at = end
    return DeviceList(items, imeis)


def seal(change: Change, previous: bytes) -> Change:
    """The change with its hash: SHA-256 over the hash of the one before it and its own bytes."""
    return replace(change, hash=hashlib.sha256(previous + canonical(change)).digest())


def canonical(change: Change) -> bytes:
    """Every column of a change but its hash, in one unambiguous row of bytes."""
    totals = change.totals
    return b"".join(
        (
            struct.pack(">B", FORMAT),
            _sized(change.account.name.encode()),
            struct.pack(">QqB", change.sequence, change.at_ms, change.verb),
            _sized(change.actor.encode()),
            _sized(change.request_id),
            struct.pack(">QQQ", totals.total, totals.used, totals.overhang),
            _sized(change.detail.encode()),
            _sized(change.packed),
            _sized(change.outcomes),
        )
    )


def _sized(field: bytes) -> bytes:
    return struct.pack(">I", len(field)) + field
