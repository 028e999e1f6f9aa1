"""Credentials as an operator handles them: made, rotated, unlocked, revoked."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from fotapool.auth.directory import Directory, DirectoryStore
from fotapool.auth.secrets import encode, hash_chosen, hash_made
from fotapool.model import (
    AccountKey,
    AlreadyExists,
    Clock,
    ConfigurationError,
    Credential,
    NotFound,
    Role,
)

T = TypeVar("T")
Random = Callable[[int], bytes]
"""Cryptographically random bytes, such as `os.urandom`."""

CREDENTIAL_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")


@dataclass(frozen=True, slots=True)
class Secrets:
    """A credential's four values, shown once and never stored."""

    name: str
    client_id: str
    client_secret: str
    username: str
    password: str


class Credentials:
    """The credentials of a directory. A serving process sees a change within five seconds."""

    def __init__(self, store: DirectoryStore, *, clock: Clock, random: Random) -> None:
        self._store = store
        self._clock = clock
        self._random = random

    def create(
        self,
        accounts: Sequence[str],
        *,
        role: Role = Role.OPERATOR,
        name: str | None = None,
        password: str | None = None,
    ) -> Secrets:
        """Make a credential for these accounts; what it returns is not kept and not shown again.

        A chosen `password` is for those who must keep an old login. Raises NotFound for an
        unknown account, AlreadyExists for a name in use, ConfigurationError for an unfit name.
        """
        name = name or f"key-{self._random(4).hex()}"
        if not CREDENTIAL_NAME.fullmatch(name):
            raise ConfigurationError(
                f"credential name {name!r}: use 1 to 64 letters, digits, '.', '_', '@' or '-'"
            )
        secrets = self._make_secrets(name, self._random(12).hex(), password)
        stored_password = hash_made(secrets.password)
        if password is not None:
            stored_password = hash_chosen(password, self._random(16))

        def add(directory: Directory) -> None:
            keys = [_required(directory.find_account(account), account) for account in accounts]
            if directory.find_credential("name", name):
                raise AlreadyExists(f"credential {name} exists already; choose another --name")
            credential = Credential(
                id=0,
                name=name,
                role=role,
                client_id=secrets.client_id,
                client_secret_hash=hash_made(secrets.client_secret),
                username=secrets.username,
                password_hash=stored_password,
                created_at_ms=self._clock(),
            )
            directory.add_credential(credential, list(dict.fromkeys(keys)))

        self._store.write(add).result()
        return secrets

    def rotate(self, name: str) -> Secrets:
        """New secret and password; the credential's tokens and sessions end. Raises NotFound."""

        def change(directory: Directory, credential: Credential) -> Secrets:
            secrets = self._make_secrets(name, credential.client_id, None)
            directory.save_credential(
                replace(
                    credential,
                    client_secret_hash=hash_made(secrets.client_secret),
                    password_hash=hash_made(secrets.password),
                    failed_logins=0,
                    locked_until_ms=0,
                )
            )
            _end_all(directory, credential.id)
            return secrets

        return self._change(name, change)

    def unlock(self, name: str) -> None:
        """Let a locked login try again at once. Raises NotFound."""
        self._change(
            name,
            lambda directory, credential: directory.save_credential(
                replace(credential, failed_logins=0, locked_until_ms=0)
            ),
        )

    def revoke(self, name: str) -> None:
        """End a credential for good, its tokens and sessions with it. Raises NotFound."""

        def change(directory: Directory, credential: Credential) -> None:
            directory.save_credential(replace(credential, revoked_at_ms=self._clock()))
            _end_all(directory, credential.id)

        self._change(name, change)

    def all(self) -> list[tuple[Credential, list[AccountKey]]]:
        """Every credential with its accounts, in order of creation."""
        return self._store.read(
            lambda directory: [
                (credential, directory.grants(credential.id))
                for credential in directory.credentials()
            ]
        )

    def _change(self, name: str, change: Callable[[Directory, Credential], T]) -> T:
        def job(directory: Directory) -> T:
            credential = directory.find_credential("name", name)
            if credential is None:
                raise NotFound(
                    f"there is no credential {name}; see `fotapool admin credential list`"
                )
            if credential.revoked_at_ms:
                raise NotFound(f"credential {name} is revoked; make another")
            return change(directory, credential)

        return self._store.write(job).result()

    def _make_secrets(self, name: str, client_id: str, password: str | None) -> Secrets:
        return Secrets(
            name=name,
            client_id=client_id,
            client_secret=encode(self._random(32)),
            username=name,
            password=password or encode(self._random(18)),
        )


def _end_all(directory: Directory, credential_id: int) -> None:
    directory.drop_token(credential_id)
    directory.drop_sessions(credential_id)


def _required(account: AccountKey | None, name: str) -> AccountKey:
    if account is None:
        raise NotFound(f"there is no account {name}; see `fotapool admin account list`")
    return account
