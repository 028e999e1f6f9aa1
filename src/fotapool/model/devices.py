"""Devices: IMEIs as text outside and integer inside, and the list that one request names."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

IMEI_DIGITS = 15
ITEM_LENGTH_MAX = 64
MALFORMED_IMEI = -1

_IMEI = re.compile(r"[0-9]{15}")
_IMEIS = re.compile(r"[0-9]{15}(?:,[0-9]{15})*")


@dataclass(frozen=True, slots=True)
class DeviceList:
    """The devices of one request, item by item as they were sent (R1).

    `imeis[i]` is `items[i]` as an integer, or -1 where the item is not a 15-digit IMEI.
    """

    items: Sequence[str]
    imeis: Sequence[int]

    @classmethod
    def parse(cls, items: Sequence[str]) -> DeviceList:
        """Read IMEIs out of texts; an item that is not one is kept, to be refused for itself."""
        joined = ",".join(items)
        # The length settles that no item hides a comma: "A,B" is one bad item, not two.
        if len(joined) == (IMEI_DIGITS + 1) * len(items) - 1 and _IMEIS.fullmatch(joined):
            return cls(items, list(map(int, items)))
        return cls(
            items, [int(item) if _IMEI.fullmatch(item) else MALFORMED_IMEI for item in items]
        )

    @classmethod
    def of(cls, imeis: Sequence[int]) -> DeviceList:
        """Name devices that are known to be IMEIs already."""
        return cls(("%015d," * len(imeis) % tuple(imeis)).split(",")[:-1], imeis)

    @classmethod
    def unpack(cls, packed: bytes, count: int) -> DeviceList:
        """The inverse of `pack`. Raises ValueError for bytes that `pack` did not make."""
        if len(packed) == 8 * count:
            imeis = list(struct.unpack(f">{count}q", packed))
            if min(imeis, default=0) >= 0:
                return cls.of(imeis)
        devices = cls.parse(list(_unpack_items(packed)))
        if devices.pack() != packed or len(devices) != count:
            raise ValueError(f"{len(packed)} bytes are no list of {count} devices")
        return devices

    def pack(self) -> bytes:
        """Eight bytes a device, big-endian; for an item that is no IMEI its text at its place.

        Such an item is the negative of its length in UTF-8 bytes less one, then those bytes
        (docs/reference/protocol.md R9).
        """
        if MALFORMED_IMEI not in self.imeis:
            return struct.pack(f">{len(self)}q", *self.imeis)
        return b"".join(map(_pack_item, self.imeis, self.items))

    def __len__(self) -> int:
        return len(self.items)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a page begins: after an IMEI, at an offset (v1 only), or with neither at the start."""

    imei: int | None = None
    offset: int | None = None


def _pack_item(imei: int, item: str) -> bytes:
    if imei != MALFORMED_IMEI:
        return struct.pack(">q", imei)
    text = item.encode()
    return struct.pack(">q", -len(text) - 1) + text


def _unpack_items(packed: bytes) -> Iterator[str]:
    at = 0
    while at < len(packed):
        number = int.from_bytes(packed[at : at + 8], "big", signed=True)
        at += 8
        if number >= 0:
            yield imei_text(number)
        else:
            yield packed[at : at - number - 1].decode()
            at -= number + 1


def imei_text(imei: int) -> str:
    """The 15 digits of a device, leading zeros included."""
    return f"{imei:015d}"


def parse_imei(text: str) -> int | None:
    """The device a text names, or None when it is not 15 digits. Strips nothing."""
    return int(text) if _IMEI.fullmatch(text) else None
