"""Log lines for people or for machines, on stderr. Headers and bodies never come near them."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field

import msgspec

LOGGER = logging.getLogger("fotapool")

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def set_up_logging(log_format: str, level: str) -> None:
    """Send fotapool's lines, and uvicorn's warnings, to stderr in this format."""
    handler = logging.StreamHandler(sys.stderr)
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
        LOGGER.info("request", extra={"fields": fields})


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
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{seconds}.{int(record.msecs):03d}Z"
