"""What the vendor's official SDK gets wrong, each defect shown with it, and what ours does there.

Both talk to the same emulator: the official SDK over a socket, ours in process, where waiting costs
no time. The rows of docs/how-to/coming-from-the-official-sdk.md are these tests, and no others.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import entry_points, packages_distributions, requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from fotapool import (
    ApiError,
    AsyncClient,
    Client,
    ErrorException,
    Outcome,
    ServerError,
    TimedOut,
    Unauthorized,
    UnexpectedAnswer,
)
from fotapool.testing import Account, Emulator, Live, Scenario
from official import ACCOUNT, Theirs, credentials, raised
from test_docs import ROOT, table

pytestmark = pytest.mark.filterwarnings("ignore")  # the official SDK warns

PAGE = "docs/how-to/coming-from-the-official-sdk.md"
A, B = "990003425730500", "990003425730501"
NO_LICENSE = "No license attached to device"
LICENSED = Scenario(accounts=(Account(licenses=10, devices=10, licensed=2),))
EMPTY = Scenario(accounts=(Account(licenses=0, devices=10),))
MANY = Scenario(accounts=(Account(licenses=3000, devices=2500, licensed=2500),))

Test = Callable[..., None]

DEFECTS: dict[str, Test] = {}


def defect(title: str) -> Callable[[Test], Test]:
    """A test of this row of the page."""

    def named(test: Test) -> Test:
        assert title not in DEFECTS
        DEFECTS[title] = test
        return test

    return named


def test_every_row_of_the_page_is_a_test_here() -> None:
    rows = table(PAGE, "Defect")

    assert [row[0] for row in rows] == list(DEFECTS)
    assert all(len(row) == 3 and all(row) for row in rows)


# --- both of them ------------------------------------------------------------------------------


@pytest.fixture
def theirs(fota_live: Live) -> Theirs:
    return Theirs(fota_live)


@pytest.fixture
def ours(fota: Emulator) -> Client:
    """Has both tokens, and knows that the server keeps keys."""
    fota.client.licenses.status(ACCOUNT)
    return fota.client


@contextmanager
def asked(emulator: Emulator) -> Iterator[list[str]]:
    """What is asked for within the block."""
    before = len(emulator.requests)
    operations: list[str] = []
    yield operations
    operations += [entry.operation for entry in emulator.requests[before:]]


# --- results -----------------------------------------------------------------------------------


@defect("Zero is lost")
@pytest.mark.fota(scenario=EMPTY)
def test_zero(theirs: Theirs, ours: Client) -> None:
    page = theirs.status().body
    assert page.assigned_licenses is None
    assert not hasattr(page, "total_licenses")

    status = ours.licenses.status(ACCOUNT)
    assert (status.used, status.total) == (0, 0)


@defect("An absent list is an AttributeError")
def test_an_absent_list(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.members_missing(operation="status", times=None):
        assert isinstance(raised(lambda: theirs.status().body.device_list), AttributeError)
        assert ours.licenses.summarize_fota_licenses_assignment(ACCOUNT).device_list == ()


@defect("One spelling of two is read")
@pytest.mark.fota(scenario=LICENSED)
def test_spellings(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.spelling("older", times=None):  # totalLicense, licTotalCount
        assert not hasattr(theirs.status().body, "total_licenses")
        assert theirs.assign(A).body.lic_count is None
        assert ours.licenses.status(ACCOUNT).total == 10
        assert ours.licenses.assign(ACCOUNT, [A]).total == 10
    with fota.faults.spelling("newer", times=None):  # Reason
        assert not hasattr(theirs.assign(A).body.device_list[0], "result_reason")
        [verdict] = ours.licenses.assign(ACCOUNT, [A]).verdicts
        assert verdict.reason == "Device license preexisting"


@defect("A time in the other style loses the answer")
def test_a_time_in_the_other_style(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.time_style("go", times=None):
        assert type(raised(theirs.assign, A)).__name__ == "ParserError"
        assert ours.licenses.status(ACCOUNT).used == 1, "it was done"
        assert ours.licenses.assign(ACCOUNT, [B]).verdicts[0].outcome is Outcome.ASSIGNED


@defect("Assignment times are texts in two styles")
@pytest.mark.fota(scenario=LICENSED)
def test_times_of_licenses(theirs: Theirs, ours: Client) -> None:
    v2 = theirs.client.software_management_licenses_v2.get_account_license_status(ACCOUNT)
    pages = [v2.body, theirs.status().body]
    assert [page.device_list[0].assignment_time for page in pages] == [
        "2026-01-01T12:00:00.000Z",
        "2026-01-01 12:00:00 +0000 UTC",
    ]

    first, *_ = ours.licenses.devices(ACCOUNT)
    assert first.assigned_at == datetime(2026, 1, 1, 12, tzinfo=UTC)


@defect("A page of HTML passes for success")
def test_html_with_200(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.html_page(200, operation="assign", times=None):
        answer = theirs.assign(A)
        assert (answer.is_success(), answer.body) == (True, None)
        error = raised(ours.licenses.assign, ACCOUNT, [A])
    assert isinstance(error, UnexpectedAnswer)
    assert error.response.text.startswith("<html>")


@defect("Results can be changed")
def test_results_can_be_changed(theirs: Theirs, ours: Client) -> None:
    answer = theirs.assign(A).body
    answer.lic_used_count = 99
    assert answer.lic_used_count == 99

    change: Any = ours.licenses.assign(ACCOUNT, [B])
    with pytest.raises(FrozenInstanceError):
        change.used = 99


@defect("A text passes for a list")
def test_a_text_for_a_list(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    from verizon.models.v3_license_imei import V3LicenseIMEI

    licenses = theirs.client.software_management_licenses_v3
    with asked(fota) as by_theirs:
        raised(licenses.assign_licenses_to_devices, ACCOUNT, V3LicenseIMEI(device_list=A))
    with asked(fota) as by_ours:
        error = raised(ours.licenses.assign, ACCOUNT, A)
    assert (by_theirs[-1], by_ours) == ("assign", [])
    assert str(error) == "imeis must be a list of IMEIs, not one text: write [imei]"


# --- errors ------------------------------------------------------------------------------------


@defect("An error that cannot be shown")
def test_str_of_an_error(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.html_page(400, times=None):
        assert isinstance(raised(str, raised(theirs.status)), AttributeError)
        error = raised(ours.licenses.status, ACCOUNT)
    assert str(error).startswith("400 Unexpected error: <html> <head><title>400 Proxy Error")


@defect("No class for all errors")
def test_no_class_for_all_errors(
    fota: Emulator, fota_live: Live, theirs: Theirs, ours: Client
) -> None:
    from verizon.exceptions.api_exception import APIException
    from verizon.verizon_client import VerizonClient

    faults = fota.faults
    found = []
    for arm in (faults.connection_cut, faults.json_malformed, faults.unavailable):
        with arm(operation="assign", times=None):
            error = raised(theirs.assign, A)
            assert isinstance(raised(ours.licenses.assign, ACCOUNT, [A]), ApiError)
        found.append((type(error).__module__.partition(".")[0], isinstance(error, APIException)))
    refused = VerizonClient(thingspace_oauth_credentials=credentials(fota_live, oauth_client_id=""))
    error = raised(refused.session_management.end_connectivity_management_session)
    found.append((type(error).__module__.partition(".")[0], isinstance(error, APIException)))
    assert found == [
        ("requests", False),
        ("yaml", False),
        ("verizon", True),
        ("apimatic_core", False),
    ]


@defect("Only a 400 says why")
def test_only_a_400_says_why(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    with fota.faults.unavailable(times=None):
        error = raised(theirs.status)
        assert str(error) == "APIException(status_code=503, message=HTTP response not OK.)"
        assert not hasattr(error, "error_code")
        error = raised(ours.licenses.status, ACCOUNT)
    assert isinstance(error, ServerError)
    assert error.error_code == "SERVICE_UNAVAILABLE"
    assert "SERVICE_UNAVAILABLE" in str(error)


@defect("Errors do not survive pickle")
def test_pickled_errors(theirs: Theirs, ours: Client) -> None:
    v3 = theirs.client.software_management_licenses_v3
    pickled = pickle.dumps(raised(v3.get_account_licenses_status, ACCOUNT, "1000"))
    assert isinstance(raised(pickle.loads, pickled), TypeError)

    error = raised(ours.licenses.summarize_fota_licenses_assignment, ACCOUNT, "1000")
    assert isinstance(error, ErrorException)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --- trying again ------------------------------------------------------------------------------

GOES_WRONG: list[Callable[[Any], Any]] = [
    lambda faults: faults.too_many_requests(),
    lambda faults: faults.unavailable(),
    lambda faults: faults.html_page(502),
    lambda faults: faults.connection_cut(),
]


@defect("Nothing is sent again")
@pytest.mark.parametrize("arm", GOES_WRONG)
def test_nothing_is_sent_again(
    fota: Emulator, theirs: Theirs, ours: Client, arm: Callable[[Any], Any]
) -> None:
    theirs.status()
    arm(fota.faults)
    with asked(fota) as by_theirs:
        raised(theirs.status)
    arm(fota.faults)
    with asked(fota) as by_ours:
        assert ours.licenses.status(ACCOUNT).used == 0
    assert (by_theirs, by_ours) == (["status"], ["status"] * 2)


@defect("A timeout bounds each read, not the call")
def test_a_slow_drip(fota_live: Live) -> None:
    theirs = Theirs(fota_live, timeout=1)
    theirs.status()
    fota_live.faults.slow_drip(2, operation="status")
    assert theirs.status().status_code == 200

    with fota_live.new_client(timeout_s=1, max_retries=0) as ours:
        fota_live.faults.slow_drip(2, operation="status")
        assert isinstance(raised(ours.licenses.status, ACCOUNT), TimedOut)


@defect("Retries are for reads alone")
@pytest.mark.parametrize("arm", GOES_WRONG)
def test_writes_are_not_sent_again(
    fota: Emulator, fota_live: Live, ours: Client, arm: Callable[[Any], Any]
) -> None:
    theirs = Theirs(fota_live, max_retries=2, backoff_factor=0)
    theirs.status()
    arm(fota.faults)
    with asked(fota) as by_theirs:
        raised(theirs.assign, A)
    arm(fota.faults)
    with asked(fota) as by_ours:
        assert ours.licenses.assign(ACCOUNT, [A]).verdicts[0].outcome is Outcome.ASSIGNED
    assert (by_theirs, by_ours) == (["assign"], ["assign"] * 2)


@defect("A write sent twice reports a failure")
@pytest.mark.fota(scenario=LICENSED)
def test_a_write_that_is_sent_twice(fota: Emulator, fota_live: Live, ours: Client) -> None:
    theirs = Theirs(fota_live, max_retries=2, backoff_factor=0, retry_methods=["POST"])
    fota.faults.answer_lost(operation="remove")
    [item] = theirs.remove(A).body.device_list
    assert (item.status, item.result_reason) == ("Failure", NO_LICENSE)
    fota.requests.assert_removed([A])

    fota.faults.answer_lost(operation="remove")
    change = ours.licenses.remove(ACCOUNT, [B])
    assert change.replayed
    assert [verdict.outcome for verdict in change.verdicts] == [Outcome.REMOVED]

    ours.licenses.assign(ACCOUNT, [B])
    fota.faults.keys_ignored()
    fota.faults.answer_lost(operation="remove")
    change = fota.new_client().licenses.remove(ACCOUNT, [B])
    assert change.reconciled
    assert [verdict.outcome for verdict in change.verdicts] == [Outcome.REMOVED]


@defect("Retry-After is read in one form of three")
def test_retry_after(
    fota: Emulator, fota_live: Live, ours: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    fota.clock.set(datetime.now(UTC) - timedelta(hours=1))  # a server's clock that is behind
    theirs = Theirs(fota_live, max_retries=1, backoff_factor=0)
    slept: list[float] = []
    monkeypatch.setattr("urllib3.util.retry.time.sleep", slept.append)
    waited = []
    for form in ("seconds", "date", "milliseconds"):
        fota.faults.too_many_requests(30, form=form, operation="status")
        theirs.status()
        began = fota.clock.now
        fota.faults.too_many_requests(30, form=form, operation="status")
        ours.licenses.status(ACCOUNT)
        waited.append(round((fota.clock.now - began).total_seconds()))
    assert (slept, waited) == ([30], [30, 30, 30])


# --- tokens ------------------------------------------------------------------------------------


@defect("A refused token is kept")
def test_a_refused_token(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    theirs.status()
    fota.faults.token_revoked()
    with asked(fota) as by_theirs:
        codes = [getattr(raised(theirs.status), "response_code", None) for _ in range(2)]
    fota.faults.token_revoked()
    with asked(fota) as by_ours:
        assert ours.licenses.status(ACCOUNT).used == 0
    assert (codes, by_theirs) == ([401, 401], ["status", "status"])
    assert by_ours == ["status", "token", "status"]


@defect("A session is never renewed")
def test_an_expired_session(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    theirs.status()
    fota.clock.advance(minutes=22)
    with asked(fota) as by_theirs:
        codes = {str(getattr(raised(theirs.status), "error_code", "")) for _ in range(2)}
    with asked(fota) as by_ours:
        assert ours.licenses.status(ACCOUNT).used == 0
    assert codes == {"UnifiedWebService.REQUEST_FAILED.SessionToken.Expired"}
    assert (by_theirs, by_ours) == (["status"] * 2, ["status", "login", "status"])


@defect("Logging in takes two clients and two tokens")
def test_two_clients(fota: Emulator, fota_live: Live) -> None:
    with asked(fota) as by_theirs:
        Theirs(fota_live).status()
    with asked(fota) as by_ours:
        fota.new_client().licenses.status(ACCOUNT)
    assert by_theirs == ["token", "login", "token", "status"]
    assert by_ours == ["token", "login", "status"]


@defect("A refused secret is hidden, and sent with every call")
def test_a_refused_secret(fota: Emulator, fota_live: Live) -> None:
    fota_live.repoint_official_sdk()
    from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
    from verizon.verizon_client import VerizonClient

    theirs = VerizonClient(
        thingspace_oauth_credentials=credentials(fota_live, oauth_client_secret="wrong"),
        vz_m2m_token_credentials=VZM2mTokenCredentials(vz_m2m_token="any"),
    ).software_management_licenses_v3
    ours = fota.new_client(client_secret="wrong")
    with asked(fota) as by_theirs:
        said = {str(raised(theirs.get_account_licenses_status, ACCOUNT)) for _ in range(3)}
    with asked(fota) as by_ours:
        errors = [raised(ours.licenses.status, ACCOUNT) for _ in range(3)]
    assert said == {"[ThingspaceOauth: OAuthToken is undefined or expired.]"}
    assert (by_theirs, by_ours) == (["token"] * 3, ["token"])
    assert all(isinstance(error, Unauthorized) for error in errors)


@defect("The session token follows a redirect to another host")
def test_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    from verizon.configuration import Configuration
    from verizon.http.auth.thingspace_oauth import ThingspaceOauthCredentials
    from verizon.http.auth.vz_m2m_token import VZM2mTokenCredentials
    from verizon.models.oauth_token import OauthToken
    from verizon.verizon_client import VerizonClient

    bearer = OauthToken(access_token="b", token_type="Bearer")
    with (
        listening("localhost") as (elsewhere, came),
        listening("127.0.0.1", to=elsewhere) as (here, _),
    ):
        monkeypatch.setattr(Configuration, "get_base_uri", lambda *_: here)
        theirs = VerizonClient(
            thingspace_oauth_credentials=ThingspaceOauthCredentials("i", "s", oauth_token=bearer),
            vz_m2m_token_credentials=VZM2mTokenCredentials("the-session"),
        )
        raised(theirs.software_management_licenses_v3.get_account_licenses_status, ACCOUNT)
        [headers] = came
        assert (headers["Authorization"], headers["VZ-M2M-Token"]) == (None, "the-session")
        with Client(base_url=here, access_token="b", session_token="s") as client:
            error = raised(client.licenses.status, ACCOUNT)
        assert isinstance(error, UnexpectedAnswer)
        assert (error.response_code, len(came)) == (302, 1)


@contextmanager
def listening(name: str, to: str | None = None) -> Iterator[tuple[str, list[Any]]]:
    """A server that keeps the headers that come, and sends every request elsewhere."""
    came: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            came.append(self.headers)
            self.send_response(302 if to else 404)
            self.send_header("Content-Length", "0")
            if to:
                self.send_header("Location", to + self.path)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://{name}:{server.server_port}", came
        server.shutdown()
        thread.join()


# --- setting it up -----------------------------------------------------------------------------


@defect("No base URL")
def test_no_base_url(fota_live: Live, ours: Client) -> None:
    from verizon.configuration import Configuration
    from verizon.verizon_client import VerizonClient

    hosts = {
        uri.split("/")[2].partition(":")[0]
        for uris in Configuration.environments.values()
        for uri in uris.values()
    }
    assert all(host.endswith(".verizon.com") for host in hosts)
    arguments = set(inspect.signature(VerizonClient).parameters)
    assert not {name for name in arguments if "url" in name or "host" in name or "uri" in name}

    with Client(base_url=fota_live.base_url) as client:
        assert client.licenses.status(ACCOUNT).used == 0


@defect("Variables without a prefix")
def test_variables_without_a_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    from verizon.verizon_client import VerizonClient

    for name, value in (("TIMEOUT", "7"), ("ENVIRONMENT", "staging"), ("MAX_RETRIES", "3")):
        monkeypatch.setenv(name, value)
    config = VerizonClient.from_environment().config
    assert (config.timeout, config.environment.name, config.max_retries) == (7, "STAGING", 3)
    # No option of ours comes of a variable but those that begin with FOTAPOOL_.
    assert Client()._options == _client_without_variables(monkeypatch)._options


def _client_without_variables(monkeypatch: pytest.MonkeyPatch) -> Client:
    for name in ("TIMEOUT", "ENVIRONMENT", "MAX_RETRIES"):
        monkeypatch.delenv(name)
    return Client()


@defect("A .env file beats the environment, and changes it")
def test_a_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from verizon.verizon_client import VerizonClient

    monkeypatch.setenv("TIMEOUT", "7")
    monkeypatch.setenv("FOTAPOOL_BASE_URL", "https://mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("TIMEOUT=1\nFOTAPOOL_BASE_URL=https://other\n")
    assert repr(Client()) == "Client(base_url='https://mine')"

    assert VerizonClient.from_environment(dotenv_path=".env").config.timeout == 1
    assert repr(Client()) == "Client(base_url='https://other')", "it is the process's own by now"


@defect("An option of 0 is ignored")
def test_an_option_of_zero(fota: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    from verizon.verizon_client import VerizonClient

    monkeypatch.setenv("MAX_RETRIES", "3")
    assert VerizonClient.from_environment(max_retries=0).config.max_retries == 3

    client = fota.new_client(max_retries=3).with_options(max_retries=0)
    fota.faults.unavailable()
    assert isinstance(raised(client.licenses.status, ACCOUNT), ServerError)
    fota.requests.assert_called("status", times=1)


@defect("Code of 1.x no longer runs")
def test_scopes(fota_live: Live) -> None:
    scopes: Any = {"oauth_scopes": []}
    assert "oauth_scopes" in str(raised(lambda: credentials(fota_live, **scopes)))


@defect("A package named tests comes with it")
def test_a_package_named_tests() -> None:
    owners = packages_distributions()["tests"]
    assert {"apimatic-core", "apimatic-requests-client-adapter"} <= set(owners)
    assert {"apimatic-core", "apimatic-requests-client-adapter"} <= needed_by(
        "sdksio-verizon-apis-sdk"
    )
    assert not {"fotapool", *needed_by("fotapool")} & set(owners)


@defect("Heavy to install and to import")
def test_what_comes_with_it() -> None:
    assert len(needed_by("sdksio-verizon-apis-sdk")) > 15
    assert needed_by("fotapool") == {"msgspec", "urllib3"}
    assert modules_after("import verizon.verizon_client") > 900
    assert modules_after("from fotapool import Client") < 200


def needed_by(distribution: str) -> set[str]:
    """The distributions that one cannot do without, and those that they cannot."""
    needed: set[str] = set()
    waiting = [distribution]
    while waiting:
        for requirement in map(Requirement, requires(waiting.pop()) or ()):
            name = requirement.name.lower().replace("_", "-")
            wanted = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if wanted and name not in needed:
                needed.add(name)
                waiting.append(name)
    return needed


def modules_after(program: str) -> int:
    counted = f"{program}; import sys; print(len(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", counted], capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@defect("Connections cannot be closed")
def test_connections_cannot_be_closed(theirs: Theirs, ours: Client) -> None:
    assert not {"close", "__exit__", "__del__"} & set(dir(theirs.client))
    assert {"close", "__exit__"} <= set(dir(ours))


# --- writing code against it -------------------------------------------------------------------

THEIR_CODE = f"""\
from verizon.models.v3_license_imei import V3LicenseIMEI
from verizon.verizon_client import VerizonClient

