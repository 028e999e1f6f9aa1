"""The chain, held against a second reading of docs/reference/protocol.md R9."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fotapool.ledger.chain import GENESIS, canonical, seal
from fotapool.model import AccountKey, Change, DeviceList, Totals, Verb

DEVICES = DeviceList.parse(["990003425730524", "x", "000000000000042", "", "ä"])
CHANGE = Change(
    account=AccountKey(7, "0000123456-00001"),
    sequence=3,
    at_ms=1_511_971_422_000,
    actor="fleet",
    request_id=bytes(range(16)),
    verb=Verb.ASSIGN,
    devices=DEVICES,
    packed=DEVICES.pack(),
    outcomes=bytes([13, 1, 10, 1, 1]),
    totals=Totals(1000, 2),
    detail="",
)
HASH = "bd8857ad661cb15ae96c2c7241a6bf6da1e978f7165c146b34cd202da396e2aa"


def by_the_page(change: Change) -> bytes:
    """The canonical bytes as the page describes them, written down once more."""

    def number(value: int, size: int) -> bytes:
        return value.to_bytes(size, "big", signed=value < 0)

    def sized(raw: bytes) -> bytes:
        return number(len(raw), 4) + raw

    devices = b""
    for item in change.devices.items:
        if len(item) == 15 and item.isascii() and item.isdigit():
            devices += number(int(item), 8)
        else:
            devices += number(-(len(item.encode()) + 1), 8) + item.encode()
    return (
        number(1, 1)
        + sized(change.account.name.encode())
        + number(change.sequence, 8)
        + number(change.at_ms, 8)
        + number(change.verb, 1)
        + sized(change.actor.encode())
        + sized(change.request_id)
        + number(change.totals.total, 8)
        + number(change.totals.used, 8)
        + number(change.totals.overhang, 8)
        + sized(change.detail.encode())
        + sized(devices)
        + sized(change.outcomes)
    )


def test_canonical_bytes_are_those_of_the_page() -> None:
    assert canonical(CHANGE) == by_the_page(CHANGE)


def test_a_published_hash_stays_what_it_is() -> None:
    """Frozen: a ledger written today must verify under every later release."""
    assert seal(CHANGE, GENESIS).hash.hex() == HASH


@pytest.mark.parametrize(
    "altered",
    [
        {"account": AccountKey(7, "0000123456-00002")},
        {"sequence": 4},
        {"at_ms": 1_511_971_422_001},
        {"actor": "flee"},
        {"request_id": bytes(16)},
        {"verb": Verb.REMOVE},
        {"packed": CHANGE.packed[:-1] + b"!"},
        {"outcomes": bytes([13, 1, 10, 1, 2])},
        {"totals": Totals(1001, 2)},
        {"totals": Totals(1000, 3)},
        {"totals": Totals(1000, 1002, 2)},
        {"detail": "x"},
    ],
)
def test_the_hash_covers_every_column(altered: dict[str, object]) -> None:
    assert seal(replace(CHANGE, **altered), GENESIS).hash != seal(CHANGE, GENESIS).hash  # type: ignore[arg-type]


def test_the_hash_covers_the_change_before() -> None:
    previous = hashlib.sha256(b"another").digest()

    assert seal(CHANGE, previous).hash == hashlib.sha256(previous + canonical(CHANGE)).digest()
    assert seal(CHANGE, previous).hash != seal(CHANGE, GENESIS).hash


ITEMS = st.lists(
    st.one_of(st.integers(0, 999_999_999_999_999).map(lambda i: f"{i:015d}"), st.text(max_size=64))
)


@given(ITEMS)
def test_devices_unpack_to_what_was_sent(items: list[str]) -> None:
    devices = DeviceList.parse(items)

    assert DeviceList.unpack(devices.pack(), len(devices)) == devices
    assert len(devices.pack()) == sum(
        8 + (0 if imei >= 0 else len(item.encode()))
        for item, imei in zip(items, devices.imeis, strict=True)
    )
