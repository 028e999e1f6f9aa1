"""A disk that is full or fails under load: 503, nothing half done, and on without a restart."""

from __future__ import annotations

import asyncio
import os
import platform
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from databases import Database
from linear import Asked, Write
from recorded import AGAIN_S, Client, Recorded, begin, prove, run_together

SOAK = bool(os.environ.get("FOTAPOOL_SOAK"))
TIMES = 20 if SOAK else 3
"""How often the disk fails and is mended."""
CLIENTS = 8
POOLS = {"first": 4000, "second": 4000}
DEVICES = 6000
SMALL, LARGE = 3, 2000
UNNOTICED_MAX = 1000
"""Far more writes than fit into what little room is left."""

Trouble = Callable[[], AbstractContextManager[None]]


@dataclass
class Strain:
    """Clients that write and read while the disk fails and is mended, several times over.

    Odd clients write small lists alone. Every write is asked again under its key until it is done.
    """

    accounts: Sequence[Recorded]
    trouble: Trouble
    over: bool = False

    async def bring(self, client: Client) -> None:
        """Trouble after trouble, each once what must be seen of the one before has been."""
        async with client:
            for _ in range(TIMES):
                await until(self._goes_on)
                with self.trouble():
                    await until(self._is_felt)
                await until(self._goes_on)
                while not await client.is_ready():  # noqa: ASYNC110 -- another process says it
                    await asyncio.sleep(AGAIN_S)
        self.over = True

    async def write(self, client: Client, largest: int) -> None:
        chance, number = client.chance, 0
        async with client:
            while not self.over:
                number += 1
                account = chance.choice(self.accounts)
                items = tuple(chance.sample(account.devices, chance.randint(1, largest)))
                asked = Asked(chance.choice(["assign", "remove"]), items)
                answer = await client.settle(account, asked, f"{client.name}-{number}")
                assert answer.status == 200, answer

    async def read(self, client: Client) -> None:
        async with client:
            while not self.over:
                await client.read_licenses(client.chance.choice(self.accounts))
                await asyncio.sleep(AGAIN_S)

    def _goes_on(self, since_ns: int) -> bool:
        return sum(write.done for write in self._writes(since_ns)) >= 30

    def _is_felt(self, since_ns: int) -> bool:
        """Refusals, and reads that go on."""
        writes = self._writes(since_ns)
        reads = [read for some in self.accounts for read in some.history.reads]
        refused = sum(write.answer is not None and write.answer.status == 503 for write in writes)
        done = len(writes) - refused
        assert done < UNNOTICED_MAX or refused, f"{done} writes were done where there is no room"
        return refused >= 10 and sum(read.began_ns > since_ns for read in reads) >= 5

    def _writes(self, since_ns: int) -> list[Write]:
        writes = (write for some in self.accounts for write in some.history.writes)
        return [write for write in writes if write.began_ns > since_ns]


async def until(seen: Callable[[int], bool]) -> None:
    """Wait for what is to be seen from now on."""
    since_ns = time.monotonic_ns()
    while not seen(since_ns):  # noqa: ASYNC110 -- what is seen is a list that grows
        await asyncio.sleep(AGAIN_S)


def endure(
    accounts: list[Recorded],
    headers: Mapping[str, str],
    ports: Mapping[int, int],
    trouble: Trouble,
) -> None:
    strain = Strain(accounts, trouble)
    writers, reader, bringer = (
        [Client(f"{name} {at}", ports, headers, random.Random(f"{name} {at}")) for at in numbers]
        for name, numbers in [("writer", range(CLIENTS)), ("reader", [0]), ("bringer", [0])]
    )
    run_together(
        [
            *(strain.write(c, SMALL if at % 2 else LARGE) for at, c in enumerate(writers)),
            strain.read(reader[0]),
            strain.bring(bringer[0]),
        ]
    )


