"""What a client proves who it is with, and where it finds that when it is not told."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from typing import Self

from fotapool.client.errors import AnswerError, Unauthorized
from fotapool.model import ConfigurationError, Refusal

ENVIRONMENT = {
    "client_id": "FOTAPOOL_CLIENT_ID",
    "client_secret": "FOTAPOOL_CLIENT_SECRET",
    "username": "FOTAPOOL_USERNAME",
    "password": "FOTAPOOL_PASSWORD",
    "base_url": "FOTAPOOL_BASE_URL",
    "access_token": "FOTAPOOL_ACCESS_TOKEN",
    "session_token": "FOTAPOOL_SESSION_TOKEN",
    "allow_http": "FOTAPOOL_ALLOW_HTTP",
}
"""The variable that stands in for each argument of `Client` that is not given."""

BEARER, SESSION = "bearer", "session"

SESSION_OVER = (Refusal.SESSION_EXPIRED, Refusal.SESSION_INVALID)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client was given to prove who it is; empty texts where it was not."""

    client_id: str
    client_secret: str
    username: str
    password: str
    access_token: str
    session_token: str

    def __post_init__(self) -> None:
        for name in ("access_token", "session_token"):
            value: str = getattr(self, name)
            if not (value.isascii() and value.isprintable()) or " " in value:
                raise ConfigurationError(
                    f"{name} (or {ENVIRONMENT[name]}): it holds a blank, a line break or another "
                    "character that no token has"
                )

    @classmethod
    def given(cls, *arguments: str | None) -> Self:
        """Of arguments in the order of the fields, and of the environment where there are none."""
        names = (field.name for field in fields(cls))
        return cls(*(given(name, value) for name, value in zip(names, arguments, strict=True)))

    def check(self, *, session: bool) -> None:
        """Raises ConfigurationError naming everything that is missing."""
        missing: list[str] = []
        if not self.access_token:
            missing += [n for n in ("client_id", "client_secret") if not getattr(self, n)]
        if session and not self.session_token:
            missing += [n for n in ("username", "password") if not getattr(self, n)]
        if missing:
            names = ", ".join(f"{name} (or {ENVIRONMENT[name]})" for name in missing)
            raise ConfigurationError(f"missing: {names}. Pass it to Client or set the variable")

    def without_tokens(self) -> Self:
        """The same without ready tokens."""
        return replace(self, access_token="", session_token="")

    @property
    def can_fetch_token(self) -> bool:
        return bool(self.client_id and self.client_secret)

    @property
    def can_log_in(self) -> bool:
        return bool(self.username and self.password)

    def refused(self, error: AnswerError) -> str | None:
        """Which token an error is about, if one that can be fetched again."""
        if isinstance(error, Unauthorized) and self.can_fetch_token:
            return BEARER
        if error.refusal in SESSION_OVER and self.can_log_in:
            return SESSION
        return None


def given(name: str, value: str | None) -> str:
    """An argument of a client, or what stands in for it in the environment."""
    return os.environ.get(ENVIRONMENT[name], "") if value is None else value
