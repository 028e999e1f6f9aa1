"""The wire: golden bodies to the byte, and what a client makes of bodies good and bad."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fotapool.model import (
    ACCOUNT_NAME,
    AccountKey,
    Change,
    Cursor,
    DeviceList,
    Outcome,
    Page,
    Refusal,
    Refused,
    Totals,
    Verb,
    parse_imei,
)
from fotapool.wire import login, v1, v2, v3
from fotapool.wire._json import TIMES_KEPT_MAX, _to_the_second, go_style, parse_time, rfc3339
from fotapool.wire.documented import DeviceResult1
from fotapool.wire.errors import ERRORS, read_error, write_error

VERSIONS: dict[str, Any] = {"v1": v1, "v2": v2, "v3": v3}
GOLDEN = {
    name: tomllib.loads((Path(__file__).parent / "wire" / f"{name}.toml").read_text())
    for name in VERSIONS
}


def golden(kind: str) -> list[Any]:
    return [
        pytest.param(version, case, id=f"{version}-{number}")
        for version, cases in GOLDEN.items()
        for number, case in enumerate(cases[kind])
    ]


def make_change(case: dict[str, Any]) -> Change:
    return Change(
        account=AccountKey(1, case["account"]),
        sequence=3,
        at_ms=case.get("at_ms", 0),
        actor="me",
        request_id=bytes(16),
        verb=Verb[case["verb"]],
        devices=DeviceList.parse([item for item, _ in case["items"]]),
        packed=b"",
        outcomes=bytes(Outcome[outcome] for _, outcome in case["items"]),
        totals=Totals(case["total"], case["used"]),
    )


def make_page(case: dict[str, Any]) -> Page:
    imei = case.get("imei")
    return Page(
        account=AccountKey(1, case["account"]),
        totals=Totals(case["total"], case["used"]),
        sequence=3,
        imeis=[int(imei) for imei, _ in case["devices"]],
        assigned_at_ms=[at_ms for _, at_ms in case["devices"]],
        more=case["more"],
        cursor=Cursor(imei=parse_imei(imei) if imei else None, offset=case.get("offset")),
    )


@pytest.mark.parametrize(("version", "case"), golden("request"))
def test_requests_read(version: str, case: dict[str, Any]) -> None:
    assert case["note"]
    assert (
        VERSIONS[version].read_request(case["body"].encode(), "0242078689-00001", 10)
        == case["items"]
    )


@pytest.mark.parametrize(("version", "case"), golden("change"))
def test_changes_written(version: str, case: dict[str, Any]) -> None:
    assert case["note"]
    assert VERSIONS[version].write_change(make_change(case)).decode() == case["body"]


@pytest.mark.parametrize(("version", "case"), golden("page"))
def test_pages_written(version: str, case: dict[str, Any]) -> None:
    assert case["note"]
    assert VERSIONS[version].write_page(make_page(case), 1000).decode() == case["body"]


def test_every_outcome_of_a_verb_has_words_in_every_version() -> None:
    for version in VERSIONS.values():
        assert [outcome.name for outcome in version.WORDS[Verb.ASSIGN]] == [
            "MALFORMED",
            "ALREADY_LICENSED",
            "UNKNOWN_DEVICE",
            "NO_FREE_LICENSE",
            "ASSIGNED",
        ]
        assert [outcome.name for outcome in version.WORDS[Verb.REMOVE]] == [
            "MALFORMED",
            "NOT_LICENSED",
            "UPGRADE_RUNNING",
            "UPGRADED",
            "REMOVED",
        ]


# body                                            refusal
BAD_BODIES = [
    (b"",                                          "BODY_UNREADABLE"),
    (b"   ",                                       "BODY_UNREADABLE"),
    (b"{",                                         "BODY_UNREADABLE"),
    (b"not json",                                  "BODY_UNREADABLE"),
    (b"[]",                                        "BODY_UNREADABLE"),
    (b'["990003425730524"]',                       "BODY_UNREADABLE"),
    (b"null",                                      "BODY_UNREADABLE"),
    (b'{"deviceList": ["\xff"]}',                  "BODY_UNREADABLE"),
    (b'{"deviceList": ["\\ud800"]}',               "BODY_UNREADABLE"),
    (b'{"deviceList": ["990003425730524"]} x',     "BODY_UNREADABLE"),
    (b"\xef\xbb\xbf{}",                            "BODY_UNREADABLE"),
    (b"[" * 100_000,                               "BODY_UNREADABLE"),
    (b'{"deviceList": ' + b"[" * 100_000,          "BODY_UNREADABLE"),
    (b'{"deviceList": ' + b"[" * 400 + b"]" * 400 + b"}", "BODY_UNREADABLE"),
    (b"{}",                                        "DEVICE_LIST_EMPTY"),
    (b'{"devices": ["990003425730524"]}',          "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": null}',                      "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": []}',                        "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": "990003425730524"}',         "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": 990003425730524}',           "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": {}}',                        "DEVICE_LIST_EMPTY"),
    (b'{"deviceList": [990003425730524]}',         "BODY_UNREADABLE"),
    (b'{"deviceList": ["990003425730524", 1]}',    "BODY_UNREADABLE"),
    (b'{"deviceList": [null]}',                    "BODY_UNREADABLE"),
    (b'{"deviceList": [["990003425730524"]]}',     "BODY_UNREADABLE"),
    (b'{"deviceList": ["' + b"9" * 65 + b'"]}',    "BODY_UNREADABLE"),
    (b'{"deviceList": ["1","2","3","4"]}',         "DEVICE_LIST_TOO_LONG"),
]  # fmt: skip


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("body", "refusal"), BAD_BODIES, ids=range(len(BAD_BODIES)))
def test_bad_bodies_are_refused(version: str, body: bytes, refusal: str) -> None:
    with pytest.raises(Refused) as caught:
        VERSIONS[version].read_request(body, "0242078689-00001", 3)

    assert caught.value.refusal.name == refusal


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b'{"deviceList": ["1"], "accountName": "0242078689-00002"}', "ACCOUNT_MISMATCH"),
        (b'{"deviceList": ["1"], "accountName": ""}', "ACCOUNT_MISMATCH"),
        (b'{"deviceList": ["1"], "accountName": 5}', "BODY_UNREADABLE"),
        (b'{"deviceList": ["1"], "accountName": null}', None),
        (b'{"deviceList": ["1"], "accountName": "0242078689-00001"}', None),
    ],
)
def test_a_v2_body_must_name_the_account_of_its_path(body: bytes, refusal: str | None) -> None:
    if refusal is None:
        assert v2.read_request(body, "0242078689-00001", 3) == ["1"]
    else:
        with pytest.raises(Refused) as caught:
            v2.read_request(body, "0242078689-00001", 3)
        assert caught.value.refusal.name == refusal


# text                   v1                          v2, v3
CURSORS: list[tuple[str | None, Cursor | None, Cursor | None]] = [
    (None,               Cursor(offset=0),           Cursor()),
    ("",                 Cursor(offset=0),           Cursor()),
    ("0",                Cursor(offset=0),           Cursor()),
    ("1000",             Cursor(offset=1000),        Cursor(imei=1000)),
    ("00",               Cursor(offset=0),           Cursor(imei=0)),
    ("000000000000000",  Cursor(imei=0),             Cursor(imei=0)),
    ("990003425730524",  Cursor(imei=990003425730524), Cursor(imei=990003425730524)),
    ("9900034257305240", None,                       None),
    ("15-digit IMEI",    None,                       None),
    ("-1",               None,                       None),
    ("+1",               None,                       None),
    (" 1",               None,                       None),
    ("1e3",              None,                       None),
    ("٣",                None,                       None),
    ("²",                None,                       None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "first", "later"), CURSORS)
def test_cursors(text: str | None, first: Cursor | None, later: Cursor | None) -> None:
    for version, expected in ((v1, first), (v2, later), (v3, later)):
        if expected is None:
            with pytest.raises(Refused) as caught:
                version.read_cursor(text)
            assert caught.value.refusal is Refusal.DEVICE_ID_INVALID
        else:
            assert version.read_cursor(text) == expected


# items                                           as IMEIs (-1: not one)
LISTS: list[tuple[list[str], list[int]]] = [
    (["990003425730524"],                         [990003425730524]),
    (["000000000000000", "000000000000001"],      [0, 1]),
    (["990003425730524,990000473475967"],         [-1]),
    (["990003425730524,", "990000473475967"],     [-1, 990000473475967]),
    (["990003425730524,990000473475967", ""],     [-1, -1]),
    (["", "990003425730524"],                     [-1, 990003425730524]),
    (["990003425730524\n"],                       [-1]),
    ([" 990003425730524"],                        [-1]),
    (["IMEI:990003425730524"],                    [-1]),
    (["99000342573052"],                          [-1]),
    (["9900034257305240"],                        [-1]),
    (["٩٩٠٠٠٣٤٢٥٧٣٠٥٢٤"],                         [-1]),
    (["９９０００３４２５７３０５２４"],                  [-1]),
    (["+90003425730524"],                         [-1]),
    (["9900034257305_4"],                         [-1]),
    (["15-digit IMEI", "15-digit IMEI"],          [-1, -1]),
]  # fmt: skip


@pytest.mark.parametrize(("items", "expected"), LISTS)
def test_device_lists(items: list[str], expected: list[int]) -> None:
    parsed = DeviceList.parse(items)

    assert parsed.imeis == expected
    assert parsed.items == items


@given(st.lists(st.text(alphabet="0123456789,٣ \n", max_size=33), max_size=6))
def test_checking_a_list_at_once_is_checking_each_item(items: list[str]) -> None:
    assert DeviceList.parse(items).imeis == [
        -1 if parse_imei(item) is None else int(item) for item in items
    ]


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("0000123456-00001", True),
        ("a_B-9", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a b", False),
        ("a\n", False),
        ("ä", False),
        ("a/b", False),
    ],
)
def test_account_names(name: str, fits: bool) -> None:
    assert bool(ACCOUNT_NAME.fullmatch(name)) is fits


# --- times -------------------------------------------------------------------------------------

AT = datetime(2017, 11, 29, 20, 15, 42, tzinfo=UTC)

# text                                    read as
TIMES: list[tuple[str | None, datetime | None]] = [
    ("2017-11-29 20:15:42.738 +0000 UTC", AT.replace(microsecond=738_000)),
    ("2017-11-29 20:15:42 +0000 UTC",     AT),
    ("2017-11-29T20:15:42.738Z",          AT.replace(microsecond=738_000)),
    ("2017-11-29T20:15:42.000Z",          AT),
    ("2017-11-29T20:15:42.19Z",           AT.replace(microsecond=190_000)),
    ("2017-11-29T20:15:42Z",              AT),
    ("2017-11-29T20:15:42.123456789Z",    AT.replace(microsecond=123_456)),
    ("2017-11-29T22:15:42+02:00",         AT),
    ("2017-11-29T22:15:42.0+0200",        AT),
    ("2017-11-29 20:15:42",               AT),
    ("2017-11-29 20:15:42 +0000",         AT),
    (" 2017-11-29 20:15:42 ",             AT),
    ("",                                  None),
    (None,                                None),
    ("yesterday",                         None),
    ("2017-13-29 20:15:42",               None),
    ("2017-11-29",                        None),
    ("0001-01-01T00:00:00+14:00",         None),
    ("٢٠١٧-11-29 20:15:42",               None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "moment"), TIMES)
def test_times_read(text: str | None, moment: datetime | None) -> None:
    assert parse_time(text) == moment


@given(st.integers(0, 4_102_444_800_000))
def test_times_written_are_read_back(at_ms: int) -> None:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).replace(microsecond=at_ms % 1000 * 1000)

    assert parse_time(rfc3339(at_ms)) == moment
    assert parse_time(go_style(at_ms)) == moment


def test_the_text_of_a_second_is_made_once_and_not_kept_for_ever() -> None:
    _to_the_second.cache_clear()
    first = 1_511_971_422_000
    for at_ms in range(first, first + 2000):
        assert rfc3339(at_ms)[:-4] + "000Z" in (
            "2017-11-29T16:03:42.000Z",
            "2017-11-29T16:03:43.000Z",
        )
        assert go_style(at_ms).startswith("2017-11-29 16:03:4")
    known = _to_the_second.cache_info()
    assert (known.misses, known.hits, known.maxsize) == (2, 3998, TIMES_KEPT_MAX)


# --- verdicts as a client reads them -----------------------------------------------------------

# verb          status                  reason                             outcome
VERDICTS = [
    ("ASSIGN", "LicenseAssignSuccess",  "Success",                         "ASSIGNED"),
    ("ASSIGN", "Success",               "Success",                         "ASSIGNED"),
    ("ASSIGN", "LicenseAssignSuccess",  "Device license preexisting",      "ALREADY_LICENSED"),
    ("ASSIGN", "LicenseAssignSuccess",  "",                                "ASSIGNED"),
    ("ASSIGN", "LicenseAssignSuccess",  "Well done",                       "ASSIGNED"),
    ("ASSIGN", "LicenseAssignFailed",   "Device does not exist.",          "UNKNOWN_DEVICE"),
    ("ASSIGN", "Failure",               "Device Not Found.",               "UNKNOWN_DEVICE"),
    ("ASSIGN", "Failure",               "Device not found.",               "UNKNOWN_DEVICE"),
    ("ASSIGN", "Failure",               "Invalid device IMEI.",            "MALFORMED"),
    ("ASSIGN", "LicenseAssignFailed",   "No available license",            "NO_FREE_LICENSE"),
    ("ASSIGN", "LicenseAssignFailed",   "Internal error.",                 "UNRECOGNIZED"),
    ("ASSIGN", "LicenseAssignFailed",   "Success",                         "UNRECOGNIZED"),
    ("ASSIGN", "UpgradePending",        "Upgrade pending",                 "UNRECOGNIZED"),
    ("REMOVE", "Success",               "Success",                         "REMOVED"),
    ("REMOVE", "LicenseRemoveSuccess",  "Success",                         "REMOVED"),
    ("REMOVE", "LicenseRemoveFailed",   "No license attached to device",   "NOT_LICENSED"),
    ("REMOVE", "Failure",               "Upgrade in progress.",            "UPGRADE_RUNNING"),
    ("REMOVE", "Failure",               "License removal not allowed for devices that have ever upgraded firmware.", "UPGRADED"),
]  # fmt: skip


@pytest.mark.parametrize(("verb", "status", "reason", "outcome"), VERDICTS)
def test_verdicts_read(verb: str, status: str, reason: str, outcome: str) -> None:
    told = DeviceResult1(device_id="990003425730524", status=status, result_reason=reason)

    assert v3.read_outcomes(Verb[verb], [told])[0].name == outcome


@pytest.mark.parametrize("version", ["v2", "v3"])
@pytest.mark.parametrize("number", range(4))
def test_what_the_server_writes_a_client_reads_back(version: str, number: int) -> None:
    cases = GOLDEN[version]["change"]
    change = make_change(cases[number % len(cases)])
    read = VERSIONS[version].read_change(VERSIONS[version].write_change(change))

    assert (read.account_name, read.lic_total_count, read.lic_used_count) == (
        change.account.name,
        change.totals.total,
        change.totals.used,
    )
    assert [item.device_id for item in read.device_list] == change.devices.items
    if version == "v3":
        assert v3.read_outcomes(change.verb, read.device_list) == [
            Outcome(outcome) for outcome in change.outcomes
        ]


def test_a_client_falls_back_to_the_other_spelling_of_a_count() -> None:
    body = b'{"accountName":"a","licCount":0,"licUsedCount":0,"deviceList":null}'

    read = v3.read_change(body)

    assert (read.lic_count, read.lic_total_count, read.device_list) == (0, 0, ())
    with pytest.raises(msgspec.ValidationError, match="licTotalCount"):
        v3.read_change(b'{"accountName":"a","licUsedCount":0}')


def test_a_client_reads_v2_in_every_spelling() -> None:
    item = '{{"deviceId":"x","status":"Failure","{}":"No"}}'
    for name in ("resultReason", "Reason", "reason"):
        read = v2.read_change(
            f'{{"accountName":"a","licCount":0,"licUsedCount":0,"deviceList":[{item.format(name)}]}}'.encode()
        )
        assert (read.lic_total_count, read.device_list[0].result_reason) == (0, "No")


@pytest.mark.parametrize("name", ["resultReason", "Reason", "reason"])
def test_a_client_reads_v3_reasons_in_every_spelling(name: str) -> None:
    item = {"deviceId": "x", "status": "LicenseAssignFailed", name: "No available license"}
    read = v3.read_change(
        msgspec.json.encode(
            {"accountName": "a", "licCount": 0, "licUsedCount": 0, "deviceList": [item]}
        )
    )

    assert v3.read_outcomes(Verb.ASSIGN, read.device_list) == [Outcome.NO_FREE_LICENSE]


def test_a_time_that_is_none_is_kept_as_it_came() -> None:
    times = {"updatedTime": "soon", "recentAttemptTime": "", "nextAttemptTime": None}
    item = {"deviceId": "x", "status": "Success"} | times
    read = v3.read_change(
        msgspec.json.encode(
            {"accountName": "a", "licCount": 0, "licUsedCount": 0, "deviceList": [item]}
        )
    ).device_list[0]

    assert (read.updated_time, read.recent_attempt_time, read.next_attempt_time) == (
        "soon",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("printed", "total"),
    [
        ('"totalLicense":0', 0),
        ('"totalLicenses":7', 7),
        ('"totalLicense":0,"totalLicenses":7', 0),
        ('"x":1', None),
        ('"totalLicense":null,"totalLicenses":7', 7),
    ],
)
def test_a_client_reads_either_spelling_of_the_total(printed: str, total: int | None) -> None:
    body = f'{{"accountName":"a",{printed},"assignedLicenses":0,"hasMoreData":false,"lastSeenDeviceId":1000,"maxPageSize":0}}'

    read = v3.read_page(body.encode())

    assert (read.total_license, read.total_licenses) == (total, total)
    assert (
        read.assigned_licenses,
        read.max_page_size,
        read.last_seen_device_id,
        read.device_list,
    ) == (0, 0, "1000", ())


# --- errors ------------------------------------------------------------------------------------


NAMED: dict[str, int | str] = {
    "limit": 5,
    "name": "n",
    "expected": "e",
    "sequence": 7,
    "imei": "i",
    "verb": "v",
    "total": 9,
    "used": 4,
    "before": 3,
    "made": 2,
    "item": "x",
}
"""Whatever a message may name."""


@pytest.mark.parametrize("refusal", Refusal)
def test_the_error_table_reads_backwards(refusal: Refusal) -> None:
    row = ERRORS[refusal]
    named = NAMED
    status, body = write_error(refusal, named=named, api="/fota/v3")
    code, message, read = read_error(status, body)

    assert (status, code, message) == (row.status, row.code, row.message.format_map(named))
    ambiguous = {Refusal.BEARER_MISSING, Refusal.CLIENT_MISSING}
    filled = row.message != row.message.format_map(named)
    assert read is refusal or {read, refusal} == ambiguous or (filled and read is None)


@pytest.mark.parametrize("refusal", Refusal)
def test_on_our_own_paths_errors_have_one_shape(refusal: Refusal) -> None:
    row = ERRORS[refusal]
    named = NAMED
    status, body = write_error(refusal, named=named, api="/fotapool/v1")
    told = msgspec.json.decode(body)

    message = (row.own_message or row.message).format_map(named)
    assert (told["errorCode"], told["errorMessage"]) == (row.code, message)
    assert status == (403 if refusal is Refusal.ROLE_MISSING else row.status)
    assert read_error(status, body)[:2] == (told["errorCode"], told["errorMessage"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"{}",
        b'{"errorCode": 5}',
        b"\xff",
        b"[" * 100_000,
        b'{"fault": 1}',
    ],
)
def test_a_body_that_is_no_error_is_none(body: bytes) -> None:
    assert read_error(400, body) == (None, None, None)


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        (None, "CLIENT_MISSING"),
        ("", "CLIENT_MISSING"),
        ("Bearer x", "CLIENT_MISSING"),
        ("Basic", "CLIENT_MISSING"),
        ("Basic None", "CLIENT_INVALID"),
        ("Basic !!!!", "CLIENT_INVALID"),
        ("Basic eA==", "CLIENT_INVALID"),
        ("Basic /////w==", "CLIENT_INVALID"),
    ],
)
def test_basic_headers_refused(header: str | None, refusal: str) -> None:
    with pytest.raises(Refused) as caught:
        login.read_basic(header)
    assert caught.value.refusal.name == refusal


def test_basic_headers_read_back() -> None:
    assert login.read_basic(login.write_basic("kéy", "se:cret")) == ("kéy", "se:cret")


@pytest.mark.parametrize(
    ("body", "refusal"),
    [
        (b"", "GRANT_TYPE_MISSING"),
        (b"grant_type=", "GRANT_TYPE_MISSING"),
        (b"grant_type=password", "GRANT_TYPE_UNSUPPORTED"),
        (b"\xff", "BODY_UNREADABLE"),
        (b"&".join([b"a=b"] * 30), "BODY_UNREADABLE"),
    ],
)
def test_grants_refused(body: bytes, refusal: str) -> None:
    with pytest.raises(Refused) as caught:
        login.read_grant(body)
    assert caught.value.refusal.name == refusal


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"username": "a"}',
        b'{"username": "a", "password": 5}',
        b'{"username": null, "password": null}',
    ],
)
def test_logins_refused(body: bytes) -> None:
    with pytest.raises(Refused) as caught:
        login.read_login(body)
    assert caught.value.refusal is Refusal.BODY_UNREADABLE
