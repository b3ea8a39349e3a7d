"""What only a passphrase opens: AES-GCM with a key that scrypt makes. For files that leave this machine.

A wrong passphrase and a changed file are told apart: scrypt also makes a check value, which says nothing about the key.
"""

import hashlib
import hmac
import os

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_SALT_BYTES = 16
_NONCE_BYTES = 12
_KEY_BYTES = 32
_CHECK_BYTES = 32
# 128 MiB and about half a second: OWASP's first choice (2026). Guessing goes on for as long as the file exists.
_SCRYPT = {"n": 2**17, "r": 8, "p": 1, "maxmem": 2**28}
_FORM = b"tidegate-sealed-1"
"""Stands for cipher, sizes and costs, none of which is read from the file."""


class WrongPassphrase(Exception):
    """Another passphrase sealed it."""


class Altered(Exception):
    """It is not what was sealed."""


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sealed content. JSON has the parts as base64."""

    salt: bytes
    check: bytes
    nonce: bytes
    content: bytes


def seal(content: bytes, passphrase: str) -> Sealed:
    """Close `content`. Takes half a second and 128 MiB."""
    salt, nonce = os.urandom(_SALT_BYTES), os.urandom(_NONCE_BYTES)
    key, check = _derived(passphrase, salt)
    return Sealed(salt, check, nonce, AESGCM(key).encrypt(nonce, content, _bound(salt, check)))


def unseal(value: object, passphrase: str) -> bytes:
    """Open what JSON had of a `Sealed`. Raises WrongPassphrase or Altered."""
    try:
        sealed = msgspec.convert(value, Sealed)
    except msgspec.ValidationError as exc:
        raise Altered from exc
    if (len(sealed.salt), len(sealed.nonce)) != (_SALT_BYTES, _NONCE_BYTES):
        raise Altered
    key, check = _derived(passphrase, sealed.salt)
    if not hmac.compare_digest(check, sealed.check):
        raise WrongPassphrase
    try:
        return AESGCM(key).decrypt(sealed.nonce, sealed.content, _bound(sealed.salt, check))
    except InvalidTag as exc:
        raise Altered from exc


def _derived(passphrase: str, salt: bytes) -> tuple[bytes, bytes]:
    """The key, and the check value that is stored."""
    made = hashlib.scrypt(passphrase.encode(), salt=salt, dklen=_KEY_BYTES + _CHECK_BYTES, **_SCRYPT)
    return made[:_KEY_BYTES], made[_KEY_BYTES:]


def _bound(salt: bytes, check: bytes) -> bytes:
    """What the content cannot be opened with another one of."""
    return _FORM + salt + check
