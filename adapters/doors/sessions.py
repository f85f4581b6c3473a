"""Who is logged in. A session is an opaque id with a signature; it ends IDLE_S after it was last used, and LONGEST_S after it began.

In Redis, so that every gateway knows it and can end it; only a hash of the id is there, so that who reads Redis is not logged in. An id
with a wrong signature is refused without asking. Embedded they are in memory, and end with the process.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec
import redis

from adapters.doors.access import SessionsAway

IDLE_S: Final = 1_800
LONGEST_S: Final = 12 * 3_600
S: Final = 10**9
MAX_OF_USER: Final = 32  # the oldest ends when another begins


class Session(NamedTuple):
    """id: of the session, for its owner to end it; it is not the token."""

    id: str
    user: str
    address: str
    began_ns: int
    used_ns: int

    def ended(self, now_ns: int) -> bool:
        """Whether it has."""
        return now_ns >= min(self.used_ns + IDLE_S * S, self.began_ns + LONGEST_S * S)


class Store(Protocol):
    """Where sessions are. All of it raises SessionsAway."""

    def get(self, id: str) -> Session | None:  # noqa: A002 # of the session
        """A session by its id."""

    def put(self, session: Session) -> None:
        """Keep it, or keep it anew."""

    def remove(self, session: Session) -> None:
        """Forget it."""

    def of_user(self, user: str) -> list[Session]:
        """All of a user's, in no order."""


class Sessions:
    """Sessions in *store*; ids are signed with *key*."""

    def __init__(self, store: Store, key: bytes) -> None:
        self._store, self._key = store, key

    def begin(self, user: str, address: str, now_ns: int) -> str:
        """The token of a new session. Raises SessionsAway."""
        token = secrets.token_urlsafe(24)
        mine = sorted(self.of_user(user, now_ns), key=lambda session: session.used_ns)
        for session in mine[: max(0, len(mine) - MAX_OF_USER + 1)]:
            self._store.remove(session)
        self._store.put(Session(_id(token), user, address, now_ns, now_ns))
        return f"{token}.{self._signature(token)}"

    def find(self, token: str, now_ns: int) -> str | None:
        """The user of a session, which is used now; None: it has ended, or never was. Raises SessionsAway."""
        session = self._session(token, now_ns)
        if session is None:
            return None
        if now_ns - session.used_ns > IDLE_S * S // 10:
            self._store.put(session._replace(used_ns=now_ns))
        return session.user

    def end(self, token: str, now_ns: int) -> None:
        """Log out. Raises SessionsAway."""
        session = self._session(token, now_ns)
        if session is not None:
            self._store.remove(session)

    def end_all(self, user: str) -> None:
        """Log *user* out everywhere. Raises SessionsAway."""
        for session in self._store.of_user(user):
            self._store.remove(session)

    def of_user(self, user: str, now_ns: int) -> list[Session]:
        """The sessions of *user* that have not ended. Raises SessionsAway."""
        return [session for session in self._store.of_user(user) if not session.ended(now_ns)]

    def _session(self, token: str, now_ns: int) -> Session | None:
        secret, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(secret).encode()):
            return None
        session = self._store.get(_id(secret))
        return None if session is None or session.ended(now_ns) else session

    def _signature(self, secret: str) -> str:
        return hmac.new(self._key, secret.encode(), "sha256").hexdigest()


class InMemory:
    """Sessions of one process."""

    def __init__(self) -> None:
        self._sessions: dict[str, Session] = {}
        self._users: dict[str, set[str]] = {}

    def get(self, id: str) -> Session | None:  # noqa: A002 # see Store
        """See Store."""
        return self._sessions.get(id)

    def put(self, session: Session) -> None:
        """See Store."""
        self._sessions[session.id] = session
        self._users.setdefault(session.user, set()).add(session.id)

    def remove(self, session: Session) -> None:
        """See Store."""
        self._sessions.pop(session.id, None)
        self._users.get(session.user, set()).discard(session.id)

    def of_user(self, user: str) -> list[Session]:
        """See Store."""
        return [self._sessions[each] for each in self._users.get(user, ())]


class InRedis:
    """Sessions of all gateways of a *cluster*: a key for each session, which expires, and a set for each user."""

    def __init__(self, client: redis.Redis, cluster: str) -> None:
        self._client, self._prefix = client, f"outcry:{{{cluster}:sessions}}"

    def get(self, id: str) -> Session | None:  # noqa: A002 # see Store
        """See Store."""
        with _asking():
            found = cast("bytes | None", self._client.get(f"{self._prefix}:{id}"))
        return msgspec.msgpack.decode(found, type=Session) if found else None

    def put(self, session: Session) -> None:
        """See Store."""
        of_user = f"{self._prefix}:of:{session.user}"
        with _asking(), self._client.pipeline(transaction=True) as pipe:
            pipe.set(f"{self._prefix}:{session.id}", msgspec.msgpack.encode(session), ex=IDLE_S)
            pipe.sadd(of_user, session.id)
            pipe.expire(of_user, LONGEST_S)
            pipe.execute()

    def remove(self, session: Session) -> None:
        """See Store."""
        with _asking(), self._client.pipeline(transaction=True) as pipe:
            pipe.delete(f"{self._prefix}:{session.id}")
            pipe.srem(f"{self._prefix}:of:{session.user}", session.id)
            pipe.execute()

    def of_user(self, user: str) -> list[Session]:
        """See Store. Ids whose session expired are dropped on the way."""
        of_user = f"{self._prefix}:of:{user}"
        with _asking():
            ids = [each.decode() for each in cast("set[bytes]", self._client.smembers(of_user))]
            found = cast("list[Any]", self._client.mget([f"{self._prefix}:{each}" for each in ids])) if ids else []
            gone = [each for each, session in zip(ids, found, strict=True) if session is None]
            if gone:
                self._client.srem(of_user, *gone)
        return [msgspec.msgpack.decode(each, type=Session) for each in found if each]


def _id(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as failed:
        raise SessionsAway(f"sessions are in Redis, which does not answer: {failed}; requests signed with a key are answered") from failed
