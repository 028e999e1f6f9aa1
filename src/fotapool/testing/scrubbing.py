"""Takes secrets out of what is kept of a request and its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"

_HEADERS = frozenset(
    {"vz-m2m-token", "revokedaccesstoken", "cookie", "set-cookie", "proxy-authorization"}
)
_MEMBERS = re.compile(
    rb'("(?:access_token|refresh_token|id_token|sessionToken|session_token|password|oldPassword|'
    rb'newPassword|client_secret|username)"\s*:\s*)"(?:[^"\\]|\\.)*"'
)
_FIELDS = re.compile(rb"\b(token|client_secret|password)=[^&]*")


def scrubbed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers with names in lower case; of tokens only the scheme is kept."""
    return {name.lower(): _header(name.lower(), value) for name, value in headers.items()}


def _header(name: str, value: str) -> str:
    if name == "authorization":
        return f"{value.partition(' ')[0]} {HIDDEN}"
    return HIDDEN if name in _HEADERS else value


def scrubbed_body(body: bytes) -> bytes:
    """A body of JSON or of a form without usernames and the values of tokens and passwords."""
    hidden = _MEMBERS.sub(rb'\1"' + HIDDEN.encode() + b'"', body)
    if not hidden.startswith((b"{", b"[")):
        hidden = _FIELDS.sub(rb"\1=" + HIDDEN.encode(), hidden)
    return hidden
