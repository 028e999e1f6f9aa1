"""The two tokens: OAuth client credentials and the M2M session (protocol.md, "Tokens")."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import parse_qs, urlencode

import msgspec

from fotapool.model import Refusal, Refused
from fotapool.wire._json import encode, find_field, read_fields

FORM_FIELDS_MAX = 20

_text = msgspec.json.Decoder(str)


class TokenAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A bearer token, and for how many more seconds it lives (None: not said)."""

    access_token: str
    token_type: str | None = None
    expires_in: int | None = None
    scope: str | None = None


class SessionAnswer(msgspec.Struct, frozen=True, rename="camel"):
    """A session token."""

    session_token: str


class _Login(msgspec.Struct):
    username: str
    password: str


_token_answer = msgspec.json.Decoder(TokenAnswer)
_session_answer = msgspec.json.Decoder(SessionAnswer)


def write_basic(client_id: str, client_secret: str) -> str:
    """The Authorization header of the token call."""
    return "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()


def read_basic(header: str | None) -> tuple[str, str]:
    """Client id and secret. Raises Refused when there are none, or not readable ones."""
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic" or not encoded:
        raise Refused(Refusal.CLIENT_MISSING)
    try:
        decoded = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(Refusal.CLIENT_INVALID) from None
    client_id, colon, client_secret = decoded.partition(":")
    if not colon:
        raise Refused(Refusal.CLIENT_INVALID)
    return client_id, client_secret


def write_form(**fields: str) -> bytes:
    """A form body."""
    return urlencode(fields).encode()


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form body. Raises Refused."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=FORM_FIELDS_MAX)
    except ValueError:
        raise Refused(Refusal.BODY_UNREADABLE) from None
    return {name: values[0] for name, values in fields.items()}


def read_grant(body: bytes) -> str | None:
    """The scope that a token call asks for; any is accepted. Raises Refused."""
    fields = read_form(body)
    if "grant_type" not in fields:
        raise Refused(Refusal.GRANT_TYPE_MISSING)
    if fields["grant_type"] != "client_credentials":
        raise Refused(Refusal.GRANT_TYPE_UNSUPPORTED)
    return fields.get("scope")


def write_token(access_token: str, expires_in: int, scope: str | None) -> bytes:
    return encode(TokenAnswer(access_token, "Bearer", expires_in, scope))


def read_token(body: bytes) -> TokenAnswer:
    """Raises msgspec.DecodeError."""
    return _token_answer.decode(body)


def write_login(username: str, password: str) -> bytes:
    return encode(_Login(username, password))


def read_login(body: bytes) -> tuple[str, str]:
    """Username and password. Raises Refused."""
    fields = read_fields(body)
    values = [find_field(fields, (name,)) for name in ("username", "password")]
    try:
        username, password = (_text.decode(raw) for raw in values if raw is not None)
    except ValueError:
        raise Refused(Refusal.BODY_UNREADABLE) from None
    return username, password


def write_session(session_token: str) -> bytes:
    return encode(SessionAnswer(session_token))


def read_session(body: bytes) -> str:
    """Raises msgspec.DecodeError."""
    return _session_answer.decode(body).session_token