client = VerizonClient()
answer = client.software_management_licenses_v3.assign_licenses_to_devices(
    "{ACCOUNT}", V3LicenseIMEI(device_list=["{A}"])
)
reveal_type(answer.body)
"""
THEIR_SLIP = f'client.software_management_licenses_v3.assign_licenses_to_devices(17, "{A}")\n'
OUR_CODE = f"""\
from fotapool import Client

client = Client()
change = client.licenses.assign("{ACCOUNT}", ["{A}"])
reveal_type(change)
"""
OUR_SLIP = f'client.licenses.assign(17, ["{A}"])\n'


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    (tmp_path / "theirs.py").write_text(THEIR_CODE + THEIR_SLIP)
    (tmp_path / "ours.py").write_text(OUR_CODE + OUR_SLIP)
    return tmp_path


def checked(folder: Path, *command: str) -> str:
    """What a type checker says, run by our interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=os.environ | {"MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


@defect("No types")
def test_no_types(programs: Path) -> None:
    mypy = ["mypy", "--strict", "--no-incremental"]
    told = checked(programs, *mypy, "theirs.py", "ours.py")
    assert "theirs.py:1: error: Skipping analyzing" in told
    assert "missing library stubs or py.typed marker" in told
    assert 'theirs.py:8: note: Revealed type is "Any"' in told
    assert "theirs.py:9" not in told, "an account that is a number, a body that is a text"
    assert 'ours.py:5: note: Revealed type is "fotapool.client.results.LicenseChange"' in told
    assert 'ours.py:6: error: Argument 1 to "assign"' in told
    assert told.count("ours.py") == 2


@defect("Correct code fails under pyright")
def test_correct_code_fails_under_pyright(programs: Path) -> None:
    found = checked(programs, "pyright", "--pythonpath", sys.executable, "--outputjson")
    errors = [
        (Path(told["file"]).name, told["range"]["start"]["line"] + 1, told["rule"])
        for told in json.loads(found)["generalDiagnostics"]
        if told["severity"] == "error"
    ]
    assert errors == [
        ("ours.py", 6, "reportArgumentType"),
        ("theirs.py", 5, "reportOptionalMemberAccess"),
        ("theirs.py", 9, "reportOptionalMemberAccess"),
    ]


@defect("No coroutines")
def test_no_coroutines(theirs: Theirs) -> None:
    controllers = [
        getattr(theirs.client, name)
        for name, part in vars(type(theirs.client)).items()
        if type(part).__name__ == "LazyProperty"
    ]
    assert len(controllers) > 50
    assert not [
        method
        for controller in controllers
        for _, method in inspect.getmembers(controller, inspect.ismethod)
        if inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)
    ]
    assert inspect.iscoroutinefunction(AsyncClient().licenses.assign)


