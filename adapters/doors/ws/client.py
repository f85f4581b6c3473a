"""What one client asks for, and gets: who it is, its subscriptions, its orders."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from adapters.doors import access
from adapters.doors.access import BEARER, Caller, Denied
from adapters.doors.house import House
from adapters.doors.limits import TooOften
from adapters.doors.rest.problems import problem_of
from adapters.doors.ws.asked import (
    FROM_JSON,
    FROM_MSGPACK,
    NAME_FROM_JSON,
    NAME_FROM_MSGPACK,
    Asked,
    Cancel,
    CancelAll,
    Login,
    Order,
    Ping,
    Reduce,
    Replace,
    Subscribe,
    Unsubscribe,
)
from adapters.doors.ws.entry import Entry, batch_name
from adapters.doors.ws.hub import Hub, TooMany
from adapters.doors.ws.messages import Answer, Pong, Refusal, Welcome
from adapters.doors.ws.packed import Frame
from adapters.doors.ws.topics import Subscriber, Topic
from adapters.registry.aggregates import ApiKey
from adapters.registry.registry import Registry
from commands.batch import MAGIC
from domain.columns import MAX_SESSION

PATH: Final = "/v1/ws"
MAX_SUBSCRIPTIONS: Final = 1_024


class Wire(Subscriber, Protocol):
    """The connection."""

    address: str
    after: dict[Topic, int]

    def send(self, message: msgspec.Struct) -> None:
        """A message."""

    def send_frame(self, frame: Frame) -> None:
        """A frame."""

    def forget(self, topic: Topic) -> None:
        """It is not wanted any more."""


class Client:
    """One client. headers: of the handshake, with names in lower case: they may say who it is."""

    def __init__(self, house: House, hub: Hub, wire: Wire, headers: Mapping[str, str]) -> None:
        self._house, self._hub, self._wire, self._headers = house, hub, wire, headers
        self._entry = Entry(house, hub, wire, self._refuse)
        self._topics: dict[Topic, None] = {}
        self._logging_in: asyncio.Task[None] | None = None

    def greet(self) -> None:
        """The connection is open: say who we think it is."""
        if "authorization" in self._headers or "outcry-key" in self._headers:
            try:
                self._log_in(Login(), self._headers)
            except Exception as error:  # noqa: BLE001 # told as a problem
                self._refuse("", error)
        else:
            self._wire.send(Welcome(user=""))
        self._headers = {}  # there may be very many clients

    def said(self, payload: bytes, *, is_text: bool) -> None:
        """One message. Whatever is wrong with it is told, and the connection goes on."""
        is_batch = not is_text and payload[:4] == MAGIC
        name = batch_name(payload) if is_batch else ""
        try:
            self._admit()
        except TooOften as often:
            self._refuse(name or _name_of(payload, is_text=is_text), often)
            return
        try:
            if is_batch:
                self._entry.batch(payload)
                return
            asked = _read(payload, is_text=is_text)
            name = asked.id
            self._do(asked)
        except Exception as error:  # noqa: BLE001 # told as a problem
            self._refuse(name, error)

    def gone(self) -> None:
        """The connection has ended."""
        for topic in self._topics:
            topic.subscribers.pop(self._wire, None)
        self._topics.clear()
        self._entry.end()
        if self._logging_in is not None:
            self._logging_in.cancel()

    def _admit(self) -> None:
        """Raises TooOften."""
        caller = self._entry.caller
        now_s = time.monotonic()
        if caller is None:
            self._house.by_address.take(f"address {self._wire.address}", now_s)
        else:
            self._house.by_caller.take(caller.key or caller.user, now_s)

    def _do(self, asked: Asked) -> None:
        match asked:
            case Order():
                self._entry.order(asked)
            case Cancel() | Replace() | Reduce():
                self._entry.change(asked)
            case CancelAll():
                self._entry.cancel_all(asked)
            case Subscribe():
                self._subscribe(asked)
            case Unsubscribe():
                self._unsubscribe(asked)
            case Ping():
                self._wire.send(Pong(id=asked.id, time_ns=str(self._house.clock())))
            case Login():
                self._log_in(asked, _headers(asked))

    # -- who it is ----------------------------------------------------------------------------------------------------

    def _log_in(self, asked: Login, headers: Mapping[str, str]) -> None:
        """Raises Denied."""
        if self._logging_in is not None or self._entry.caller is not None:
            raise Denied(409, "this connection is logged in, or about to be; open another for somebody else")
        if asked.partition and asked.partition not in self._house.desks:
            raise Denied(409, f"there is no partition {asked.partition} to trade in")
        request = access.Request("GET", PATH, headers, b"", self._wire.address)
        if headers.get("authorization", "").startswith(BEARER):  # sessions may be in Redis, which may be slow
            self._logging_in = asyncio.ensure_future(self._by_session(asked, request))
        else:
            self._is(asked, self._house.access.caller(request))

    async def _by_session(self, asked: Login, request: access.Request) -> None:
        try:
            caller = await asyncio.to_thread(self._house.access.caller, request)
        except Exception as error:  # noqa: BLE001 # told as a problem
            self._refuse(asked.id, error)
        else:
            self._is(asked, caller)
        self._logging_in = None

    def _is(self, asked: Login, caller: Caller) -> None:
        entry = self._entry
        entry.caller, entry.cancels = caller, asked.cancel_on_disconnect
        entry.session = session_of(self._house.registry, caller.key)
        entry.partition = asked.partition or min(self._house.desks)
        self._wire.send(
            Welcome(
                id=asked.id,
                user=caller.user,
                scopes=sorted(caller.scopes),
                accounts=sorted(caller.accounts),
                session=str(entry.session),
                partition=entry.partition,
            )
        )

    # -- what it looks at ---------------------------------------------------------------------------------------------

    def _subscribe(self, asked: Subscribe) -> None:
        """Raises Denied, NotListed, NotPushed, TooMany: then nothing was subscribed to."""
        wanted = self._wanted(asked)
        if len(self._topics.keys() | set(wanted)) > MAX_SUBSCRIPTIONS:
            raise TooMany(f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions; you have {len(self._topics)}")
        if asked.id:
            self._wire.send(Answer(id=asked.id))
        for topic in wanted:
            self._topics[topic] = None
            after = asked.after.get(str(topic.partition))
            self._begin(topic, after)
            self._wire.after[topic] = max(after or 0, topic.seq)
            topic.subscribers[self._wire] = None

    def _begin(self, topic: Topic, after: int | None) -> None:
        """Send what *topic* is now or, from block *after* on, what happened."""
        if after is not None:
            missed = topic.since(after)
            if missed is not None:
                for packed in missed:
                    self._wire.push(topic, packed)
                return
            if after > topic.seq:
                return
            self._wire.send(topic.gap(after))
        snapshot = topic.snapshot()
        if snapshot is not None:
            self._wire.push(topic, snapshot)

    def _unsubscribe(self, asked: Unsubscribe) -> None:
        for topic in self._wanted(asked):
            self._topics.pop(topic, None)
            topic.subscribers.pop(self._wire, None)
            self._wire.forget(topic)
        if asked.id:
            self._wire.send(Answer(id=asked.id))

    def _wanted(self, asked: Subscribe | Unsubscribe) -> list[Topic]:
        """Raises Denied, NotListed, NotPushed, TooMany."""
        wanted: list[Topic] = []
        if len(asked.channels) * max(len(asked.symbols), 1) > 2 * MAX_SUBSCRIPTIONS:
            raise TooMany(f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions")
        for channel in asked.channels:
            if channel == "user":
                wanted += self._own(self._hub.of_account)
            elif channel == "alerts":
                wanted += self._own(self._hub.alerts_of)
            elif not asked.symbols:
                raise msgspec.ValidationError(f"the channel {channel} is of an instrument; right would be symbols beside it")
            else:
                wanted += [self._hub.of_instrument(channel, symbol, asked.interval) for symbol in asked.symbols]
        return wanted

    def _own(self, of: Callable[[int, int], Topic]) -> list[Topic]:
        """The topics of the caller's accounts. Raises Denied."""
        caller = self._entry.caller
        if caller is None:
            raise Denied(401, "log in first: what is yours is shown to nobody else")
        caller.needs("read")
        return [of(account, partition) for account in sorted(caller.accounts) for partition in self._hub.partitions]

    def _refuse(self, name: str, error: Exception) -> None:
        self._wire.send(Refusal(id=name, problem=problem_of(error)[0]))


def session_of(registry: Registry, key: str) -> int:
    """The session of a key: its place among all that were ever registered, so the same on every gateway. 0: it has none."""
    place = next((place for place, each in enumerate(registry.all(ApiKey), 1) if each.key == key), 0)
    return place if place <= MAX_SESSION else 0


def _read(payload: bytes, *, is_text: bool) -> Asked:
    """Raises ValidationError."""
    try:
        return (FROM_JSON if is_text else FROM_MSGPACK).decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
        raise msgspec.ValidationError(str(wrong)) from wrong


def _name_of(payload: bytes, *, is_text: bool) -> str:
    """The `id` of a message that is not looked at further; empty: it has none."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return (NAME_FROM_JSON if is_text else NAME_FROM_MSGPACK).decode(payload).id
    return ""


def _headers(asked: Login) -> dict[str, str]:
    """As the handshake would have them."""
    if asked.token:
        return {"authorization": BEARER + asked.token}
    signed = {"outcry-key": asked.key, "outcry-time": asked.time, "outcry-nonce": asked.nonce, "outcry-signature": asked.signature}
    return {name: value for name, value in signed.items() if value}
