"""Log lines for people or for machines, on stderr. Headers and bodies never come near them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping

import msgspec

LOGGER = logging.getLogger("fotapool")

FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")


def set_up_logging(log_format: str, level: str) -> None:
    """Send fotapool's lines, and uvicorn's warnings, to stderr in this format."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if log_format == "json" else TextLines())
    for logger, threshold in ((LOGGER, level.upper()), (logging.getLogger("uvicorn"), "WARNING")):
        logger.handlers = [handler]
        logger.setLevel(threshold)
        logger.propagate = False


def log_fields(level: int, event: str, fields: Mapping[str, object]) -> None:
    """Write one line: what happened, and its fields."""
    LOGGER.log(level, event, extra={"fields": fields})


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
