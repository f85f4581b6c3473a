"""Passwords, second factors and API keys: how they are made, and what proves that somebody has them.

A refused login says nothing about what was wrong; the event on record does. Who guesses waits longer each time: from the third failure
on FIRST_DELAY_S, doubled with each further one up to LONGEST_DELAY_S, whatever the address.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final, NamedTuple

import pyotp
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.registry.aggregates import SCOPES_OF, ApiKey, KeyKind, Scope, User
from adapters.registry.registry import Act, Registry
from adapters.registry.seal import Seal

FREE_FAILURES: Final = 2
FIRST_DELAY_S: Final = 1
LONGEST_DELAY_S: Final = 900
SHORTEST_PASSWORD: Final = 12
LONGEST_PASSWORD: Final = 256
MAX_OPENED: Final = 4_096
S: Final = 10**9


class BadCredential(ValueError):
    """A password, key or network that cannot be taken: which, and what would be right."""


class LoginRefused(Exception):
    """retry_after_s: when it may be tried again."""

    def __init__(self, retry_after_s: int = 0) -> None:
        super().__init__("name, password or code are wrong" if not retry_after_s else f"too many attempts; try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Issued(NamedTuple):
    """A new key; secret and passphrase are shown once and never again. An ed25519 key has neither: the client kept its secret."""

    key: str
    secret: str
    passphrase: str


class Credentials:
    """What *registry* knows of who somebody is; secrets are sealed with *seal*, passwords hashed with *hasher*, which takes 64 MiB and a
    tenth of a second. May be used from many threads.
    """

    def __init__(self, registry: Registry, seal: Seal, hasher: PasswordHasher | None = None) -> None:
        self._registry, self._seal, self._hasher = registry, seal, hasher or PasswordHasher()
        self._opened: dict[str, bytes] = {}  # secrets of keys that were used lately
        self._nobody = self._hasher.hash(secrets.token_hex())  # an unknown name takes as long as a wrong password

    def set_password(self, user: str, password: str, act: Act) -> None:
        """Raises BadCredential, Unregistered."""
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise BadCredential(f"the password has {len(password)} characters; right would be {SHORTEST_PASSWORD} to {LONGEST_PASSWORD}")
        hashed = self._hasher.hash(password)
        self._registry.change(User, user, lambda found: found.set_password(hashed, *act))

    def set_second_factor(self, user: str, act: Act) -> str:
        """A new second factor, as the address that authenticator apps read. Raises Unregistered."""
        secret = pyotp.random_base32()
        sealed = self._seal.close(secret.encode(), f"totp of {user}")
        self._registry.change(User, user, lambda found: found.set_totp(sealed, *act))
        return pyotp.TOTP(secret).provisioning_uri(name=user, issuer_name="Outcry")

    def log_in(self, name: str, password: str, code: str, address: str, now_ns: int) -> User:
        """The user who has this password, and this code where there is a second factor. On record either way. Raises LoginRefused."""
        self._registry.follow()
        user = self._registry.find(User, name)
        if user is None:
            self._is_password(self._nobody, password)
            raise LoginRefused
        if (wait_s := _wait_s(user, now_ns)) > 0:
            raise LoginRefused(wait_s)
        wrong = self._wrong(user, password, code, now_ns)
        if not wrong:
            return self._registry.change(User, name, lambda found: found.log_in(address, now_ns))
        self._registry.change(User, name, lambda found: found.refuse_login(address, wrong, now_ns))
        raise LoginRefused

    def _wrong(self, user: User, password: str, code: str, now_ns: int) -> str:
        if not self._is_password(user.password or self._nobody, password) or not user.password:
            return "password"
        if user.totp:
            totp = pyotp.TOTP(self._seal.open(user.totp, f"totp of {user.name}").decode())
            if not totp.verify(code, for_time=now_ns // S, valid_window=1):
                return "code"
        return "closed" if user.is_closed else ""

    def _is_password(self, hashed: str, password: str) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    def issue(
        self,
        user: str,
        act: Act,
        *,
        kind: KeyKind = "hmac",
        public_key: str = "",
        scopes: Iterable[Scope] = ("read", "trade"),
        addresses: Iterable[str] = (),
        expires_ns: int = 0,
    ) -> Issued:
        """A new key of *user*. Raises BadCredential, Unregistered."""
        asked, allowed = set(scopes), scopes_of(self._registry.get(User, user))
        if not asked <= allowed:
            raise BadCredential(f"{user} has no right to {', '.join(sorted(asked - allowed))}; right would be {', '.join(sorted(allowed))}")
        networks = [_network(each) for each in addresses]
        key = secrets.token_hex(16)
        if kind == "ed25519":
            if len(_base64(public_key)) != 32:
                raise BadCredential("public_key is no Ed25519 key; right would be its 32 bytes in base64")
            secret = passphrase = ""
            kept = public_key
        else:
            secret, passphrase = b64encode(secrets.token_bytes(32)).decode(), secrets.token_urlsafe(12)
            kept = self._seal.close(b64decode(secret), f"key {key}")
        hashed = hashlib.sha256(passphrase.encode()).hexdigest() if passphrase else ""
        self._registry.add(ApiKey(key, user, kind, kept, hashed, sorted(asked), networks, expires_ns, *act))
        return Issued(key, secret, passphrase)

    def rotate(self, key: str, act: Act, *, overlap_s: int, now_ns: int) -> Issued:
        """A new hmac key with the rights of *key*, which ends *overlap_s* from now. Raises Unregistered, BadCredential."""
        old = self._registry.get(ApiKey, key)
        issued = self.issue(old.user, act, scopes=old.scopes, addresses=old.addresses, expires_ns=old.expires_ns)
        self._registry.change(ApiKey, key, lambda found: found.end(now_ns + overlap_s * S, *act))
        return issued

    def _secret(self, key: ApiKey) -> bytes:
        found = self._opened.get(key.key)
        if found is None:
            if len(self._opened) >= MAX_OPENED:
                self._opened.clear()
            found = self._opened[key.key] = self._seal.open(key.secret, f"key {key.key}")
        return found

    def is_signed(self, key: ApiKey, message: bytes, signature: bytes) -> bool:
        """Whether whoever has *key* signed *message*."""
        if key.kind == "hmac":
            return hmac.compare_digest(hmac.digest(self._secret(key), message, "sha256"), signature)
        try:
            Ed25519PublicKey.from_public_bytes(_base64(key.secret)).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def scopes_of(user: User) -> frozenset[Scope]:
    """All that *user* may, by his roles; nothing when he is closed."""
    return frozenset() if user.is_closed else frozenset[Scope]().union(*(SCOPES_OF[role] for role in user.roles))


def may_use(key: ApiKey, user: User, address: str, now_ns: int) -> frozenset[Scope]:
    """What *key* may from *address* now: nothing once it ended, from a network that it does not know, or without its user."""
    if 0 < key.expires_ns <= now_ns:
        return frozenset()
    if key.addresses and not any(ipaddress.ip_address(address) in ipaddress.ip_network(each) for each in key.addresses):
        return frozenset()
    return scopes_of(user) & set(key.scopes)


def has_passphrase(key: ApiKey, passphrase: str) -> bool:
    """Whether *passphrase* is the one that must be said beside *key*."""
    return hmac.compare_digest(hashlib.sha256(passphrase.encode()).hexdigest(), key.passphrase)


def _wait_s(user: User, now_ns: int) -> int:
    """How long nobody may try to be *user*."""
    if user.failures <= FREE_FAILURES:
        return 0
    delay_s = min(FIRST_DELAY_S << min(user.failures - FREE_FAILURES - 1, 20), LONGEST_DELAY_S)
    return max(0, -(-(user.last_refused_ns + delay_s * S - now_ns) // S))


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise BadCredential(f"address {text!r} is no network; right would be for example 192.0.2.0/24") from None


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""
