"""The process on a socket: bounds, slow and broken clients, TLS, health, log lines, stopping."""

from __future__ import annotations

import asyncio
import gc
import http.client
import io
import json
import logging
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import pytest

from fotapool.client import ServerError
from fotapool.model import CannotListen, ConfigurationError, StoreUnusable
from fotapool.server import http as http_module
from fotapool.server import process as process_module
from fotapool.server import shell as shell_module
from fotapool.server.log import LOGGER, JsonLines, Lines, TextLines, lines_together, log_request
from fotapool.server.process import Server, bind
from fotapool.server.settings import Settings
from fotapool.server.shell import IDS_AT_ONCE, Mailbox
from fotapool.store import SqliteStore
from world import ACCOUNT, Clock, Login, World, imeis

A = "990003425730524"
ASSIGN = f"/api/fota/v3/licenses/{ACCOUNT}/assign"


@pytest.fixture
def login(small_world: World) -> Login:
    small_world.add_account(licenses=5000, devices=[int(A), *imeis(5000, first=1)])
    return small_world.add_login(name="fleet")


@pytest.fixture
def file_login(tmp_path: Path, clock: Clock) -> Iterator[Login]:
    """The same on a file, where reads do not wait for the writer."""
    store = SqliteStore(tmp_path / "pool.db", clock=clock)
    world = World(store, clock)
    world.add_account(licenses=5000, devices=[int(A)])
    yield world.add_login(name="fleet")
    store.close()


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
    try:
        yield connection
    finally:
        connection.close()


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> tuple[int, dict[str, str], bytes]:
    with connected(url) as connection:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return (
            answer.status,
            {name.lower(): value for name, value in answer.getheaders()},
            answer.read(),
        )


def assign_body(*texts: str) -> bytes:
    return json.dumps({"deviceList": list(texts)}).encode()


# --- answers -----------------------------------------------------------------------------------


def test_health_needs_no_login_and_tells_nothing(login: Login) -> None:
    with login.world.serving() as url:
        assert [ask(url, "GET", path)[::2] for path in ("/healthz", "/readyz")] == [
            (200, b'{"status":"ok"}'),
            (200, b'{"status":"ready"}'),
        ]
        assert ask(url, "POST", "/healthz", b"")[0] == 405


@pytest.mark.sqlite
def test_a_database_that_cannot_be_written_is_not_ready_but_alive(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fotapool.server.pages.PROBE_EVERY_S", 0.0)
    with login.world.serving() as url:
        login.world.sqlite._writer.execute("PRAGMA query_only = 1")
        status, headers, body = ask(url, "GET", "/readyz")
        assert (status, headers["retry-after"], body) == (503, "1", b'{"status":"not ready"}')
        assert ask(url, "GET", "/healthz")[0] == 200
        login.world.sqlite._writer.execute("PRAGMA query_only = 0")
        assert ask(url, "GET", "/readyz")[0] == 200


@pytest.mark.sqlite
def test_readiness_is_asked_of_the_database_once_a_second_at_most(login: Login) -> None:
    with login.world.serving() as url:
        before = login.world.sqlite._writer.total_changes
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: ask(url, "GET", "/readyz")[0], range(40)))
        assert answers == [200] * 40
        assert login.world.sqlite._writer.total_changes - before <= 3


def test_every_answer_has_a_request_id_and_a_sane_one_is_kept(login: Login) -> None:
    with login.world.serving() as url:
        for path in ("/healthz", "/nowhere", ASSIGN):
            assert len(ask(url, "GET", path)[1]["x-request-id"]) == 32
        for sent, kept in [
            ("job-7:row_1.a", True),
            ("a" * 64, True),
            ("a" * 65, False),
            ("a b", False),
            ("", False),
        ]:
            _, headers, _ = ask(url, "GET", "/nowhere", headers={"X-Request-Id": sent})
            assert (headers["x-request-id"] == sent) is kept


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("Idempotency-Key", "k", "IDEMPOTENCY_KEY_INVALID"),
        ("If-Match", '"2"', "PRECONDITION_INVALID"),
    ],
)
def test_a_header_that_says_two_things_is_refused(
    login: Login, name: str, value: str, code: str
) -> None:
    body = b'{"imeis": ["1"]}'
    with login.world.serving() as url, raw(url) as connection:
        connection.sendall(
            f"POST /api/fotapool/v1/accounts/{ACCOUNT}/assign HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {login.bearer}\r\n{name}: {value}\r\n{name}: {value}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
            + body
        )
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 400")
    assert code.encode() in answer


