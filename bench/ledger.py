"""What does remembering cost: the ledger's rows, a removal's interval, the disk, a proof?

python -m bench.ledger [--quick] [--rounds N]
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import fotapool.ledger as ledger_module
from bench.assign import LIST, blocks
from bench.report import Row, interleave, options
from bench.site import FIRST, clock, folder, make_site
from fotapool.ledger import Ledger
from fotapool.ledger.verify import verify
from fotapool.model import AccountKey, Change, Command, DeviceList, IdempotencyKey, Verb
from fotapool.store import SqliteStore
from fotapool.store.tx import StoredTx


@contextmanager
def nothing_remembered() -> Iterator[None]:
    """The same writes without a ledger: no row, no packed devices, no hash."""

    def unsealed(change: Change, _previous: bytes) -> Change:
        return change

    with (
        mock.patch.object(ledger_module, "seal", unsealed),
        mock.patch.object(DeviceList, "pack", return_value=b""),
        mock.patch.object(StoredTx, "append", return_value=None),
    ):
        yield


class Pool:
    """One account on a file of its own, asked directly: what is measured is ledger and store."""

    def __init__(self, path: Path, registered: int) -> None:
        make_site(path, licensed=0, registered=registered)
        self.path = path
        self.store = SqliteStore(path, clock=clock)
        self.ledger = Ledger(self.store, clock)
        (self.account,) = self.store.read(lambda snapshot: snapshot.accounts())
        self.next = FIRST

    def lists(self, count: int, size: int) -> list[list[int]]:
        taken = blocks(self.next, count, size)
        self.next += count * size
        return taken

    def carry_out(
        self, verb: Verb, lists: Sequence[Sequence[int]], *, keyed: bool = False
    ) -> float:
        """Seconds for these lists, one after another, each durable."""
        commands = [_command(self.account, verb, imeis, keyed=keyed) for imeis in lists]
        before = time.perf_counter()
        for command in commands:
            self.ledger.submit(command).result()
        return time.perf_counter() - before

    def close(self) -> int:
        """Let go of the file; gives its bytes."""
        self.store.close()
        return self.path.stat().st_size


def _command(account: AccountKey, verb: Verb, imeis: Sequence[int], *, keyed: bool) -> Command:
    key = IdempotencyKey(os.urandom(16).hex(), os.urandom(16)) if keyed else None
    return Command(account, verb, DeviceList.of(imeis), "fleet", os.urandom(16), key=key)


def with_and_without(place: Path, *, rounds: int, count: int) -> Row:
    registered = (rounds + 1) * count * LIST
    ours, bare = (Pool(place / f"{name}.db", registered) for name in ("with", "without"))

    def assign(pool: Pool) -> float:
        return pool.carry_out(Verb.ASSIGN, pool.lists(count, LIST))

    def assign_bare(_number: int) -> float:
        with nothing_remembered():
            return assign(bare)

    assign(ours)
    assign_bare(0)
    with_s, without_s = interleave(rounds, lambda _: assign(ours), assign_bare)
    ours.close()
    bare.close()
    ratios = [a / b for a, b in zip(with_s, without_s, strict=True)]
    return Row("assign 1000: with the ledger / without", ratios, 1.3, 1.16, lower=True, remark="")


def removal(place: Path, *, rounds: int, count: int) -> Row:
    pool = Pool(place / "removal.db", (rounds + 1) * count * LIST)
    ratios = []
    for number in range(rounds + 1):
        lists = pool.lists(count, LIST)
        assign_s = pool.carry_out(Verb.ASSIGN, lists)
        ratio = pool.carry_out(Verb.REMOVE, lists) / assign_s
        ratios += [ratio] if number else []  # the first warms up
    pool.close()
    return Row(
        "remove 1000, its interval kept / assign 1000", ratios, 2.5, 1.9, lower=True, remark=""
    )


def disk(place: Path, size: int, verdicts: int, *, keyed: bool, bar: float, aim: float) -> Row:
    """Bytes on disk for one verdict: what a file with a ledger has more than one without."""
    sizes = []
    for remembered in (True, False):
        pool = Pool(place / f"disk-{remembered}.db", verdicts)
        lists = pool.lists(verdicts // size, size)
        if remembered:
            pool.carry_out(Verb.ASSIGN, lists, keyed=keyed)
        else:
            with nothing_remembered():
                pool.carry_out(Verb.ASSIGN, lists)
        sizes.append(pool.close())
        pool.path.unlink()
    per_verdict = (sizes[0] - sizes[1]) / verdicts
    name = f"disk bytes a verdict, lists of {size:,}{', with its key' if keyed else ''}"
    return Row(name, [per_verdict], bar, aim, lower=True, remark="")


def proof(place: Path, *, lists: int, singles: int) -> str:
    """How fast a ledger is proven."""
    pool = Pool(place / "proof.db", lists * LIST + singles)
    made = pool.lists(lists, LIST)
    pool.carry_out(Verb.ASSIGN, made)
    pool.carry_out(Verb.REMOVE, made[: lists // 2])
    pool.carry_out(Verb.ASSIGN, pool.lists(singles, 1))
    before = time.perf_counter()
    report = pool.store.read(lambda snapshot: verify(snapshot, pool.account))
    seconds = time.perf_counter() - before
    pool.close()
    if report.findings and report.findings[0].sequence > 1:
        raise RuntimeError(f"not sound: {report.findings[0]}")
    return (
        f"verify: {report.changes / seconds:,.0f} changes and {report.verdicts / seconds:,.0f} "
        f"verdicts a second ({report.changes:,} changes, {report.verdicts:,} verdicts)"
    )


def main() -> None:
    chosen = options(__doc__ or "")
    quick: bool = chosen.quick
    rounds, count = (1, 4) if quick else (chosen.rounds, 40)
    verdicts = 2_000 if quick else 200_000
    with folder() as place:
        print(with_and_without(place, rounds=rounds, count=count), flush=True)
        print(removal(place, rounds=rounds, count=count), flush=True)
        for size, keyed, bar, aim in (
            (1000, False, 40, 10),
            (100, False, 40, 11),
            (10, False, 40, 28),
            (1, False, 120, 100),
            (1, True, 220, 184),
        ):
            few = verdicts if size > 1 else verdicts // 10
            print(disk(place, size, few, keyed=keyed, bar=bar, aim=aim), flush=True)
        print(
            proof(place, lists=10 if quick else 1000, singles=20 if quick else 20_000), flush=True
        )


if __name__ == "__main__":
    main()
