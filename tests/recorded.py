"""Clients that write down all they ask and are told, and the proof that one order explains it."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from databases import Database
from fotapool.ledger.verify import verify
from fotapool.model import AccountKey, Outcome, Verb
from fotapool.model import Change as KeptChange
from fotapool.store import opened_reader
from linear import UNKNOWN, Answer, Asked, Change, Counts, History, Read, Write, check
from model import Pool
from world import World, imeis

AGAIN_S = 0.02
"""How long a client waits before it asks again. What Retry-After says would be long for a test."""

OWN, V3 = "/api/fotapool/v1/accounts", "/api/fota/v3/licenses"
LISTINGS = ("replace", "append", "clear")
STEPS = ("schedule", "start", "finish", "fail", "cancel")
BELOW = {
    **{verb: f"candidates/{verb}" for verb in LISTINGS},
    **{verb: f"upgrades/{verb}" for verb in STEPS},
}
OUTCOMES = {
    "assign": {
        "Success": "assigned",
        "Device license preexisting": "already_licensed",
        "Device does not exist.": "unknown_device",
        "No available license": "no_free_license",
        "Invalid Device IMEI.": "malformed",
    },
    "remove": {
        "Success": "removed",
        "No license attached to device": "not_licensed",
        "Upgrade in progress.": "upgrade_running",
        "License removal not allowed for devices that have ever upgraded firmware.": "upgraded",
        "Invalid Device IMEI.": "malformed",
    },
}
"""What the documented texts mean."""


@dataclass
class Recorded:
    """An account, the model of its pool as recording began, and what was recorded since."""

    key: AccountKey
    devices: list[str]
    pool: Pool
    history: History = field(default_factory=History)

    @property
    def name(self) -> str:
        return self.key.name


def add_recorded(world: World, name: str, *, licenses: int, devices: Sequence[int]) -> Recorded:
    key = world.add_account(name, licenses=licenses, devices=devices)
    pool = Pool(licenses, now_ms=0, remembers=False)
    texts = [f"{imei:015d}" for imei in devices]
    pool.carry_out("register", texts)
    return Recorded(key, texts, pool)


def begin(
    database: Database, pools: Mapping[str, int], devices: int
) -> tuple[list[Recorded], dict[str, str]]:
    """Accounts by their licenses, all with so many devices; headers of who may write them."""
    with database.opened() as world:
        accounts = [
            add_recorded(world, name, licenses=licenses, devices=imeis(devices))
            for name, licenses in pools.items()
        ]
        return accounts, world.add_login(*pools).headers


# --- asking --------------------------------------------------------------------------------------


class Lost(Exception):
    """The connection died, and whether the request was carried out is not known."""


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as it came; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass
class Client:
    """One client on one connection at a time, to any of the `ports` that listen now."""

    name: str
    ports: Mapping[int, int]
    headers: Mapping[str, str]
    chance: random.Random
    _open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    # --- what it may ask, recorded ------------------------------------------------------------

    async def write(
        self,
        account: Recorded,
        asked: Asked,
        *,
        key: str = "",
        if_sequence: int | None = None,
        documented: bool = False,
        hang_up: bool = False,
    ) -> Answer | None:
        """A write; None where no answer came. With `hang_up` it does not wait for one."""
        base, name = (V3, "deviceList") if documented else (OWN, "imeis")
        path = f"{base}/{account.name}/{BELOW.get(asked.verb, asked.verb)}"
        bodies = {"resize": {"total": asked.number}, "undo": {"change": asked.number}, "clear": {}}
        body = bodies.get(asked.verb, {name: list(asked.items)})
        more = {"Idempotency-Key": key} if key else {}
        more |= {} if if_sequence is None else {"If-Match": f'"{if_sequence}"'}
        await self._connect()
        began_ns, answer = time.monotonic_ns(), None
        try:
            told = await self._exchange("POST", path, json.dumps(body), more, hang_up=hang_up)
            answer = _read_answer(asked, told, documented=documented)
        except Lost:
            pass
        ended_ns = time.monotonic_ns()
        account.history.writes.append(
            Write(self.name, asked, began_ns, ended_ns, answer, key, if_sequence)
        )
        return answer

    async def settle(self, account: Recorded, asked: Asked, key: str, **how: bool) -> Answer:
        """A write under a key, asked again until it is carried out or refused for good."""
        while True:
            answer = await self.write(account, asked, key=key, **how)
            if answer is not None and answer.status != 503:
                return answer
            await asyncio.sleep(AGAIN_S)

    async def read_licenses(
        self, account: Recorded, after: str = "", *, documented: bool = False
    ) -> None:
        """A page of licensed devices; only the documented page begins after any device."""
        if documented:
            query = f"?lastSeenDeviceId={after}" if after else ""
            await self._read(account, "licenses", f"{V3}/{account.name}{query}", after)
        else:
            await self._read(account, "licenses", f"{OWN}/{account.name}/status", "")

    async def read_candidates(self, account: Recorded) -> None:
        await self._read(account, "candidates", f"{OWN}/{account.name}/candidates", "")

    async def is_ready(self) -> bool:
        """What the server says of itself; nothing is recorded."""
        await self._connect()
        return (await self._exchange("GET", "/readyz")).status == 200

    async def _read(self, account: Recorded, view: str, path: str, after: str) -> None:
        await self._connect()
        began_ns = time.monotonic_ns()
        try:
            told = await self._exchange("GET", path)
        except Lost:
            return
        ended_ns = time.monotonic_ns()
        if told.status == 503:
            return
        assert told.status == 200, told
        items, more, counts = _read_page(told.body)
        sequence = int(told.headers["fotapool-sequence"])
        assert told.body.get("sequence", sequence) == sequence
        account.history.reads.append(
            Read(self.name, view, began_ns, ended_ns, sequence, items, counts, after, more)
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        if self._open is not None:
            _, out = self._open
            self._open = None
            out.close()
            with suppress(OSError):  # the other side may be dead
                await out.wait_closed()

    # --- bytes --------------------------------------------------------------------------------

    async def _connect(self) -> None:
        """Open a connection if there is none, as soon as a server listens."""
        while self._open is None:
            ports = list(self.ports.values())
            with suppress(OSError):  # killed since
                if ports:
                    port = self.chance.choice(ports)
                    self._open = await asyncio.open_connection("127.0.0.1", port)
                    return
            await asyncio.sleep(AGAIN_S)

    async def _exchange(
        self,
        method: str,
        path: str,
        body: str = "",
        more: Mapping[str, str] | None = None,
        *,
        hang_up: bool = False,
    ) -> Told:
        assert self._open is not None
        come, out = self._open
        named = {"host": "test", "content-length": str(len(body)), **self.headers, **(more or {})}
        lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in named.items())]
        try:
            out.write(("\r\n".join([*lines, "", ""]) + body).encode())
            await out.drain()
            if hang_up:
                raise ConnectionAbortedError
            return await _receive(come)
        except (OSError, asyncio.IncompleteReadError) as error:
            await self._close()
            raise Lost from error


def clients_of(
    ports: Mapping[int, int], headers: Mapping[str, str], count: int, chance: random.Random
) -> list[Client]:
    """So many clients, each with chances of its own."""
    return [
        Client(f"client {number}", ports, headers, random.Random(chance.random()))
        for number in range(count)
    ]


async def _receive(come: asyncio.StreamReader) -> Told:
    head = (await come.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): text for name, _, text in pairs}
    body = await come.readexactly(int(headers["content-length"]))
    return Told(int(head[0].split()[1]), headers, msgspec.json.decode(body))


def _read_answer(asked: Asked, told: Told, *, documented: bool) -> Answer:
    body = told.body
    if told.status != 200:
        assert told.status != 503 or "retry-after" in told.headers or body["errorCode"] == UNKNOWN
        return Answer(told.status, body["errorCode"])
    replayed = told.headers.get("idempotency-replayed") == "true"
    change, request = int(told.headers["fotapool-change"]), told.headers["x-request-id"]
    if documented:
        meaning = OUTCOMES[asked.verb]
        verdicts = tuple((d["deviceId"], meaning[d["Reason"]]) for d in body["deviceList"])
        counts = _counts(body["licTotalCount"], body["licUsedCount"])
        request = "" if replayed else request
        return Answer(200, "", change, request, verdicts, counts, replayed)
    assert (body["change"], body["verb"]) == (change, _VERBS.get(asked.verb, asked.verb))
    assert replayed or body["request"] == request
    verdicts = tuple((item["imei"], item["outcome"]) for item in body["items"])
    counts = Counts(body["total"], body["used"], body["overhang"])
    whole = "next" not in body
    return Answer(200, "", change, body["request"], verdicts, counts, replayed, whole)


_VERBS = dict.fromkeys(LISTINGS, "candidates")


def _read_page(body: Any) -> tuple[tuple[str, ...], bool, Counts | None]:
    """Devices, whether more follow, and counts; of either door."""
    if "deviceList" in body:
        items = tuple(device["deviceId"] for device in body["deviceList"])
        counts = _counts(body["totalLicense"], body["assignedLicenses"])
        return items, body["hasMoreData"], counts
    items = tuple(item["imei"] for item in body["items"])
    if "total" not in body:
        return items, "next" in body, None
    return items, "next" in body, Counts(body["total"], body["used"], body["overhang"])


def _counts(total: int, used: int) -> Counts:
    """The documented bodies show an overhang as more used than there are."""
    return Counts(total, used, max(0, used - total))


async def carry_out_beside(world: World, account: Recorded, asked: Asked) -> None:
    """A write past the servers and at the same time, as an admin command makes it."""
    verb = Verb[asked.verb.upper()]
    more = {"total": asked.number} if verb is Verb.RESIZE else {}
    command = world.command(account.key, verb, asked.items, **more)
    began_ns = time.monotonic_ns()
    made = await asyncio.wrap_future(world.ledger.submit(command))
    ended_ns = time.monotonic_ns()
    told = _change(made)
    answer = Answer(200, "", told.sequence, told.request, told.verdicts, told.counts)
    account.history.writes.append(Write("operator", asked, began_ns, ended_ns, answer))


def run_together(jobs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them all to their end; the first that fails ends all, and is raised."""

    async def together() -> None:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)

    asyncio.run(together())