@pytest.mark.heavy
def test_the_database_may_not_grow_in_the_middle_of_a_group(file_database: Database) -> None:
    accounts, headers = begin(file_database, POOLS, DEVICES)
    with file_database.opened() as world:

        @contextmanager
        def no_more_pages() -> Iterator[None]:
            (pages,) = world.sqlite._writer.execute("PRAGMA page_count").fetchone()
            (most,) = world.sqlite._writer.execute("PRAGMA max_page_count").fetchone()
            world.sqlite._writer.execute(f"PRAGMA max_page_count = {pages + 8}")
            yield
            world.sqlite._writer.execute(f"PRAGMA max_page_count = {most}")

        with world.serving() as url:
            ports = {0: int(url.rpartition(":")[2])}
            endure(accounts, headers, ports, no_more_pages)
    for account in accounts:
        prove(file_database, account)


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="limits of another process are Linux")
def test_writing_fails_with_an_error_of_the_system(file_database: Database, tmp_path: Path) -> None:
    """A file that may not grow: SQLite calls it an I/O error, not a full disk."""
    accounts, headers = begin(file_database, POOLS, DEVICES)
    with file_database.served() as servers:
        process = servers.processes[0]

        @contextmanager
        def no_larger_files() -> Iterator[None]:
            largest = max(file.stat().st_size for file in tmp_path.iterdir())
            before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + 65_536, before[1]))
            yield
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)

        endure(accounts, headers, servers.ports, no_larger_files)
        assert process.poll() is None
    for account in accounts:
        prove(file_database, account)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 MiB in memory."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=64m", "none", str(folder)]
    mounted = subprocess.run(mounting, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs the right to: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform != "linux", reason="mounting a small disk is Linux")
def test_the_disk_is_full(small_disk: Path) -> None:
    database = Database(f"sqlite:///{small_disk / 'pool.db'}", servers=1)
    accounts, headers = begin(database, POOLS, DEVICES)
    ballast = small_disk / "ballast"

    @contextmanager
    def no_room() -> Iterator[None]:
        with suppress(OSError), ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        yield
        ballast.unlink()

    with database.served() as servers:
        process = servers.processes[0]
        endure(accounts, headers, servers.ports, no_room)
        assert process.poll() is None
    for account in accounts:
        prove(database, account)


FAILED_SYNC = """
import ctypes, os, signal, struct, sys, time
from pathlib import Path
from databases import Database
from fotapool.model import AccountKey, Verb

FSYNC, FDATASYNC, EIO = 74, 75, 5

def fail_to_sync(_tx):
    # From here on the kernel answers this thread's fsync and fdatasync with EIO.
    def step(code, if_so, if_not, value):
        return struct.pack("HBBI", code, if_so, if_not, value)
    steps = [
        step(0x20, 0, 0, 0), step(0x15, 2, 0, FSYNC), step(0x15, 1, 0, FDATASYNC),
        step(0x06, 0, 0, 0x7FFF0000), step(0x06, 0, 0, 0x00050000 | EIO),
    ]
    kept = ctypes.create_string_buffer(b"".join(steps))
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]
    program = Program(len(steps), ctypes.addressof(kept))
    kernel = ctypes.CDLL(None, use_errno=True)
    assert kernel.prctl(38, 1, 0, 0, 0) == 0
    assert kernel.prctl(22, 2, ctypes.byref(program), 0, 0) == 0

with Database(sys.argv[1], servers=1).opened() as world:
    world.store.probe()  # the log has begun, and is synced
    world.store.write(fail_to_sync).exception(10)
    command = world.command(AccountKey(1, "first"), Verb.ASSIGN, [sys.argv[2]])
    print(world.ledger.submit(command).exception(10), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"), reason="system calls by number"
)
def test_a_commit_that_could_not_be_synced_is_not_told_as_undone(file_database: Database) -> None:
    """Its frames are whole in the log, so that a kill brings it back."""
    accounts, _ = begin(file_database, POOLS, DEVICES)
    account = accounts[0]
    command = [sys.executable, "-c", FAILED_SYNC, file_database.url, account.devices[0]]
    beside = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    said = subprocess.run(command, capture_output=True, text=True, check=False, env=beside).stdout

    with file_database.opened() as world:
        row = world.store.read(lambda snapshot: snapshot.account(account.key.id))
    assert row.sequence == account.pool.last.sequence or "nothing was done" not in said
    assert said == "the database could not be synced to the disk\n"