def test_content_types_do_not_matter(login: Login) -> None:
    with login.world.serving() as url:
        for content_type in ("application/json", "*/*", "text/plain", ""):
            status, _, body = ask(
                url, "POST", ASSIGN, assign_body(A), login.headers | {"Content-Type": content_type}
            )
            assert (status, json.loads(body)["licUsedCount"]) == (200, 1)


def test_the_body_may_come_in_chunks(login: Login) -> None:
    with login.world.serving() as url, connected(url) as connection:
        connection.request(
            "POST",
            ASSIGN,
            iter([assign_body(A)[:9], assign_body(A)[9:]]),
            login.headers,
            encode_chunked=True,
        )
        assert connection.getresponse().status == 200


def test_links_begin_with_the_root_path(login: Login) -> None:
    login.world.settings = Settings(root_path="/fota")
    with login.world.serving() as url:
        assert url.endswith("/fota")
        _, headers, _ = ask(
            url.removesuffix("/fota"),
            "POST",
            f"/api/fota/v2/licenses/{ACCOUNT}/assign",
            assign_body(A),
            login.headers,
        )

    assert (
        headers["link"] == f'</fota/api/fota/v3/licenses/{ACCOUNT}/assign>; rel="successor-version"'
    )


def test_requests_sent_without_waiting_are_answered_in_order(login: Login) -> None:
    """Also where pages and the API take turns, and the last one closes."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())

    def request(line: str, body: bytes = b"", more: str = "") -> bytes:
        head = f"{line} HTTP/1.1\r\nHost: x\r\n{lines}{more}Content-Length: {len(body)}\r\n\r\n"
        return head.encode() + body

    status = f"/api/fota/v3/licenses/{ACCOUNT}"
    sent = [
        request(f"POST {ASSIGN}", assign_body(A)),
        request("GET /healthz"),
        request(f"GET {status}"),
        request(f"POST {ASSIGN}", assign_body(A)),
        request("GET /api/nowhere"),
        request("GET /nowhere"),
        request(f"GET {status}", more="Connection: close\r\n"),
    ]
    with login.world.serving() as url, raw(url) as connection:
        connection.sendall(b"".join(sent))
        answers = read_all(connection).split(b"HTTP/1.1 ")[1:]

    assert [int(answer[:3]) for answer in answers] == [200, 200, 200, 200, 404, 404, 200]
    assert [b"connection: close" in answer for answer in answers] == [False] * 6 + [True]
    changes = [re.search(rb"fotapool-((?:change|sequence): \d+)", answer) for answer in answers]
    assert [found and found[1] for found in changes] == [
        b"change: 3",
        None,
        b"sequence: 3",
        b"change: 4",
        None,
        None,
        b"sequence: 4",
    ]


def test_a_client_that_reads_no_answers_is_given_no_more_of_them(
    login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    """What it has sent waits, and is answered once it reads."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())
    page = f"GET /api/fota/v3/licenses/{ACCOUNT} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode()
    everything = assign_body(*(f"{imei:015d}" for imei in imeis(1000, first=1)))
    count = 300
    with (
        caplog.at_level(logging.INFO, "fotapool"),
        login.world.serving() as url,
        raw(url) as connection,
    ):
        assert ask(url, "POST", ASSIGN, everything, login.headers)[0] == 200
        connection.sendall(page * count)
        answered = -1
        while answered < len(caplog.records):
            answered = len(caplog.records)
            time.sleep(0.5)
        received = 0
        while received < count:
            received += connection.recv(1 << 20).count(b"HTTP/1.1 200")

    assert answered < count
    assert len(caplog.records) == count + 1


