"""The emulator on a socket: other processes, the control API, `fotapool emulate`."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from fotapool import Client, ConnectionFailed
from fotapool.cli import main
from fotapool.cli.emulator import fault
from fotapool.model import StoreUnusable
from fotapool.testing import FAULTS, Emulator, Live, Scenario, emulated_live
from test_docs import exports, running
from world import World, needs

ACCOUNT = "0000123456-00001"
A, B = "990003425730500", "990003425730501"


def ask(live: Live | str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """The control API's answer."""
    url = live if isinstance(live, str) else live.base_url
    raw = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(f"{url}{path}", data=raw, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


# --- the socket --------------------------------------------------------------------------------


def test_another_process_finds_it_by_its_environment(fota_live: Live) -> None:
    program = (
        f"from fotapool import Client; print(Client().licenses.assign('{ACCOUNT}', ['{A}']).used)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=fota_live.env,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("1\n", "")
    fota_live.requests.assert_assigned([A], only=True)


def test_a_client_of_this_process_goes_through_the_socket(fota_live: Live) -> None:
    with Client() as client:
        assert client.licenses.status(fota_live.account).used == 0
    assert fota_live.requests.last.request_headers["host"] == fota_live.base_url[7:]


def test_both_doors_lead_to_the_same_books(fota: Emulator, fota_live: Live) -> None:
    Client(base_url="http://elsewhere").licenses.assign(ACCOUNT, [A])
    fota_live.client.licenses.assign(ACCOUNT, [B])

    fota.requests.assert_assigned([A, B], only=True)
    assert fota_live.emulator is fota
    assert fota_live.devices == fota.devices


def test_many_at_once(fota_live: Live) -> None:
    client = fota_live.client
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda imei: client.licenses.assign(ACCOUNT, [imei]), fota_live.devices))

    assert client.licenses.status(ACCOUNT).used == 100


def test_when_the_block_ends_nobody_answers() -> None:
    with emulated_live() as live:
        url = live.base_url
        client = Client(max_retries=0, base_url=url, client_id="x", client_secret="y")
    with pytest.raises(ConnectionFailed):
        client.pool.account(ACCOUNT)


@pytest.mark.parametrize("end", ["reset", "leave"])
def test_a_reset_ends_what_is_delayed(end: str) -> None:
    """... and so does the end of the block: nothing waits out its minutes."""
    with emulated_live() as live:
        client = live.client
        client.licenses.status(ACCOUNT)
        live.faults.answer_delayed(600)
        waiting = threading.Thread(target=_quietly(lambda: client.licenses.status(ACCOUNT)))
        waiting.start()
        while not live.requests.of("status")[1:]:
            time.sleep(0.01)
        if end == "reset":
            live.reset()
            waiting.join(5)
            assert not waiting.is_alive()
    waiting.join(30)
    assert not waiting.is_alive()


