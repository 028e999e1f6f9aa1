"""What comes in, what goes out, and how a refusal is told."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qs, unquote

from fotapool.model import Change, IdempotencyKey, Refusal, Refused
from fotapool.wire.errors import write_error

if TYPE_CHECKING:
    from fotapool.api.routes import Route

RETRY_AFTER_S = 1
FINGERPRINT_BYTES = 16
"""Of SHA-256: enough that no two requests are taken for one."""

_KEY = re.compile(r"[\x20-\x7e]{1,128}")
_SEQUENCE_TAG = re.compile(r'"([0-9]{1,18})"')

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What came in. `path` is still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    id: bytes
    log: dict[str, str] = field(default_factory=dict)
    """What the request's log line will say besides: who asked, for which account."""

    @property
    def bearer(self) -> str | None:
        """The bearer token, if one was sent."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" and token else None

    @property
    def session(self) -> str:
        """The session token, empty where none was sent."""
        return self.headers.get("vz-m2m-token", "")

    @property
    def key(self) -> IdempotencyKey | None:
        """The name a client gave a write, and what tells the write from others (R11).

        Raises Refused.
        """
        text = self.headers.get("idempotency-key")
        if text is None:
            return None
        if not _KEY.fullmatch(text):
            raise Refused(Refusal.KEY_INVALID)
        hashed = hashlib.sha256()
        for part in (self.method.encode(), self.path.encode(), self.query.encode()):
            hashed.update(len(part).to_bytes(4, "big") + part)
        hashed.update(self.body)
        return IdempotencyKey(text, hashed.digest()[:FINGERPRINT_BYTES])

    @property
    def if_sequence(self) -> int | None:
        """The only sequence at which a write is wanted (R13). Raises Refused."""
        text = self.headers.get("if-match")
        if text is None:
            return None
        match = _SEQUENCE_TAG.fullmatch(text)
        if match is None:
            raise Refused(Refusal.PRECONDITION_INVALID)
        return int(match[1])


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out."""

    status: int
    body: bytes = b""
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Pending:
    """A write under way: the reply is made from its change once that is committed."""

    change: Future[Change]
    reply: Callable[[Future[Change]], Reply]


class Found(NamedTuple):
    """The row of a request; `segments` is what its path named, still encoded."""

    route: Route
    segments: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Call:
    """A request that has found its row; `segments` is what the path named, still encoded."""

    request: Request
    route: Route
    segments: Mapping[str, str]
    items_max: int

    def segment(self, name: str) -> str | None:
        encoded = self.segments.get(name)
        return None if encoded is None else unquote(encoded)

    def query(self, name: str) -> str | None:
        values = parse_qs(self.request.query, keep_blank_values=True).get(name)
        return values[0] if values else None


def refuse(
    request_path: str,
    refusal: Refusal,
    *,
    headers: Headers = (),
    named: Mapping[str, int | str] = MappingProxyType({}),
) -> Reply:
    """The reply that tells a refusal; `named` is what its message names."""
    family = "/" + "/".join(request_path.split("/")[2:4])
    status, body = write_error(refusal, named=named, api=family)
    return Reply(status, body, headers + tuple(_error_headers(refusal)))


def _error_headers(refusal: Refusal) -> Iterator[tuple[str, str]]:
    if refusal in (Refusal.BEARER_MISSING, Refusal.BEARER_INVALID):
        yield "WWW-Authenticate", "Bearer"
    if refusal in (Refusal.CLIENT_MISSING, Refusal.CLIENT_INVALID):
        yield "WWW-Authenticate", "Basic"
    if refusal is Refusal.BUSY:
        yield "Retry-After", str(RETRY_AFTER_S)
