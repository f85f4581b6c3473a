"""One client of the feed, at /coinbase/ws: what it subscribes to."""

from __future__ import annotations

import time
from typing import Final, Protocol

import msgspec

from adapters.doors.access import Caller, Denied
from adapters.doors.coinbase.channels import Channel, Channels
from adapters.doors.coinbase.problems import message_of
from adapters.doors.coinbase.said import NAMES, Asked, Name, Subscribed, Subscriptions, Wrong
from adapters.doors.coinbase.signing import PREFIX, Signed, who
from adapters.doors.house import House
from adapters.doors.ws.topics import Subscriber

PATH: Final = f"{PREFIX}/ws"
VERIFY: Final = b"GET/users/self/verify"
MAX_SUBSCRIPTIONS: Final = 1_024
_ALIASES: Final = {"level2_batch": "level2"}
_READ: Final = msgspec.json.Decoder(Asked)


class Wire(Subscriber, Protocol):
    """The connection."""

    address: str

    def send(self, message: msgspec.Struct) -> None:
        """A message."""

    def forget(self, topic: Channel) -> None:
        """It is not wanted any more."""


class Refused(Exception):
    """What was asked is not done. message, reason: as the client sees it."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(reason)
        self.message, self.reason = message, reason


class Client:
    """See above."""

    def __init__(self, house: House, channels: Channels, wire: Wire) -> None:
        self._house, self._channels, self._wire = house, channels, wire
        self._caller: Caller | None = None
        self._topics: dict[tuple[Name, str], list[Channel]] = {}  # channel, product -> of each account

    def greet(self) -> None:
        """The connection is open; the dialect says nothing."""

    def said(self, payload: bytes, *, is_text: bool) -> None:  # noqa: ARG002 # it is JSON or is refused
        """One message. Whatever is wrong with it is told, and the connection goes on."""
        try:
            self._admit()
            asked = _READ.decode(payload)
            if asked.signature:
                self._log_in(asked)
            wanted = self._wanted(asked)
            if asked.type == "subscribe":
                self._subscribe(wanted)
            else:
                self._unsubscribe(wanted)
        except Refused as refused:
            self._wire.send(Wrong(refused.message, refused.reason))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as wrong:
            self._wire.send(Wrong("Malformed message", str(wrong)))
        except Exception as error:  # noqa: BLE001 # told as by REST
            self._wire.send(Wrong("Failed to subscribe", message_of(error)[1]))

    def gone(self) -> None:
        """The connection has ended."""
        for topics in self._topics.values():
            for topic in topics:
                topic.subscribers.pop(self._wire, None)
        self._topics.clear()

    def _admit(self) -> None:
        """Raises TooOften."""
        if self._caller is None:
            self._house.by_address.take(f"address {self._wire.address}", time.monotonic())
        else:
            self._house.by_caller.take(self._caller.key, time.monotonic())

    def _log_in(self, asked: Asked) -> None:
        """Raises Refused. Each subscription may be signed, by the same key."""
        said = Signed(asked.key, asked.passphrase, str(asked.timestamp), asked.signature)
        try:
            caller = who(self._house, said, VERIFY, self._wire.address)
        except Denied as denied:
            raise Refused("Authentication Failed", str(denied)) from denied
        if self._caller is not None and caller.key != self._caller.key:
            raise Refused("Authentication Failed", "this connection is another key's; open one for each")
        self._caller = caller

    def _wanted(self, asked: Asked) -> list[tuple[Name, str]]:
        """Channels and products. Raises Refused, NotFound."""
        wanted: dict[tuple[Name, str], None] = {}
        known = self._channels.products()
        for each in asked.channels:
            name, ids = (each, asked.product_ids) if isinstance(each, str) else (each.name, [*asked.product_ids, *each.product_ids])
            name = _ALIASES.get(name, name)
            if name not in NAMES:
                raise Refused("Failed to subscribe", f"{name} is not a valid channel; right would be one of {', '.join(NAMES)}")
            if not ids and asked.type == "subscribe":
                raise Refused("Failed to subscribe", f"the channel {name} is of products; right would be product_ids beside it")
            wanted |= dict.fromkeys((name, known.id(known.get(id_))) for id_ in ids)
            if not ids:
                wanted |= dict.fromkeys(key for key in self._topics if key[0] == name)
        return list(wanted)

    def _subscribe(self, wanted: list[tuple[Name, str]]) -> None:
        """Raises Refused, NotPushed, TooMany, Denied: then nothing was subscribed to."""
        new = [key for key in wanted if key not in self._topics]
        accounts = self._accounts() if any(name == "user" for name, _ in new) else []
        if len(self._topics) + len(new) > MAX_SUBSCRIPTIONS:
            raise Refused("Failed to subscribe", f"a connection may have {MAX_SUBSCRIPTIONS} subscriptions")
        known = self._channels.products()
        made = {
            (name, id_): [self._channels.topic(name, known, id_, account) for account in (accounts if name == "user" else [0])]
            for name, id_ in new
        }
        self._topics |= made
        self._tell()
        for topics in made.values():
            for topic in topics:
                snapshot = topic.snapshot()
                if snapshot is not None:
                    self._wire.push(topic, snapshot)
                topic.subscribers[self._wire] = None

    def _unsubscribe(self, wanted: list[tuple[Name, str]]) -> None:
        for key in wanted:
            for topic in self._topics.pop(key, []):
                topic.subscribers.pop(self._wire, None)
                self._wire.forget(topic)
        self._tell()

    def _accounts(self) -> list[int]:
        """Raises Refused, Denied."""
        if self._caller is None:
            raise Refused("Authentication Failed", "the channel user is signed for: key, passphrase, timestamp, signature")
        self._caller.needs("read")
        return sorted(self._caller.accounts)

    def _tell(self) -> None:
        ids: dict[str, list[str]] = {}
        for name, product_id in self._topics:
            ids.setdefault(name, []).append(product_id)
        self._wire.send(Subscriptions([Subscribed(name, of) for name, of in ids.items()]))
