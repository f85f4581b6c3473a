"""One socket: frames in, frames out, and what becomes of a client that does not keep up.

While its write buffer is above HIGH_BYTES, of state it is only noted what changed, and the present state is sent when there is room again;
what may not be left out waits, BACKLOG_BYTES of it; beyond that the client is told and cut.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from typing import Any, Final, Protocol, cast

import msgspec
from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from adapters.doors.ws.messages import Cut
from adapters.doors.ws.packed import Form, Frame, Packed, TooLarge, inflate
from adapters.doors.ws.topics import Topic
from commands.batch import HEADER
from domain.columns import MAX_BATCH_COMMANDS
from domain.verbs import COMMAND_BYTES

HIGH_BYTES: Final = 2**18
LOW_BYTES: Final = 2**16
BACKLOG_BYTES: Final = 2**20
MAX_FRAME_BYTES: Final = HEADER.size + MAX_BATCH_COMMANDS * COMMAND_BYTES
MAX_TEXT_BYTES: Final = 2**16
MAX_FRAGMENTS: Final = 64
CLOSE_S: Final = 2.0
_QUIET_SWEEPS: Final = 2


class Client(Protocol):
    """Who is at the other end."""

    def greet(self) -> None:
        """The connection is open."""

    def said(self, payload: bytes, *, is_text: bool) -> None:
        """One message."""

    def gone(self) -> None:
        """The connection has ended."""


class Door(Protocol):
    """What a connection belongs to."""

    def address_of(self, transport: WSTransport) -> str:
        """Where a connection comes from."""

    def entered(self, connection: Connection, address: str) -> str:
        """It is open; empty, or why it must not stay."""

    def left(self, connection: Connection, address: str) -> None:
        """It has ended."""


class Connection(WSListener):
    """See above. client is set before the first frame.

    after  of topics of which the client was sent what is so as of a block: that block, until the next message
    """

    def __init__(self, door: Door, form: Form) -> None:
        super().__init__()
        self._door, self.form = door, form
        self.client: Client
        self.address = ""
        self._transport: WSTransport
        self._fragments: list[bytes] = []
        self._is_text = self._is_deflated = False
        self._is_slow = self._is_over = False
        self._waits: deque[Frame] = deque()
        self._waits_bytes = 0
        self._changed: dict[Topic, None] = {}
        self._quiet = 0
        self._answers: list[Frame] = []
        self._loop = asyncio.get_running_loop()
        self.after: dict[Topic, int] = {}

    # -- what picows calls --------------------------------------------------------------------------------------------

    def on_ws_connected(self, transport: WSTransport) -> None:
        """See WSListener."""
        self._transport = transport
        cast("Any", transport.underlying_transport).set_write_buffer_limits(high=HIGH_BYTES, low=LOW_BYTES)
        self.address = self._door.address_of(transport)
        why = self._door.entered(self, self.address)
        if why:
            self.cut(why)
        else:
            self.client.greet()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """See WSListener."""
        self._quiet = 0
        kind = frame.msg_type
        if kind == WSMsgType.CLOSE:
            if not self._is_over:
                self._is_over = True
                code = frame.get_close_code()
                none = code == WSCloseCode.NO_INFO  # as a number it may not be said
                transport.send_close(WSCloseCode.OK if none else code, frame.get_close_message())
            transport.disconnect()
        elif self._is_over:
            return
        elif kind in {WSMsgType.TEXT, WSMsgType.BINARY, WSMsgType.CONTINUATION}:
            self._take(frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:  # noqa: ARG002 # see WSListener
        """See WSListener."""
        self._is_over = True
        self._door.left(self, self.address)
        self.client.gone()

    def pause_writing(self) -> None:
        """See WSListener."""
        self._is_slow = True

    def resume_writing(self) -> None:
        """See WSListener."""
        self._is_slow = False
        while self._waits and not self._is_slow:
            frame = self._waits.popleft()
            self._waits_bytes -= len(frame.payload)
            self._write(frame)
        while self._changed and not self._is_slow:
            topic = next(iter(self._changed))
            del self._changed[topic]
            packed = topic.snapshot()
            if packed is not None:
                self._write(packed.frame(self.form))
                if topic.is_chained:
                    self.after[topic] = topic.seq  # what is on its way of before is in it

    # -- what the client and the hub call -----------------------------------------------------------------------------

    def push(self, topic: Topic, packed: Packed) -> None:
        """See Subscriber."""
        if self._is_over or (self.after and packed.seq and not self._is_new(topic, packed.seq)):
            return
        if self._answers:
            self._flush()
        if not self._is_slow:
            self._write(packed.frame(self.form))
        elif topic.is_state:
            self._changed[topic] = None
        else:
            self._wait(packed.frame(self.form))

    def send(self, message: msgspec.Struct) -> None:
        """To this client alone."""
        self.send_frame(Packed(message).frame(self.form))

    def send_frame(self, frame: Frame) -> None:
        """To this client alone."""
        if self._is_over:
            return
        if self._is_slow:
            self._wait(frame)
            return
        if not self._answers:
            self._loop.call_soon(self._flush)
        self._answers.append(frame)

    def forget(self, topic: Topic) -> None:
        """It is not wanted any more."""
        self._changed.pop(topic, None)
        self.after.pop(topic, None)

    def cut(self, reason: str, code: WSCloseCode = WSCloseCode.TRY_AGAIN_LATER) -> None:
        """Say why, and end it."""
        if self._is_over:
            return
        self._flush()
        self._write(Packed(Cut(reason=reason)).frame(self.form))
        self._is_over = True
        self._waits.clear()
        self._changed.clear()
        self._transport.send_close(code, reason.encode()[:120])
        asyncio.get_running_loop().call_later(CLOSE_S, self._transport.underlying_transport.abort)

    def sweep(self) -> None:
        """Ask who has said nothing since the last time, and cut who does not answer either."""
        self._quiet += 1
        if self._is_over:
            return
        if self._quiet > _QUIET_SWEEPS:
            self.cut("nothing was heard of you, not even an answer to a ping", WSCloseCode.GOING_AWAY)
        elif self._quiet == _QUIET_SWEEPS:
            self._transport.send_ping(b"")

    # -- inside -------------------------------------------------------------------------------------------------------

    def _take(self, frame: WSFrame) -> None:
        """A frame of a message: the whole of it, or a part."""
        payload = frame.get_payload_as_bytes()
        if frame.msg_type != WSMsgType.CONTINUATION:
            if self._fragments:
                self.cut("a message began within another", WSCloseCode.PROTOCOL_ERROR)
                return
            self._is_text, self._is_deflated = frame.msg_type == WSMsgType.TEXT, frame.rsv1
        elif not self._fragments:
            self.cut("a message goes on that did not begin", WSCloseCode.PROTOCOL_ERROR)
            return
        self._fragments.append(payload)
        size = sum(map(len, self._fragments))
        most = MAX_TEXT_BYTES if self._is_text else MAX_FRAME_BYTES
        if size > most or len(self._fragments) > MAX_FRAGMENTS:
            self.cut(f"a message may have {most} bytes in {MAX_FRAGMENTS} frames", WSCloseCode.MESSAGE_TOO_BIG)
        elif frame.fin:
            whole, self._fragments = b"".join(self._fragments), []
            self._whole(whole, most)

    def _whole(self, payload: bytes, most: int) -> None:
        if self._is_deflated:
            if not self.form.is_deflated:
                self.cut("a message is compressed, which was not agreed on", WSCloseCode.PROTOCOL_ERROR)
                return
            try:
                payload = inflate(payload, most)
            except TooLarge as large:
                self.cut(str(large), WSCloseCode.MESSAGE_TOO_BIG)
                return
            except zlib.error:
                self.cut("a message is said to be compressed, and is not", WSCloseCode.INVALID_TEXT)
                return
        self.client.said(payload, is_text=self._is_text)

    def _is_new(self, topic: Topic, seq: int) -> bool:
        """Whether a message is of a block after that which the client has."""
        if seq <= self.after.get(topic, 0):
            return False
        self.after.pop(topic, None)
        return True

    def _wait(self, frame: Frame) -> None:
        self._waits.append(frame)
        self._waits_bytes += len(frame.payload)
        if self._waits_bytes > BACKLOG_BYTES:
            self.cut(f"you are slow: {self._waits_bytes} bytes waited for you that may not be left out, {BACKLOG_BYTES} may")

    def _flush(self) -> None:
        """The answers of this turn of the loop, together: a call of the system costs more than an answer."""
        frames, self._answers = self._answers, []
        if not frames or self._is_over:
            return
        if self._is_slow:
            for frame in frames:
                self._wait(frame)
        else:
            self._transport.underlying_transport.write(b"".join([frame.wire() for frame in frames]))

    def _write(self, frame: Frame) -> None:
        kind = WSMsgType.BINARY if frame.is_binary else WSMsgType.TEXT
        self._transport.send(kind, frame.payload, rsv1=frame.is_deflated)
