"""docs/how-to/coming-from-the-official-sdk.md: what stands beside what, held against both SDKs.

Its defects have a file of their own, test_official_defects.py.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from contextlib import nullcontext
from operator import attrgetter
from typing import Any

import pytest

import fotapool
from fotapool import CandidateEdit, Client, FotapoolError, LicenseChange
from fotapool.testing import Account, Emulator, Live, Scenario
from official import ACCOUNT, Theirs, credentials, raised
from test_docs import blocks, table, text_of
from test_official_defects import PAGE, A, B
from test_official_family import (
    FIRMWARE,
    append,
    named,
    remove,
    upgrade,
    v1_devices,
    v1_list,
    v2_devices,
    v2_list,
    v3_devices,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # the official SDK warns

CONTROLLERS = (
    "software_management_licenses_v3",
    "software_management_licenses_v2",
    "software_management_licenses_v1",
    "software_management_subscriptions_v1",
    "software_management_subscriptions_v2",
    "software_management_subscriptions_v3",
    "session_management",
    "account_devices",
    "firmware_v1",
)
"""Those of which the page names every operation."""
NOT_LICENSES = {"software_management_reports_v1", "software_management_reports_v2"}
"""Those of which it names the device lists alone."""


def cells(header: str) -> list[list[list[str]]]:
    """A table's cells, each as the names in code marks that it has."""
    after = text_of(PAGE).partition(f"\n| {header}")[2]
    lines = after.partition("\n\n")[0].splitlines()[2:]
    return [
        [re.findall(r"`([^`]+)`", cell) for cell in line.strip("| ").split(" | ")] for line in lines
    ]


