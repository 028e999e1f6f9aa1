"""Record exchanges into a file without their secrets, and answer from such a file.

A cassette is one JSON object a line: an exchange with method, path, query, headers, bodies and
status. Bodies that are no UTF-8 do not occur in this API; bytes that are none are replaced.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from fotapool.client import HttpRequest, Response, Transport, Urllib3Transport, standing_in
from fotapool.model import ConfigurationError
from fotapool.testing.journal import Entry
from fotapool.testing.scrubbing import scrubbed_body, scrubbed_headers
from fotapool.testing.transport import path_below_origin


class Recorded(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One exchange as a cassette keeps it."""

    method: str
    path: str
    query: str = ""
    request_headers: dict[str, str] = {}
    request_body: str = ""
    status: int
    headers: dict[str, str] = {}
    body: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells a request from others."""
        return (self.method, self.path, self.query, self.request_body)


class NotRecorded(AssertionError):
    """A request was made that the cassette has no answer for, or none that is left."""


class Recorder:
    """A transport that carries by another one and writes down what it saw, secrets taken out."""

    def __init__(self, path: str | Path, carrier: Transport | None = None) -> None:
        self._path = Path(path)
        self._carrier = carrier or Urllib3Transport()
        self._lock = threading.Lock()
        self._path.write_bytes(b"")

    def send(self, request: HttpRequest, timeout_s: float) -> Response:
        answer = self._carrier.send(request, timeout_s)
        line = _line(_recorded(request, answer))
        with self._lock, self._path.open("ab") as file:
            file.write(line)
        return answer

    def close(self) -> None:
        self._carrier.close()


class Replayer:
    """A transport that answers from a cassette, each request as often as it was recorded.

    Raises ConfigurationError for a file that is none; a request that was not recorded, or is made
    once too often, raises NotRecorded.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._lock = threading.Lock()
        self._left: defaultdict[tuple[str, str, str, str], deque[Recorded]] = defaultdict(deque)
        for exchange in load(self._path):
            self._left[exchange.key].append(exchange)

    @property
    def left(self) -> list[Recorded]:
        """What nobody has asked for yet."""
        return [exchange for exchanges in self._left.values() for exchange in exchanges]

    def send(self, request: HttpRequest, timeout_s: float) -> Response:  # noqa: ARG002 -- at once
        key = _recorded(request, Response(0, {}, b"")).key
        with self._lock:
            if not self._left[key]:
                raise NotRecorded(self._miss(*key))
            found = self._left[key].popleft()
        return Response(found.status, found.headers, found.body.encode())

    def pause(self, seconds: float) -> None:
        """Nothing is waited for."""

    def close(self) -> None:
        """Nothing is held."""

    def _miss(self, method: str, path: str, query: str, body: str) -> str:
        asked = f"{method} {path}{'?' + query if query else ''} {body}".strip()
        left = "\n".join(f"  {e.method} {e.path} {e.request_body}".rstrip() for e in self.left)
        return f"{self._path} has no answer left for {asked}; it has\n{left or '  nothing'}"


@contextmanager
def recording(path: str | Path) -> Iterator[Recorder]:
    """While the block runs, write down what clients without their own transport do."""
    recorder = Recorder(path)
    with standing_in(recorder):
        try:
            yield recorder
        finally:
            recorder.close()


@contextmanager
def replaying(path: str | Path) -> Iterator[Replayer]:
    """While the block runs, clients without their own transport are answered from a cassette."""
    replayer = Replayer(path)
    with standing_in(replayer):
        yield replayer


def save(path: str | Path, entries: Iterable[Entry]) -> None:
    """Write the exchanges of a journal that were answered as a cassette."""
    Path(path).write_bytes(b"".join(_line(_kept(entry)) for entry in entries if entry.status))


def load(path: str | Path) -> list[Recorded]:
    """The exchanges of a cassette. Raises ConfigurationError."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror or error}") from error
    return [_read(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]


def _read(path: str | Path, number: int, line: bytes) -> Recorded:
    try:
        return msgspec.json.decode(line, type=Recorded)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}, line {number}: {error}") from error


def _line(exchange: Recorded) -> bytes:
    return msgspec.json.encode(exchange) + b"\n"


def _recorded(request: HttpRequest, answer: Response) -> Recorded:
    parts = urlsplit(request.url)
    return Recorded(
        method=request.method,
        path=path_below_origin(parts.path),
        query=parts.query,
        request_headers=scrubbed_headers(request.headers),
        request_body=_text(scrubbed_body(request.body or b"")),
        status=answer.status_code,
        headers=scrubbed_headers(answer.headers),
        body=_text(scrubbed_body(answer.body)),
    )


def _kept(entry: Entry) -> Recorded:
    return Recorded(
        method=entry.method,
        path=entry.path,
        query=entry.query,
        request_headers=entry.request_headers,
        request_body=_text(entry.request_body),
        status=entry.status,
        headers=entry.headers,
        body=_text(entry.body),
    )


def _text(body: bytes) -> str:
    return body.decode("utf-8", "replace")
