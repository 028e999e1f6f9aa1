"""The vendor's official SDK on the license operations and their neighbours: candidate lists,
subscriptions, device lists, upgrades. Each controller is called as a whole, against a real server
over a socket, and what the SDK makes of each answer is asserted in full.
"""

from __future__ import annotations

import importlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date
from functools import partial
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from fotapool.model import Verb
from script import IMEIS, Play
from test_documented import Site, official, official_warns
from world import ACCOUNT, World, imeis

__all__ = ["official"]

pytestmark = official_warns

A, B, C, D = (f"{IMEIS[letter]:015d}" for letter in "ABCD")
Z = f"{1:015d}"
BIG, ALL = "big", [f"{imei:015d}" for imei in imeis(2001)]
NO_UPGRADE = "6c9efc3c-3d1c-4d4a-9a2e-7c4f4f6ac001"


@pytest.fixture
def play(small_world: World) -> Play:
    """A pool of three licenses; A to H are its devices, Z is not."""
    return Play(small_world, licenses=3, name=ACCOUNT)


@pytest.fixture
def site(play: Play) -> Iterator[Site]:
    """That pool served, and one of 2,001 devices, all of them licensed."""
    big = play.world.add_account(BIG, licenses=len(ALL), devices=imeis(len(ALL)))
    play.world.carry_out(big, Verb.ASSIGN, ALL)
    login = play.world.add_login(ACCOUNT, BIG)
    with play.world.serving() as url:
        yield Site(play.world, url, login)


# --- calling the SDK ---------------------------------------------------------------------------


def body(model: str, *items: str, **fields: Any) -> Callable[[], Any]:
    """A request body of the SDK for some devices; made when it is sent, for its import warns."""

    def make() -> Any:
        module = importlib.import_module(f"verizon.models.{model}")
        classes: list[tuple[str, Any]] = inspect.getmembers(module, inspect.isclass)
        [its_class] = [found for _, found in classes if found.__module__ == module.__name__]
        return its_class(device_list=list(items), **fields)

    return make


v1_devices = partial(body, "v1_licenses_assigned_removed_request")
v2_devices = partial(body, "v2_license_imei")
v3_devices = partial(body, "v3_license_imei")
v1_list = partial(body, "v1_list_of_licenses_to_remove_request")
v2_list = partial(body, "v2_list_of_licenses_to_remove_request")
named = partial(body, "device_imei")
append = partial(body, "firmware_upgrade_change_request", mtype="append")
remove = partial(body, "firmware_upgrade_change_request", mtype="remove")
FIRMWARE = {
    "account_name": ACCOUNT,
    "firmware_name": "FOTA_Verizon_Model-A_01To02_HF",
    "firmware_to": "VerizonFirmwareVersion-02",
    "start_date": date(2020, 8, 21),
    "end_date": date(2020, 8, 22),
}


def upgrade(*items: str, **other: object) -> Callable[[], Any]:
    return body("firmware_upgrade_request", *items, **(FIRMWARE | other))


def plain(decoded: Any) -> Any:
    """What the SDK decoded, as dictionaries of the attributes that are there.

    The SDK loses 0 and empty texts, and lists of texts that are empty: an optional attribute is
    then missing, another is None. An empty list of models stays. The tests below assert what comes.
    """
    if isinstance(decoded, list):
        return [plain(item) for item in decoded]
    if type(decoded).__name__ == "RFC3339DateTime":
        return decoded.datetime.astimezone(UTC).isoformat()
    if type(decoded).__module__.startswith("verizon.models."):
        return {name: plain(value) for name, value in vars(decoded).items()}
    return decoded


class Watched:
    """A controller of the SDK that notes what is called of it, and answers with plain data."""

    def __init__(self, controller: object) -> None:
        self._controller = controller
        self.called: set[str] = set()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            self.called.add(operation)
            made = [argument() if callable(argument) else argument for argument in arguments]
            return plain(getattr(self._controller, operation)(*made).body)

        return call


@contextmanager
def every_operation_of(controller: object) -> Iterator[Any]:
    """The controller, watched; in the end every public method of its class has been called."""
    watched = Watched(controller)
    yield watched
    inherited = {name for base in type(controller).__mro__[1:] for name in vars(base)}
    public = {name for name, _ in inspect.getmembers(type(controller), inspect.isfunction)}
    assert watched.called == {name for name in public - inherited if not name.startswith("_")}


def refusal(call: Callable[..., Any], *arguments: Any) -> tuple[str, int, str, str]:
    """What the SDK raises: the exception's class, status, code and message."""
    from verizon.exceptions.api_exception import APIException

    with pytest.raises(APIException) as caught:
        call(*arguments)
    error, told = caught.value, json.loads(caught.value.response.text)
    code, message = told["errorCode"], told["errorMessage"]
    if hasattr(error, "error_code"):
        assert (error.error_code, error.error_message) == (code, message)
    return type(error).__name__, error.response_code, code, message


NOT_SERVED = ("APIException", 404, "NOT_FOUND", "No such path.")


def rows(names: str, *values: tuple[object, ...]) -> list[dict[str, object]]:
    """A list as the SDK decodes it, its items' attributes given as a table's columns."""
    return [dict(zip(names.split(), row, strict=False)) for row in values]


