"""docs/reference/licenses.md, run: every signature, example call and printed body.

The examples run as printed against a real server over a socket, with our client; the same
operations run with the vendor's official SDK. The server is set up so that its answers can be
held against the prints, field by field.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

import fotapool
from fotapool import Client, ErrorException, LicenseResponse, LicensesController
from world import Login, Script, World, answer, imeis

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "licenses.md"
PLACEHOLDER = "15-digit IMEI"
V2_ACCOUNT, V3_ACCOUNT = "0242078689-00001", "0000123456-00001"
A, B = "990003425730524", "990000473475967"


@dataclass(frozen=True)
class Example:
    """One operation as the page tells it."""

    title: str
    signature: str
    call: str
    body: bytes
    differences: str

    @property
    def method(self) -> str:
        return self.signature.split("(")[0].removeprefix("def ")


def read_page() -> dict[str, Example]:
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        blocks = re.findall(r"```(\w+)\n(.*?)```", section, re.DOTALL)
        if len(blocks) == 3:
            signature, call, body = (text for _, text in blocks)
            title = section.splitlines()[0]
            example = Example(title, signature, call, body.encode(), section.rpartition("```")[2])
            found[example.method] = example
    return found


EXAMPLES = read_page()
DEPRECATED = {"assign_fota_licenses_to_devices", "remove_licenses_from_devices"}


def run(example: Example, client: Client, *placeholders: str) -> Any:
    """The example's own lines; each placeholder stands as printed, or is replaced in turn."""
    code = example.call
    for imei in placeholders:
        code = code.replace(PLACEHOLDER, imei, 1)
    names = {name: getattr(fotapool, name) for name in fotapool.__all__}
    expected: AbstractContextManager[Any] = nullcontext()
    if example.method in DEPRECATED:
        expected = pytest.warns(
            DeprecationWarning, match=f"{example.method} is deprecated; use {example.method}_1"
        )
    with expected:
        scope = {**names, "client": client, "licenses_controller": client.licenses}
        exec(compile(code, str(PAGE), "exec"), scope)
    return scope["result"]


def test_the_page_tells_of_six_operations() -> None:
    public = [
        name
        for name, _ in inspect.getmembers(LicensesController, inspect.isfunction)
        if not name.startswith("_")
    ]

    assert len(EXAMPLES) == 6
    plainer = {"assign", "remove", "status", "devices"}
    beside = {
        "subscription",
        "account_devices",
        "named_devices",
        "candidates",
        "replace_candidates",
        "append_candidates",
        "clear_candidates",
    }
    assert set(public) == {*EXAMPLES} | plainer | beside


@pytest.mark.parametrize("method", EXAMPLES)
def test_our_methods_have_the_documented_signatures(method: str) -> None:
    documented = ast.parse(EXAMPLES[method].signature.rstrip() + ": ...").body[0]
    assert isinstance(documented, ast.FunctionDef)
    ours = inspect.signature(getattr(LicensesController, method)).parameters

    assert [argument.arg for argument in documented.args.args] + ["options"] == list(ours)
    defaults = [
        parameter.default
        for parameter in ours.values()
        if parameter.default is not inspect.Parameter.empty
    ]
    assert [ast.literal_eval(default) for default in documented.args.defaults] == defaults


# --- the printed bodies, read by our client ----------------------------------------------------


@pytest.mark.parametrize("method", EXAMPLES)
def test_every_printed_field_is_read_back_unchanged(method: str) -> None:
    printed = json.loads(EXAMPLES[method].body)
    client = Client(
        access_token="bearer",
        session_token="session",
        transport=Script(answer(200, EXAMPLES[method].body)),
    )

    result = run(EXAMPLES[method], client)

    for name, value in printed.items():
        if name != "deviceList":
            assert getattr(result, snake(name)) == value, name
    assert len(result.device_list) == len(printed["deviceList"])
    for read, item in zip(result.device_list, printed["deviceList"], strict=True):
        for name, value in item.items():
            expected = (
                datetime(2021, 6, 10, 15, 13, 30, 941_000, UTC)
                if name.endswith("Time") and name != "assignmentTime"
                else value
            )
            assert getattr(read, snake(name)) == expected, name


def snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def test_the_prints_hold_what_the_page_says_of_them() -> None:
    assign, remove = (
        EXAMPLES[f"{verb}_1"]
        for verb in ("assign_fota_licenses_to_devices", "remove_licenses_from_devices")
    )

    assert [json.loads(example.body)["licCount"] for example in (assign, remove)] == [2, 9000]
    assert json.loads(EXAMPLES["get_user_fota_licenses_summary"].body)["maxPageSize"] == 10


# --- the examples, run against our server ------------------------------------------------------


@dataclass
class Site:
    """A served world whose two accounts stand as the examples find them."""

    world: World
    url: str
    login: Login

    def client(self) -> Client:
        return self.login.client(self.url)


@pytest.fixture
def site(small_world: World) -> Iterator[Site]:
    world = small_world
    held = imeis(4319, first=990009000000000)
    world.add_account(V3_ACCOUNT, licenses=5000, devices=[*held, int(A), int(B)])
    world.add_account(
        V2_ACCOUNT, licenses=1000, devices=[*held[:1000], int(A), 990003425730535, 990000473475989]
    )
    login = world.add_login(V2_ACCOUNT, V3_ACCOUNT)
    for start in range(0, 4319, 1000):
        assign(login, V3_ACCOUNT, *held[start : start + 1000])
    with world.serving() as url:
        yield Site(world, url, login)


def assign(login: Login, account: str, *devices: int) -> None:
    texts = [f"{imei:015d}" for imei in devices]
    assert (
        login.post(f"/api/fota/v3/licenses/{account}/assign", {"deviceList": texts}).status == 200
    )


def fill(site: Site, used: int, *last: int) -> None:
    """Bring the v2 account to a number of used licenses, these devices among them."""
    assign(site.login, V2_ACCOUNT, *imeis(used - len(last), first=990009000000000), *last)


def test_example_v2_summary(site: Site) -> None:
    with site.client() as client:
        with pytest.raises(ErrorException) as caught:
            run(EXAMPLES["get_user_fota_licenses_summary"], client)
        result = run(EXAMPLES["get_user_fota_licenses_summary"], client, "990009000000999")

    assert (caught.value.error_code, caught.value.error_message) == (
        "INVALID_PARAMETER",
        "Invalid device id format",
    )
    assert (caught.value.reason, caught.value.response_code) == ("Unexpected error", 400)
    assert json.loads(caught.value.response.text) == {
        "errorCode": "INVALID_PARAMETER",
        "errorMessage": "Invalid device id format",
    }
    assert (caught.value.response.status_code, caught.value.response.headers["content-type"]) == (
        400,
        "application/json",
    )
    assert (result.account_name, result.total_license, result.total_licenses) == (
        V3_ACCOUNT,
        5000,
        5000,
    )
    assert (result.assigned_licenses, result.has_more_data) == (4319, True)
    assert (result.last_seen_device_id, result.max_page_size) == ("990009000001999", 1000)
    assert [device.device_id for device in result.device_list] == list(
        map(str, imeis(1000, first=990009000001000))
    )
    assert {device.assignment_time for device in result.device_list} == {"2017-11-29T16:03:42.000Z"}


def test_example_v2_assign_answers_to_the_letter(site: Site) -> None:
    fill(site, 501)
    with site.client() as client:
        result = run(EXAMPLES["assign_fota_licenses_to_devices"], client)

    assert as_told(result) == as_read(EXAMPLES["assign_fota_licenses_to_devices"])


def test_example_v2_remove_answers_to_the_letter(site: Site) -> None:
    fill(site, 1000, 990003425730535, 990000473475989)
    with site.client() as client:
        result = run(EXAMPLES["remove_licenses_from_devices"], client)

    assert as_told(result) == as_read(EXAMPLES["remove_licenses_from_devices"])


def as_told(result: LicenseResponse) -> dict[str, Any]:
    told = msgspec.to_builtins(result)
    del told["response"], told["reconciled"]
    return cast(dict[str, Any], told)


