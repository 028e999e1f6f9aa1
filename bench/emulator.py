"""What does a test pay for the emulator, and what for the mocks that people use today?

Start of the fixture (a new process, imports included, and each further one), reset at 10,000
devices, one call in process. Then the start of a whole process to its first answer, ours beside
moto's server and Prism in turn, and moto in process beside the fixture. moto is installed into a
throw-away venv and Prism into a throw-away folder, by pip and npm as they are set up here; what
cannot be had is skipped, by name.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.report import Row, interleave, options
from fotapool.server.docs import load_description
from fotapool.server.process import bind
from fotapool.testing import Account, Emulator, Scenario, emulated

LARGE = Scenario(accounts=(Account(licenses=10_000, devices=10_000, licensed=5_000),))
CALLS = 500
RESETS = 50
INSTALL_TIMEOUT_S = 600.0
START_TIMEOUT_S = 60.0

FIXTURE = """
import time
began = time.perf_counter()
from fotapool.testing import emulated
with emulated() as fota:
    fota.client.licenses.status(fota.account)
    print(time.perf_counter() - began)
"""
MOTO = """
import time
began = time.perf_counter()
import boto3, moto
with moto.mock_aws():
    boto3.client("sqs", region_name="us-east-1").list_queues()
    print(time.perf_counter() - began)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A command that listens on a port, and a path it answers."""

    name: str
    command: Callable[[int], Sequence[str]]
    path: str


def in_new_process(python: str, program: str) -> float:
    """The seconds that a program tells of itself."""
    done = subprocess.run(
        [python, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    )
    return float(done.stdout)


@contextmanager
def running(server: Server) -> Iterator[tuple[int, int]]:
    """The server's process and its port, from its first answer on, whatever its status."""
    with bind("127.0.0.1", 0) as free:
        port = int(free.getsockname()[1])
    began_s = time.perf_counter()
    process = subprocess.Popen(
        server.command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        while not answers(f"http://127.0.0.1:{port}{server.path}"):
            if time.perf_counter() - began_s > START_TIMEOUT_S or process.poll() is not None:
                raise RuntimeError(f"{server.name} did not start")
            time.sleep(0.002)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()


def first_answer_s(server: Server) -> float:
    """From the start of a process to its first answer."""
    began_s = time.perf_counter()
    with running(server):
        return time.perf_counter() - began_s


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return True
    except OSError:
        return False


# --- one line each -----------------------------------------------------------------------------


def told(name: str, seconds: Sequence[float], aim_ms: float, remark: str = "") -> str:
    """A cost in milliseconds beside its aim."""
    ms = [second * 1000 for second in seconds]
    spread = f"{min(ms):.2f}-{max(ms):.2f}"
    return (
        f"{name:<58} {statistics.median(ms):7.2f} ms  ({spread}, {len(ms)} rounds)   "
        f"aim {aim_ms:g} ms   {remark}"
    ).rstrip()


def further_start_s() -> float:
    began_s = time.perf_counter()
    with emulated() as fota:
        fota.client.licenses.status(fota.account)
        return time.perf_counter() - began_s


def reset_s(emulator: Emulator) -> float:
    """One reset, after a change of every device."""
    seconds = 0.0
    for _ in range(RESETS):
        emulator.client.licenses.assign(emulator.account, emulator.devices[:1])
        began_s = time.perf_counter()
        emulator.reset()
        seconds += time.perf_counter() - began_s
    return seconds / RESETS


def call_s(emulator: Emulator) -> float:
    """One call of the client, half of them writes."""
    licenses = emulator.client.licenses
    began_s = time.perf_counter()
    for at in range(CALLS // 2):
        licenses.assign(emulator.account, [emulator.devices[at]])
        licenses.summarize_fota_licenses_assignment(emulator.account, emulator.devices[-1])
    seconds = (time.perf_counter() - began_s) / CALLS
    emulator.reset()
    return seconds


# --- the others --------------------------------------------------------------------------------


@contextmanager
def moto() -> Iterator[Path | None]:
    """The Python of a venv with moto, or nothing."""
    with tempfile.TemporaryDirectory(prefix="bench-moto-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "-q", "moto[server,sqs]"]
        yield python if installed("moto", install) else None


def moto_server(python: Path | None) -> Server | None:
    if python is None:
        return None
    program = str(python.with_name("moto_server"))
    return Server("moto", lambda port: [program, "-p", str(port)], "/moto-api/data.json")


def prism_server(command: Path | None, description: str) -> Server | None:
    if command is None:
        return None
    start = [str(command), "mock", description, "-p"]
    return Server("Prism", lambda port: [*start, str(port)], "/healthz")


@contextmanager
def prism() -> Iterator[Path | None]:
    """Prism's command, or nothing."""
    with tempfile.TemporaryDirectory(prefix="bench-prism-") as folder:
        npm = shutil.which("npm")
        install = [npm or "npm", "install", "--silent", "--prefix", folder, "@stoplight/prism-cli"]
        command = Path(folder) / "node_modules" / ".bin" / "prism"
        yield command if npm and installed("Prism", install) else None


def installed(name: str, command: Sequence[str]) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(command, capture_output=True, check=False, timeout=INSTALL_TIMEOUT_S)
        return done.returncode == 0
    print(f"{name}: could not be installed", file=sys.stderr)
    return False


def beside(ours: Server, other: Server | None, name: str, rounds: int, bar: float) -> None:
    """Print our start beside another's, in turn."""
    if other is None:
        print(f"SKIPPED: {name} is not here and could not be installed")
        return
    first_answer_s(other)  # its files are read once, as ours are
    our_s, their_s = interleave(rounds, *(partial(started, server) for server in (ours, other)))
    ratios = [mine / theirs for mine, theirs in zip(our_s, their_s, strict=True)]
    remark = f"{statistics.median(our_s):.2f} s, {name} {statistics.median(their_s):.2f} s"
    print(Row(f"process to first answer: emulate / {name}", ratios, bar, bar / 2, True, remark))


def started(server: Server, _round: int) -> float:
    return first_answer_s(server)


def fixture_beside_moto(python: Path, rounds: int) -> None:
    our_s, their_s = interleave(
        rounds,
        lambda _: in_new_process(sys.executable, FIXTURE),
        lambda _: in_new_process(str(python), MOTO),
    )
    ratios = [mine / theirs for mine, theirs in zip(our_s, their_s, strict=True)]
    remark = f"{statistics.median(our_s):.2f} s, moto {statistics.median(their_s):.2f} s"
    print(Row("in process to first answer: fota / moto", ratios, 0.5, 0.25, True, remark))


def measure_ours(rounds: int) -> None:
    starts = [in_new_process(sys.executable, FIXTURE) for _ in range(rounds)]
    print(told("fixture and first call in a new process, imports too", starts, 250))
    further_start_s()
    further = [further_start_s() for _ in range(rounds)]
    print(told("each further fixture and first call", further, 100))
    with Emulator(LARGE) as emulator:
        call_s(emulator)
        print(told("reset at 10,000 devices", [reset_s(emulator) for _ in range(rounds)], 10))
        print(told("call in process, half assigns", [call_s(emulator) for _ in range(rounds)], 0.5))


def main() -> None:
    chosen = options(__doc__ or "")
    rounds: int = 1 if chosen.quick else chosen.rounds
    measure_ours(rounds)
    if chosen.quick:
        print("SKIPPED: moto and Prism, for --quick installs nothing")
        return
    fotapool = str(Path(sys.executable).with_name("fotapool"))
    ours = Server("emulate", lambda port: [fotapool, "emulate", "--port", str(port)], "/healthz")
    first_answer_s(ours)
    with moto() as python:
        beside(ours, moto_server(python), "moto server", rounds, 1.0)
        if python:
            fixture_beside_moto(python, rounds)
    with prism() as command, tempfile.NamedTemporaryFile("w", suffix=".json") as description:
        json.dump(load_description(), description)
        description.flush()
        beside(ours, prism_server(command, description.name), "Prism", rounds, 0.3)


if __name__ == "__main__":
    main()