def test_a_client_is_told_to_go_on_unless_it_is_refused(login: Login) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())
    body = assign_body(A)

    def head(size: int) -> bytes:
        return (
            f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\n{lines}Expect: 100-continue\r\n"
            f"Content-Length: {size}\r\n\r\n"
        ).encode()

    with login.world.serving() as url, raw(url) as connection, raw(url) as refused:
        connection.sendall(head(len(body)))
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
        refused.sendall(head(5_000_000))
        assert refused.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_head_is_answered_without_a_body_and_http_1_0_closes(login: Login) -> None:
    with login.world.serving() as url:
        with connected(url) as connection:
            for _ in range(2):
                connection.request("HEAD", ASSIGN)
                answer = connection.getresponse()
                assert (answer.status, answer.headers["allow"], answer.read()) == (405, "POST", b"")
        with raw(url) as plain:
            plain.sendall(f"GET {ASSIGN} HTTP/1.0\r\n\r\n".encode())
            assert b"\r\nconnection: close\r\n" in read_all(plain)


def test_whatever_is_settled_meanwhile_wakes_the_loop_once() -> None:
    """A group of 32 is committed at once; 32 calls to wake up would cost as much as its rows."""
    taken: list[int] = []
    calls: list[Callable[[], None]] = []

    class Loop:
        def call_soon_threadsafe(self, call: Callable[[], None]) -> None:
            calls.append(call)

    mailbox = Mailbox(cast(asyncio.AbstractEventLoop, Loop()))

    def take(future: Future[int]) -> None:
        taken.append(future.result())
        if future.result() == 7:  # settled while the loop is at it
            mailbox.put(take, settled(100))

    for number in range(32):
        mailbox.put(take, settled(number))
    assert len(calls) == 1
    calls.pop()()
    assert (taken, len(calls)) == ([*range(32), 100], 0)

    mailbox.put(take, settled(200))
    calls.pop()()
    assert taken[-1] == 200


def test_what_is_settled_just_when_the_loop_has_finished_is_taken_as_well() -> None:
    class Letters(deque[Any]):
        """Has another letter put in right after it was found to be empty."""

        late = True

        def __bool__(self) -> bool:
            found = len(self) > 0
            if not found and self.late:
                self.late = False
                mailbox.put(take, settled(2))
            return found

    taken: list[int] = []

    def take(future: Future[int]) -> None:
        taken.append(future.result())

    mailbox = Mailbox(cast(asyncio.AbstractEventLoop, None))
    mailbox._letters, mailbox._called = Letters([(take, settled(1))]), True
    mailbox._empty()

    assert taken == [1, 2]


def settled(value: int) -> Future[int]:
    future: Future[int] = Future()
    future.set_result(value)
    return future


def test_nothing_settled_is_forgotten_however_threads_meet() -> None:
    async def meet() -> int:
        count, threads = 2000, 8
        taken = 0
        done = asyncio.Event()
        mailbox = Mailbox(asyncio.get_running_loop())

        def take(_: Future[int]) -> None:
            nonlocal taken
            taken += 1
            if taken == count * threads:
                done.set()

        def put() -> None:
            for number in range(count):
                mailbox.put(take, settled(number))

        with ThreadPoolExecutor(threads) as pool:
            for _ in range(threads):
                pool.submit(put)
            await asyncio.wait_for(done.wait(), 30)
        return taken

    assert asyncio.run(meet()) == 16_000


# --- bounds ------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_20_mb_is_refused_and_not_kept(login: Login, chunked: bool) -> None:
    big = b"x" * 20_000_000
    with login.world.serving() as url, connected(url) as connection:
        body: Any = (
            iter([big[at : at + 65536] for at in range(0, len(big), 65536)]) if chunked else big
        )
        try:
            connection.request("POST", ASSIGN, body, login.headers, encode_chunked=chunked)
        except (BrokenPipeError, ConnectionResetError):
            assert chunked, "a client that says the size beforehand is told before it is cut off"
            return
        answer = connection.getresponse()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert json.loads(answer.read()) == {
            "errorCode": "PAYLOAD_TOO_LARGE",
            "errorMessage": "The body exceeds 4194304 bytes.",
        }


def test_a_body_of_exactly_the_limit_is_read(login: Login) -> None:
    login.world.settings = Settings(body_bytes_max=100)
    with login.world.serving() as url:
        assert [ask(url, "POST", ASSIGN, b" " * size, login.headers)[0] for size in (100, 101)] == [
            400,
            413,
        ]


