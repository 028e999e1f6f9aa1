"""The documented neighbours of the license operations: golden bodies, and what is refused."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from fotapool.model import (
    Account,
    AccountKey,
    CandidatePage,
    Change,
    Cursor,
    DeviceList,
    DevicePage,
    Listing,
    Outcome,
    PurchaseType,
    Refused,
    RegisteredDevice,
    Step,
    Subscription,
    Totals,
    Upgrade,
    UpgradeItem,
    UpgradePlan,
    Verb,
    parse_imei,
)
from fotapool.wire import v1, v1_upgrades, v2, v3
from world import ACCOUNT

KEY = AccountKey(1, ACCOUNT)
VERSIONS: dict[str, Any] = {"v1": v1, "v2": v2, "v3": v3}
GOLDEN = tomllib.loads((Path(__file__).parent / "wire" / "family.toml").read_text())
PLAN = UpgradePlan(
    UUID("60b5d639-ccdc-4db8-8824-069bd94c95bf").bytes,
    "FOTA_Verizon_Model-A_01To02_HF",
    "VerizonFirmwareVersion-02",
    "2020-08-21",
    "2020-08-22",
)


def golden(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", GOLDEN[kind], ids=range(len(GOLDEN[kind])))


def make_list(case: dict[str, Any]) -> CandidatePage:
    imeis = [int(imei) for imei in case["devices"]]
    return CandidatePage(KEY, 3, case["count"], case.get("at_ms", 0), case.get("start", 0), imeis)


def make_devices(case: dict[str, Any]) -> list[RegisteredDevice]:
    return [
        RegisteredDevice(int(imei), 0, *(None if at_ms < 0 else at_ms for at_ms in times))
        for imei, *times in case["devices"]
    ]


def make_change(verb: Verb, items: list[list[str]]) -> Change:
    return Change(
        account=KEY,
        sequence=3,
        at_ms=0,
        actor="me",
        request_id=bytes(16),
        verb=verb,
        devices=DeviceList.parse([item for item, _ in items]),
        packed=b"",
        outcomes=bytes(Outcome[outcome] for _, outcome in items),
        totals=Totals(9, 1),
    )


@golden("listing")
def test_a_candidate_list_is_read(case: dict[str, Any]) -> None:
    for version in (v1, v2):
        items, listing = version.read_listing(case["body"].encode(), ACCOUNT, 10)
        assert (items, listing) == (case["items"], Listing[case["listing"]])


@golden("listed")
def test_the_answer_to_an_edit(case: dict[str, Any]) -> None:
    for version in (v1, v2):
        assert version.write_listed(make_list(case)).decode() == case["body"]


@golden("candidates")
def test_a_page_of_candidates(case: dict[str, Any]) -> None:
    version = VERSIONS[case["version"]]
    assert version.write_candidate_page(make_list(case)).decode() == case["body"]


@golden("subscription")
def test_a_subscription(case: dict[str, Any]) -> None:
    row = Account(
        id=1,
        totals=Totals(case["total"], case["used"]),
        purchase_type=PurchaseType[case["purchase_type"]],
        sequence=3,
        changed_at_ms=5,
        head=b"",
        subscribed_at_ms=case["at_ms"],
    )
    for version in (v1, v2, v3):
        assert version.write_subscription(Subscription(KEY, row)).decode() == case["body"]


@golden("devices")
def test_a_device_list(case: dict[str, Any]) -> None:
    imei = parse_imei(case["imei"]) if "imei" in case else None
    cursor = Cursor(imei=imei, offset=case.get("offset"))
    page = DevicePage(KEY, 3, make_devices(case), case["more"], cursor)
    body = VERSIONS[case["version"]].write_device_list(page, 1000, case.get("kind", ""))
    assert body.decode() == case["body"]


@golden("named")
def test_devices_by_name(case: dict[str, Any]) -> None:
    found = {f"{device.imei:015d}": device for device in make_devices(case)}
    assert v3.write_named_devices(KEY, case["items"], found).decode() == case["body"]


@golden("upgrade_made")
def test_an_upgrade_as_it_is_made(case: dict[str, Any]) -> None:
    body = v1_upgrades.write_made(make_change(Verb.SCHEDULE, case["items"]), PLAN)
    assert body.decode() == case["body"]


@golden("upgrade")
def test_an_upgrade_later(case: dict[str, Any]) -> None:
    items = [UpgradeItem(int(imei), Step[step]) for imei, step in case["items"]]
    body = v1_upgrades.write_upgrade(KEY, Upgrade(PLAN, 3, items))
    assert body.decode() == case["body"]


@golden("upgrade_step")
def test_a_change_of_an_upgrade(case: dict[str, Any]) -> None:
    body = v1_upgrades.write_step(make_change(Verb.SCHEDULE, case["items"]), PLAN.id)
    assert body.decode() == case["body"]


S, R, F, X, C = Step.SCHEDULED, Step.RUNNING, Step.FINISHED, Step.FAILED, Step.CANCELLED


@pytest.mark.parametrize(
    ("steps", "status"),
    [
        (set(),        "RequestFailed"),
        ({S},          "Queued"),
        ({S, F, X, C}, "Queued"),
        ({S, R, F},    "InProgress"),
        ({R},          "InProgress"),
        ({F},          "Finished"),
        ({F, X, C},    "Finished"),
        ({X, C},       "UpgradeFailed"),
        ({C},          "UpgradeFailed"),
    ],
)  # fmt: skip
def test_how_far_an_upgrade_is_as_a_whole(steps: set[Step], status: str) -> None:
    assert v1_upgrades.upgrade_status(steps) == status


# what is read                                                                 the refusal
REFUSED = [
    (lambda: v1.read_listing(b'{"deviceList": ["1"], "type": "add"}', ACCOUNT, 9),    "LIST_TYPE_INVALID"),
    (lambda: v1.read_listing(b'{"deviceList": ["1"], "type": "Append"}', ACCOUNT, 9), "LIST_TYPE_INVALID"),
    (lambda: v1.read_listing(b'{"deviceList": ["1"], "type": 1}', ACCOUNT, 9),        "BODY_UNREADABLE"),
    (lambda: v1.read_listing(b'{"deviceList": []}', ACCOUNT, 9),                      "DEVICE_LIST_EMPTY"),
    (lambda: v1.read_listing(b'{"type": "append"}', ACCOUNT, 9),                      "DEVICE_LIST_EMPTY"),
    (lambda: v1.read_listing(b'{"deviceList": ["1", "2"]}', ACCOUNT, 1),              "DEVICE_LIST_TOO_LONG"),
    (lambda: v1.read_listing(b"", ACCOUNT, 9),                                        "BODY_UNREADABLE"),
    (lambda: v2.read_index("x"),                                                      "INDEX_INVALID"),
    (lambda: v2.read_index("-1"),                                                     "INDEX_INVALID"),
    (lambda: v2.read_index("1.0"),                                                    "INDEX_INVALID"),
    (lambda: v2.read_index("²"),                                                      "INDEX_INVALID"),
    (lambda: v2.read_index("1" * 19),                                                 "INDEX_TOO_HIGH"),
    (lambda: v1_upgrades.read_upgrade_id("x"),                                        "UPGRADE_ID_INVALID"),
    (lambda: v1_upgrades.read_upgrade(b"{}", b"", 9),                                 "DEVICE_LIST_EMPTY"),
    (lambda: v1_upgrades.read_upgrade(b'{"deviceList": ["1"]}', b"", 9),              "START_DATE_INVALID"),
    (lambda: v1_upgrades.read_upgrade(b'{"deviceList": ["1"], "startDate": "2020-13-01"}', b"", 9), "START_DATE_INVALID"),
    (lambda: v1_upgrades.read_upgrade(b'{"deviceList": ["1"], "startDate": 5}', b"", 9), "BODY_UNREADABLE"),
    (lambda: v1_upgrades.read_step(b'{"deviceList": ["1"]}', ACCOUNT, 9),             "PARAMETER_INVALID"),
    (lambda: v1_upgrades.read_step(b'{"deviceList": ["1"], "type": "x"}', ACCOUNT, 9), "PARAMETER_INVALID"),
    (lambda: v1_upgrades.read_step(b'{"type": "append"}', ACCOUNT, 9),                "DEVICE_LIST_EMPTY"),
]  # fmt: skip


@pytest.mark.parametrize(("read", "refusal"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(read: Any, refusal: str) -> None:
    with pytest.raises(Refused) as caught:
        read()
    assert caught.value.refusal.name == refusal


def test_an_upgrade_is_read_as_it_came() -> None:
    asked = {
        "accountName": ACCOUNT,
        "firmwareName": "FOTA_Verizon_Model-A_01To02_HF",
        "firmwareTo": "VerizonFirmwareVersion-02",
        "startDate": "2020-08-21",
        "endDate": "2020-08-22",
        "deviceList": ["990003425730535"],
    }
    assert v1_upgrades.read_upgrade(json.dumps(asked).encode(), PLAN.id, 9) == (
        PLAN,
        ["990003425730535"],
    )