def as_read(example: Example) -> dict[str, Any]:
    """A printed v2 answer as `to_builtins` gives ours: items keep their names on the wire."""
    printed = json.loads(example.body)
    named = {snake(name): value for name, value in printed.items()}
    return named | {"device_list": tuple(printed["deviceList"])}


def test_example_v3_summary(site: Site) -> None:
    with site.client() as client:
        result = run(EXAMPLES["summarize_fota_licenses_assignment"], client)

    printed = json.loads(EXAMPLES["summarize_fota_licenses_assignment"].body)
    assert (result.account_name, result.total_licenses, result.assigned_licenses) == (
        printed["accountName"],
        printed["totalLicenses"],
        printed["assignedLicenses"],
    )
    assert (result.has_more_data, result.max_page_size) == (
        printed["hasMoreData"],
        printed["maxPageSize"],
    )
    assert result.last_seen_device_id == "990009000000999"
    assert [device.device_id for device in result.device_list] == list(
        map(str, imeis(1000, first=990009000000000))
    )
    assert {device.assignment_time for device in result.device_list} == {
        "2017-11-29 16:03:42 +0000 UTC"
    }


def test_example_v3_assign(site: Site) -> None:
    example = EXAMPLES["assign_fota_licenses_to_devices_1"]
    with site.client() as client:
        as_printed = run(example, client)
        first = run(example, client, A, B)
        again = run(example, client, A, B)

    for result, used in ((as_printed, 4319), (first, 4321), (again, 4321)):
        assert (
            result.account_name,
            result.lic_count,
            result.lic_total_count,
            result.lic_used_count,
        ) == (V3_ACCOUNT, 5000, 5000, used)
    assert (
        told(as_printed) == [(PLACEHOLDER, "LicenseAssignFailed", "Invalid Device IMEI.", None)] * 2
    )
    assert told(first) == [
        (imei, "LicenseAssignSuccess", "Success", datetime(2017, 11, 29, 16, 3, 42, tzinfo=UTC))
        for imei in (A, B)
    ]
    printed = json.loads(example.body)["deviceList"]
    assert [(item.status, item.reason) for item in again.device_list] == [
        (item["status"], item["Reason"]) for item in printed
    ]


def test_example_v3_remove(site: Site) -> None:
    example = EXAMPLES["remove_licenses_from_devices_1"]
    assign(site.login, V3_ACCOUNT, int(A), int(B))
    with site.client() as client:
        as_printed = run(example, client)
        removed = run(example, client, A, B, A)

    assert (as_printed.lic_used_count, removed.lic_used_count) == (4321, 4319)
    assert told(as_printed) == [(PLACEHOLDER, "Failure", "Invalid Device IMEI.", None)] * 3
    at = datetime(2017, 11, 29, 16, 3, 42, tzinfo=UTC)
    assert told(removed) == [
        (A, "Success", "Success", at),
        (B, "Success", "Success", at),
        (A, "Failure", "No license attached to device", None),
    ]
    printed = json.loads(example.body)["deviceList"][0]
    assert (removed.device_list[0].status, removed.device_list[0].result_reason) == (
        printed["status"],
        printed["resultReason"],
    )


def told(result: Any) -> list[tuple[str, str, str, datetime | None]]:
    for item in result.device_list:
        assert item.result_reason == item.reason
        assert (item.recent_attempt_time, item.next_attempt_time) == (None, None)
    return [
        (item.device_id, item.status, item.result_reason, item.updated_time)
        for item in result.device_list
    ]


def test_an_empty_pool_answers_with_zeros(site: Site) -> None:
    site.world.add_account("empty", licenses=0)
    login = site.world.add_login("empty")
    with login.client(site.url) as client:
        v2 = client.licenses.get_user_fota_licenses_summary("empty")
        v3 = client.licenses.summarize_fota_licenses_assignment("empty")
        refused = client.licenses.assign_fota_licenses_to_devices_1(
            "empty", fotapool.LicensesAssignedRemovedRequest(device_list=[A])
        )

    for page in (v2, v3):
        assert (page.total_license, page.total_licenses, page.assigned_licenses) == (0, 0, 0)
        assert (page.has_more_data, page.last_seen_device_id, page.device_list) == (False, "0", ())
    assert (refused.lic_count, refused.lic_total_count, refused.lic_used_count) == (0, 0, 0)


