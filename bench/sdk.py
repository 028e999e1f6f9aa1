"""What does our SDK cost beside the official one, and beside bare aiohttp?

A page of 1000 devices decoded; the whole call, against a process that sends the same bytes to
both; eight calls in flight; what a program waits for before its first answer; `--help`.

python -m bench.sdk [--quick] [--rounds N]
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial

import aiohttp
import msgspec

from bench.report import Row, interleave, options, rate
from bench.site import ACCOUNT, FIRST
from bench.static import answering
from fotapool import AsyncClient, Client, LicensedDevice
from fotapool.client.documented_calls import devices_of_page
from fotapool.wire import v3

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from bench import official

DEVICES = 1000
IN_FLIGHT = 8
HEADERS = {"Authorization": "Bearer b", "VZ-M2M-Token": "s", "Accept": "application/json"}

IMPORT = "from fotapool import Client"
OFFICIAL_IMPORT = "from verizon.verizon_client import VerizonClient"
FIRST_CALL = (
    IMPORT + "; client = Client(base_url={origin!r}, access_token='b', session_token='s')"
    "; client.licenses.status('a')"
)
OFFICIAL_FIRST_CALL = (
    "from bench import official; official.status(official.client_of({origin!r}), 'a')"
)


def page_of(moments: int) -> bytes:
    """A page as the documents print it, its licenses assigned at so many different moments."""
    devices = [
        {
            "deviceId": str(FIRST + at),
            "assignmentTime": f"2017-11-29 20:15:42.{at % moments:03d} +0000 UTC",
        }
        for at in range(DEVICES)
    ]
    totals = {"accountName": ACCOUNT, "totalLicenses": 5000, "assignedLicenses": 4319}
    following = {"hasMoreData": True, "lastSeenDeviceId": str(FIRST), "maxPageSize": DEVICES}
    return msgspec.json.encode({**totals, **following, "deviceList": devices})


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(above, below, strict=True)]


# --- a page, and a call ------------------------------------------------------------------------


def beside_official(
    name: str,
    sides: tuple[Callable[[], object], Callable[[], object]],
    *,
    rounds: int,
    count: int,
    bar: float,
    aim: float,
) -> Row:
    """The official SDK's time for a thing over ours; `sides` are ours and theirs."""
    for side in sides:
        side()
    our_s, their_s = interleave(rounds, *(partial(repeated, side, count) for side in sides))
    mine, other = (statistics.median(seconds) / count * 1000 for seconds in (our_s, their_s))
    remark = f"{mine:.3f} ms, the official one {other:.2f} ms"
    return Row(name, ratios(their_s, our_s), bar, aim, lower=False, remark=remark)


def repeated(work: Callable[[], object], count: int, _round: int) -> float:
    """The seconds of so many repetitions."""
    began_s = time.perf_counter()
    for _ in range(count):
        work()
    return time.perf_counter() - began_s


def devices_of(body: bytes) -> tuple[LicensedDevice, ...]:
    """As `client.licenses.devices` reads a page: every moment too."""
    return tuple(devices_of_page(v3.read_page(body)))


def decoding(rounds: int, count: int) -> Iterator[Row]:
    """The official SDK leaves moments as texts, and so does our documented verb."""
    for name, read, moments, bar, aim in (
        ("decode a page of 1000: official / ours", v3.read_page, 1, 20, 40),
        ("... every moment read too", devices_of, 1, 8, 14),
        ("... 1000 different moments", devices_of, DEVICES, 2, 4),
    ):
        body = page_of(moments)
        sides = partial(read, body), partial(official.decode_page, body.decode())
        yield beside_official(name, sides, rounds=rounds, count=count, bar=bar, aim=aim)


def calling(rounds: int, count: int, origin: str) -> Iterator[Row]:
    theirs = partial(official.status, official.client_of(origin), ACCOUNT)
    with Client(base_url=origin, access_token="b", session_token="s") as client:
        for name, verb, bar, aim in (
            ("status call of 1000: official / ours", documented(client), 8, 14),
            ("... every moment read too", client.licenses.status, 6, 10),
        ):
            sides = partial(verb, ACCOUNT), theirs
            yield beside_official(name, sides, rounds=rounds, count=count, bar=bar, aim=aim)


def documented(client: Client) -> Callable[[str], object]:
    return client.licenses.summarize_fota_licenses_assignment


# --- eight calls in flight ---------------------------------------------------------------------