# --- licenses and candidate lists --------------------------------------------------------------

LIVED = "assign AB; schedule AB; start AB; finish B"
"""A is under way, B was upgraded: of three licenses two are used. It is 16:03:46 then."""


def test_every_operation_of_licenses_v1(play: Play, official: Any) -> None:
    play.play(LIVED)
    with every_operation_of(official.software_management_licenses_v1) as v1:
        assert v1.assign_licenses_to_devices(ACCOUNT, v1_devices(C, A, Z, "x", D)) == {
            "account_name": ACCOUNT,
            "lic_count": 3,
            "lic_used_count": 3,
            "device_list": rows(
                "device_id status               reason",
                (C,   "LicenseAssignSuccess", "Success"),
                (A,   "LicenseAssignSuccess", "Device license preexisting"),
                (Z,   "LicenseAssignFailed",  "Device does not exist."),
                ("x", "LicenseAssignFailed",  "Invalid Device IMEI."),
                (D,   "LicenseAssignFailed",  "No available license"),
            ),
        }  # fmt: skip

        assert v1.list_licenses_to_remove(ACCOUNT, "0") == {"has_more_data": False}
        first = v1.create_list_of_licenses_to_remove(ACCOUNT, v1_list(C, D, C))
        longer = v1.create_list_of_licenses_to_remove(ACCOUNT, v1_list(A, D, mtype="append"))
        assert first == {"count": 2, "device_list": [C, D]}
        assert longer == {"count": 3, "device_list": [C, D, A]}
        at = {"has_more_data": False, "update_time": "2017-11-29T16:03:46+00:00"}
        for start, listed in (("0", [C, D, A]), ("2", [A])):
            page = v1.list_licenses_to_remove(ACCOUNT, start)
            assert page == {**at, "count": 3, "device_list": listed}
        assert v1.list_licenses_to_remove(ACCOUNT, "3") == {**at, "count": 3}

        assert v1.remove_licenses_from_devices(ACCOUNT, v1_devices(C, C, A, B, Z, "x")) == {
            "account_name": ACCOUNT,
            "lic_count": 3,
            "lic_used_count": 2,
            "device_list": rows(
                "device_id status               reason",
                (C,   "LicenseRemoveSuccess", "Success"),
                (C,   "LicenseRemoveFailed",  "No license attached to device"),
                (A,   "LicenseRemoveFailed",  "Upgrade in progress."),
                (B,   "LicenseRemoveFailed",  "License removal not allowed for devices that have ever upgraded firmware."),
                (Z,   "LicenseRemoveFailed",  "No license attached to device"),
                ("x", "LicenseRemoveFailed",  "Invalid Device IMEI."),
            ),
        }  # fmt: skip
        left = v1.list_licenses_to_remove(ACCOUNT, "0")
        assert left == {**at, "count": 2, "device_list": [D, A]}, "C left with its license"
        replaced = v1.create_list_of_licenses_to_remove(ACCOUNT, v1_list(B))
        assert replaced == {"count": 1, "device_list": [B]}
        assert v1.delete_list_of_licenses_to_remove(ACCOUNT) == {"success": True}
        assert v1.list_licenses_to_remove(ACCOUNT, "0") == at

        play.play("fail A; resize 0")
        assert v1.remove_licenses_from_devices(ACCOUNT, v1_devices(A)) == {
            "account_name": ACCOUNT,
            "device_list": rows(
                "device_id status             reason",
                (A, "LicenseRemoveFailed",  "No license attached to device"),
            ),
        }  # fmt: skip