# --- the same operations with the official SDK -------------------------------------------------


official_warns = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def official(site: Site) -> Any:
    """The vendor's client, pointed at our server by its configuration class."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from verizon.configuration import Configuration, Server
        from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
        from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
        from verizon.models.log_in_request import LogInRequest
        from verizon.verizon_client import VerizonClient

    class Local(Configuration):  # type: ignore[misc]
        def get_base_uri(self, server: Any = Server.THINGSPACE) -> Any:
            return (
                super()
                .get_base_uri(server)
                .replace("https://thingspace.verizon.com/api", site.url + "/api")
            )

    secrets = site.login.secrets
    oauth = ThingspaceOauthCredentials(
        oauth_client_id=secrets.client_id, oauth_client_secret=secrets.client_secret
    )
    first = VerizonClient(config=Local(thingspace_oauth_credentials=oauth))
    started = first.session_management.start_connectivity_management_session(
        body=LogInRequest(username=secrets.username, password=secrets.password)
    )
    session = VZM2mTokenCredentials(vz_m2m_token=started.body.session_token)
    return VerizonClient(
        config=Local(thingspace_oauth_credentials=oauth, vz_m2m_token_credentials=session)
    )


class AsOfficial:
    """The documented methods, carried out by the official SDK; gives the bodies it decodes."""

    def __init__(self, official: Any) -> None:
        self._v2 = official.software_management_licenses_v2
        self._v3 = official.software_management_licenses_v3

    def get_user_fota_licenses_summary(self, account: str, last: str) -> Any:
        return self._v2.get_account_license_status(account, last).body

    def assign_fota_licenses_to_devices(self, account: str, body: Any) -> Any:
        return self._v2.assign_licenses_to_devices(account, self._v2_body(body)).body

    def remove_licenses_from_devices(self, account: str, body: Any) -> Any:
        return self._v2.remove_licenses_from_devices(account, self._v2_body(body)).body

    def summarize_fota_licenses_assignment(self, acc: str, last: str) -> Any:
        return self._v3.get_account_licenses_status(acc, last).body

    def assign_fota_licenses_to_devices_1(self, acc: str, body: Any) -> Any:
        return self._v3.assign_licenses_to_devices(acc, self._v3_body(body)).body

    def remove_licenses_from_devices_1(self, acc: str, body: Any) -> Any:
        return self._v3.remove_licenses_from_devices(acc, self._v3_body(body)).body

    def _v2_body(self, body: Any) -> Any:
        from verizon.models.v2_license_imei import V2LicenseIMEI

        return V2LicenseIMEI(device_list=body.device_list)

    def _v3_body(self, body: Any) -> Any:
        from verizon.models.v3_license_imei import V3LicenseIMEI

        return V3LicenseIMEI(device_list=body.device_list)


def run_officially(example: Example, official: Any, *placeholders: str) -> Any:
    code = example.call
    for imei in placeholders:
        code = code.replace(PLACEHOLDER, imei, 1)
    names = {name: getattr(fotapool, name) for name in fotapool.__all__}
    scope = {**names, "licenses_controller": AsOfficial(official)}
    exec(compile(code, str(PAGE), "exec"), scope)
    return scope["result"]


@official_warns
@pytest.mark.parametrize(
    ("method", "used"),
    [
        ("assign_fota_licenses_to_devices", [501]),
        ("remove_licenses_from_devices", [1000, 990003425730535, 990000473475989]),
    ],
)
def test_the_official_sdk_runs_the_v2_examples_to_the_letter(
    site: Site, official: Any, method: str, used: list[int]
) -> None:
    fill(site, *used)
    result = run_officially(EXAMPLES[method], official)

    printed = json.loads(EXAMPLES[method].body)
    for name, value in printed.items():
        if name != "deviceList":
            assert getattr(result, snake(name)) == value, name
    assert [
        {"deviceId": item.device_id, "status": item.status, "resultReason": item.result_reason}
        for item in result.device_list
    ] == printed["deviceList"]


@official_warns
def test_the_official_sdk_runs_the_other_examples(site: Site, official: Any) -> None:
    from verizon.exceptions.fota_v2_result_exception import FotaV2ResultException

    summary = EXAMPLES["get_user_fota_licenses_summary"]
    with pytest.raises(FotaV2ResultException) as caught:
        run_officially(summary, official)
    v2 = run_officially(summary, official, "990009000000999")
    v3 = run_officially(EXAMPLES["summarize_fota_licenses_assignment"], official)

    assert caught.value.error_message == "Invalid device id format"
    assert (v2.account_name, v2.total_license, v2.assigned_licenses) == (V3_ACCOUNT, 5000, 4319)
    assert (v2.last_seen_device_id, v2.max_page_size) == ("990009000001999", 1000)
    assert (v3.account_name, v3.total_licenses, v3.assigned_licenses) == (V3_ACCOUNT, 5000, 4319)
    assert (v3.has_more_data, len(v3.device_list)) == (True, 1000)


@official_warns
def test_the_official_sdk_runs_the_v3_examples(site: Site, official: Any) -> None:
    assign_example = EXAMPLES["assign_fota_licenses_to_devices_1"]
    remove_example = EXAMPLES["remove_licenses_from_devices_1"]
    as_printed = run_officially(assign_example, official)
    assigned = run_officially(assign_example, official, A, B)
    again = run_officially(assign_example, official, A, B)
    removed = run_officially(remove_example, official, A, B, A)
    removed_as_printed = run_officially(remove_example, official)

    def told(result: Any) -> list[tuple[str, str, str]]:
        return [(item.device_id, item.status, item.result_reason) for item in result.device_list]

    assert [result.lic_used_count for result in (as_printed, assigned, again, removed)] == [
        4319,
        4321,
        4321,
        4319,
    ]
    assert told(as_printed) == [(PLACEHOLDER, "LicenseAssignFailed", "Invalid Device IMEI.")] * 2
    assert told(assigned) == [(imei, "LicenseAssignSuccess", "Success") for imei in (A, B)]
    assert told(again) == [
        (imei, "LicenseAssignSuccess", "Device license preexisting") for imei in (A, B)
    ]
    assert told(removed) == [
        (A, "Success", "Success"),
        (B, "Success", "Success"),
        (A, "Failure", "No license attached to device"),
    ]
    assert told(removed_as_printed) == [(PLACEHOLDER, "Failure", "Invalid Device IMEI.")] * 3


@official_warns
def test_official_v1(site: Site, official: Any) -> None:
    from verizon.models.v1_licenses_assigned_removed_request import (
        V1LicensesAssignedRemovedRequest,
    )

    v1 = official.software_management_licenses_v1
    request = V1LicensesAssignedRemovedRequest(device_list=[A, "x", B])
    assigned = v1.assign_licenses_to_devices(V3_ACCOUNT, request).body
    page = official.software_management_subscriptions_v1.get_account_license_status(
        V3_ACCOUNT, "4000"
    ).body
    removed = v1.remove_licenses_from_devices(V3_ACCOUNT, request).body

    assert (assigned.account_name, assigned.lic_count, assigned.lic_used_count) == (
        V3_ACCOUNT,
        5000,
        4321,
    )
    assert [(item.device_id, item.status, item.reason) for item in assigned.device_list] == [
        (A, "LicenseAssignSuccess", "Success"),
        ("x", "LicenseAssignFailed", "Invalid Device IMEI."),
        (B, "LicenseAssignSuccess", "Success"),
    ]
    assert (page.account_name, page.total_licenses, page.assigned_licenses) == (
        V3_ACCOUNT,
        5000,
        4321,
    )
    assert (page.has_more_data, len(page.device_list)) == (False, 321)
    assert page.device_list[-1].assignment_time.datetime.isoformat() == "2017-11-29T16:03:42+00:00"
    assert (
        removed.lic_used_count,
        removed.device_list[0].status,
        removed.device_list[0].reason,
    ) == (4319, "LicenseRemoveSuccess", "Success")


@official_warns
def test_official_v2(site: Site, official: Any) -> None:
    from verizon.models.v2_license_imei import V2LicenseIMEI

    v2 = official.software_management_licenses_v2
    fill(site, 501)
    assigned = v2.assign_licenses_to_devices(V2_ACCOUNT, V2LicenseIMEI(device_list=[A, B])).body
    removed = v2.remove_licenses_from_devices(
        V2_ACCOUNT, V2LicenseIMEI(device_list=[A, B], account_name=V2_ACCOUNT)
    ).body
    page = v2.get_account_license_status(V2_ACCOUNT, "0").body

    assert (assigned.account_name, assigned.lic_total_count, assigned.lic_used_count) == (
        V2_ACCOUNT,
        1000,
        502,
    )
    assert [(item.device_id, item.status, item.result_reason) for item in assigned.device_list] == [
        (A, "Success", "Success"),
        (B, "Failure", "Device does not exist."),
    ]
    assert (removed.lic_used_count, [item.result_reason for item in removed.device_list]) == (
        501,
        ["Success", "No license attached to device"],
    )
    assert (
        page.account_name,
        page.total_license,
        page.assigned_licenses,
        page.has_more_data,
        page.max_page_size,
    ) == (V2_ACCOUNT, 1000, 501, False, 1000)
    assert (page.last_seen_device_id, len(page.device_list)) == ("990009000000500", 501)
    assert page.device_list[0].assignment_time == "2017-11-29T16:03:42.000Z"


@official_warns
def test_official_v3(site: Site, official: Any) -> None:
    from verizon.models.v3_license_imei import V3LicenseIMEI

    v3 = official.software_management_licenses_v3
    assigned = v3.assign_licenses_to_devices(
        V3_ACCOUNT, V3LicenseIMEI(device_list=[A, "1" * 15])
    ).body
    removed = v3.remove_licenses_from_devices(V3_ACCOUNT, V3LicenseIMEI(device_list=[A, B])).body
    page = v3.get_account_licenses_status(V3_ACCOUNT, "990009000003999").body

    assert (assigned.account_name, assigned.lic_count, assigned.lic_used_count) == (
        V3_ACCOUNT,
        5000,
        4320,
    )
    assert [(item.device_id, item.status, item.result_reason) for item in assigned.device_list] == [
        (A, "LicenseAssignSuccess", "Success"),
        ("1" * 15, "LicenseAssignFailed", "Device does not exist."),
    ]
    assert assigned.device_list[0].updated_time.datetime.isoformat() == "2017-11-29T16:03:42+00:00"
    assert (removed.lic_used_count, [item.status for item in removed.device_list]) == (
        4319,
        ["Success", "Failure"],
    )
    assert (
        page.account_name,
        page.total_licenses,
        page.assigned_licenses,
        page.has_more_data,
        page.max_page_size,
    ) == (V3_ACCOUNT, 5000, 4319, False, 1000)
    assert (page.last_seen_device_id, len(page.device_list)) == ("990009000004318", 319)
    assert page.device_list[0].assignment_time == "2017-11-29 16:03:42 +0000 UTC"


@official_warns
def test_official_errors_and_zeros(site: Site, official: Any) -> None:
    from verizon.exceptions.fota_v3_result_exception import FotaV3ResultException

    v3 = official.software_management_licenses_v3
    with pytest.raises(FotaV3ResultException) as caught:
        v3.get_account_licenses_status(V3_ACCOUNT, PLACEHOLDER)
    zero = official.software_management_licenses_v2.get_account_license_status(V2_ACCOUNT)

    assert (caught.value.error_code, caught.value.error_message) == (
        "INVALID_PARAMETER",
        "Invalid device id format",
    )
    # The SDK itself loses zeros when it decodes; on the wire they are there.
    assert json.loads(zero.text)["assignedLicenses"] == 0
    assert zero.body.assigned_licenses is None
