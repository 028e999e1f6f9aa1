"""Clients on both sides of a fork: no socket, no TLS state and no held lock is shared."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from fotapool.testing import Account, Live, Scenario
from network import Authority, Service, serving_tls

SOURCE = Path(__file__).parent.parent / "src"
PATIENCE_S = 60
DEVICES = Scenario(accounts=(Account(licenses=200, devices=200),))
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

COMMON = """
import asyncio, faulthandler, multiprocessing, os, signal, sys, threading, time
from fotapool import AsyncClient, Client


def watch():
    signal.alarm(45)


faulthandler.register(signal.SIGALRM)  # whoever hangs says where
watch()
os.register_at_fork(after_in_child=watch)

CHILDREN, THREADS, CALLS = 6, 4, 15
IMEIS = [f"{at:015d}" for at in range(1000)]


def check(client, imeis):
    for imei in imeis:
        told = client.licenses.assign("0000123456-00001", [imei]).verdicts
        assert [verdict.imei for verdict in told] == [imei], (imei, told)


async def check_async(client, imeis):
    for imei in imeis:
        told = (await client.licenses.assign("0000123456-00001", [imei])).verdicts
        assert [verdict.imei for verdict in told] == [imei], (imei, told)


def in_threads(client, first, failed):
    def carry(at):
        try:
            check(client, IMEIS[first + at::THREADS][:CALLS])
        except BaseException as error:
            failed.append(repr(error))

    threads = [threading.Thread(target=carry, args=(at,)) for at in range(THREADS)]
    for thread in threads:
        thread.start()
    return threads


async def in_tasks(client, first):
    await asyncio.gather(
        *(check_async(client, IMEIS[first + at::THREADS][:CALLS]) for at in range(THREADS))
    )


def all_ended_well(pids):
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * len(pids)
"""

THREADED = """
def child(at):
    failed = []
    for thread in in_threads(client, at, failed):
        thread.join()
    assert failed == []

client, failed, pids = Client(), [], []
for at in range(CHILDREN):
    threads = in_threads(client, at, failed)
    time.sleep(0.005 * at)
    pid = os.fork()
    if pid == 0:
        child(at)
        client.close()
        (os._exit if at % 2 else sys.exit)(0)
    pids.append(pid)
    for thread in threads:
        thread.join()
all_ended_well(pids)
assert failed == [], failed
client.close()
print("done")
"""

TASKS = """
async def calls_and_close(at):
    await in_tasks(client, at)
    await client.close()

client, pids = AsyncClient(), []
loop = asyncio.new_event_loop()
running = threading.Thread(target=loop.run_forever)
running.start()
for at in range(CHILDREN):
    calls = asyncio.run_coroutine_threadsafe(in_tasks(client, at), loop)
    time.sleep(0.005 * at)
    pid = os.fork()
    if pid == 0:
        asyncio.run(calls_and_close(at))
        os._exit(0)
    pids.append(pid)
    calls.result()
all_ended_well(pids)
asyncio.run_coroutine_threadsafe(client.close(), loop).result()
loop.call_soon_threadsafe(loop.stop)
running.join()
loop.close()
print("done")
"""

POOL = """
def work(at):
    check(client, IMEIS[at::THREADS][:CALLS])
    return at

client = Client()
check(client, IMEIS[:3])
with multiprocessing.get_context("fork").Pool(3) as pool:
    found = pool.map_async(work, range(9), chunksize=1)
    check(client, IMEIS[:60])
    assert found.get() == list(range(9))
    pool.close()
    pool.join()
check(client, IMEIS[:3])
client.close()
print("done")
"""

DURING_A_LOGIN = """
client = Client()
first = threading.Thread(target=check, args=(client, IMEIS[:1]))
first.start()
time.sleep(0.3)
assert client._tokens._lock.locked()
pid = os.fork()
if pid == 0:
    check(client, IMEIS[:2])
    os._exit(0)
all_ended_well([pid])
first.join()
client.close()
print("done")
"""

DURING_A_LOGIN_ASYNC = """
client = AsyncClient()
loop = asyncio.new_event_loop()
running = threading.Thread(target=loop.run_forever)
running.start()
first = asyncio.run_coroutine_threadsafe(check_async(client, IMEIS[:1]), loop)
time.sleep(0.3)
assert client._tokens._lock.locked()
pid = os.fork()
if pid == 0:
    asyncio.run(check_async(client, IMEIS[:2]))
    os._exit(0)
all_ended_well([pid])
first.result()
asyncio.run_coroutine_threadsafe(client.close(), loop).result()
loop.call_soon_threadsafe(loop.stop)
running.join()
loop.close()
print("done")
"""

DURING_A_RETURN = """
client = Client()
check(client, IMEIS[:3])
((manager, _),) = client._transport._pooled._opened._ways.values()
((pool),) = manager.pools._container.values()
held, over = threading.Event(), threading.Event()

def hold():
    with pool.pool.mutex:
        held.set()
        over.wait()

holding = threading.Thread(target=hold)
holding.start()
held.wait()
pid = os.fork()
if pid == 0:
    check(client, IMEIS[:3])
    sys.exit(0)  # which closes what the pools hold, after taking their lock
all_ended_well([pid])
over.set()
holding.join()
client.close()
print("done")
"""

WAYS = {"threads": THREADED, "tasks": TASKS, "multiprocessing": POOL}


def run(program: str, env: dict[str, str]) -> None:
    """Fork, in a process of its own, which says nothing but that all went well."""
    warnings = ["-W", "error", "-W", "ignore::DeprecationWarning"]  # 3.12: threads and a fork
    with subprocess.Popen(
        [sys.executable, *warnings, "-c", COMMON + program],
        env={**env, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            said = process.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            where = process.communicate()[1]
            pytest.fail(f"a process of it still runs after {PATIENCE_S} s\n{where}")
    assert (*said, process.returncode) == ("done\n", "", 0)


@pytest.mark.fota(scenario=DEVICES)
@pytest.mark.parametrize("way", WAYS)
def test_answers_after_a_fork_are_ones_own(fota_live: Live, way: str) -> None:
    run(WAYS[way], fota_live.env)


@pytest.fixture
def tls_env(tmp_path: Path) -> Iterator[dict[str, str]]:
    authority = Authority(tmp_path)
    with Service(serving_tls(authority.sign("server", "127.0.0.1"))).running() as url:
        yield {
            "FOTAPOOL_BASE_URL": url,
            "FOTAPOOL_ACCESS_TOKEN": "b",
            "FOTAPOOL_SESSION_TOKEN": "s",
            "SSL_CERT_FILE": str(authority.file),
        }


@pytest.mark.parametrize("way", WAYS)
def test_a_child_does_not_speak_over_its_parents_tls(tls_env: dict[str, str], way: str) -> None:
    run(WAYS[way], tls_env)


@pytest.mark.fota(scenario=DEVICES)
def test_a_thread_that_gives_a_connection_back_holds_up_no_child(fota_live: Live) -> None:
    run(DURING_A_RETURN, fota_live.env)


@pytest.mark.parametrize("program", [DURING_A_LOGIN, DURING_A_LOGIN_ASYNC], ids=["lock", "tasks"])
@pytest.mark.fota(scenario=DEVICES)
def test_a_login_of_the_parent_holds_up_no_child(fota_live: Live, program: str) -> None:
    fota_live.faults.answer_delayed(1, operation="token")
    run(program, fota_live.env)
