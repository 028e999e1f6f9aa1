"""Ed25519 keys that sign checkpoints; they live in files outside the database."""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from fotapool.model import ConfigurationError


def make_key_pair() -> tuple[bytes, bytes]:
    """A new private key and its public one, both in PEM."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key()
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
    )


def sign(private_pem: bytes, message: bytes) -> bytes:
    """The signature of a message. Raises ConfigurationError for what is no Ed25519 key."""
    try:
        key = load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError) as error:
        raise ConfigurationError("this is no unencrypted private key in PEM") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("this is a private key, but not an Ed25519 one")
    return key.sign(message)


def is_signature(public_pem: bytes, signature: bytes, message: bytes) -> bool:
    """Whether the key's owner signed the message. Raises ConfigurationError for no such key."""
    try:
        key = load_pem_public_key(public_pem)
    except ValueError as error:
        raise ConfigurationError("this is no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigurationError("this is a public key, but not an Ed25519 one")
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
