"""Log lines for people or for machines, on stderr. Headers and bodies never come near them."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import InitVar, dataclass, field
from functools import lru_cache
from typing import TextIO

import msgspec

LOGGER = logging.getLogger("fotapool")


_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def set_up_logging(log_format: str, level: str) -> None:
    """Send fotapool's lines, and uvicorn's warnings, to stderr in this format."""
    handler = Lines(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    for logger, threshold in ((LOGGER, level.upper()), (logging.getLogger("uvicorn"), "WARNING")):
        logger.handlers = [handler]
        logger.setLevel(threshold)
        logger.propagate = False


@dataclass(slots=True)
class Told:
    """One request and its answer, as the log tells them. `sent_id` is an id of the client's own.

    `log` is what the request came to tell of itself: who asked, for which account.
    """

    method: str
    path: str
    id: bytes
    sent_id: InitVar[str]
    shown_id: str = ""
    started_s: float = field(default_factory=time.perf_counter)
    status: int = 0
    body_bytes: int = 0
    log: dict[str, str] = field(default_factory=dict)

    def __post_init__(self, sent_id: str) -> None:
        self.shown_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else self.id.hex()

    def write(self) -> None:
        """Write the line."""
        taken_ms = (time.perf_counter() - self.started_s) * 1000
        log_request(
            {
                "method": self.method,
                "path": self.path,
                "status": self.status,
                "ms": round(taken_ms, 1),
                "bytes": self.body_bytes,
                "request": self.shown_id,
                **self.log,
            }
        )


def log_request(fields: Mapping[str, object]) -> None:
    """Write the line of a request."""
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.handle(RequestRecord(fields))


class RequestRecord(logging.LogRecord):
    """The record of a request's line. It looks for no caller, thread or process: none is shown."""

    _ALIKE = vars(
        logging.makeLogRecord(
            {
                "name": LOGGER.name,
                "levelno": logging.INFO,
                "levelname": "INFO",
                "msg": "request",
                "thread": None,
                "threadName": None,
                "process": None,
                "processName": None,
            }
        )
    )

    def __init__(self, fields: Mapping[str, object]) -> None:
        now_s = time.time()
        vars(self).update(self._ALIKE, created=now_s, msecs=now_s % 1 * 1000, fields=fields)


class Lines(logging.StreamHandler[TextIO]):
    """Writes lines to a stream: each at once, or those of a moment together."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._waiting: list[str] | None = None

    def emit(self, record: logging.LogRecord) -> None:
        if self._waiting is None:
            super().emit(record)
            return
        try:
            self._waiting.append(self.format(record) + self.terminator)
        except Exception:  # noqa: BLE001 -- as every handler does: a line that fails stops nothing
            self.handleError(record)

    def hold(self) -> None:
        """Keep lines until they are let go."""
        with self.lock or nullcontext():
            self._waiting = []

    def let_go(self) -> None:
        """Write what was kept in one piece, and further lines at once."""
        with self.lock or nullcontext():
            waiting, self._waiting = self._waiting, None
            if waiting:
                # Where stderr is gone there is nowhere to say so, and requests go on.
                with suppress(OSError, ValueError):
                    self.stream.write("".join(waiting))
                    self.flush()


@contextmanager
def lines_together() -> Iterator[None]:
    """Write the lines of this block in one piece at its end: one system call, however many."""
    handlers = [handler for handler in LOGGER.handlers if isinstance(handler, Lines)]
    for handler in handlers:
        handler.hold()
    try:
        yield
    finally:
        for handler in handlers:
            handler.let_go()


class TextLines(logging.Formatter):
    """`2026-11-23T20:38:00.123Z info request method=GET status=200 …`"""

    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", {})
        parts = [_stamp(record), record.levelname.lower(), _one_line(record.getMessage())]
        parts += [f"{name}={value}" for name, value in fields.items()]
        text = " ".join(parts)
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text


class JsonLines(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _stamp(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


def _one_line(text: str) -> str:
    return text.replace("\n", "\\n").replace("\r", "\\r")


def _stamp(record: logging.LogRecord) -> str:
    return f"{_to_the_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(4)
def _to_the_second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
