"""The way to a server, as both transports go it: by which proxy, trusting whom, and never with a
login in clear text beyond this machine.
"""

from __future__ import annotations

import ipaddress
import os
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urlsplit

from fotapool.client import certificates
from fotapool.client.certificates import FilePath
from fotapool.client.credentials import ENVIRONMENT
from fotapool.client.errors import ConnectionFailed, TimedOut
from fotapool.model import ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext

CONNECT_TIMEOUT_S = 5.0
CONNECTIONS_MAX = 32
ALLOW_HTTP = ENVIRONMENT["allow_http"]

_VARIABLES = frozenset({"REQUEST_METHOD", ALLOW_HTTP, *certificates.VARIABLES}) | {
    spelled
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
    for spelled in (name, name.upper())
}
_PORTS = {"http": 80, "https": 443}
_SAID = {"": False, "1": True, "true": True, "yes": True, "on": True} | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


@dataclass(frozen=True, slots=True, repr=False)
class Proxy:
    """A proxy by its URL, which has no login in it, and the header that lets one pass."""

    url: str
    authorization: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        named = self.authorization
        return {} if named is None else {"Proxy-Authorization": named}

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("https:")

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"


@dataclass(frozen=True, slots=True)
class Network:
    """What a client was told of the network, and what the environment says where it was not.

    `proxy` is for every host; an empty text is for none, whatever the environment says. `ca_file`
    has the certificates that are trusted instead of the system's. `client_certificate` is a PEM
    file, or one of the certificate and one of its key. Files are read at once.

    Raises ConfigurationError for what makes no sense.
    """

    proxy: str | None = field(default=None, repr=False)
    ca_file: FilePath | None = None
    client_certificate: FilePath | tuple[FilePath, FilePath] | None = None
    allow_http: bool | None = None
    connections_max: int = CONNECTIONS_MAX
    environment: Mapping[str, str] = field(
        default_factory=lambda: {k: v for k, v in os.environ.items() if k in _VARIABLES},
        repr=False,
        compare=False,
    )

    def __post_init__(self) -> None:
        if self.connections_max < 1:
            raise ConfigurationError(f"connections_max {self.connections_max}: use 1 or more")
        if self.proxy:
            read_proxy("proxy", self.proxy)
        if self.ca_file is not None or self.client_certificate is not None:
            self.tls_context()
        _ = self.http_is_allowed

    @property
    def http_is_allowed(self) -> bool:
        if self.allow_http is not None:
            return self.allow_http
        said = self.environment.get(ALLOW_HTTP, "")
        if said.lower() not in _SAID:
            raise ConfigurationError(f"{ALLOW_HTTP} {said!r}: use 1 or 0")
        return _SAID[said.lower()]

    @property
    def is_told(self) -> bool:
        """Whether somebody said anything, other than the environment."""
        return self != Network()

    def check(self, url: str) -> None:
        """Raises ConfigurationError for a URL to which no login may be carried, or no way leads."""
        proxy = self.proxy_for(url)
        exposed = is_exposed(url)
        if proxy is not None and url.startswith("http:"):
            exposed = exposed or is_exposed(proxy.url)
        if exposed and not self.http_is_allowed:
            raise ConfigurationError(
                f"base_url {origin_of(urlsplit(url))}: http would carry logins in clear text "
                "beyond this machine; use https, or pass allow_http=True or set "
                f"{ALLOW_HTTP}=1"
            )

    def proxy_for(self, url: str) -> Proxy | None:
        """Which proxy carries to a URL, if one does. Raises ConfigurationError for a bad one.

        Nothing but the argument `proxy` takes what is meant for this machine elsewhere.
        """
        if self.proxy is not None:
            return read_proxy("proxy", self.proxy) if self.proxy else None
        parts = urlsplit(url)
        if is_loopback(parts.hostname or "") or is_spared(parts, self.environment):
            return None
        variable = proxy_variable(parts.scheme, self.environment)
        return None if variable is None else read_proxy(variable, self.environment[variable])

    def tls_context(self) -> SSLContext:
        """Whom TLS trusts and how it introduces itself. Raises ConfigurationError."""
        trusted = certificates.trusted_by(self.ca_file, self.environment)
        return certificates.context(trusted, self.client_certificate)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its very name or address; no name server is asked."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def is_exposed(url: str) -> bool:
    """Whether a URL is plain http beyond this machine, where others can read along."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback(parts.hostname or "")


def proxy_variable(scheme: str, environment: Mapping[str, str]) -> str | None:
    """The variable that names a proxy, as curl finds it: a lower-case one wins, even if empty."""
    for name in (f"{scheme}_proxy", "all_proxy"):
        for variable in (name, name.upper()):
            # In a CGI script HTTP_PROXY is what the caller's header "Proxy" says.
            if variable == "HTTP_PROXY" and "REQUEST_METHOD" in environment:
                continue
            if variable in environment:
                return variable if environment[variable].strip() else None
    return None


def is_spared(parts: SplitResult, environment: Mapping[str, str]) -> bool:
    """Whether NO_PROXY names a host: itself, a domain above it, an address range, or `*`."""
    said = environment.get("no_proxy", environment.get("NO_PROXY", ""))
    host = (parts.hostname or "").removesuffix(".")
    port = parts.port or _PORTS.get(parts.scheme)
    return any(_is_meant(entry, host, port) for entry in re.split(r"[,\s]+", said.lower()) if entry)


def read_proxy(name: str, text: str) -> Proxy:
    """A proxy out of an argument or a variable; HOST:PORT alone will do. Raises ConfigurationError.

    No message repeats the text: it may hold a password.
    """
    text = text.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/"):
        known = parts.scheme and parts.scheme not in _PORTS
        what = f"a proxy of the scheme {parts.scheme}" if known else "this"
        raise ConfigurationError(f"{name}: {what} cannot be used; use http://HOST:PORT")
    authorization = None
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {b64encode(login.encode()).decode()}"
    return Proxy(f"{parts.scheme}://{_bracketed(parts.hostname)}:{port}", authorization)


def origin_of(parts: SplitResult) -> str:
    """Scheme, host and port of a URL, without a login."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _is_meant(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None and "/" in entry:
        return _contains(entry, address)
    name, named_port = _split_port(entry)
    if named_port is not None and named_port != port:
        return False
    if address is not None:
        return _address(name) == address
    name = name.removeprefix("*").strip(".")
    return name != "" and (host == name or host.endswith(f".{name}"))