def test_every_operation_of_licenses_v2(play: Play, official: Any) -> None:
    play.play(LIVED)
    with every_operation_of(official.software_management_licenses_v2) as v2:
        assert v2.assign_licenses_to_devices(ACCOUNT, v2_devices(C, A, Z, "x", D)) == {
            "account_name": ACCOUNT,
            "lic_total_count": 3,
            "lic_used_count": 3,
            "device_list": rows(
                "device_id status  result_reason",
                (C,   "Success", "Success"),
                (A,   "Success", "Device license preexisting"),
                (Z,   "Failure", "Device does not exist."),
                ("x", "Failure", "Invalid device IMEI."),
                (D,   "Failure", "No available license"),
            ),
        }  # fmt: skip

        status = {
            "account_name": ACCOUNT,
            "total_license": 3,
            "assigned_licenses": 3,
            "has_more_data": False,
            "last_seen_device_id": A,
            "max_page_size": 1000,
        }
        licensed = rows(
            "device_id assignment_time",
            (C, "2017-11-29T16:03:46.000Z"),
            (B, "2017-11-29T16:03:43.000Z"),
            (A, "2017-11-29T16:03:43.000Z"),
        )
        for start, listed in (((), licensed), (("0",), licensed), ((C,), licensed[1:]), ((A,), [])):
            page = v2.get_account_license_status(ACCOUNT, *start)
            assert page == {**status, "device_list": listed}

        never = {"has_more_data": False, "update_time": "0001-01-01 00:00:00 +0000 UTC"}
        assert v2.list_licenses_to_remove(ACCOUNT) == {**never, "count": None, "device_list": None}
        first = v2.create_list_of_licenses_to_remove(ACCOUNT, v2_list(C, D, C, count=3))
        longer = v2.create_list_of_licenses_to_remove(ACCOUNT, v2_list(A, D, mtype="append"))
        assert first == {"count": 2, "device_list": [C, D]}
        assert longer == {"count": 3, "device_list": [C, D, A]}
        at = {"has_more_data": False, "update_time": "2017-11-29 16:03:46 +0000 UTC"}
        for start, devices in (((), [C, D, A]), (("0",), [C, D, A]), (("2",), [A]), (("3",), None)):
            page = v2.list_licenses_to_remove(ACCOUNT, *start)
            assert page == {**at, "count": 3, "device_list": devices}

        body = v2_devices(C, C, A, B, Z, "x", account_name=ACCOUNT)
        assert v2.remove_licenses_from_devices(ACCOUNT, body) == {
            "account_name": ACCOUNT,
            "lic_total_count": 3,
            "lic_used_count": 2,
            "device_list": rows(
                "device_id status  result_reason",
                (C,   "Success", "Success"),
                (C,   "Failure", "No license attached to device"),
                (A,   "Failure", "Upgrade in progress."),
                (B,   "Failure", "License removal not allowed for devices that have ever upgraded firmware."),
                (Z,   "Failure", "No license attached to device"),
                ("x", "Failure", "Invalid device IMEI."),
            ),
        }  # fmt: skip
        left = v2.list_licenses_to_remove(ACCOUNT)
        assert left == {**at, "count": 2, "device_list": [D, A]}, "C left with its license"
        replaced = v2.create_list_of_licenses_to_remove(ACCOUNT, v2_list(B))
        assert replaced == {"count": 1, "device_list": [B]}
        assert v2.delete_list_of_licenses_to_remove(ACCOUNT) == {"success": True}
        assert v2.list_licenses_to_remove(ACCOUNT) == {**at, "count": None, "device_list": None}

        play.play("fail A; resize 0")
        assert v2.remove_licenses_from_devices(ACCOUNT, v2_devices(A)) == {
            "account_name": ACCOUNT,
            "lic_total_count": None,
            "lic_used_count": None,
            "device_list": rows(
                "device_id status result_reason",
                (A, "Failure", "No license attached to device"),
            ),
        }
        empty = {**status, "assigned_licenses": None, "last_seen_device_id": "0", "device_list": []}
        del empty["total_license"]
        assert v2.get_account_license_status(ACCOUNT) == empty


def test_every_operation_of_licenses_v3(play: Play, official: Any) -> None:
    play.play(LIVED)
    at = "2017-11-29T16:03:46+00:00"
    with every_operation_of(official.software_management_licenses_v3) as v3:
        assert v3.assign_licenses_to_devices(ACCOUNT, v3_devices(C, A, Z, "x", D)) == {
            "account_name": ACCOUNT,
            "lic_count": 3,
            "lic_used_count": 3,
            "device_list": rows(
                "device_id status               result_reason        updated_time",
                (C,   "LicenseAssignSuccess", "Success",                    at),
                (A,   "LicenseAssignSuccess", "Device license preexisting"),
                (Z,   "LicenseAssignFailed",  "Device does not exist."),
                ("x", "LicenseAssignFailed",  "Invalid Device IMEI."),
                (D,   "LicenseAssignFailed",  "No available license"),
            ),
        }  # fmt: skip

        status = {
            "account_name": ACCOUNT,
            "total_licenses": 3,
            "assigned_licenses": 3,
            "has_more_data": False,
            "last_seen_device_id": A,
            "max_page_size": 1000,
        }
        licensed = rows(
            "device_id assignment_time",
            (C, "2017-11-29 16:03:46 +0000 UTC"),
            (B, "2017-11-29 16:03:43 +0000 UTC"),
            (A, "2017-11-29 16:03:43 +0000 UTC"),
        )
        for start, listed in (((), licensed), (("0",), licensed), ((C,), licensed[1:]), ((A,), [])):
            page = v3.get_account_licenses_status(ACCOUNT, *start)
            assert page == {**status, "device_list": listed}

        assert v3.remove_licenses_from_devices(ACCOUNT, v3_devices(C, C, A, B, Z, "x")) == {
            "account_name": ACCOUNT,
            "lic_count": 3,
            "lic_used_count": 2,
            "device_list": rows(
                "device_id status  result_reason         updated_time",
                (C,   "Success", "Success",                       at),
                (C,   "Failure", "No license attached to device"),
                (A,   "Failure", "Upgrade in progress."),
                (B,   "Failure", "License removal not allowed for devices that have ever upgraded firmware."),
                (Z,   "Failure", "No license attached to device"),
                ("x", "Failure", "Invalid Device IMEI."),
            ),
        }  # fmt: skip

        play.play("fail A; resize 0")
        assert v3.remove_licenses_from_devices(ACCOUNT, v3_devices(A)) == {
            "account_name": ACCOUNT,
            "lic_count": None,
            "lic_used_count": None,
            "device_list": rows(
                "device_id status result_reason",
                (A, "Failure", "No license attached to device"),
            ),
        }
        empty = {**status, "assigned_licenses": None, "last_seen_device_id": "0", "device_list": []}
        del empty["total_licenses"]
        assert v3.get_account_licenses_status(ACCOUNT) == empty


