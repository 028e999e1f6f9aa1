"""The ledger: every rule about licenses, and what it asks of a store.

Gather, decide, write: one transaction reads all it needs about a group of requests of one
account, `rules.decide` decides them in order, and what was decided is written set-based, with
one hash-chained change for each request (`chain`). Nothing here knows JSON, HTTP, SQL or the
real clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import cast

from fotapool.ledger.chain import GENESIS, seal
from fotapool.ledger.effects import write_effects
from fotapool.ledger.facts import gather
from fotapool.ledger.pool import Decision
from fotapool.ledger.resize import LICENSES_MAX
from fotapool.ledger.rules import ALONE, Replay, decide, time_of
from fotapool.ledger.store import Snapshot, Store, Tx
from fotapool.model import (
    ACCOUNT_NAME,
    Account,
    AccountKey,
    CandidatePage,
    Change,
    Clock,
    Command,
    ConfigurationError,
    Cursor,
    DeviceList,
    Facts,
    KeyUse,
    Page,
    PurchaseType,
    Refusal,
    Refused,
    StoreDamaged,
    Totals,
    Verb,
)

__all__ = ["LICENSES_MAX", "PAGE_SIZE_MAX", "Decide", "Ledger", "Snapshot", "Store", "Tx"]

PAGE_SIZE_MAX = 1000
"""Devices a status page holds at most; not settable by a client (docs/reference/protocol.md R4)."""

DAY_MS = 86_400_000
KEYS_FORGOTTEN_AT_ONCE = 64
"""Twice what one group can add, so that forgetting keeps up."""


Decide = Callable[
    [Account, Facts, Sequence[Command], int, Mapping[str, KeyUse]],
    list[Decision | Replay | Refused],
]
"""What `rules.decide` is; the emulator puts refusals of its own before it."""


class Ledger:
    """The verbs on pools. Thread-safe if its store is."""

    def __init__(self, store: Store, clock: Clock, *, decide: Decide = decide) -> None:
        self._store = store
        self._clock = clock
        self._decide = decide

    def submit(self, command: Command) -> Future[Change]:
        """Queue a request.

        The future ends with the committed change, with Refused (no change was made) or with
        StoreError (nothing was done).
        """
        return self._store.submit(command, self._carry_out)

    def rehearse(self, command: Command) -> Change:
        """What a request would come to now. Nothing is changed (R13).

        `sequence` of the answer is the account's last change, for which it holds. Raises Refused.
        """

        def read(snapshot: Snapshot) -> Change:
            account = snapshot.account(command.account.id)
            asked = [replace(command, key=None)]
            facts = gather(snapshot, account, asked, {})
            (settled,) = self._decide(account, facts, asked, self._clock(), {})
            if isinstance(settled, Refused):
                raise settled
            return replace(_draft(cast(Decision, settled)), sequence=account.sequence)

        return self._store.read(read)

    def status(self, account: AccountKey, cursor: Cursor) -> Page:
        """Licensed devices after a cursor, with the totals of the same snapshot (R4).

        Raises Refused where the cursor names no device of the account, or an offset beyond the
        number of licensed devices.
        """
        page = self._store.read(lambda snapshot: snapshot.page(account, cursor, PAGE_SIZE_MAX))
        if not page.cursor_known:
            raise Refused(Refusal.CURSOR_UNKNOWN)
        if cursor.offset is not None and cursor.offset > page.totals.used:
            raise Refused(Refusal.INDEX_TOO_HIGH)
        return page

    def create_account(
        self,
        name: str,
        *,
        purchase_type: PurchaseType,
        licenses: int,
        actor: str,
        request_id: bytes,
    ) -> Change:
        """Create an account with a pool of `licenses`, as the first change of its ledger.

        Raises ConfigurationError for an impossible name or number, AlreadyExists, StoreError.
        """
        _check_new_account(name, purchase_type, licenses)

        def create(tx: Tx) -> Change:
            key = tx.open_account(name, purchase_type)
            nothing = DeviceList.of([])
            at_ms = self._clock()
            first = Change(
                account=key,
                sequence=1,
                at_ms=at_ms,
                actor=actor,
                request_id=request_id,
                verb=Verb.CREATE_ACCOUNT,
                devices=nothing,
                packed=nothing.pack(),
                outcomes=b"",
                totals=Totals(licenses, 0),
                detail=f"purchase_type={purchase_type.value}",
            )
            account = replace(tx.account(key.id), totals=first.totals, subscribed_at_ms=at_ms)
            return _write_changes(tx, account, [seal(first, GENESIS)])[0]

        return self._store.write(create).result()

    def _carry_out(self, tx: Tx, commands: Sequence[Command]) -> Sequence[Change | Refused]:
        """Gather, decide, write: the whole of a group, inside one transaction."""
        now_ms = self._clock()
        return [
            answer
            for run in _runs(commands)
            for answer in _carry_out_run(tx, run, now_ms, self._decide)
        ]


def _runs(commands: Sequence[Command]) -> Iterator[Sequence[Command]]:
    """Requests that can be decided together, in order; some verbs are decided alone."""
    run: list[Command] = []
    for command in commands:
        if command.verb not in ALONE and command.upgrade is None:
            run.append(command)
            continue
        if run:
            yield run
        yield [command]
        run = []
    if run:
        yield run


def _carry_out_run(
    tx: Tx, commands: Sequence[Command], now_ms: int, decide: Decide
) -> Sequence[Change | Refused]:
    account = tx.account(commands[0].account.id)
    uses = _gather_uses(tx, account, commands, time_of(account, now_ms))
    try:
        facts = gather(tx, account, commands, uses)
    except Refused as refused:
        return [refused]
    decided = decide(account, facts, commands, now_ms, uses)
    earlier = _read_replayed(tx, commands, decided, account.sequence)
    decisions = [decision for decision in decided if isinstance(decision, Decision)]
    write_effects(tx, decisions)
    changes = _write_changes(
        tx, decisions[-1].account if decisions else account, _chained(decisions, account.head)
    )
    changes = [_told(tx, decision, made) for decision, made in zip(decisions, changes, strict=True)]
    _write_keys(tx, decisions, changes)
    return _answers(decided, earlier | {change.sequence: change for change in changes})


def _gather_uses(
    tx: Tx, account: Account, commands: Sequence[Command], at_ms: int
) -> Mapping[str, KeyUse]:
    """What is known of the idempotency keys. Raises StoreDamaged."""
    texts = [command.key.text for command in commands if command.key is not None]
    uses = tx.key_uses(account.id, at_ms // DAY_MS, texts) if texts else {}
    for text, use in uses.items():
        if use.sequence > account.sequence:
            raise StoreDamaged(f"idempotency key {text!r} names a change that is not there")
    return uses


def _read_replayed(
    tx: Tx, commands: Sequence[Command], decided: Iterable[object], last: int
) -> dict[int, Change]:
    """The changes of earlier groups that answer replays. Raises StoreDamaged."""
    return {
        settled.sequence: _read_made(tx, command, settled)
        for command, settled in zip(commands, decided, strict=True)
        if isinstance(settled, Replay) and settled.sequence <= last
    }


def _read_made(tx: Tx, command: Command, replay: Replay) -> Change:
    """The change that a request came to; another than the key names would be a wrong answer."""
    sequence = replay.sequence
    for change in tx.changes(command.account, sequence - 1, 1):
        same = change.sequence == sequence and change.verb is command.verb
        # Some requests name no devices, and find them.
        if same and (not command.devices.items or change.devices == command.devices):
            return replace(change, answer=replay.answer)
    raise StoreDamaged(
        f"change {sequence} of {command.account.name} is not the one that an idempotency key names"
    )


def _told(tx: Tx, decision: Decision, change: Change) -> Change:
    """The change with what its answer tells besides, as it is now."""
    if decision.changed_by:
        change = replace(change, changed_by=decision.changed_by)
    if change.verb is Verb.CANDIDATES:
        account = replace(decision.account, sequence=change.sequence)
        listed = candidate_page(tx, change.account, account, 0)
        change = replace(change, candidates=listed)
    return change


def candidate_page(
    snapshot: Snapshot, key: AccountKey, account: Account, start: int
) -> CandidatePage:
    """A page of the candidate list as it is in a snapshot."""
    imeis = snapshot.candidates_at(key.id, start, PAGE_SIZE_MAX)
    return CandidatePage(
        key, account.sequence, account.candidates, account.candidates_at_ms, start, imeis
    )


def _write_keys(tx: Tx, decisions: Sequence[Decision], changes: Sequence[Change]) -> None:
    used = [
        (decision.command.key, decision.sequence, _render(decision.command, change))
        for decision, change in zip(decisions, changes, strict=True)
        if decision.command.key is not None
    ]
    if used:
        account_id, today = decisions[0].account.id, decisions[0].at_ms // DAY_MS
        tx.keep_keys(account_id, today, used)
        tx.forget_keys(account_id, today, KEYS_FORGOTTEN_AT_ONCE)


def _render(command: Command, change: Change) -> bytes | None:
    return None if command.render is None else command.render(change)


def _answers(
    decided: Iterable[Decision | Replay | Refused], changes: Mapping[int, Change]
) -> list[Change | Refused]:
    """What each request is told, in order."""
    answers: list[Change | Refused] = []
    for settled in decided:
        if isinstance(settled, Refused):
            answers.append(settled)
        elif isinstance(settled, Replay):
            answers.append(replace(changes[settled.sequence], replayed=True))
        else:
            answers.append(changes[settled.sequence])
    return answers


def _check_new_account(name: str, purchase_type: PurchaseType, licenses: int) -> None:
    if not ACCOUNT_NAME.fullmatch(name):
        raise ConfigurationError(
            f"account name {name!r}: use 1 to 64 letters, digits, '-' or '_', "
            "for example 0000123456-00001"
        )
    if not 0 <= licenses <= LICENSES_MAX:
        raise ConfigurationError(f"licenses {licenses}: use a number from 0 to {LICENSES_MAX}")
    if purchase_type is PurchaseType.EVNT and licenses:
        raise ConfigurationError(
            f"licenses {licenses}: an EVNT account is billed per upgrade and has 0; "
            "use purchase type MRC or both"
        )


def _chained(decisions: Iterable[Decision], head: bytes) -> list[Change]:
    changes: list[Change] = []
    for decision in decisions:
        changes.append(seal(_draft(decision), head))
        head = changes[-1].hash
    return changes


def _draft(decision: Decision) -> Change:
    command = decision.command
    return Change(
        account=command.account,
        sequence=decision.sequence,
        at_ms=decision.at_ms,
        actor=command.actor,
        request_id=command.request_id,
        verb=command.verb,
        devices=decision.devices,
        packed=decision.devices.pack(),
        outcomes=decision.outcomes,
        totals=decision.account.totals,
        detail=decision.detail,
        changed_by=decision.changed_by,
    )


def _write_changes(tx: Tx, account: Account, changes: Sequence[Change]) -> Sequence[Change]:
    if changes:
        last = changes[-1]
        tx.append(changes)
        tx.save(replace(account, sequence=last.sequence, changed_at_ms=last.at_ms, head=last.hash))
    return changes
