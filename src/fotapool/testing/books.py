"""The real rules on a database in memory: store, ledger, logins and API, and going back."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from tempfile import TemporaryDirectory

from fotapool.api import Api, Call, Pending, Reply
from fotapool.auth import SESSION_IDLE_MS, SESSION_TOUCH_MS, Auth, Directory, Random
from fotapool.auth.secrets import digest
from fotapool.ledger import Ledger, rules
from fotapool.ledger.history import History
from fotapool.ledger.pool import Decision
from fotapool.ledger.registry import Registry
from fotapool.model import (
    Account,
    AccountKey,
    Change,
    Clock,
    Command,
    DeviceList,
    Facts,
    KeyUse,
    Outcome,
    Refused,
    Verb,
)
from fotapool.store import SqliteStore, open_sqlite
from fotapool.testing.scenario import Scenario
from fotapool.testing.seed import ACTOR, sow

IN_MEMORY = "sqlite:///:memory:"
ITEMS_MAX = 10_000

Refusals = Mapping[int, Outcome]
"""Verdicts to give to items of a list, by their place in it."""

_sown: dict[bytes, bytes] = {}
"""Images of the scenarios that this process has used: the second time costs a copy."""


class Books:
    """What the emulator keeps, and who may ask. Thread-safe.

    `url` names a database that outlives the emulator; it is filled only while it is empty. Raises
    ConfigurationError for a scenario that the rules do not allow, StoreUnusable for a file that
    will not do or that another process serves.
    """

    def __init__(self, scenario: Scenario, clock: Clock, *, url: str = IN_MEMORY) -> None:
        self.scenario = scenario
        self.clock = clock
        self.store: SqliteStore = open_sqlite(url, clock=clock)
        self.random: Random = _random_of(scenario, self.store)
        self._open = ExitStack()
        self._open.callback(self.store.close)
        self._refusals: dict[bytes, Refusals] = {}
        self.ledger: Ledger = Ledger(self.store, clock, decide=self._decide)
        self.auth: Auth = Auth(self.store, clock=clock, random=self.random)
        self.api: Api = Api(
            self.ledger,
            History(self.store, clock),
            Registry(self.store),
            self.auth,
            items_max=ITEMS_MAX,
        )
        with self._open:  # let go of all of it where this fails
            self._open.enter_context(self.store.serving())
            self._seed = self._sow()
            self._open = self._open.pop_all()

    def close(self) -> None:
        """Let go of the database."""
        self._open.close()

    def answer(self, call: Call) -> tuple[Reply, Change | None]:
        """Carry out a call; the change is what a write came to."""
        opened = self.api.open(call)
        if not isinstance(opened, Pending):
            return opened, None
        reply = opened.reply(opened.change)
        return reply, None if opened.change.exception() else opened.change.result()

    # --- going back --------------------------------------------------------------------------

    def image(self) -> bytes:
        """Everything as it stands now."""
        return self.store.image()

    def put_back(self, image: bytes) -> None:
        """Make everything what it was."""
        self.store.put_back(image)
        self.auth.forget()
        self._refusals.clear()

    def reset(self, *, to_empty: bool = False) -> None:
        """Back to the scenario, or to no account and no login at all."""
        if to_empty:
            self.put_back(self._empty())
            return
        if self._seed is None:
            self.put_back(self._empty())
            sow(self.scenario, self.store, self.ledger, self.clock())
            self._seed = self.store.image()
        self.put_back(self._seed)

    def _empty(self) -> bytes:
        """What a database of this kind is before anything is in it."""
        if self.store.path is None:
            return _image_of(IN_MEMORY, self.clock)
        with TemporaryDirectory(prefix="fota-emulator-") as folder:
            return _image_of(f"sqlite:///{folder}/empty.db", self.clock)

    def _sow(self) -> bytes | None:
        if self.store.read(lambda directory: directory.accounts()):
            return None  # a database of earlier; its scenario is sown when it is asked for
        # An image of a file is of another kind than one of memory, so only these are shared.
        key = self.scenario.key if self.store.path is None else None
        known = _sown.get(key) if key else None
        if known is not None:
            self.put_back(known)
            return known
        sow(self.scenario, self.store, self.ledger, self.clock())
        image = self.store.image()
        if key:
            _sown[key] = image
        return image

    # --- what faults do ----------------------------------------------------------------------

    def refuse(self, request_id: bytes, verdicts: Refusals) -> None:
        """Have the ledger give these verdicts to items of a request that is to come."""
        self._refusals[request_id] = {**self._refusals.get(request_id, {}), **verdicts}

    def forget_refusals(self, request_id: bytes) -> None:
        self._refusals.pop(request_id, None)

    @property
    def changed_at_ms(self) -> int:
        """When anything was last changed."""
        return self.store.read(
            lambda snapshot: max(
                (snapshot.account(key.id).changed_at_ms for key in snapshot.accounts()), default=0
            )
        )

    def find_account(self, name: str) -> AccountKey | None:
        return self.store.read(lambda directory: directory.find_account(name))

    def shrink(self, name: str, free: int) -> None:
        """Leave at most this many licenses free, by a resize of the pool."""
        key = self.find_account(name)
        if key is None:
            return
        totals = self.store.read(lambda snapshot: snapshot.account(key.id)).totals
        if totals.free <= free:
            return
        resize = Command(
            key, Verb.RESIZE, DeviceList.of([]), ACTOR, self.random(16), total=totals.used + free
        )
        # An account that pays per event has no pool to shrink.
        self.ledger.submit(resize).exception()

    def end_session(self, session: str) -> None:
        """Make a session as old as one that nobody used for too long."""
        used_at_ms = self.clock() - SESSION_IDLE_MS - SESSION_TOUCH_MS - 1

        def age(directory: Directory) -> None:
            found = directory.find_session(digest(session))
            if found is not None:
                # Touching it would not do: a use never goes back in time.
                directory.drop_session(found.hash)
                directory.add_session(replace(found, used_at_ms=used_at_ms))

        self.store.write(age).result()
        self.auth.forget()

    def revoke_token(self, bearer: str) -> None:
        """End a bearer token."""
        token = self.store.read(lambda directory: directory.find_token("hash", digest(bearer)))
        if token is not None:
            self.store.write(lambda directory: directory.drop_token(token.credential_id)).result()
        self.auth.forget()

    def _decide(
        self,
        account: Account,
        facts: Facts,
        commands: Sequence[Command],
        now_ms: int,
        uses: Mapping[str, KeyUse],
    ) -> list[Decision | rules.Replay | Refused]:
        """The rules, but items that a fault refuses never come before them."""
        asked = [_without(command, self._refusals.get(command.request_id)) for command in commands]
        decided = rules.decide(account, facts, asked, now_ms, uses)
        return [
            _with(verdict, command, self._refusals.get(command.request_id))
            for verdict, command in zip(decided, commands, strict=True)
        ]


def _random_of(scenario: Scenario, store: SqliteStore) -> Random:
    """In memory the same tokens every time; never those of an earlier process in a file."""
    if store.path is not None:
        return os.urandom
    return random.Random(scenario.key).randbytes  # noqa: S311 -- nothing to hide from anyone


def _image_of(url: str, clock: Clock) -> bytes:
    store = open_sqlite(url, clock=clock)
    try:
        return store.image()
    finally:
        store.close()


def _without(command: Command, refusals: Refusals | None) -> Command:
    if not refusals:
        return command
    kept = [item for at, item in enumerate(command.devices.items) if at not in refusals]
    return replace(command, devices=DeviceList.parse(kept))


def _with(
    verdict: Decision | rules.Replay | Refused, command: Command, refusals: Refusals | None
) -> Decision | rules.Replay | Refused:
    if not refusals or not isinstance(verdict, Decision):
        return verdict
    decided = iter(verdict.outcomes)
    outcomes = bytes(
        refusals[at] if at in refusals else next(decided) for at in range(len(command.devices))
    )
    return replace(verdict, command=command, devices=command.devices, outcomes=outcomes)