@defect("No paging")
@pytest.mark.fota(scenario=MANY)
def test_no_paging(fota: Emulator, theirs: Theirs, ours: Client) -> None:
    answer = theirs.status()
    assert (len(answer.body.device_list), answer.body.has_more_data) == (1000, True)
    assert not [name for name in dir(answer) if "page" in name or "next" in name]
    assert not hasattr(answer.body, "__iter__")

    fota.faults.page_repeated()
    assert len({device.imei for device in ours.licenses.devices(ACCOUNT)}) == 2500


@defect("No log lines")
def test_no_log_lines(theirs: Theirs, ours: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        theirs.status()
        before = {record.name.partition(".")[0] for record in caplog.records}
        ours.licenses.status(ACCOUNT)
    assert not {"verizon", "apimatic_core", "apimatic_requests_client_adapter"} & before
    [line] = [record.message for record in caplog.records if record.name == "fotapool.client"]
    assert line.startswith(f"GET http://fota.test/api/fota/v3/licenses/{ACCOUNT} ")
    assert "'Authorization': '***', 'VZ-M2M-Token': '***'" in line


@defect("Nothing to test with")
def test_nothing_to_test_with() -> None:
    plugins = {
        entry.dist.name.lower()
        for entry in entry_points(group="pytest11")
        if entry.dist is not None
    }
    assert "fotapool" in plugins
    assert not {"sdksio-verizon-apis-sdk", *needed_by("sdksio-verizon-apis-sdk")} & plugins
