"""The settings of a server: one place for each one's default, meaning and bounds."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fotapool.model import ConfigurationError

MIB = 1024 * 1024
FORMATS = ("text", "json")
LEVELS = ("debug", "info", "warning", "error")


def _setting(
    default: Any,
    meaning: str,
    *,
    choices: Sequence[str] = (),
    at_least: float | None = None,
    at_most: float | None = None,
) -> Any:
    bounds = {"choices": choices, "at_least": at_least, "at_most": at_most}
    return field(default=default, metadata={"meaning": meaning, **bounds})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server can be told. `fotapool serve` has an option and a variable for each."""

    host: str = _setting("127.0.0.1", "The address to listen on.")
    port: int = _setting(
        8080, "The port to listen on; 0 takes a free one.", at_least=0, at_most=65535
    )
    workers: int = _setting(
        1, "Server processes on the port; more than one needs PostgreSQL.", at_least=1, at_most=256
    )
    root_path: str = _setting("", "The path under which a proxy mounts the server.")
    forwarded_allow_ips: str = _setting(
        "127.0.0.1", "Proxies whose X-Forwarded-For and -Proto headers are believed, or *."
    )
    ssl_certfile: str = _setting(
        "", "A TLS certificate chain in PEM; with it the server speaks https."
    )
    ssl_keyfile: str = _setting("", "The certificate's private key in PEM, if apart from it.")
    log_format: str = _setting("text", "Log lines for people or for machines.", choices=FORMATS)
    log_level: str = _setting("info", "The least that is logged.", choices=LEVELS)
    items_max: int = _setting(10_000, "Devices in one list; more is refused.", at_least=1)
    body_bytes_max: int = _setting(4 * MIB, "Bytes in one request body; more is 413.", at_least=1)
    body_timeout_s: float = _setting(
        30.0, "Seconds in which a request body must have arrived, else 408.", at_least=0.1
    )
    queue_requests_max: int = _setting(
        1024, "Requests under way in this process at once; more is 503.", at_least=1
    )
    queue_bytes_max: int = _setting(
        64 * MIB, "Bytes of request bodies under way at once; more is 503.", at_least=1
    )

    def __post_init__(self) -> None:
        if self.root_path and not self.root_path.startswith("/"):
            raise ConfigurationError(f"root path {self.root_path!r}: begin it with /")
        if self.ssl_keyfile and not self.ssl_certfile:
            raise ConfigurationError("--ssl-keyfile needs --ssl-certfile as well")

    @property
    def loopback_only(self) -> bool:
        """Whether only this machine can connect."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"