def _split_port(entry: str) -> tuple[str, int | None]:
    """`host`, `host:443`, `[::1]:443`, `[::1]` or `::1`."""
    found = re.fullmatch(r"\[(.*)\](?::(\d+))?|([^:]*):(\d+)", entry)
    if found is None:
        return entry, None
    bracketed, its_port, name, port = found.groups()
    told = its_port or port
    return name if bracketed is None else bracketed, int(told) if told else None


def _contains(entry: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    try:
        return address in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


class Unsent(Exception):
    """There is no connection, so nothing of a request has left."""

    def __init__(self, reason: str, *, late: bool = False) -> None:
        super().__init__(reason)
        self.late = late


def why(error: BaseException) -> str:
    """What the system says of a connection that failed, in the same words for both transports."""
    untrusted = getattr(error, "verify_message", None)
    if untrusted:
        return (
            f"its certificate is not trusted: {untrusted.rstrip('.')}; "
            "a CA of your own is named by ca_file"
        )
    number = getattr(error, "errno", None)
    if isinstance(error, OSError) and number is not None and number > 0 and not _is_tls(error):
        return os.strerror(number)
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _is_tls(error: OSError) -> bool:
    return getattr(error, "reason", None) is not None


def never_sent(error: Unsent, url: str, proxy: Proxy | None) -> ConnectionFailed:
    """What a client is told of it."""
    kind = TimedOut if error.late else ConnectionFailed
    return kind(no_connection(url, proxy, "" if error.late else str(error)), sent=False)


def no_connection(url: str, proxy: Proxy | None, reason: str = "") -> str:
    """The sentence for it: where to, by which way, and why not."""
    way = "" if proxy is None else f" through the proxy {proxy.url}"
    host = urlsplit(url).netloc
    return (
        f"cannot connect to {host}{way}: {reason}"
        if reason
        else (f"no connection to {host}{way} in time")
    )
