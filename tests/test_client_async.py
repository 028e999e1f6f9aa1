"""`AsyncClient` where it is not as `Client`: tasks, event loops, aiohttp; and that both are one.

That its verbs do the same is shown by the tests of `Client`, which run over both.
"""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import fotapool
from fotapool import (
    AsyncClient,
    Client,
    ClientInvalid,
    ConfigurationError,
    LicenseIMEI,
    Outcome,
    Response,
)
from fotapool.client.transport import HttpRequest
from fotapool.testing import Account, Emulator, Live, Scenario, recording, replaying
from world import ACCOUNT, Script, answer

ROOT = Path(__file__).parent.parent
CLIENT = ROOT / "src" / "fotapool" / "client"
MANY = Scenario(accounts=(Account(licenses=2500, devices=2500, licensed=2500),))
CHANGE = {"accountName": "a", "licTotalCount": 5, "licUsedCount": 1, "deviceList": []}

# --- one source --------------------------------------------------------------------------------


def test_the_modules_of_client_are_made_of_those_of_asyncclient(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "uncolour", tmp_path], check=True)

    made = sorted(tmp_path.glob("*.py"))
    assert len(made) == 10
    for path in made:
        assert (CLIENT / path.name).read_text() == path.read_text(), (
            f"{path.name}: run scripts/uncolour"
        )


@pytest.mark.parametrize("part", ["licenses", "pool", "devices", "upgrades"])
def test_both_clients_have_the_same_verbs(part: str) -> None:
    ready: dict[str, Any] = {"access_token": "b", "session_token": "s", "transport": Script()}
    blocking, coroutines = Client(**ready), AsyncClient(**ready)
    mine, theirs = (
        {name for name in dir(getattr(client, part)) if not name.startswith("_")}
        for client in (blocking, coroutines)
    )

    assert mine == theirs
    for name in mine:
        one, other = (
            getattr(getattr(blocking, part), name),
            getattr(getattr(coroutines, part), name),
        )
        assert inspect.signature(one).parameters == inspect.signature(other).parameters
        assert one.__doc__ == other.__doc__
        told = str(inspect.signature(other).return_annotation)
        assert inspect.iscoroutinefunction(other) != told.startswith("AsyncListing"), name


# --- tasks -------------------------------------------------------------------------------------


def test_many_tasks_fetch_each_token_once(fota: Emulator) -> None:
    async def many() -> None:
        async with AsyncClient() as client:
            for _ in range(3):
                await asyncio.gather(*(client.licenses.status(ACCOUNT) for _ in range(40)))
                fota.clock.advance(minutes=61)

    asyncio.run(many())
    fota.requests.assert_called("token", times=3)
    fota.requests.assert_called("login", times=3)


def test_many_tasks_send_a_refused_login_once(fota: Emulator) -> None:
    async def many() -> list[object]:
        client = fota.new_async_client(client_secret="wrong")
        calls = (client.licenses.status(ACCOUNT) for _ in range(40))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert {type(result) for result in asyncio.run(many())} == {ClientInvalid}
    fota.requests.assert_called("token", times=1)


def test_a_task_that_is_cancelled_during_the_login_holds_up_nobody() -> None:
    class Slow(Script):
        async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
            if not asked.is_set():
                self.sent.append(request)
                asked.set()
                await asyncio.Event().wait()
            return self.send(request, timeout_s)

    asked = asyncio.Event()
    token, session = {"access_token": "b", "expires_in": 3600}, {"sessionToken": "s"}
    script = Slow(answer(200, token), answer(200, session), answer(200, CHANGE))

    async def cancelled() -> int:
        client = AsyncClient(
            client_id="i", client_secret="s", username="u", password="p", transport=script
        )
        first = asyncio.create_task(client.licenses.assign("a", ["1"]))
        second = asyncio.create_task(client.licenses.assign("a", ["2"]))
        await asked.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return (await second).used

    assert asyncio.run(cancelled()) == 1
    assert [request.url.rpartition("/")[2] for request in script.sent] == [
        "token",
        "token",
        "login",
        "assign",
    ]