def _quietly(job: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        with suppress(ConnectionFailed):
            job()

    return run


def test_a_cut_is_no_defect_of_the_server(
    fota_live: Live, caplog: pytest.LogCaptureFixture
) -> None:
    client = fota_live.new_client(max_retries=0)
    client.licenses.status(ACCOUNT)
    for arm in (fota_live.faults.answer_lost, fota_live.faults.connection_cut):
        arm()
        with pytest.raises(ConnectionFailed):
            client.licenses.status(ACCOUNT)
    fota_live.faults.connection_cut("within")
    with pytest.raises(ConnectionFailed):
        client.licenses.status(ACCOUNT)
    client.licenses.status(ACCOUNT)

    assert [record for record in caplog.records if record.name.startswith("uvicorn")] == []


def test_a_body_that_is_too_large_is_refused(fota_live: Live) -> None:
    status, told = ask(fota_live, "POST", "/api/fota/v3/licenses/a/assign", b"x" * (5 << 20))

    assert (status, told["errorCode"]) == (413, "PAYLOAD_TOO_LARGE")
    assert ask(fota_live, "GET", "/healthz") == (200, {"status": "ok"})


def test_unknown_paths_are_answered_and_noted(fota_live: Live) -> None:
    assert ask(fota_live, "GET", "/fota/v3")[0] == 404
    assert fota_live.requests.last.remarks[0].code == "unknown_path"


# --- the control API ---------------------------------------------------------------------------


def test_the_control_api(fota_live: Live) -> None:
    client = fota_live.client
    client.licenses.assign(ACCOUNT, [A])
    assert ask(fota_live, "POST", "/_emulator/snapshots/one") == (200, {"snapshots": ["one"]})
    client.licenses.assign(ACCOUNT, [B])
    _, journal = ask(fota_live, "GET", "/_emulator/journal?operation=assign&limit=1")
    assert [v["outcome"] for v in journal["requests"][0]["verdicts"]] == ["assigned"]
    status, told = ask(fota_live, "POST", "/_emulator/restore/one")
    assert (status, told["snapshots"], told["requests"]) == (200, ["one"], 0)
    assert client.licenses.status(ACCOUNT).used == 1

    status, told = ask(fota_live, "POST", "/_emulator/clock", {"advance_s": 3660, "speed": 0})
    assert (status, told) == (200, {"now": "2026-01-01T13:01:00Z", "speed": 0.0})
    assert ask(fota_live, "POST", "/_emulator/clock", {"set": "2027-01-01T00:00:00Z"})[1] == {
        "now": "2027-01-01T00:00:00Z",
        "speed": 0.0,
    }
    status, armed = ask(
        fota_live, "POST", "/_emulator/faults", {"fault": "html_page", "status": 503, "times": 2}
    )
    assert (status, armed["number"], armed["status"], armed["hits"]) == (200, 1, 503, 0)
    ask(fota_live, "POST", "/_emulator/faults", {"fault": "slow_drip", "seconds": 0.1})
    assert client.licenses.status(ACCOUNT).used == 1
    _, faults = ask(fota_live, "GET", "/_emulator/faults")
    assert [(f["fault"], f["hits"], f["spent"]) for f in faults["faults"]] == [
        ("html_page", 2, True),
        ("slow_drip", 1, True),
    ]
    assert len(ask(fota_live, "DELETE", "/_emulator/faults/1")[1]["faults"]) == 1
    assert ask(fota_live, "DELETE", "/_emulator/faults") == (200, {"faults": []})
    assert ask(fota_live, "DELETE", "/_emulator/journal") == (200, {"requests": []})
    status, told = ask(fota_live, "POST", "/_emulator/reset", {"to": "empty"})
    assert (status, told["clock"]["now"]) == (200, "2026-01-01T12:00:00Z")
    ask(fota_live, "POST", "/_emulator/reset")
    assert ask(fota_live, "GET", "/_emulator/")[1] == {
        "clock": {"now": "2026-01-01T12:00:00Z", "speed": 0.0},
        "accounts": [ACCOUNT],
        "snapshots": ["one"],
        "faults": 0,
        "requests": 0,
        "strict": False,
    }


# method, path, body, status, said
MISTAKES: list[tuple[str, str, object, int, str]] = [
    ("GET", "reset", None, 404, "no GET /_emulator/reset; there are GET /_emulator/"),
    ("POST", "restore/x", None, 404, "there is no snapshot 'x'; there are: none"),
    ("POST", "reset", {"to": "then"}, 400, "to must be seed or empty"),
    ("POST", "reset", {"too": "seed"}, 400, "unknown field `too`"),
    ("POST", "clock", b"{", 400, "truncated"),
    ("POST", "clock", {"set": "noon"}, 400, "$.set"),
    ("POST", "clock", {"speed": -1}, 400, "use a number from 0"),
    ("POST", "faults", {"fault": "x"}, 400, "faults are pool_exhausted"),
    ("POST", "faults", [], 400, "Expected `object`"),
    ("DELETE", "faults/7", None, 404, "no fault has the number 7"),
    ("GET", "journal?limit=x", None, 400, "limit 'x': use a number"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "said"), MISTAKES, ids=range(len(MISTAKES))
)
def test_mistakes_at_the_control_api_are_told(
    fota_live: Live, method: str, path: str, body: object, status: int, said: str
) -> None:
    found, told = ask(fota_live, method, f"/_emulator/{path}", body)

    assert found == status
    assert said in told["errorMessage"]


def test_a_server_has_no_control_api(small_world: World) -> None:
    with small_world.serving() as url:
        for method, path in (("GET", ""), ("POST", "reset"), ("GET", "journal")):
            assert ask(url, method, f"/_emulator/{path}")[0] == 404


# --- the commands ------------------------------------------------------------------------------


@pytest.fixture
def emulated_url(fota_live: Live) -> str:
    return fota_live.base_url


@pytest.fixture
def shell(
    fota_live: Live, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """`fotapool emulator …` against the running one: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["emulator", *arguments, "--url", fota_live.base_url])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


Shell = Callable[..., tuple[int, str, str]]


def test_the_verbs_of_a_running_emulator(fota_live: Live, shell: Shell) -> None:
    assert shell("journal") == (0, "", "no requests\n")
    fota_live.client.licenses.assign(ACCOUNT, [A, "12"])
    code, said, _ = shell("journal", "--operation", "assign")
    assert (code, said.startswith(f"3. POST /api/fota/v3/licenses/{ACCOUNT}/assign -> 200; 12: R2.1")) == (0, True)  # fmt: skip
    assert shell("snapshot") == (0, "kept default; snapshots: default\n", "")
    assert shell("clock", "--advance", "61m")[1] == "2026-01-01T13:01:00Z, stands still\n"
    assert shell("clock", "--set", "2026-05-01T00:00:00Z", "--speed", "60")[1].endswith(
        "runs at speed 60\n"
    )
    assert shell("restore")[1].startswith("restored default; now 2026-01-01T12:0")
    assert shell("fault", "answer_lost", "--operation", "assign", "--times", "2") == (
        0,
        "armed answer_lost as number 1\n",
        "",
    )
    shell("fault", "devices_refused", f"imeis={A},{B}", "reason=Internal error.")
    shell("fault", "answer_delayed", "seconds=2.5", "--probability", "0.5")
    shell("fault", "html_page", "status=503", "--skip", "1", "times=null", "path=/x/*", "seed=7")
    told = json.loads(shell("fault", "--json")[1])["faults"]
    assert [
        fault.get("imeis") or fault.get("seconds") or fault.get("status") for fault in told
    ] == [
        None,
        [A, B],
        2.5,
        503,
    ]
    assert (told[0]["times"], told[3]["skip"], told[2]["probability"]) == (2, 1, 0.5)
    assert (told[3]["times"], told[3]["path"], told[3]["seed"]) == (None, "/x/*", 7)
    assert shell("fault")[1].splitlines()[1].split() == ["1", "answer_lost", "0", "no"]
    assert shell("fault", "--clear")[1].split() == ["NUMBER", "FAULT", "HITS", "SPENT"]
    assert shell("journal", "--clear") == (0, "the journal is empty\n", "")
    assert shell("reset", "--empty")[1].startswith("reset to empty; now 2026-01-01T12:00:00")
    assert json.loads(shell("reset", "--json")[1])["accounts"] == [ACCOUNT]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("restore", "x"), 3, "there is no snapshot 'x'"),
        (("fault", "tired"), 2, "faults are pool_exhausted"),
        (("fault", "slow_drip", "seconds"), 2, "write settings as NAME=VALUE"),
        (("fault", "slow_drip", "second=1"), 2, "unknown field `second`"),
        (("clock", "--advance", "61"), 2, "use a number and ms, s, m, h or d"),
        (("clock", "--set", "noon"), 2, "$.set"),
    ],
)
def test_mistakes_are_one_line(
    shell: Shell, arguments: tuple[str, ...], code: int, said: str
) -> None:
    found, out, err = shell(*arguments)

    assert (found, out, err.count("\n")) == (code, "", 1)
    assert said in err


def test_the_help_names_every_fault() -> None:
    told = fault.help or ""

    assert re.findall(r"[a-z]+_?[a-z_]+", told.partition("The names:")[2]) == [
        kind.word() for kind in FAULTS
    ]


def test_where_no_emulator_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["emulator", "reset", "--url", "http://127.0.0.1:9"]) == 3
    assert "start one with fotapool emulate" in capsys.readouterr().err


# --- fotapool emulate --------------------------------------------------------------------------

SEED = """
[[accounts]]
name = "fleet"
licenses = 5
devices = 3
licensed = 1

[[logins]]
client_id = "my-client"
client_secret = "my secret"
username = "me"
password = "it's"
"""


STATEFUL = ["fotapool", "emulate", "--seed", "seed.toml", "--state", "state.db"]


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[list[str], Path]]:
    (tmp_path / "seed.toml").write_text(SEED)
    with running(STATEFUL, tmp_path, "/_emulator/") as lines:
        yield lines, tmp_path


@needs("curl")
def test_everything_that_it_prints_works(started: tuple[list[str], Path]) -> None:
    lines, folder = started
    text = "".join(lines)
    block = re.search(r"^curl:\n(.*?)\n\n", text, re.MULTILINE | re.DOTALL)
    ours = re.search(r"^Our SDK:\n(.*?)\n", text, re.MULTILINE)
    verbs = re.search(r"^Clock, faults, journal:\n(.*?)\nor", text, re.MULTILINE | re.DOTALL)
    assert block is not None
    assert ours is not None
    assert verbs is not None
    variables = "\n".join(re.findall(r"export .*", text))

    def bash(script: str) -> str:
        done = subprocess.run(
            ["bash", "-e", "-c", f"{variables}\n{script}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert json.loads(bash(block[1]))["licUsedCount"] == 1
    assert "ALREADY_LICENSED" in bash(ours[1])
    said = bash(verbs[1])
    assert "armed answer_lost" in said
    assert "/assign -> 200" in said


def test_the_state_is_there_the_next_time(tmp_path: Path) -> None:
    """... though the process was killed, and only for one process at a time."""
    (tmp_path / "seed.toml").write_text(SEED)
    scenario, url = Scenario.load(tmp_path / "seed.toml"), f"sqlite:///{tmp_path}/state.db"
    with running(STATEFUL, tmp_path, "/_emulator/") as lines:
        login = scenario.logins[0]
        client = Client(
            base_url=exports(lines)["FOTAPOOL_BASE_URL"],
            client_id=login.client_id,
            client_secret=login.client_secret,
            username=login.username,
            password=login.password,
        )
        with client:
            assert client.licenses.assign("fleet", [B]).used == 2
        with pytest.raises(StoreUnusable, match=r"state\.db"):
            Emulator(scenario, url=url)
    with Emulator(scenario, url=url) as later:
        assert later.client.licenses.status("fleet").used == 2
        assert abs((datetime.now(UTC) - later.clock.now).total_seconds()) < 600


OPEN = (
    "warning: 0.0.0.0 can be reached from other machines, and the control API asks for no login\n"
)


@pytest.mark.parametrize(
    ("number", "host", "warned"),
    [(signal.SIGINT, "127.0.0.1", ""), (signal.SIGTERM, "0.0.0.0", OPEN)],
)
def test_it_stops_as_it_is_meant_to(tmp_path: Path, number: int, host: str, warned: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "fotapool", "emulate", "--host", host, "--port", "0", "--json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = ""
    while not told.rstrip().endswith("}"):
        told += process.stdout.readline()
    found = json.loads(told)
    now = datetime.fromisoformat(ask(found["url"], "GET", "/_emulator/")[1]["clock"]["now"])
    process.send_signal(number)
    _, said = process.communicate(timeout=10)

    assert (process.returncode, said) == (0, warned + "stopped\n")
    assert found["url"].startswith("http://127.0.0.1:")
    assert set(found) == {
        "url",
        "client_id",
        "client_secret",
        "username",
        "password",
        "accounts",
        "control",
        "state",
    }
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--seed", "none.toml"], 2, "none.toml: No such file or directory"),
        (["--seed", "wrong.toml"], 2, "wrong.toml: Object contains unknown field `x`"),
        (["--host", "no host"], 3, "choose another with --host and --port"),
        (["--state", "wrong.toml"], 3, "is not an SQLite database"),
    ],
)
def test_what_it_cannot_begin_with_is_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wrong.toml").write_text("x = 1")

    assert main(["emulate", "--port", "0", *options]) == code
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_a_taken_port_is_told(capsys: pytest.CaptureFixture[str], fota_live: Live) -> None:
    port = fota_live.base_url.rpartition(":")[2]

    assert main(["emulate", "--port", port]) == 3
    assert "choose another with --host and --port" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore")
def test_the_host_table_of_the_official_sdk_is_put_back() -> None:
    from verizon.configuration import Configuration, Environment

    table = Configuration.environments[Environment.PRODUCTION]
    before = dict(table)
    with emulated_live() as live:
        live.repoint_official_sdk()
        live.repoint_official_sdk()
        pointed = [url for url in table.values() if url.startswith(live.base_url)]
        assert len(pointed) > 5
        assert not [url for url in table.values() if "//thingspace.verizon.com" in url]

    assert table == before
