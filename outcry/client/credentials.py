"""Who asks: a key, and how it signs."""

from __future__ import annotations

import hmac
import secrets
import ssl
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Literal, Self

import msgspec


class KeyFile(msgspec.Struct):
    """A file as `outcry demo` writes it: a key, and where it opens."""

    key: str
    secret: str
    rest: str = ""
    websocket: str = ""
    passphrase: str = ""
    kind: Literal["hmac", "ed25519"] = "hmac"
    authority: str = ""

    def trusts(self) -> ssl.SSLContext | None:
        """Raises OSError for an authority that cannot be read."""
        return ssl.create_default_context(cafile=self.authority) if self.authority else None

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Raises OSError, and ValueError when it is no such file."""
        try:
            return msgspec.json.decode(Path(path).read_bytes(), type=cls)
        except msgspec.MsgspecError as wrong:
            raise ValueError(f"{path} is no key file: {wrong}; right would be JSON with key, secret, rest and websocket") from wrong


class Credentials(msgspec.Struct, frozen=True):
    """A key of the venue.

    secret      base64, as the venue showed it; of an ed25519 key the 32 bytes of its private key
    passphrase  is asked for by the dialects of other venues alone
    """

    key: str
    secret: str
    passphrase: str = ""
    kind: Literal["hmac", "ed25519"] = "hmac"

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """The key of a key file. Raises OSError, ValueError."""
        return cls.of(KeyFile.read(path))

    @classmethod
    def of(cls, file: KeyFile) -> Self:
        """The key of *file*."""
        return cls(file.key, file.secret, file.passphrase, file.kind)

    def sign(self, method: str, path: str, body: bytes = b"") -> dict[str, str]:
        """Key, time, nonce and signature of a request to *path*, with its query: good for some seconds, and once."""
        time_ns, nonce = str(time.time_ns()), secrets.token_hex(12)
        message = f"{time_ns}\n{nonce}\n{method}\n{path}\n".encode() + body
        return {"key": self.key, "time": time_ns, "nonce": nonce, "signature": b64encode(self._signature(message)).decode()}

    def _signature(self, message: bytes) -> bytes:
        secret = b64decode(self.secret)
        if self.kind == "hmac":
            return hmac.digest(secret, message, "sha256")
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(secret).sign(message)

    def __repr__(self) -> str:
        return f"Credentials({self.key!r}, …)"
