"""Bearer tokens and sessions: given and ended."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fotapool.api.exchange import Call, Headers, Reply
from fotapool.wire import login

if TYPE_CHECKING:
    from fotapool.api import Api

_NEVER_STORED: Headers = (("Cache-Control", "no-store"),)
_HEADER_SAFE = re.compile(r"[\x21-\x7e]{1,4096}")


def issue_token(api: Api, call: Call) -> Reply:
    """Give a bearer token for client credentials."""
    client_id, client_secret = login.read_basic(call.request.headers.get("authorization"))
    scope = login.read_grant(call.request.body)
    token, seconds = api.auth.issue_token(client_id, client_secret)
    return Reply(200, login.write_token(token, seconds, scope), _NEVER_STORED)


def revoke_token(api: Api, call: Call) -> Reply:
    """End a bearer token. The answer has no body; the token comes back in a header."""
    client_id, client_secret = login.read_basic(call.request.headers.get("authorization"))
    token = login.read_form(call.request.body).get("token", "")
    api.auth.revoke_token(client_id, client_secret, token)
    said = (("RevokedAccessToken", token),) if _HEADER_SAFE.fullmatch(token) else ()
    return Reply(200, b"", _NEVER_STORED + said)


def log_in(api: Api, call: Call) -> Reply:
    """Begin a session."""
    identity = api.identify(call)
    session = api.auth.log_in(identity, *login.read_login(call.request.body))
    return Reply(200, login.write_session(session), _NEVER_STORED)


def log_out(api: Api, call: Call) -> Reply:
    """End a session."""
    identity = api.identify(call)
    session = call.request.session
    api.auth.log_out(identity, session)
    return Reply(200, login.write_session(session), _NEVER_STORED)
