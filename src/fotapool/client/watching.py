"""Watching a client at work: hooks around each request, and lines for `FOTAPOOL_LOG=debug`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from fotapool.client.errors import ConnectionFailed, Response
from fotapool.client.transport import HttpRequest
from fotapool.model import ConfigurationError

BeforeRequest: TypeAlias = Callable[[HttpRequest], object]
AfterRequest: TypeAlias = Callable[[HttpRequest, Response | ConnectionFailed], object]

VARIABLE = "FOTAPOOL_LOG"
HIDDEN = "***"

LOGGER = logging.getLogger("fotapool.client")
_SECRET = frozenset(
    {
        "authorization",
        "proxy-authorization",
        "vz-m2m-token",
        "revokedaccesstoken",
        "cookie",
        "set-cookie",
    }
)


@dataclass(frozen=True, slots=True)
class Watch:
    """Who looks on: functions that are called around each request, token calls and retries too."""

    before_request: BeforeRequest | None = None
    after_request: AfterRequest | None = None

    def sending(self, request: HttpRequest) -> None:
        """Before a request."""
        if self.before_request is not None:
            self.before_request(request)

    def came(
        self, request: HttpRequest, answer: Response | ConnectionFailed, took_s: float
    ) -> None:
        """After a request, with its answer, or with what came of it in place of one."""
        if LOGGER.isEnabledFor(logging.DEBUG):
            LOGGER.debug("%s", line_of(request, answer, took_s))
        if self.after_request is not None:
            self.after_request(request, answer)


def line_of(request: HttpRequest, answer: Response | ConnectionFailed, took_s: float) -> str:
    """A request and its answer, without bodies and without secrets."""
    asked = f"{request.method} {request.url} {_shown(request.headers)}"
    if isinstance(answer, Response):
        came = f"{answer.status_code} {_shown(answer.headers)} {len(answer.body)} bytes"
    else:
        came = f"{type(answer).__name__}: {answer}"
    return f"{asked} -> {came} in {took_s * 1000:.0f} ms"


def listen() -> None:
    """Write lines to standard error where the environment asks for them.

    Raises ConfigurationError for a level that there is not.
    """
    level = os.environ.get(VARIABLE, "")
    if level.lower() not in ("", "debug"):
        raise ConfigurationError(f"{VARIABLE} {level!r}: use debug, or leave it unset")
    if level and not LOGGER.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(message)s"))
        LOGGER.addHandler(handler)
        LOGGER.setLevel(logging.DEBUG)
        LOGGER.propagate = False


def _shown(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: HIDDEN if name.lower() in _SECRET else value for name, value in headers.items()}