def test_version_3_has_no_candidate_list(official: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    v2 = official.software_management_licenses_v2
    module = sys.modules[type(v2).__module__]
    v3_root = module.Server.SOFTWARE_MANAGEMENT_V3
    monkeypatch.setattr(module, "Server", SimpleNamespace(SOFTWARE_MANAGEMENT_V2=v3_root))
    below_v3 = Watched(v2)

    assert below_v3.get_account_license_status(ACCOUNT)["account_name"] == ACCOUNT
    assert refusal(below_v3.list_licenses_to_remove, ACCOUNT) == NOT_SERVED
    assert refusal(below_v3.create_list_of_licenses_to_remove, ACCOUNT, v2_list(A)) == NOT_SERVED
    assert refusal(below_v3.delete_list_of_licenses_to_remove, ACCOUNT) == NOT_SERVED


@pytest.mark.parametrize(("version", "listing"), [("v1", v1_list), ("v2", v2_list)])
def test_a_candidate_list_has_pages_of_a_thousand(
    official: Any, version: str, listing: Callable[..., Any]
) -> None:
    licenses = Watched(getattr(official, f"software_management_licenses_{version}"))
    backwards = ALL[::-1]

    made = licenses.create_list_of_licenses_to_remove(BIG, listing(*backwards))
    pages = [licenses.list_licenses_to_remove(BIG, str(start)) for start in (0, 1000, 2000)]

    assert made == {"count": 2001, "device_list": backwards[:1000]}
    assert [(page["count"], page["has_more_data"]) for page in pages] == [
        (2001, True),
        (2001, True),
        (2001, False),
    ]
    assert [page["device_list"] for page in pages] == [
        backwards[:1000],
        backwards[1000:2000],
        backwards[2000:],
    ]


# --- subscriptions -----------------------------------------------------------------------------

# life                                          type                           count   used    updated
SUBSCRIPTIONS: list[tuple[str, str, int | None, int | None, str]] = [
    ("",                                        "TS-HFOTA-MRC",                3,      None,   "42"),
    ("assign AB",                               "TS-HFOTA-MRC",                3,      2,      "42"),
    ("assign AB; resize 2",                     "TS-HFOTA-MRC",                2,      2,      "44"),
    ("assign A; schedule A; start A; resize 0", "TS-HFOTA-MRC",                None,   1,      "46"),
    ("resize 0; type EVNT",                     "TS-HFOTA-EVNT",               None,   None,   "44"),
    ("resize 5; type both; assign C",           "TS-HFOTA-EVNT,TS-HFOTA-MRC",  5,      1,      "44"),
]  # fmt: skip


@pytest.mark.parametrize(("life", "kind", "count", "used", "second"), SUBSCRIPTIONS)
def test_every_operation_of_subscriptions(
    play: Play,
    official: Any,
    life: str,
    kind: str,
    count: int | None,
    used: int | None,
    second: str,
) -> None:
    play.play(life)
    lossy = {"license_count": count, "license_used_count": used}
    expected = {
        "account_name": ACCOUNT,
        "purchase_type": kind,
        "update_time": f"2017-11-29T16:03:{second}.000Z",
        **{name: number for name, number in lossy.items() if number is not None},
    }

    with every_operation_of(official.software_management_subscriptions_v1) as v1:
        assert v1.get_account_subscription_status(ACCOUNT) == expected
        status = v1.get_account_license_status(ACCOUNT, "0")
        assert status.get("total_licenses") == count
        assert status.get("assigned_licenses") == used
    with every_operation_of(official.software_management_subscriptions_v2) as v2:
        assert v2.get_account_subscription_status(ACCOUNT) == expected
    with every_operation_of(official.software_management_subscriptions_v3) as v3:
        assert v3.get_account_subscription_status(ACCOUNT) == expected


def test_the_license_status_of_v1(play: Play, official: Any) -> None:
    v1 = Watched(official.software_management_subscriptions_v1)
    none = {"account_name": ACCOUNT, "total_licenses": 3, "has_more_data": False, "device_list": []}
    assert v1.get_account_license_status(ACCOUNT, "0") == none

    play.play("assign AB; assign C")
    licensed = rows(
        "device_id assignment_time",
        (C, "2017-11-29T16:03:44+00:00"),
        (B, "2017-11-29T16:03:43+00:00"),
        (A, "2017-11-29T16:03:43+00:00"),
    )
    for start, listed in (("0", licensed), ("1", licensed[1:]), ("3", []), (B, licensed[2:])):
        page = v1.get_account_license_status(ACCOUNT, start)
        assert page == {**none, "assigned_licenses": 3, "device_list": listed}


# --- device lists ------------------------------------------------------------------------------

UPGRADED = "assign AB; schedule A; start A; finish A; leave DEFGH"
"""Three devices are left: A licensed and upgraded at 16:03:46, B licensed, C neither."""
NEVER, THEN = "01/01/1900 0:0:0", "2017-11-29 16:03:46 +0000 UTC"


def test_every_operation_of_reports_v1(play: Play, official: Any) -> None:
    play.play(UPGRADED)
    devices = rows(
        "device_id fota_eligible license_assigned upgrade_time",
        (C, True, False, NEVER),
        (B, True, True, NEVER),
        (A, True, True, THEN),
    )
    with every_operation_of(official.software_management_reports_v1) as reports:
        for start, listed in (("0", devices), ("1", devices[1:]), ("3", []), (B, devices[2:])):
            assert reports.list_account_devices(ACCOUNT, start) == {
                "account_name": ACCOUNT,
                "has_more_data": False,
                "device_list": listed,
            }
        upgrades = reports.list_upgrades_for_specified_status
        assert refusal(upgrades, ACCOUNT, "Queued", "0") == NOT_SERVED
        assert refusal(reports.get_device_firmware_upgrade_history, ACCOUNT, A) == NOT_SERVED


def test_every_operation_of_reports_v2(play: Play, official: Any) -> None:
    play.play(UPGRADED)
    every: dict[str, object] = {
        "mdn": None,
        "model": None,
        "make": None,
        "fota_eligible": True,
        "app_fota_eligible": True,
        "software_list": [],
    }
    # Asked by               devices   and with them
    pages: list[tuple[tuple[str | None, ...], str, str]] = [
        ((),                 "CBA",    "HTTP"),
        (("0",),             "CBA",    "HTTP"),
        ((C,),               "BA",     "HTTP"),
        ((D,),               "CBA",    "HTTP"),
        ((A,),               "",       "HTTP"),
        ((None, "LWM2M"),    "CBA",    "LWM2M"),
        ((B, "OMD-DM"),      "A",      "OMD-DM"),
    ]  # fmt: skip
    with every_operation_of(official.software_management_reports_v2) as reports:
        for asked, listed, kind in pages:
            own = rows(
                "device_id license_assigned distribution_type upgrade_time",
                *listed_of(listed, (C, False, kind), (B, True, kind), (A, True, kind, THEN)),
            )
            assert reports.list_account_devices(ACCOUNT, *asked) == {
                "account_name": ACCOUNT,
                "has_more_data": False,
                "last_seen_device_id": A,
                "max_page_size": 1000,
                "device_list": [{**every, **device} for device in own],
            }
        assert refusal(reports.list_available_software, ACCOUNT) == NOT_SERVED
        assert refusal(reports.get_device_firmware_upgrade_history, ACCOUNT, A) == NOT_SERVED
        assert refusal(reports.get_campaign_history_by_status, ACCOUNT, "Queued") == NOT_SERVED
        assert refusal(reports.get_campaign_device_status, ACCOUNT, NO_UPGRADE) == NOT_SERVED


def listed_of(letters: str, *devices: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Of these devices, those that the letters name."""
    wanted = {f"{IMEIS[letter]:015d}" for letter in letters}
    return [device for device in devices if device[0] in wanted]


def test_every_operation_of_account_devices(play: Play, official: Any) -> None:
    play.play(UPGRADED)
    every: dict[str, object] = {
        "mdn": None,
        "model": None,
        "make": None,
        "firmware": None,
        "fota_eligible": True,
        "status": "Active",
        "software_list": [],
    }
    # Asked by             devices   and with them; the SDK itself asks for LWM2M
    pages: list[tuple[tuple[str | None, ...], str, str]] = [
        ((),               "CBA",    "LWM2M"),
        (("0",),           "CBA",    "LWM2M"),
        ((C,),             "BA",     "LWM2M"),
        ((D,),             "CBA",    "LWM2M"),
        ((A,),             "",       "LWM2M"),
        ((None, None),     "CBA",    "LWM2M"),
        ((B, "HTTP"),      "A",      "HTTP"),
    ]  # fmt: skip
    with every_operation_of(official.account_devices) as v3:
        for asked, listed, kind in pages:
            own = rows(
                "device_id license_assigned protocol upgrade_time",
                *listed_of(listed, (C, False, kind), (B, True, kind), (A, True, kind, THEN)),
            )
            assert v3.get_account_device_information(ACCOUNT, *asked) == {
                "account_name": ACCOUNT,
                "has_more_data": False,
                "last_seen_device_id": A,
                "max_page_size": 1000,
                "device_list": [{**every, **device} for device in own],
            }

        known = {
            "request_status": "Success",
            "fota_eligible": True,
            "status": "Active",
            "protocol": "LWM2M",
            "software_list": [],
        }
        missing = {"request_status": "Failure", "result_reason": "Device does not exist."}
        assert v3.list_account_devices_information(ACCOUNT, named(B, C, Z, B, D)) == {
            "account_name": ACCOUNT,
            "device_count": 5,
            "device_list": [
                {"device_id": B, "license_assigned": True, **known},
                {"device_id": C, "license_assigned": False, **known},
                {"device_id": Z, **missing},
                {"device_id": B, "license_assigned": True, **known},
                {"device_id": D, **missing},
            ],
        }


# controller, operation                                                   begins     last seen of each page
WALKS: list[tuple[str, str, tuple[str, ...], list[object]]] = [
    ("software_management_licenses_v2", "get_account_license_status",      (),        [ALL[999], ALL[1999], ALL[2000]]),
    ("software_management_licenses_v3", "get_account_licenses_status",     (),        [ALL[999], ALL[1999], ALL[2000]]),
    ("software_management_subscriptions_v1", "get_account_license_status", ("0",),    [1000, 2000, None]),
    ("software_management_subscriptions_v1", "get_account_license_status", (ALL[0],), [ALL[1000], None]),
    ("software_management_reports_v1", "list_account_devices",             ("0",),    [1000, 2000, None]),
    ("software_management_reports_v1", "list_account_devices",             (ALL[0],), [ALL[1000], None]),
    ("software_management_reports_v2", "list_account_devices",             (),        [ALL[999], ALL[1999], ALL[2000]]),
    ("account_devices", "get_account_device_information",                  (),        [ALL[999], ALL[1999], ALL[2000]]),
]  # fmt: skip


@pytest.mark.parametrize(("controller", "operation", "begins", "last_seen"), WALKS)
def test_a_walk_by_what_was_last_seen_finds_every_device_once(
    official: Any,
    controller: str,
    operation: str,
    begins: tuple[str, ...],
    last_seen: list[object],
) -> None:
    call = getattr(Watched(getattr(official, controller)), operation)
    pages = [call(BIG, *begins)]
    while pages[-1]["has_more_data"]:
        pages.append(call(BIG, str(pages[-1]["last_seen_device_id"])))

    found = [device["device_id"] for page in pages for device in page["device_list"]]
    assert found == (ALL[1:] if ALL[0] in begins else ALL)
    assert [page.get("last_seen_device_id") for page in pages] == last_seen


# --- upgrades ----------------------------------------------------------------------------------


def test_every_operation_of_firmware_v1(play: Play, official: Any) -> None:
    play.play("assign ABC")
    with every_operation_of(official.firmware_v1) as firmware:
        assert refusal(firmware.list_available_firmware, ACCOUNT) == NOT_SERVED

        made = firmware.schedule_firmware_upgrade(upgrade(A, D, Z, "x", A, B))
        known = {
            "id": str(UUID(made["id"], version=4)),
            "account_name": ACCOUNT,
            "firmware_name": "FOTA_Verizon_Model-A_01To02_HF",
            "firmware_to": "VerizonFirmwareVersion-02",
            "start_date": "2020-08-21",
        }
        assert made == {
            **known,
            "status": "RequestPending",
            "device_list": rows(
                "device_id status       result_reason",
                (A,   "RequestPending"),
                (D,   "RequestFailed", "No license attached to device"),
                (Z,   "RequestFailed", "Device does not exist."),
                ("x", "RequestFailed", "Invalid Device IMEI."),
                (A,   "RequestFailed", "Upgrade already scheduled."),
                (B,   "RequestPending"),
            ),
        }  # fmt: skip

        def told() -> tuple[str, dict[str, tuple[str, str]]]:
            """How far the upgrade is, and how far with each of its devices."""
            found = firmware.list_firmware_upgrade_details(ACCOUNT, made["id"])
            status, items = found.pop("status"), found.pop("device_list")
            assert found == known
            assert all(set(item) == {"device_id", "status", "result_reason"} for item in items)
            return status, {i["device_id"]: (i["status"], i["result_reason"]) for i in items}

        def change(body: Callable[[], Any]) -> list[tuple[str, str, str]]:
            """What becomes of each device of a change."""
            found = firmware.update_firmware_upgrade_devices(ACCOUNT, made["id"], body)
            items = found.pop("device_list")
            assert found == {"account_name": ACCOUNT, "id": made["id"]}
            assert all(set(item) == {"device_id", "status", "reason"} for item in items)
            return [(item["device_id"], item["status"], item["reason"]) for item in items]

        accepted, running = ("Device Accepted", "success"), ("InProgress", "Upgrade in progress.")
        cancelled = ("RequestFailed", "Upgrade cancelled.")
        assert told() == ("Queued", {A: accepted, B: accepted})

        assert change(append(C, B, D, Z, "x")) == [
            (C,   "AddDeviceSucceed", "Device added Successfully"),
            (B,   "RequestFailed",    "Upgrade already scheduled."),
            (D,   "RequestFailed",    "No license attached to device"),
            (Z,   "RequestFailed",    "Device does not exist."),
            ("x", "RequestFailed",    "Invalid Device IMEI."),
        ]  # fmt: skip
        assert told() == ("Queued", {A: accepted, B: accepted, C: accepted})

        play.play("start A")
        assert told() == ("InProgress", {A: running, B: accepted, C: accepted})
        assert change(append(A)) == [(A, "RequestFailed", "Upgrade in progress.")]
        assert change(remove(A, B, B, D, Z, "x")) == [
            (A,   "RequestFailed",       "Upgrade in progress."),
            (B,   "RemoveDeviceSucceed", "Device removed Successfully"),
            (B,   "RequestFailed",       "Upgrade not scheduled."),
            (D,   "RequestFailed",       "Upgrade not scheduled."),
            (Z,   "RequestFailed",       "Device does not exist."),
            ("x", "RequestFailed",       "Invalid Device IMEI."),
        ]  # fmt: skip
        assert told() == ("InProgress", {A: running, B: cancelled, C: accepted})

        cancel = firmware.cancel_scheduled_firmware_upgrade
        assert cancel(ACCOUNT, made["id"]) == {"success": True}
        assert told() == ("InProgress", {A: running, B: cancelled, C: cancelled})
        play.play("finish A")
        assert told() == ("Finished", {A: ("Finished", "success"), B: cancelled, C: cancelled})
        assert cancel(ACCOUNT, made["id"]) == {"success": True}, "nothing is left of it to cancel"

        second = firmware.schedule_firmware_upgrade(upgrade(B, C))
        assert second["id"] != made["id"]
        play.play("start B; fail B")
        assert cancel(ACCOUNT, second["id"]) == {"success": True}
        failed = firmware.list_firmware_upgrade_details(ACCOUNT, second["id"])
        assert (failed["status"], failed["device_list"]) == (
            "UpgradeFailed",
            rows(
                "device_id status result_reason",
                (B, "UpgradeFailed", "Upgrade failed."),
                (C, "RequestFailed", "Upgrade cancelled."),
            ),
        )


def test_an_upgrade_of_nothing_but_unlicensed_devices_has_failed(official: Any) -> None:
    firmware = Watched(official.firmware_v1)
    made = firmware.schedule_firmware_upgrade(upgrade(D))
    kept = firmware.list_firmware_upgrade_details(ACCOUNT, made["id"])

    reason = "No license attached to device"
    assert made["device_list"] == [
        {"device_id": D, "status": "RequestFailed", "result_reason": reason}
    ]
    assert kept == {**made, "status": "RequestFailed", "device_list": []}


def test_who_pays_per_upgrade_needs_no_license_for_one(play: Play, official: Any) -> None:
    play.play("resize 0; type EVNT")
    firmware = Watched(official.firmware_v1)
    made = firmware.schedule_firmware_upgrade(upgrade(D))
    kept = firmware.list_firmware_upgrade_details(ACCOUNT, made["id"])
    assigned = Watched(official.software_management_licenses_v3).assign_licenses_to_devices(
        ACCOUNT, v3_devices(D)
    )

    assert made["device_list"] == [{"device_id": D, "status": "RequestPending"}]
    assert kept["device_list"] == [
        {"device_id": D, "status": "Device Accepted", "result_reason": "success"}
    ]
    assert assigned["device_list"] == [
        {"device_id": D, "status": "LicenseAssignFailed", "result_reason": "No available license"}
    ]


# --- what is refused ---------------------------------------------------------------------------

LICENSES, REPORTS = "software_management_licenses_v", "software_management_reports_v"
SUBSCRIPTION = "software_management_subscriptions_v"

# controller           operation                             arguments after the account           message
REFUSED: list[tuple[str, str, tuple[Any, ...], str]] = [
    (LICENSES + "1",     "assign_licenses_to_devices",         (v1_devices(),),                      "Device list is empty"),
    (LICENSES + "1",     "create_list_of_licenses_to_remove",  (v1_list(A, Z),),                     "Device does not exist."),
    (LICENSES + "1",     "create_list_of_licenses_to_remove",  (v1_list(A, "x"),),                   "Invalid device id format"),
    (LICENSES + "1",     "create_list_of_licenses_to_remove",  (v1_list(A, mtype="replace"),),       "type must be append, or absent to replace"),
    (LICENSES + "1",     "create_list_of_licenses_to_remove",  (v1_list(),),                         "Device list is empty"),
    (LICENSES + "1",     "list_licenses_to_remove",            ("1",),                               "Index exceeds number of devices in list"),
    (LICENSES + "1",     "list_licenses_to_remove",            ("1" * 30,),                          "Index exceeds number of devices in list"),
    (LICENSES + "1",     "list_licenses_to_remove",            ("x",),                               "Invalid index value"),
    (LICENSES + "1",     "list_licenses_to_remove",            ("-1",),                              "Invalid index value"),
    (LICENSES + "2",     "get_account_license_status",         (Z,),                                 "LastSeenDeviceId Not Valid"),
    (LICENSES + "2",     "get_account_license_status",         ("x",),                               "Invalid device id format"),
    (LICENSES + "2",     "assign_licenses_to_devices",         (v2_devices(A, account_name=BIG),),   "accountName in the body is not the account in the path"),
    (LICENSES + "2",     "create_list_of_licenses_to_remove",  (v2_list(A, Z),),                     "Device does not exist."),
    (LICENSES + "2",     "create_list_of_licenses_to_remove",  (v2_list(A, "x"),),                   "Invalid device id format"),
    (LICENSES + "2",     "create_list_of_licenses_to_remove",  (v2_list(A, mtype="replace"),),       "type must be append, or absent to replace"),
    (LICENSES + "2",     "list_licenses_to_remove",            ("1",),                               "Index exceeds number of devices in list"),
    (LICENSES + "2",     "list_licenses_to_remove",            ("x",),                               "Invalid index value"),
    (LICENSES + "3",     "get_account_licenses_status",        (Z,),                                 "LastSeenDeviceId Not Valid"),
    (LICENSES + "3",     "get_account_licenses_status",        ("x",),                               "Invalid device id format"),
    (LICENSES + "3",     "assign_licenses_to_devices",         (v3_devices(),),                      "Device list is empty"),
    (SUBSCRIPTION + "1", "get_account_license_status",         ("1",),                               "Index exceeds number of devices in list"),
    (SUBSCRIPTION + "1", "get_account_license_status",         (Z,),                                 "LastSeenDeviceId Not Valid"),
    (SUBSCRIPTION + "1", "get_account_license_status",         ("x",),                               "Invalid device id format"),
    (REPORTS + "1",      "list_account_devices",               ("9",),                               "Index exceeds number of devices in list"),
    (REPORTS + "1",      "list_account_devices",               (Z,),                                 "LastSeenDeviceId Not Valid"),
    (REPORTS + "1",      "list_account_devices",               ("x",),                               "Invalid device id format"),
    (REPORTS + "2",      "list_account_devices",               (Z,),                                 "LastSeenDeviceId Not Valid"),
    (REPORTS + "2",      "list_account_devices",               ("x",),                               "Invalid device id format"),
    ("account_devices",  "get_account_device_information",     (Z,),                                 "LastSeenDeviceId Not Valid"),
    ("account_devices",  "get_account_device_information",     ("x",),                               "Invalid device id format"),
    ("account_devices",  "list_account_devices_information",   (named(),),                           "Device list is empty"),
    ("firmware_v1",      "list_firmware_upgrade_details",      (NO_UPGRADE,),                        "Invalid upgradeId"),
    ("firmware_v1",      "list_firmware_upgrade_details",      ("x",),                               "Invalid uuid"),
    ("firmware_v1",      "update_firmware_upgrade_devices",    (NO_UPGRADE, append(A)),              "Invalid upgradeId"),
    ("firmware_v1",      "update_firmware_upgrade_devices",    (NO_UPGRADE, remove(A)),              "Invalid upgradeId"),
    ("firmware_v1",      "update_firmware_upgrade_devices",    (NO_UPGRADE, append(A, mtype="add")), "type must be append or remove"),
    ("firmware_v1",      "update_firmware_upgrade_devices",    ("x", append(A)),                     "Invalid uuid"),
    ("firmware_v1",      "cancel_scheduled_firmware_upgrade",  (NO_UPGRADE,),                        "Invalid upgradeId"),
    ("firmware_v1",      "cancel_scheduled_firmware_upgrade",  ("x",),                               "Invalid uuid"),
]  # fmt: skip


def exception_of(controller: str) -> str:
    """The SDK's class for what a controller's version refuses."""
    return f"FotaV{3 if controller == 'account_devices' else controller[-1]}ResultException"


def test_a_refusal_is_a_typed_exception_and_changes_nothing(play: Play, official: Any) -> None:
    found = []
    for controller, operation, arguments, _ in REFUSED:
        call = getattr(Watched(getattr(official, controller)), operation)
        found.append((refusal(call, ACCOUNT, *arguments), last_change(play)))

    assert found == [
        ((exception_of(controller), 400, "INVALID_PARAMETER", message), 2)
        for controller, _, _, message in REFUSED
    ]


def test_an_upgrade_needs_a_day_to_start_on(play: Play, official: Any) -> None:
    schedule = Watched(official.firmware_v1).schedule_firmware_upgrade
    play.play("assign A")
    for start_date in ("soon", "2020-08-32", "08/21/2020"):
        assert refusal(schedule, upgrade(A, start_date=start_date)) == (
            "FotaV1ResultException",
            400,
            "INVALID_PARAMETER",
            "FotaPostUpgrades: invalid state date",
        )
    assert last_change(play) == 3


# controller           operation                          arguments
ELSEWHERE: list[tuple[str, str, tuple[Any, ...]]] = [
    (LICENSES + "1",     "list_licenses_to_remove",         ("other", "0")),
    (LICENSES + "2",     "list_licenses_to_remove",         ("other",)),
    (LICENSES + "3",     "assign_licenses_to_devices",      ("other", v3_devices(A))),
    (SUBSCRIPTION + "1", "get_account_subscription_status", ("other",)),
    (SUBSCRIPTION + "2", "get_account_subscription_status", ("other",)),
    (SUBSCRIPTION + "3", "get_account_subscription_status", ("other",)),
    (REPORTS + "1",      "list_account_devices",            ("other", "0")),
    (REPORTS + "2",      "list_account_devices",            ("other",)),
    ("account_devices",  "get_account_device_information",  ("other",)),
    ("firmware_v1",      "schedule_firmware_upgrade",       (upgrade(A, account_name="other"),)),
    ("firmware_v1",      "list_firmware_upgrade_details",   ("other", NO_UPGRADE)),
]  # fmt: skip


def test_an_account_out_of_reach_is_not_found(play: Play, official: Any) -> None:
    play.world.add_account("other")
    found = []
    for controller, operation, arguments in ELSEWHERE:
        call = getattr(Watched(getattr(official, controller)), operation)
        found.append(refusal(call, *arguments))

    code = "UnifiedWebService.REQUEST_FAILED.AccountNotFound"
    message = "The account does not exist, or this login may not see it."
    assert found == [(exception_of(row[0]), 400, code, message) for row in ELSEWHERE]


def last_change(play: Play) -> int:
    return play.world.store.read(lambda snapshot: snapshot.account(play.account.id)).sequence
