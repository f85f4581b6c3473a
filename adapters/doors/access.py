r"""Who is asking, and what he may: by a signature of each request, or by a session that a login began.

A signed request names its key, when it was made and a word that is used once, and signs these with what it asks:

    Outcry-Key: 9f…            Outcry-Time: 1800000000000000000 (nanoseconds of UTC)
    Outcry-Nonce: any text     Outcry-Signature: base64 of HMAC-SHA256 (or Ed25519) over
                                   TIME \n NONCE \n METHOD \n PATH?QUERY \n BODY

It is good for WINDOW_S around its time and once: whoever overhears it cannot say it again. Each gateway remembers the words of that time,
MAX_NONCES of them; beyond that it takes no signed request.
"""

from __future__ import annotations

from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from adapters.registry.aggregates import Account, ApiKey, Scope, User
from adapters.registry.credentials import Credentials, may_use, scopes_of
from adapters.registry.registry import Registry

WINDOW_S: Final = 30
MAX_NONCES: Final = 2**20
S: Final = 10**9
BEARER: Final = "Bearer "


class Denied(Exception):
    """Nobody we know (401), or not allowed to (403). What is said helps whoever forgot something, not whoever guesses."""

    def __init__(self, status: int, says: str) -> None:
        super().__init__(says)
        self.status = status


class Caller(NamedTuple):
    """Who asks: user, by which key (empty: by a session), what he may, the accounts that he may trade for, and from where.

    nonce  the word of a request that is signed
    """

    user: str
    key: str
    scopes: frozenset[Scope]
    accounts: frozenset[int]
    address: str
    nonce: str = ""

    def needs(self, scope: Scope) -> None:
        """Raises Denied unless the caller may do so."""
        if scope not in self.scopes:
            raise Denied(403, f"this needs the scope {scope}; {self.key or self.user} has {', '.join(sorted(self.scopes)) or 'none'}")

    def trades_for(self, account: int) -> None:
        """Raises Denied unless the account is the caller's. Nobody learns whether another one exists."""
        if account not in self.accounts:
            raise Denied(403, f"account {account} is not one of yours")


class Request(NamedTuple):
    """What is asked: method, path with query, headers with names in lower case, body, and where from."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    address: str


class Sessions(Protocol):
    """Who is logged in."""

    def find(self, token: str, now_ns: int) -> str | None:
        """The user of a session, which lives longer by that; None: there is none. Raises SessionsAway."""


class SessionsAway(OSError):
    """Sessions cannot be looked up now. Requests that are signed with a key are answered as ever."""


class Access:
    """Looks callers up in *registry*. For one thread."""

    def __init__(self, registry: Registry, credentials: Credentials, sessions: Sessions, clock: Callable[[], int]) -> None:
        self._registry, self._credentials, self._sessions, self._clock = registry, credentials, sessions, clock
        self._nonces: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._accounts_of: dict[str, set[int]] = {}
        self._accounts_seen = -1

    def caller(self, request: Request) -> Caller:
        """Raises Denied, SessionsAway."""
        if request.headers.get("authorization", "").startswith(BEARER):
            return self._by_session(request)
        if "outcry-key" in request.headers:
            return self._by_signature(request)
        raise Denied(401, "sign the request with a key (Outcry-Key, Outcry-Time, Outcry-Nonce, Outcry-Signature), or log in")

    def key(self, name: str, address: str) -> tuple[ApiKey, frozenset[Scope]]:
        """A key that may be used from *address* now, and what it may. Raises Denied."""
        found = self._registry.find(ApiKey, name)
        user = self._registry.find(User, found.user) if found else None
        scopes = may_use(found, user, address, self._clock()) if found and user else frozenset[Scope]()
        if found is None or not scopes:
            raise Denied(401, "the key is not known, has ended, or may not be used from this address")
        return found, scopes

    def check_time(self, time_ns: int) -> None:
        """Raises Denied when a request was not made about now."""
        off_ns = abs(self._clock() - time_ns)
        if off_ns > WINDOW_S * S:
            raise Denied(401, f"the request was made {off_ns / S:.0f} s from now by our clock; right would be at most {WINDOW_S} s")

    def use_once(self, key: str, nonce: str) -> None:
        """Raises Denied for a word that was used with that key within the window."""
        now_ns = self._clock()
        while self._nonces and now_ns > next(iter(self._nonces.values())):
            self._nonces.popitem(last=False)
        if len(self._nonces) >= MAX_NONCES:
            raise Denied(503, f"{MAX_NONCES} signed requests came within {2 * WINDOW_S} s; try again later")
        if (key, nonce) in self._nonces:
            raise Denied(401, "this request was made before; make a new one, with another Outcry-Nonce")
        self._nonces[key, nonce] = now_ns + 2 * WINDOW_S * S

    def of_key(self, key: ApiKey, scopes: frozenset[Scope], address: str) -> Caller:
        """Who signs with *key*."""
        return Caller(key.user, key.key, scopes, self._accounts(key.user), address)

    def of_user(self, user: User, address: str) -> Caller:
        """Who logged in as *user*."""
        return Caller(user.name, "", scopes_of(user), self._accounts(user.name), address)

    def _by_signature(self, request: Request) -> Caller:
        head = request.headers
        key, scopes = self.key(head["outcry-key"], request.address)
        time, nonce = head.get("outcry-time", ""), head.get("outcry-nonce", "")
        if not (time.isascii() and time.isdecimal() and len(time) < 20) or not 0 < len(nonce) <= 64:
            raise Denied(401, "Outcry-Time is to be nanoseconds of UTC, and Outcry-Nonce 1 to 64 characters that are used once")
        self.check_time(int(time))
        message = f"{time}\n{nonce}\n{request.method}\n{request.path}\n".encode() + request.body
        if not self._credentials.is_signed(key, message, decoded(head.get("outcry-signature", ""))):
            raise Denied(401, "the signature is not that of time, nonce, method, path with query, and body, each but the last ended by \\n")
        self.use_once(key.key, nonce)
        return self.of_key(key, scopes, request.address)._replace(nonce=nonce)

    def _by_session(self, request: Request) -> Caller:
        name = self._sessions.find(request.headers["authorization"].removeprefix(BEARER), self._clock())
        user = self._registry.find(User, name) if name else None
        if user is None or user.is_closed:
            raise Denied(401, "the session has ended, or never was; log in")
        return self.of_user(user, request.address)

    def _accounts(self, user: str) -> frozenset[int]:
        """The accounts of *user*, looked up again whenever something was registered."""
        if self._accounts_seen != self._registry.seen:
            self._accounts_seen = self._registry.seen
            self._accounts_of = {}
            for account in self._registry.all(Account):
                for name in account.users:
                    self._accounts_of.setdefault(name, set()).add(account.number)
        return frozenset(self._accounts_of.get(user, ()))


def decoded(base64: str) -> bytes:
    """The bytes of *base64*; none when it is not."""
    try:
        return b64decode(base64, validate=True)
    except ValueError:
        return b""
