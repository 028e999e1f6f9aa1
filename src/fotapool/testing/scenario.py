"""What an emulator begins with: accounts, pools, devices, upgrades, candidates, who may call."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from fotapool.model import ConfigurationError, imei_text, parse_imei

FIRST_IMEI = 990003425730500
ACCOUNT = "0000123456-00001"
DEVICES = 100
LICENSES = 1000
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEVICES_MAX = 10_000_000

Step = Literal["scheduled", "running", "finished", "failed"]


class Account(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An account with its pool of licenses and what it holds.

    `devices` are the registered ones: IMEIs, or how many to make up, from 990003425730500 on.
    `licensed` are those of them that hold a license, in order of assignment: IMEIs, or how many,
    the first ones. `upgrades` says of devices how far an upgrade is; `candidates` lose a license
    first when the pool shrinks.
    """

    name: str = ACCOUNT
    licenses: int = LICENSES
    purchase_type: Literal["MRC", "EVNT", "both"] = "MRC"
    policy: Literal["registered", "open"] = "registered"
    active: bool = True
    devices: tuple[str, ...] | int = DEVICES
    licensed: tuple[str, ...] | int = ()
    upgrades: dict[str, Step] = {}
    candidates: tuple[str, ...] = ()

    @property
    def imeis(self) -> tuple[str, ...]:
        """Every registered device."""
        if isinstance(self.devices, tuple):
            return self.devices
        return _made_up(self.devices)

    @property
    def licensed_imeis(self) -> tuple[str, ...]:
        """Every device with a license."""
        return self.licensed if isinstance(self.licensed, tuple) else self.imeis[: self.licensed]


class Login(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may call: an OAuth pair and a login, for some accounts (all where none is named)."""

    name: str = "emulator"
    client_id: str = "emulator-client"
    client_secret: str = "emulator-secret"  # noqa: S105 -- printed for everyone to use
    username: str = "emulator"
    password: str = "emulator-password"  # noqa: S105 -- printed for everyone to use
    role: Literal["viewer", "operator", "admin"] = "admin"
    accounts: tuple[str, ...] = ()


class Scenario(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an emulator begins with, and goes back to when it is reset.

    The default is one account, 0000123456-00001, with 1,000 licenses and 100 devices, none of
    them licensed. `now` is where its clock begins: noon of 2026-01-01 if nothing is said, and the
    real time where the clock runs. Raises ConfigurationError for what contradicts itself.
    """

    accounts: tuple[Account, ...] = (Account(),)
    logins: tuple[Login, ...] = (Login(),)
    now: datetime | None = None

    def __post_init__(self) -> None:
        for problem in _problems(self):
            raise ConfigurationError(f"scenario: {problem}")

    @property
    def key(self) -> bytes:
        """The same for equal scenarios."""
        return msgspec.json.encode(self)

    @classmethod
    def of(cls, told: Mapping[str, Any], *, named: str = "scenario") -> Scenario:
        """Read a scenario from plain values, as TOML and JSON have them.

        Raises ConfigurationError that names the place.
        """
        try:
            return msgspec.convert(dict(told), cls)
        except msgspec.ValidationError as error:
            raise ConfigurationError(f"{named}: {error}") from error

    @classmethod
    def load(cls, path: str | Path) -> Scenario:
        """Read a scenario from a .toml or .json file. Raises ConfigurationError."""
        path = Path(path)
        try:
            text = path.read_bytes()
            if path.suffix == ".json":
                told = msgspec.json.decode(text, type=dict[str, Any])
            else:
                told = tomllib.loads(text.decode())
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror or error}") from error
        except (msgspec.DecodeError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
        return cls.of(told, named=str(path))


@lru_cache(maxsize=16)
def _made_up(count: int) -> tuple[str, ...]:
    return tuple(imei_text(FIRST_IMEI + at) for at in range(count))


def _problems(scenario: Scenario) -> Iterator[str]:
    if not scenario.accounts or not scenario.logins:
        yield "it needs at least one account and one login"
    names = [account.name for account in scenario.accounts]
    for name in _repeated(names):
        yield f"two accounts are called {name}"
    for login in scenario.logins:
        for name in set(login.accounts) - set(names):
            yield f"login {login.name} names account {name}, which is not there"
    for field in ("name", "client_id", "username"):
        for value in _repeated([getattr(login, field) for login in scenario.logins]):
            yield f"two logins have the {field} {value}"
    for account in scenario.accounts:
        for problem in _problems_of(account):
            yield f"account {account.name}: {problem}"


def _repeated(values: Sequence[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _problems_of(account: Account) -> Iterator[str]:
    if isinstance(account.devices, int) and not 0 <= account.devices <= DEVICES_MAX:
        yield f"devices {account.devices}: use a number from 0 to {DEVICES_MAX:,}"
        return
    devices = set(account.imeis)
    if isinstance(account.licensed, int) and not 0 <= account.licensed <= len(devices):
        yield f"licensed {account.licensed}: it has {len(devices)} devices"
    for imei in account.imeis:
        if parse_imei(imei) is None:
            yield f"{imei!r} is not a 15-digit IMEI"
    for what, named in (
        ("licensed", account.licensed_imeis),
        ("upgrades", account.upgrades),
        ("candidates", account.candidates),
    ):
        for imei in named:
            if imei not in devices:
                yield f"{what} names {imei}, which is none of its devices"
