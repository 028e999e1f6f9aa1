"""From a scenario to a database: by the ledger's own verbs, so that the ledger tells all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fotapool.auth import Directory
from fotapool.auth.secrets import hash_made
from fotapool.ledger import Ledger
from fotapool.model import (
    AccountKey,
    Command,
    ConfigurationError,
    Credential,
    DeviceList,
    Listing,
    Outcome,
    Policy,
    PurchaseType,
    Role,
    Verb,
)
from fotapool.store import SqliteStore
from fotapool.testing.scenario import Account, Login, Scenario

ACTOR = "emulator"
DEVICES_AT_ONCE = 10_000

_STEPS: dict[str, tuple[Verb, ...]] = {
    "scheduled": (Verb.SCHEDULE,),
    "running": (Verb.SCHEDULE, Verb.START),
    "finished": (Verb.SCHEDULE, Verb.START, Verb.FINISH),
    "failed": (Verb.SCHEDULE, Verb.START, Verb.FAIL),
}


def sow(scenario: Scenario, store: SqliteStore, ledger: Ledger, now_ms: int) -> None:
    """Fill an empty database. Raises ConfigurationError for what the rules do not allow."""
    for account in scenario.accounts:
        _Field(ledger, account).sow()
    store.write(lambda directory: _add_logins(directory, scenario, now_ms)).result()


class _Field:
    """One account, filled command by command."""

    def __init__(self, ledger: Ledger, account: Account) -> None:
        self._ledger = ledger
        self._account = account
        self._key: AccountKey = ledger.create_account(
            account.name,
            purchase_type=PurchaseType(account.purchase_type),
            licenses=account.licenses,
            actor=ACTOR,
            request_id=bytes(16),
        ).account

    def sow(self) -> None:
        account = self._account
        self._each(Verb.REGISTER, account.imeis)
        self._each(Verb.ASSIGN, account.licensed_imeis)
        for step, verbs in _STEPS.items():
            named = [imei for imei, reached in account.upgrades.items() if reached == step]
            for verb in verbs:
                self._each(verb, named)
        if account.candidates:
            self._carry_out(Verb.CANDIDATES, account.candidates, listing=Listing.REPLACE)
        if account.policy != Policy.REGISTERED.value:
            self._carry_out(Verb.POLICY, policy=Policy(account.policy))
        if not account.active:
            self._carry_out(Verb.DEACTIVATE)

    def _each(self, verb: Verb, imeis: Sequence[str]) -> None:
        for some in _batches(imeis):
            self._carry_out(verb, some)

    def _carry_out(self, verb: Verb, imeis: Sequence[str] = (), **more: object) -> None:
        devices = DeviceList.parse(list(imeis))
        command = Command(self._key, verb, devices, ACTOR, bytes(16), **more)  # type: ignore[arg-type]
        change = self._ledger.submit(command).result()
        for imei, number in zip(change.devices.items, change.outcomes, strict=True):
            if not Outcome(number).ok:
                raise ConfigurationError(
                    f"scenario: account {self._account.name}: cannot {verb.word} {imei}: "
                    f"{Outcome(number).word}"
                )


def _batches(imeis: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(imeis), DEVICES_AT_ONCE):
        yield imeis[start : start + DEVICES_AT_ONCE]


def _add_logins(directory: Directory, scenario: Scenario, now_ms: int) -> None:
    keys = {key.name: key for key in directory.accounts()}
    for login in scenario.logins:
        granted = login.accounts or tuple(keys)
        directory.add_credential(_credential(login, now_ms), [keys[name] for name in granted])


def _credential(login: Login, now_ms: int) -> Credential:
    return Credential(
        id=0,
        name=login.name,
        role=Role[login.role.upper()],
        client_id=login.client_id,
        client_secret_hash=hash_made(login.client_secret),
        username=login.username,
        # The fast hash: these secrets are printed, there is nothing to guess.
        password_hash=hash_made(login.password),
        created_at_ms=now_ms,
    )