def test_the_job_comes_to_the_same_with_both(
    fota_live: Live, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs, ours = blocks(PAGE, "python")
    fota_live.repoint_official_sdk()
    printed = []
    for program in (theirs, ours):
        fota_live.reset()
        exec(compile(program, PAGE, "exec"), {})
        printed.append(capsys.readouterr().out)

    assert printed[1].splitlines() == [
        "1 of 1000",
        "352906110000001 Device does not exist.",
        "990003425730500 2026-01-01 12:00:00 +0000 UTC",
    ]
    assert printed[0] == printed[1]


def test_the_settings_beside_each_other(fota_live: Live) -> None:
    from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
    from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
    from verizon.models.log_in_request import LogInRequest
    from verizon.verizon_client import VerizonClient

    known = {
        made.__name__: inspect.signature(made).parameters
        for made in (ThingspaceOauthCredentials, VZM2mTokenCredentials, LogInRequest)
    }
    client, ours = (inspect.signature(made).parameters for made in (VerizonClient, Client))
    told = set()
    for _, theirs, mine in table(PAGE, "What | `VerizonClient`"):
        made = theirs.partition("(")[0].strip("`")
        for name in re.findall(r"(\w+)=", theirs):
            assert name in known.get(made, client), name
        for name in re.findall(r"(?<!_LOG)\b([a-z_]+)=", mine):
            assert name in ours, name
            told.add(name)
        for parameters, cell in ((client, theirs), (ours, mine)):
            for name, value in re.findall(r"(\w+)=` ([\d.]+)", cell):
                assert str(parameters[name].default) == value, name
    assert told == set(ours)


def test_the_environments_are_base_urls() -> None:
    from verizon.configuration import Configuration, Environment, Server

    needed = (
        Server.OAUTH_SERVER,
        Server.THINGSPACE,
        Server.SOFTWARE_MANAGEMENT_V2,
        Server.SOFTWARE_MANAGEMENT_V3,
    )
    rows = cells("`Environment`")
    for [name], [base_url] in rows:
        uris = Configuration.environments[Environment[name]]
        assert {uris[server].partition("/api")[0] for server in needed} == {base_url}
        assert all(uris[server].startswith(base_url + "/api") for server in needed)
    assert {*(name for [name], _ in rows), "DEV"} == {kept.name for kept in Environment}


def test_every_call_is_named(fota_live: Live) -> None:
    theirs = Theirs(fota_live)
    named = cells("Official call")
    listed = [name for [name], _, _ in named]
    assert len(listed) == len(set(listed))
    for name in CONTROLLERS:
        controller = getattr(theirs.client, name)
        inherited = {name for base in type(controller).__mro__[1:] for name in vars(base)}
        public = {
            f"{name}.{method}"
            for method, _ in inspect.getmembers(type(controller), inspect.isfunction)
            if method not in inherited and not method.startswith("_")
        }
        assert {call for call in listed if call.startswith(f"{name}.")} == public
    for call in listed:
        controller, operation = call.split(".")
        assert callable(getattr(getattr(theirs.client, controller), operation)), call
        assert controller in {*CONTROLLERS, *NOT_LICENSES, "oauth_authorization"}
    with Client() as client:
        for _, documented, plain in named:
            for verb in documented + plain:
                assert callable(attrgetter(verb)(client)), verb


@pytest.mark.parametrize(
    "model",
    [
        "V3LicenseSummary",
        "V3LicenseDevice",
        "V3LicenseAssignedRemovedResult",
        "V3DeviceStatus",
        "V2ListOfLicensesToRemoveResult",
        "FotaV3Subscription",
        "V3AccountDevice",
        "FirmwareUpgrade",
        "FirmwareUpgradeDeviceListItem",
        "FirmwareUpgradeChangeResult",
    ],
)
def test_every_field_of_a_model_is_named(model: str) -> None:
    module = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", model).lower()
    official = getattr(importlib.import_module(f"verizon.models.{module}"), model)
    header = text_of(PAGE).partition(f"\n| `{model}` ")[2].splitlines()[0]
    ours = [*re.findall(r"`(\w+)`", header)]
    rows = cells(f"`{model}` ")

    assert {name for [name], _, _ in rows} == set(official._names)
    for _, documented, plain in rows:
        owner = "Page" if "Page" in plain else ours[-1]
        assert all(hasattr(getattr(fotapool, owner), name) for name in plain if name != "Page")
        assert all(hasattr(getattr(fotapool, ours[0]), name) for name in documented)


Call = Callable[[Theirs], Any]
Arm = Callable[[Any], Any]


def v1_status(it: Theirs) -> Any:
    return it.client.software_management_subscriptions_v1.get_account_license_status("x", "0")


def v2_status(it: Theirs) -> Any:
    return it.client.software_management_licenses_v2.get_account_license_status("x")


def v3_status(it: Theirs) -> Any:
    return it.client.software_management_licenses_v3.get_account_licenses_status("x")


def status(it: Theirs) -> Any:
    return it.status()


def assign(it: Theirs) -> Any:
    return it.assign(A)


def log_in_wrongly(it: Theirs) -> Any:
    from verizon.models.log_in_request import LogInRequest

    body = LogInRequest(username=it.live.login.username, password="wrong")
    return it.client.session_management.start_connectivity_management_session(body)


def with_a_wrong_secret(it: Theirs) -> Any:
    from verizon.verizon_client import VerizonClient

    wrong = credentials(it.live, oauth_client_secret="wrong")
    config = it.client.config.clone_with(thingspace_oauth_credentials=wrong)
    return VerizonClient(config=config).session_management.end_connectivity_management_session()


def without_a_session(it: Theirs) -> Any:
    from verizon.verizon_client import VerizonClient

    client = VerizonClient(thingspace_oauth_credentials=credentials(it.live))
    return client.session_management.end_connectivity_management_session()


def nothing(faults: Any) -> Any:
    return nullcontext()


# the official SDK raises                      ours                when                                               it is called            and ours with
ERRORS: list[tuple[str, str, Arm, Call, dict[str, str]]] = [
    ("FotaV1ResultException",                  "ErrorException",   nothing,                                           v1_status,              {}),
    ("FotaV2ResultException",                  "ErrorException",   nothing,                                           v2_status,              {}),
    ("FotaV3ResultException",                  "ErrorException",   nothing,                                           v3_status,              {}),
    ("ConnectivityManagementResultException",  "ErrorException",   nothing,                                           log_in_wrongly,         {"password": "wrong"}),
    ("APIException 401",                       "Unauthorized",     lambda f: f.html_page(401, times=None),            status,                 {}),
    ("APIException 404",                       "MissingPath",      lambda f: f.html_page(404, times=None),            status,                 {}),
    ("APIException 429",                       "TooManyRequests",  lambda f: f.too_many_requests(times=None),         status,                 {}),
    ("APIException 503",                       "ServerError",      lambda f: f.unavailable(times=None),               status,                 {}),
    ("AuthValidationException",                "Unauthorized",     nothing,                                           with_a_wrong_secret,    {"client_secret": "wrong"}),
    ("AuthValidationException",                "ConfigurationError", nothing,                                         without_a_session,      {"password": ""}),
    ("ConnectionError",                        "ConnectionFailed", lambda f: f.connection_cut(times=None),            status,                 {}),
    ("ReadTimeout",                            "TimedOut",         lambda f: f.answer_delayed(60, times=None),        assign,                 {}),
    ("ConnectionError",                        "TimedOut",         lambda f: f.answer_delayed(60, times=None),        status,                 {}),
    ("YAMLError",                              "UnexpectedAnswer", lambda f: f.json_malformed(times=None),            status,                 {}),
    ("ParserError",                            "LicenseChange",    lambda f: f.time_style("go", times=None),          assign,                 {}),
]  # fmt: skip


@pytest.mark.parametrize(("raises", "expected", "arm", "call", "settings"), ERRORS)
def test_each_error(
    fota: Emulator,
    fota_live: Live,
    raises: str,
    expected: str,
    arm: Arm,
    call: Call,
    settings: dict[str, str],
) -> None:
    theirs = Theirs(fota_live, timeout=1 if expected == "TimedOut" else 60)
    theirs.status()
    ours = fota.new_client(**settings)
    if not settings:
        ours.licenses.status(ACCOUNT)
    name, _, code = raises.partition(" ")
    with arm(fota.faults):
        error = raised(call, theirs)
        assert name in [base.__name__ for base in type(error).__mro__]
        assert not code or getattr(error, "response_code", None) == int(code)
        try:
            account = "x" if call in (v1_status, v2_status, v3_status) else ACCOUNT
            came: object = ours.licenses.assign(account, [A])
        except FotapoolError as failure:
            came = failure
    assert expected in [base.__name__ for base in type(came).__mro__]


def test_every_error_of_the_page_was_raised() -> None:
    told = [
        (f"{name} {code}".strip(), kinds[0])
        for (names, kinds), row in zip(
            cells("Official SDK | Here"), table(PAGE, "Official SDK | Here"), strict=True
        )
        for name in names
        if name != "response_code"
        for code in [*re.findall(r"\d{3}$", row[0] if name == "APIException" else ""), ""][:1]
    ]
    assert told == [(raises, expected) for raises, expected, *_ in ERRORS]


# --- each call, carried out by both ------------------------------------------------------------

C, Z = "990003425730502", "352906110000001"
POOL = Scenario(
    accounts=(Account(licenses=10, devices=(A, B, C), licensed=(A, B), candidates=(B,)),)
)


def licensed(client: Client) -> tuple[object, ...]:
    told = client.licenses.status(ACCOUNT)
    return told.total, told.used, [it.imei for it in client.licenses.devices(ACCOUNT)]


def changed(told: LicenseChange) -> tuple[object, ...]:
    return told.total, told.used, [(it.imei, it.reason) for it in told.verdicts]


def bought(client: Client) -> tuple[object, ...]:
    told = client.licenses.subscription(ACCOUNT)
    return told.purchase_type, told.total, told.used, told.updated_at_text


def registered(client: Client) -> list[tuple[object, ...]]:
    return [(it.imei, it.licensed) for it in client.licenses.account_devices(ACCOUNT)]


def edited(told: CandidateEdit) -> tuple[object, ...]:
    return told.count, list(told.imeis)


# The official call, by its controller, its arguments; what matters of both answers
V1, V2, V3 = (f"software_management_licenses_v{version}." for version in (1, 2, 3))
S1, S2, S3 = (f"software_management_subscriptions_v{version}." for version in (1, 2, 3))
R1, R2 = (f"software_management_reports_v{version}." for version in (1, 2))
LIST, MORE = [A, C, Z], [A, C]


def changed_by_v1(it: Any) -> tuple[object, ...]:
    told = [(item.device_id, item.reason) for item in it.device_list]
    return it.lic_count, it.lic_used_count, told


def changed_by_v2(it: Any) -> tuple[object, ...]:
    told = [(item.device_id, item.result_reason) for item in it.device_list]
    return it.lic_total_count, it.lic_used_count, told


def changed_by_v3(it: Any) -> tuple[object, ...]:
    told = [(item.device_id, item.result_reason) for item in it.device_list]
    return it.lic_count, it.lic_used_count, told


def v2_page(it: Any) -> tuple[object, ...]:
    return it.total_license, it.assigned_licenses, [item.device_id for item in it.device_list]


def page(it: Any) -> tuple[object, ...]:
    return it.total_licenses, it.assigned_licenses, [item.device_id for item in it.device_list]


def subscribed(it: Any) -> tuple[object, ...]:
    return it.purchase_type, it.license_count, it.license_used_count, it.update_time


def its_list(it: Any) -> tuple[object, ...]:
    return it.count, it.device_list


def its_devices(it: Any) -> list[tuple[object, ...]]:
    return [(item.device_id, item.license_assigned) for item in it.device_list]


def its_found(it: Any) -> list[tuple[object, ...]]:
    return [(item.device_id, item.request_status == "Success") for item in it.device_list]


SAME: list[tuple[str, tuple[Any, ...], Callable[[Any], object], Callable[[Client], object]]] = [
    (V3 + "get_account_licenses_status",       (),                       page, licensed),
    (V3 + "assign_licenses_to_devices",        (v3_devices(*LIST),),     changed_by_v3,  lambda c: changed(c.licenses.assign(ACCOUNT, LIST))),
    (V3 + "remove_licenses_from_devices",      (v3_devices(*LIST),),     changed_by_v3,  lambda c: changed(c.licenses.remove(ACCOUNT, LIST))),
    (V2 + "get_account_license_status",        (),                       v2_page, licensed),
    (V2 + "assign_licenses_to_devices",        (v2_devices(*LIST),),     changed_by_v2,  lambda c: changed(c.licenses.assign(ACCOUNT, LIST))),
    (V2 + "remove_licenses_from_devices",      (v2_devices(*LIST),),     changed_by_v2,  lambda c: changed(c.licenses.remove(ACCOUNT, LIST))),
    (V2 + "create_list_of_licenses_to_remove", (v2_list(*MORE),),        its_list,     lambda c: edited(c.licenses.replace_candidates(ACCOUNT, MORE))),
    (V2 + "create_list_of_licenses_to_remove", (v2_list(*MORE, mtype="append"),), its_list, lambda c: edited(c.licenses.append_candidates(ACCOUNT, MORE))),
    (V2 + "list_licenses_to_remove",           (),                       lambda it: it.device_list, lambda c: list(c.licenses.candidates(ACCOUNT))),
    (V2 + "delete_list_of_licenses_to_remove", (),                       lambda it: it.success, lambda c: c.licenses.clear_candidates(ACCOUNT).count == 0),
    (V1 + "assign_licenses_to_devices",        (v1_devices(*LIST),),     changed_by_v1,  lambda c: changed(c.licenses.assign(ACCOUNT, LIST))),
    (V1 + "remove_licenses_from_devices",      (v1_devices(*LIST),),     changed_by_v1,  lambda c: changed(c.licenses.remove(ACCOUNT, LIST))),
    (V1 + "create_list_of_licenses_to_remove", (v1_list(*MORE),),        its_list,     lambda c: edited(c.licenses.replace_candidates(ACCOUNT, MORE))),
    (V1 + "list_licenses_to_remove",           ("0",),                   lambda it: it.device_list, lambda c: list(c.licenses.candidates(ACCOUNT))),
    (V1 + "delete_list_of_licenses_to_remove", (),                       lambda it: it.success, lambda c: c.licenses.clear_candidates(ACCOUNT).count == 0),
    (S1 + "get_account_license_status",        ("0",),                   page, licensed),
    (S1 + "get_account_subscription_status",   (),                       subscribed,     bought),
    (S2 + "get_account_subscription_status",   (),                       subscribed,     bought),
    (S3 + "get_account_subscription_status",   (),                       subscribed,     bought),
    (R1 + "list_account_devices",              ("0",),                   its_devices, registered),
    (R2 + "list_account_devices",              (),                       its_devices, registered),
    ("account_devices.get_account_device_information", (),               its_devices, registered),
    ("account_devices.list_account_devices_information", (named(A, Z),), its_found, lambda c: [(it.imei, it.found) for it in c.licenses.named_devices(ACCOUNT, [A, Z])]),
]  # fmt: skip


@pytest.mark.fota(scenario=POOL)
@pytest.mark.parametrize(("call", "arguments", "of_theirs", "of_ours"), SAME)
def test_each_call_comes_to_the_same(
    fota: Emulator,
    fota_live: Live,
    call: str,
    arguments: tuple[Any, ...],
    of_theirs: Callable[[Any], object],
    of_ours: Callable[[Client], object],
) -> None:
    controller, operation = call.split(".")
    theirs = getattr(Theirs(fota_live).client, controller)
    fota.snapshot()
    made = [argument() if callable(argument) else argument for argument in arguments]
    asks: tuple[Callable[[], object], ...] = (
        lambda: of_theirs(getattr(theirs, operation)(ACCOUNT, *made).body),
        lambda: of_ours(fota.client),
    )
    found, after = [], []
    for ask in asks:
        fota.restore()
        found.append(ask())
        after.append((licensed(fota.client), list(fota.client.licenses.candidates(ACCOUNT))))

    assert found[0] == found[1]
    assert after[0] == after[1]


def test_each_call_with_a_plain_verb_was_carried_out() -> None:
    with_a_verb = {
        call
        for [call], _, plain in cells("Official call")
        if any(verb.startswith("licenses.") for verb in plain)
    }
    assert {call for call, *_ in SAME} == with_a_verb


# --- upgrades and sessions, carried out by both ------------------------------------------------


def upgraded(it: Any) -> tuple[object, ...]:
    """An upgrade as the official SDK has it, without the id."""
    devices = [(d.device_id, d.status, getattr(d, "result_reason", "")) for d in it.device_list]
    return it.firmware_name, it.firmware_to, it.start_date, it.status, devices


def planned(it: fotapool.PlannedUpgrade) -> tuple[object, ...]:
    devices = [(d.imei, d.status, d.reason) for d in it.devices]
    return it.firmware_name, it.firmware_to, it.starts_on_text, it.status, devices


def judged(it: fotapool.PlanChange) -> list[tuple[str, str, str]]:
    return [(verdict.imei, verdict.status, verdict.reason) for verdict in it.verdicts]


@pytest.mark.fota(scenario=POOL)
def test_an_upgrade_comes_to_the_same(fota: Emulator, fota_live: Live) -> None:
    theirs = Theirs(fota_live).client.firmware_v1
    ours = fota.client.upgrades
    fota.snapshot()
    asked: dict[str, Any] = {
        "firmware_name": FIRMWARE["firmware_name"],
        "firmware_to": FIRMWARE["firmware_to"],
        "starts_on": FIRMWARE["start_date"],
        "ends_on": FIRMWARE["end_date"],
    }

    made = theirs.schedule_firmware_upgrade(upgrade(A, C, Z)()).body
    about = ACCOUNT, made.id
    step = theirs.update_firmware_upgrade_devices
    _, _, _, _, made_of_theirs = upgraded(made)
    found = [made_of_theirs]
    for body in (append(B, A)(), remove(A)()):
        listed = step(*about, body).body.device_list
        found.append([(item.device_id, item.status, item.reason) for item in listed])
    found.append(upgraded(theirs.list_firmware_upgrade_details(*about).body))
    assert theirs.cancel_scheduled_firmware_upgrade(*about).body.success
    found.append(upgraded(theirs.list_firmware_upgrade_details(*about).body))

    fota.restore()
    plan = ours.plan(ACCOUNT, [A, C, Z], **asked)
    about = ACCOUNT, plan.upgrade_id
    assert found == [
        judged(plan),
        judged(ours.add_to_plan(*about, [B, A])),
        judged(ours.remove_from_plan(*about, [A])),
        planned(ours.planned(*about)),
        (ours.cancel_plan(*about), planned(ours.planned(*about)))[1],
    ]


def test_a_session_is_ended_by_both(fota: Emulator, fota_live: Live) -> None:
    Theirs(fota_live).client.session_management.end_connectivity_management_session()
    fota.client.licenses.status(ACCOUNT)
    fota.client.log_out()

    assert [entry.status for entry in fota.requests.of("logout")] == [200, 200]