@contextmanager
def raw(url: str) -> Iterator[socket.socket]:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        yield connection


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while chunk := connection.recv(65536):
        received += chunk
    return received


def test_a_body_that_does_not_arrive_is_given_up_in_time(login: Login) -> None:
    login.world.settings = Settings(body_timeout_s=0.3)
    head = f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode()
    with login.world.serving() as url, raw(url) as connection:
        connection.sendall(head + b'{"deviceList"')
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"REQUEST_TIMEOUT" in answer


def test_a_request_cut_off_in_its_body_changes_nothing(login: Login) -> None:
    body = assign_body(A)
    lines = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())
    head = (
        f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode()
    )
    with login.world.serving() as url:
        with raw(url) as connection:
            connection.sendall(head + body[:-1])
        assert (
            ask(url, "GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=login.headers)[1][
                "fotapool-sequence"
            ]
            == "2"
        )
        with raw(url) as connection:
            connection.sendall(head + body)
            assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


def test_a_head_without_end_is_refused_and_a_slow_one_dropped(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_module, "HEAD_TIMEOUT_S", 0.3)
    with login.world.serving() as url:
        with raw(url) as connection:
            try:
                connection.sendall(b"GET / HTTP/1.1\r\n")
                for _ in range(100):
                    connection.sendall(b"x-filler: " + b"x" * 4000 + b"\r\n")
            except OSError:
                pass
            assert connection.recv(100).startswith(b"HTTP/1.1 431 ")
        for sent in (b"", b"GET /healthz HTTP/1.1\r\nHost:"):
            with raw(url) as connection:
                connection.sendall(sent)
                assert read_all(connection) == b""
        with raw(url) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
            time.sleep(0.6)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"\x00\x01\x02\r\n\r\n", 400, "BAD_REQUEST"),
        (b"FOO / HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400, "BAD_REQUEST"),
        (b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET / HTTP/9.9\r\n\r\n", 400, "BAD_REQUEST"),
        (b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431, "HEADERS_TOO_LARGE"),
    ],
)
def test_what_is_no_http_is_refused_like_any_other_request(
    login: Login, sent: bytes, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.INFO, "fotapool"),
        login.world.serving() as url,
        raw(url) as connection,
    ):
        connection.sendall(sent)
        head, _, body = read_all(connection).partition(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert json.loads(body)["errorCode"] == code
    told = [json.loads(JsonLines().format(record)) for record in caplog.records]
    line = next(line for line in told if line.get("status") == status)
    assert f"x-request-id: {line['request']}".encode() in head


def test_an_upgrade_that_is_not_offered_is_passed_over(login: Login) -> None:
    headers = {"connection": "Upgrade", "upgrade": "websocket"}
    with login.world.serving() as url:
        assert ask(url, "GET", "/healthz", headers=headers)[0] == 200
        assert ask(url, "GET", "/healthz/")[0] == 404


def test_a_large_body_is_read_on_only_for_a_good_bearer(login: Login) -> None:
    """So that strangers cannot fill the room that requests wait in."""
    large = assign_body(A).ljust(shell_module.ANONYMOUS_BYTES_MAX + 1)
    with login.world.serving() as url:
        strange = ask(url, "POST", ASSIGN, large, {"authorization": "Bearer no"})
        mine = ask(url, "POST", ASSIGN, large, login.headers)
        token = ask(url, "POST", "/api/ts/v1/oauth2/token", large)

    assert [answer[0] for answer in (strange, mine, token)] == [401, 200, 413]


def test_bodies_that_do_not_come_take_up_no_room(login: Login) -> None:
    """Room is for what has arrived, not for what was announced or may follow in chunks."""
    heads = [
        f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\n{announced}\r\n\r\n".encode()
        for announced in ("Content-Length: 4194304", "Transfer-Encoding: chunked")
    ]
    with login.world.serving() as url, ExitStack() as stack:
        for _ in range(40):
            for head in heads:
                stack.enter_context(raw(url)).sendall(head)
        assert ask(url, "POST", ASSIGN, assign_body(A), login.headers)[0] == 200


class Stuck:
    """Holds the writer, so that writes wait."""

    def __init__(self, world: World) -> None:
        self.release = threading.Event()
        self.job = world.store.write(lambda tx: self.release.wait(20))


@pytest.mark.parametrize(
    ("settings", "body"),
    [
        (Settings(queue_requests_max=4), assign_body(A)),
        (Settings(queue_bytes_max=4 * 2000), assign_body(A).ljust(2000)),
    ],
)
def test_beyond_what_may_wait_the_answer_is_503_and_nothing_is_done(
    file_login: Login, settings: Settings, body: bytes
) -> None:
    login = file_login
    login.world.settings = settings
    with login.world.serving() as url, ThreadPoolExecutor(8) as pool:
        stuck = Stuck(login.world)
        waiting = [pool.submit(ask, url, "POST", ASSIGN, body, login.headers) for _ in range(4)]
        deadline = time.monotonic() + 10
        while len(login.world.store._group._waiting) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        status, headers, told = ask(url, "POST", ASSIGN, body, login.headers)
        stuck.release.set()
        answers = [future.result(20) for future in waiting]

    assert (status, headers["retry-after"], json.loads(told)["errorCode"]) == (
        503,
        "1",
        "SERVICE_UNAVAILABLE",
    )
    assert sorted(answer[1]["fotapool-change"] for answer in answers) == ["3", "4", "5", "6"]


def test_200_clients_with_lists_of_1000_never_see_503(login: Login) -> None:
    body = assign_body(*(f"{imei:015d}" for imei in imeis(1000, first=1)))
    with login.world.serving() as url, ThreadPoolExecutor(200) as pool:
        statuses = list(
            pool.map(lambda _: ask(url, "POST", ASSIGN, body, login.headers)[0], range(200))
        )

    assert statuses == [200] * 200


# --- failures ----------------------------------------------------------------------------------


def test_reads_go_on_where_the_disk_takes_no_writes(file_login: Login) -> None:
    """Also when the session's last use is due to be stored."""
    login = file_login
    store = login.world.sqlite
    store._writer.execute("PRAGMA query_only = 1")
    login.world.clock.advance(minutes=3)
    with login.world.serving() as url:
        status = f"/api/fota/v3/licenses/{ACCOUNT}"
        read = [ask(url, "GET", status, headers=login.headers)[0] for _ in range(3)]
        written = ask(url, "POST", ASSIGN, assign_body(A), login.headers)[0]
    store._writer.execute("PRAGMA query_only = 0")

    assert (read, written) == ([200] * 3, 503)


def test_a_defect_is_500_in_the_documented_shape_and_the_log_has_the_rest(
    login: Login, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*arguments: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("fotapool.ledger.Ledger.submit", broken)
    with caplog.at_level(logging.INFO, "fotapool"), login.world.serving() as url:
        status, headers, body = ask(url, "POST", ASSIGN, assign_body(A), login.headers)

    assert (status, json.loads(body)) == (
        500,
        {
            "errorCode": "INTERNAL_SYSTEM_ERROR",
            "errorMessage": "The system encountered an internal error.",
        },
    )
    failure = next(record for record in caplog.records if record.levelname == "ERROR")
    assert "ZeroDivisionError" in TextLines().format(failure)
    assert headers["x-request-id"] in TextLines().format(failure)


@pytest.mark.sqlite
def test_damage_is_500_and_no_reason_to_wait(login: Login) -> None:
    def drop(tx: Any) -> None:
        tx.connection.write("DROP TABLE license")

    login.world.store.write(drop).result()
    with login.world.serving() as url, login.client(url, max_retries=0) as client:
        for call in (client.licenses.status, client.pool.status):
            with pytest.raises(ServerError) as caught:
                call(ACCOUNT)
            assert caught.value.error_code == "INTERNAL_SYSTEM_ERROR"
            assert "license" not in caught.value.response.text
        with pytest.raises(ServerError) as caught:
            client.licenses.assign(ACCOUNT, ["1"])
        assert caught.value.error_code == "INTERNAL_SYSTEM_ERROR"


@pytest.mark.sqlite
def test_a_decision_the_schema_refuses_is_500_and_nothing_is_done(
    login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    login.world.sqlite._writer.execute(
        "CREATE TRIGGER sabotage AFTER INSERT ON license BEGIN UPDATE account SET used = total + 1; END"
    )
    with login.world.serving() as url:
        assert ask(url, "POST", ASSIGN, assign_body(A), login.headers)[0] == 500
        assert (
            ask(url, "GET", f"/api/fota/v3/licenses/{ACCOUNT}", headers=login.headers)[1][
                "fotapool-sequence"
            ]
            == "2"
        )


# --- logging -----------------------------------------------------------------------------------


def test_one_line_a_request_with_no_secret_in_it(
    login: Login, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = login.secrets
    with (
        caplog.at_level(logging.DEBUG, "fotapool"),
        login.world.serving() as url,
        login.client(url) as client,
    ):
        client.licenses.assign(ACCOUNT, [A])
        ask(url, "GET", "/nowhere%0a?token=hidden")
    records = [record for record in caplog.records if record.name == "fotapool"]
    lines = [TextLines().format(record) for record in records]
    parsed = [json.loads(JsonLines().format(record)) for record in records]

    assert [
        (line["method"], line["path"], line["status"], line.get("credential"), line.get("account"))
        for line in parsed
    ] == [
        ("POST", "/api/ts/v1/oauth2/token", 200, None, None),
        ("POST", "/api/m2m/v1/session/login", 200, "fleet", None),
        ("POST", ASSIGN, 200, "fleet", ACCOUNT),
        ("GET", "/nowhere%0a", 404, None, None),
    ]
    assert all(
        line["bytes"] > 0 and line["ms"] >= 0 and len(line["request"]) == 32 for line in parsed
    )
    assert f"method=POST path={ASSIGN} status=200" in lines[2]
    everything = "".join(lines) + json.dumps(parsed)
    for secret in (secrets.client_secret, secrets.password, login.bearer, "hidden"):
        assert secret not in everything


class Written(io.StringIO):
    """A stream that knows how it was written to."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[str] = []

    def write(self, text: str) -> int:
        self.writes.append(text)
        return super().write(text)


@pytest.fixture
def written() -> Written:
    stream = Written()
    handler = Lines(stream)
    handler.setFormatter(TextLines())
    LOGGER.handlers = [handler]
    LOGGER.setLevel(logging.INFO)
    return stream


def test_lines_of_a_moment_are_written_in_one_piece_whole_and_in_order(written: Written) -> None:
    log_request({"request": "before"})
    with lines_together():
        for number in range(3):
            log_request({"request": number})
        LOGGER.warning("between\nthem")
        assert len(written.writes) == 1
    log_request({"request": "after"})
    log_request({"request": "later"})

    assert [text.count("\n") for text in written.writes] == [1, 4, 1, 1]
    lines = "".join(written.writes).splitlines()
    assert [line.partition("Z ")[2] for line in lines] == [
        "info request request=before",
        "info request request=0",
        "info request request=1",
        "info request request=2",
        "warning between\\nthem",
        "info request request=after",
        "info request request=later",
    ]


def test_no_line_is_lost_where_the_moment_ends_badly(written: Written) -> None:
    with suppress(ZeroDivisionError), lines_together():
        log_request({"request": "kept"})
        raise ZeroDivisionError
    with lines_together():
        pass

    assert [text.count("request=kept") for text in written.writes] == [1]


def test_requests_go_on_where_nobody_takes_their_lines(written: Written) -> None:
    written.close()
    with lines_together():
        log_request({"request": "unheard"})
    LOGGER.handlers = []
    log_request({"request": "unheard"})


def test_a_line_of_a_request_is_like_any_other_to_other_handlers(written: Written) -> None:
    handler = logging.StreamHandler(written)
    handler.setFormatter(
        logging.Formatter("%(name)s %(levelname)s %(message)s %(fields)s %(filename)s%(lineno)d")
    )
    LOGGER.handlers = [handler]
    log_request({"status": 200})

    assert written.getvalue() == "fotapool INFO request {'status': 200} 0\n"


def test_no_two_requests_share_an_id(login: Login) -> None:
    """Though ids are drawn many at a time."""
    with login.world.serving() as url, connected(url) as connection:
        seen = set()
        for _ in range(IDS_AT_ONCE + 44):
            connection.request("GET", "/api/nowhere")
            answer = connection.getresponse()
            answer.read()
            seen.add(answer.headers["x-request-id"])

    assert len(seen) == IDS_AT_ONCE + 44
    assert {len(request_id) for request_id in seen} == {32}


# --- memory ------------------------------------------------------------------------------------


def test_a_request_leaves_no_garbage_in_cycles(login: Login) -> None:
    """So that looking for such garbage can be rare, and what a request took is free at once."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in login.headers.items())
    body = assign_body(A)
    head = f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
    count = 50
    with login.world.serving() as url, raw(url) as connection:

        def assign() -> None:
            connection.sendall(head.encode() + body)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")

        assign()
        gc.disable()
        try:
            gc.collect()
            for _ in range(count):
                assign()
            left = gc.collect()
        finally:
            gc.enable()

    assert left < count


def test_a_server_leaves_the_collector_as_it_was(
    small_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(
        process_module._Uvicorn, "run", lambda *_, **__: seen.append(gc.get_threshold())
    )
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    server = Server(small_world.store, Settings(port=0), clock=small_world.clock, random=os.urandom)
    with bind("127.0.0.1", 0) as listening:
        server.run(listening, started=lambda: None)

    assert (seen, gc.get_threshold()) == ([process_module.GARBAGE_THRESHOLDS], before)
    # Python 3.12 has some of its own there from the start, and lets go of them with ours.
    assert gc.get_freeze_count() <= frozen


# --- as a process ------------------------------------------------------------------------------


@contextmanager
def served(
    *arguments: str, env: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`fotapool serve` as a process; gives it and the line it prints when it listens."""
    command = [sys.executable, "-m", "fotapool", "serve", "--port", "0", *arguments]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | (env or {}),
    )
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_one_line_hints_at_the_first_account_and_stops_cleanly(
    tmp_path: Path, number: signal.Signals
) -> None:
    db = f"sqlite:///{tmp_path / 'pool.db'}"
    with served("--db", db) as (process, line):
        url = line.split()[2]
        assert line == f"listening on {url} with {db}; Ctrl-C stops it\n"
        assert ask(url, "GET", "/readyz")[0] == 200
        process.send_signal(number)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out) == (0, "")
    assert f"fotapool admin account create 0000123456-00001 --licenses 1000 --db {db}" in err
    assert "Traceback" not in err


def test_stopping_waits_for_what_is_under_way(file_login: Login) -> None:
    login = file_login
    with ThreadPoolExecutor(1) as pool:
        with login.world.serving() as url:
            stuck = Stuck(login.world)
            waiting = pool.submit(ask, url, "POST", ASSIGN, assign_body(A), login.headers)
            while len(login.world.store._group._waiting) < 1:
                time.sleep(0.01)
            threading.Timer(0.5, stuck.release.set).start()
        assert waiting.result(20)[0] == 200


def test_a_write_still_waiting_when_the_grace_is_over_is_told_to_be_unknown(
    file_login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It goes on by itself: whoever asks again finds out."""
    login = file_login
    monkeypatch.setattr(process_module, "GRACE_S", 0.3)
    with ThreadPoolExecutor(1) as pool:
        with login.world.serving() as url:
            stuck = Stuck(login.world)
            waiting = pool.submit(ask, url, "POST", ASSIGN, assign_body(A), login.headers)
            while len(login.world.store._group._waiting) < 1:
                time.sleep(0.01)
        status, headers, told = waiting.result(20)
        stuck.release.set()
        stuck.job.result(20)
    assert (status, json.loads(told)["errorCode"]) == (503, "OUTCOME_UNKNOWN")
    assert headers["x-request-id"]
    assert "retry-after" not in headers
    done = login.world.store.write(lambda tx: tx.account(1)).result(20)
    assert (done.sequence, done.totals.used) == (3, 1)


def test_a_body_still_arriving_when_the_grace_is_over_is_told_that_nothing_was_done(
    file_login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "GRACE_S", 0.3)
    head = f"POST {ASSIGN} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n".encode()
    with ExitStack() as stack:
        with file_login.world.serving() as url:
            connection = stack.enter_context(raw(url))
            connection.sendall(head + b"{")
            time.sleep(0.2)
        answer = read_all(connection)

    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"SERVICE_UNAVAILABLE" in answer
    assert b"x-request-id" in answer


def test_a_second_server_on_one_file_is_refused_in_one_line(tmp_path: Path) -> None:
    db = f"sqlite:///{tmp_path / 'pool.db'}"
    with served("--db", db):
        second = subprocess.run(
            [sys.executable, "-m", "fotapool", "serve", "--port", "0", "--db", db],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert second.returncode == 3
    assert (
        second.stderr
        == f"fotapool: {tmp_path / 'pool.db'} is served by another process already; stop it, or serve another file\n"
    )


def test_listening_beyond_loopback_without_tls_warns_once(tmp_path: Path) -> None:
    with served("--db", f"sqlite:///{tmp_path / 'pool.db'}", "--host", "0.0.0.0") as (
        process,
        line,
    ):
        process.terminate()
        _, err = process.communicate(timeout=20)

    assert line.startswith("listening on http://127.0.0.1:")
    assert err.count("warning: 0.0.0.0 can be reached from other machines") == 1


def test_logs_as_json_on_stderr_and_one_object_on_stdout(tmp_path: Path) -> None:
    with served("--db", f"sqlite:///{tmp_path / 'pool.db'}", "--json", "--log-format", "json") as (
        process,
        first,
    ):
        rest = first
        assert process.stdout is not None
        while not rest.rstrip().endswith("}"):
            rest += process.stdout.readline()
        told = json.loads(rest)
        ask(told["url"], "GET", "/healthz")
        process.terminate()
        out, err = process.communicate(timeout=20)

    assert out == ""
    assert [json.loads(line)["path"] for line in err.splitlines() if line.startswith("{")] == [
        "/healthz"
    ]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    path = tmp_path / "server.pem"
    made = subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            path.with_suffix(".key"),
            "-out",
            path,
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl is not on this machine")
    return path


def test_tls(tmp_path: Path, certificate: Path) -> None:
    options = [
        "--db",
        f"sqlite:///{tmp_path / 'pool.db'}",
        "--ssl-certfile",
        str(certificate),
        "--ssl-keyfile",
        str(certificate.with_suffix(".key")),
    ]
    with served(*options) as (_, line):
        port = int(line.split()[2].rpartition(":")[2])
        connection = http.client.HTTPSConnection(
            "localhost", port, context=ssl.create_default_context(cafile=certificate)
        )
        connection.request("GET", "/healthz")
        assert (line.split()[2].startswith("https://"), connection.getresponse().status) == (
            True,
            200,
        )
        connection.close()


def test_a_certificate_that_will_not_do_is_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "missing.pem"):
        command = [
            sys.executable,
            "-m",
            "fotapool",
            "serve",
            "--port",
            "0",
            "--db",
            f"sqlite:///{tmp_path / 'pool.db'}",
            "--ssl-certfile",
            str(path),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert done.stderr.startswith(f"fotapool: TLS certificate {path} or its key cannot be used")


def test_a_busy_port_is_one_line_and_the_next_one_where_asked(small_world: World) -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CannotListen,
            match=f"cannot listen on 127.0.0.1 port {port}: Address already in use",
        ):
            bind("127.0.0.1", port)
        with bind("127.0.0.1", port, tries=20) as other:
            assert other.getsockname()[1] > port
    for host in ("192.0.2.1", "nowhere.invalid", "a..b", "x" * 80):
        with pytest.raises(CannotListen, match=f"cannot listen on {host} port 0"):
            bind(host, 0)


def test_one_store_is_not_served_twice(tmp_path: Path, small_world: World) -> None:
    store = SqliteStore(tmp_path / "pool.db", clock=small_world.clock)
    servers = [
        Server(store, Settings(), clock=small_world.clock, random=os.urandom) for _ in range(2)
    ]
    with (
        bind("127.0.0.1", 0) as first,
        bind("127.0.0.1", 0) as second,
        servers[0].running(first),
        pytest.raises(StoreUnusable, match="served by another"),
        servers[1].running(second),
    ):
        pass
    store.close()


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("example.com", False),
    ],
)
def test_loopback(host: str, loopback: bool) -> None:
    assert Settings(host=host).loopback_only is loopback


@pytest.mark.parametrize("wrong", [{"root_path": "fota"}, {"ssl_keyfile": "x"}])
def test_settings_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Settings(**wrong)