async def in_flight(call: Callable[[], Awaitable[object]], count: int) -> float:
    """The seconds of so many calls, eight at a time."""
    pending = iter(range(count))

    async def worker() -> None:
        for _ in pending:
            await call()

    began_s = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    return time.perf_counter() - began_s


async def in_turn(sides: Sequence[Callable[[], Awaitable[object]]], count: int) -> list[float]:
    """The seconds of each side, a tenth at a time: what else the machine does falls on both."""
    parts = [[await in_flight(side, count // 10) for side in sides] for _ in range(10)]
    return [sum(part) for part in zip(*parts, strict=True)]


async def beside_aiohttp(rounds: int, count: int, origin: str) -> Row:
    """Both read the whole body, and both decode it by `wire.v3.read_page`."""
    url = f"{origin}/api/fota/v3/licenses/{ACCOUNT}"
    jar = aiohttp.DummyCookieJar()
    async with (
        aiohttp.ClientSession(headers=HEADERS, cookie_jar=jar) as session,
        AsyncClient(base_url=origin, access_token="b", session_token="s") as client,
    ):

        async def bare() -> object:
            async with session.get(url) as answer:
                return v3.read_page(await answer.read())

        sides = partial(client.licenses.summarize_fota_licenses_assignment, ACCOUNT), bare
        for side in sides:
            await in_flight(side, IN_FLIGHT)
        seconds = [await in_turn(sides, count) for _ in range(rounds)]
    ours, theirs = zip(*seconds, strict=True)
    remark = f"{rate(count, ours)} against {rate(count, theirs)}"
    name = "AsyncClient, 8 calls in flight / bare aiohttp"
    return Row(name, ratios(theirs, ours), 0.7, 0.9, lower=False, remark=remark)


# --- new processes -----------------------------------------------------------------------------


def process_s(program: Sequence[str], _round: int) -> float:
    """A whole process of Python, from its start to its end."""
    # What is installed is compiled once: the first process of a kind keeps what it compiled.
    settings = {"PYTHONWARNINGS": "ignore", "PYTHONDONTWRITEBYTECODE": ""}
    began_s = time.perf_counter()
    subprocess.run(
        [sys.executable, *program],
        stdout=subprocess.DEVNULL,
        check=True,
        env={**os.environ, **settings},
    )
    return time.perf_counter() - began_s


def starting(rounds: int, ours: str, theirs: str) -> tuple[list[float], str]:
    """Our program over theirs, each less what a program of nothing takes; and the words for it."""
    programs = [("-c", program) for program in (ours, theirs, "")]
    for program in programs:
        process_s(program, 0)
    our_s, their_s, bare_s = interleave(rounds, *(partial(process_s, each) for each in programs))
    mine, other = (
        [taken - bare for taken, bare in zip(seconds, bare_s, strict=True)]
        for seconds in (our_s, their_s)
    )
    told = [f"{statistics.median(seconds) * 1000:.0f} ms" for seconds in (mine, other, bare_s)]
    return ratios(mine, other), f"{told[0]}, the official one {told[1]}; {told[2]} taken off each"


def helping(rounds: int) -> Row:
    """In seconds, no ratio: how long a person waits."""
    command, nothing = ("-m", "fotapool", "--help"), ("-c", "")
    process_s(command, 0)
    our_s, bare_s = interleave(rounds, partial(process_s, command), partial(process_s, nothing))
    remark = f"of it the interpreter {statistics.median(bare_s):.3f} s"
    return Row("seconds of `fotapool --help`", our_s, 0.2, 0.1, lower=True, remark=remark)


def main() -> None:
    chosen = options(__doc__ or "")
    rounds, count = (1, 5) if chosen.quick else (chosen.rounds, 100)
    for row in decoding(rounds, count):
        print(row, flush=True)
    with answering(page_of(1)) as origin:
        for row in calling(rounds, count, origin):
            print(row, flush=True)
        print(asyncio.run(beside_aiohttp(rounds, 10 * count, origin)), flush=True)
        calls = FIRST_CALL.format(origin=origin), OFFICIAL_FIRST_CALL.format(origin=origin)
        called, call_remark = starting(rounds, *calls)
    imported, remark = starting(rounds, IMPORT, OFFICIAL_IMPORT)
    print(Row("import: ours / the official one", imported, 0.4, 0.25, lower=True, remark=remark))
    print(f"... and a first call: {statistics.median(called):.2f}, no bar   {call_remark}")
    print(helping(rounds), flush=True)


if __name__ == "__main__":
    main()
