"""Secrets: made, hashed, compared."""

from __future__ import annotations

import base64
import hashlib
import hmac


def make_token(client_secret: str, nonce: bytes) -> str:
    """The bearer token that a client secret and a nonce stand for."""
    return encode(hmac.digest(client_secret.encode(), nonce, "sha256"))


def encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def hash_made(secret: str) -> str:
    """For secrets made from enough random bytes: nothing to guess, so a fast hash will do."""
    return f"sha256${digest(secret).hex()}"


def hash_chosen(password: str, salt: bytes) -> str:
    return f"scrypt${salt.hex()}${_scrypt(password, salt).hex()}"


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def matches(stored: str, secret: str) -> bool:
    """Whether a secret is the one that was hashed, in time that does not tell how nearly."""
    scheme, _, rest = stored.partition("$")
    if scheme == "scrypt":
        salt, _, expected = rest.partition("$")
        found = _scrypt(secret, bytes.fromhex(salt)).hex()
    else:
        expected, found = rest, digest(secret).hex()
    return hmac.compare_digest(expected, found)