def test_to_log_out_holds_up_nobody_and_forgets_no_token_of_others() -> None:
    class Slow(Script):
        async def send_async(self, request: HttpRequest, timeout_s: float) -> Response:
            if request.url.endswith("/logout"):
                asked.set()
                await done.wait()
            return self.send(request, timeout_s)

    asked, done = asyncio.Event(), asyncio.Event()
    over = {
        "errorCode": "UnifiedWebService.REQUEST_FAILED.SessionToken.Expired",
        "errorMessage": "x",
    }
    session = answer(200, {"sessionToken": "s2"})
    change, ended = answer(200, CHANGE), answer(200)
    script = Slow(change, answer(400, over), session, change, ended, ended)

    async def logged_out() -> None:
        client = AsyncClient(
            client_id="i",
            client_secret="s",
            username="u",
            password="p",
            access_token="b",
            session_token="s1",
            transport=script,
        )
        ending = asyncio.create_task(client.log_out())
        await asked.wait()
        for _ in range(2):
            await asyncio.wait_for(client.licenses.assign("a", ["1"]), 5)
        done.set()
        await ending
        script.answers += [answer(200, {"access_token": "b2"}), answer(200, CHANGE)]
        await client.licenses.assign("a", ["1"])

    asyncio.run(logged_out())
    assert [request.url.rpartition("/")[2] for request in script.sent] == [
        *("assign", "assign", "login", "assign", "logout", "revoke", "token", "assign")
    ]
    assert script.sent[-1].headers["VZ-M2M-Token"] == "s2", "begun while the other was ended"


def test_the_deprecation_warning_points_at_the_line_that_awaits() -> None:
    async def deprecated() -> None:
        client = AsyncClient(
            access_token="b", session_token="s", transport=Script(answer(200, CHANGE))
        )
        await client.licenses.assign_fota_licenses_to_devices("a", LicenseIMEI(device_list=["1"]))

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        asyncio.run(deprecated())
    assert Path(caught[0].filename) == Path(__file__)


# --- the network -------------------------------------------------------------------------------


@pytest.mark.fota(scenario=MANY)
def test_over_a_socket(fota_live: Live) -> None:
    async def all_of_it() -> tuple[list[str], Outcome]:
        async with fota_live.new_async_client() as client:
            found = [device.imei async for device in client.licenses.devices(ACCOUNT)]
            change = await client.licenses.remove(ACCOUNT, found[:1])
        return found, change.verdicts[0].outcome

    assert asyncio.run(all_of_it()) == (list(fota_live.devices), Outcome.REMOVED)


def test_connections_are_of_one_event_loop_until_they_are_closed(fota_live: Live) -> None:
    client = fota_live.new_async_client()
    first, second = asyncio.new_event_loop(), asyncio.new_event_loop()
    try:
        first.run_until_complete(client.licenses.status(ACCOUNT))
        with pytest.raises(ConfigurationError, match="event loop of its first call"):
            second.run_until_complete(client.licenses.status(ACCOUNT))
        first.run_until_complete(client.close())
        assert second.run_until_complete(client.licenses.status(ACCOUNT)).used == 0
        second.run_until_complete(client.close())
    finally:
        first.close()
        second.close()


SCRIPT = """
import asyncio
from fotapool import AsyncClient

async def main():
    async with AsyncClient() as client:
        await asyncio.gather(*(client.licenses.status("0000123456-00001") for _ in range(8)))
        return (await client.licenses.status("0000123456-00001")).total

print(asyncio.run(main()))
"""


def test_nothing_is_said_at_the_end_of_a_program(fota_live: Live) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        env={**fota_live.env, "PYTHONPATH": str(ROOT / "src")},
    )

    assert (done.stdout, done.stderr) == ("1000\n", "")


def test_what_is_recorded_of_it_is_replayed(fota_live: Live, tmp_path: Path) -> None:
    async def used() -> int:
        async with AsyncClient() as client:
            return (await client.licenses.assign(ACCOUNT, fota_live.devices[:2])).used

    with recording(tmp_path / "cassette.jsonl"):
        assert asyncio.run(used()) == 2
    fota_live.reset()
    with replaying(tmp_path / "cassette.jsonl"):
        assert asyncio.run(used()) == 2
    assert fota_live.client.licenses.status(ACCOUNT).used == 0


# --- weight ------------------------------------------------------------------------------------


def test_in_process_nothing_of_aiohttp_is_needed() -> None:
    program = (
        "import asyncio, sys\n"
        "from fotapool import AsyncClient\n"
        "from fotapool.testing import emulated\n"
        "with emulated() as fota:\n"
        "    asyncio.run(AsyncClient().licenses.status(fota.account))\n"
        "print('aiohttp' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "False\n"


def test_its_names_are_public() -> None:
    assert {name for name in fotapool.__all__ if name.startswith("Async")} == {
        "AsyncClient",
        "AsyncDevicesController",
        "AsyncLicensesController",
        "AsyncListing",
        "AsyncPoolController",
        "AsyncTransport",
        "AsyncUpgradesController",
    }
