"""Secrets that must be read again (an HMAC key, a second factor) are sealed with a key that is not in the record.

AES-256-GCM, a fresh nonce each time, and what the secret is for as associated data: one that was moved elsewhere does not open.
"""

from __future__ import annotations

import hmac
import os
import secrets
import tempfile
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
FILE: Final = "seal.key"


class BadSeal(ValueError):
    """A secret that does not open, or a key that is none: which, and what would be right."""


class Seal:
    """Seals and opens with *key*, 32 bytes. Raises BadSeal."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise BadSeal(f"the key of seals has {len(key)} bytes; right would be {KEY_BYTES}")
        self._cipher, self._key = AESGCM(key), key

    def derive(self, purpose: str) -> bytes:
        """A key of its own for *purpose*, 32 bytes, the same each time."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def close(self, secret: bytes, purpose: str) -> str:
        """*secret* as text that says nothing to whoever has no key."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return b64encode(nonce + self._cipher.encrypt(nonce, secret, purpose.encode())).decode()

    def open(self, sealed: str, purpose: str) -> bytes:
        """The secret again. Raises BadSeal: another key sealed it, for another purpose, or it was changed."""
        raw = b64decode(sealed)
        try:
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], purpose.encode())
        except InvalidTag:
            raise BadSeal(f"the secret of {purpose} does not open: it was sealed with another key; bring back the file {FILE}") from None


def of_folder(folder: Path) -> Seal:
    """The seal of the store in *folder*; its key is made the first time, readable by its owner alone. Raises BadSeal, OSError."""
    path = folder / FILE
    if not path.exists():
        opened, new = tempfile.mkstemp(dir=folder)  # readable by its owner alone
        with os.fdopen(opened, "wb") as made:
            made.write(secrets.token_bytes(KEY_BYTES))
        with suppress(FileExistsError):
            os.link(new, path)  # as a whole, and not over one that another process made meanwhile
        Path(new).unlink()
    return Seal(path.read_bytes())