# --- the proof -----------------------------------------------------------------------------------


def prove(database: Database, account: Recorded) -> list[Change]:
    """One order explains every answer, and rows, counters and ledger are one; the changes."""
    first, pool = account.pool.last.sequence, account.pool
    with opened_reader(database.url) as reader:
        report = reader.read(lambda snapshot: verify(snapshot, account.key))
        row, rows, kept = reader.read(
            lambda snapshot: (
                snapshot.account(account.key.id),
                snapshot.licenses(account.key.id, None, None, len(account.devices) + 1),
                snapshot.changes(account.key, first, 10**6),
            )
        )
    ledger = [_change(change) for change in kept]
    wrong = check(pool, ledger, account.history)
    wrong += [f"verify: change {found.sequence}: {found.wrong.value}" for found in report.findings]
    held = [f"{license_.imei:015d}" for license_ in rows]
    if (row.totals.total, row.totals.used, held) != (pool.total, pool.used, sorted(pool.licensed)):
        wrong.append(
            f"{len(held)} rows and {row.totals}; the model has {pool.used} of {pool.total}"
        )
    assert not wrong, "\n".join([f"account {account.name}:", *wrong[:9]])
    assert report.changes == pool.last.sequence
    return ledger


def _change(kept: KeptChange) -> Change:
    items = kept.devices.items
    words = [Outcome(number).word for number in kept.outcomes]
    verdicts = tuple(zip(items, words, strict=True))
    totals = kept.totals
    counts = Counts(totals.total, totals.used, totals.overhang)
    if kept.verb is Verb.RESIZE:
        asked = Asked("resize", (), totals.total)
    elif kept.verb is Verb.UNDO:
        number = kept.detail.partition("=")[2].partition(" ")[0]
        asked = Asked("undo", (), int(number))
    elif kept.verb is Verb.CANDIDATES:
        asked = Asked(kept.detail.removeprefix("list="), tuple(items))
    else:
        asked = Asked(kept.verb.word, tuple(items))
    return Change(kept.sequence, kept.request_id.hex(), asked, verdicts, counts)
