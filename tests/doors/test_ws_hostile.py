"""Clients that are slow, silent, greedy or broken cost others nothing."""

from __future__ import annotations

import asyncio
import os
import socket
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from picows import WSMsgType, ws_connect

from adapters.doors.ws.client import MAX_SUBSCRIPTIONS
from adapters.doors.ws.connection import MAX_FRAME_BYTES, MAX_TEXT_BYTES
from adapters.doors.ws.server import Limits
from commands.codec import to_row
from commands.messages import NewOrder
from tests.doors.house import Served, served
from tests.doors.sockets import Socket, connected, run
from tests.doors.test_ws import BUY, cleared, key
from tests.waiting import PATIENCE_S, eventually

HANDSHAKE = (
    b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here. Its sockets have small buffers, so that who is slow is seen to be."""
    with served(tmp_path_factory.mktemp("house"), Limits(handshake_s=1.0, per_address=1_200)) as made:
        made.listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        yield made


def shaken(house: Served) -> socket.socket:
    """A socket after the handshake, that reads only when it is told to."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)
    made.settimeout(PATIENCE_S)
    made.connect(("127.0.0.1", house.ws_port))
    made.sendall(HANDSHAKE)
    assert made.recv(12) == b"HTTP/1.1 101"
    return made


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """A frame as clients send it; masked with zeros."""
    size = len(payload)
    head = bytes([first, 0x80 | size]) if size < 126 else bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    if 126 <= size < 2**16:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    return head + bytes(4) + payload


def trade(house: Served, size: int) -> None:
    """So many trades in one block, to and fro."""
    order = NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=50)
    there = replace(order, account=2, side="sell"), order
    back = replace(order, side="sell"), replace(order, account=2)
    house.writer.submit(b"".join(map(to_row, there + back)) * (size // 2)).result()


def works(house: Served) -> None:
    """Others are served as ever."""

    async def given() -> None:
        async with connected(house) as other:
            await other.logged_in(key(house, "alice"))
            await other.done(**BUY)
            await other.done(op="mass_cancel")

    run(given())


def test_who_closes_without_a_code_is_answered_with_one_that_may_be_said(house: Served) -> None:
    with shaken(house) as client:
        client.sendall(frame(b"", 0x88))
        heard = b""
        while more := client.recv(4_096):
            heard += more
    assert heard.endswith(b"\x88\x02" + (1_000).to_bytes(2, "big"))


def test_who_does_not_read_what_may_not_be_left_out_is_told_and_cut_and_others_get_it_all(house: Served) -> None:
    async def given() -> None:
        slow = shaken(house)
        async with connected(house) as quick:
            await quick.done(op="subscribe", channels=["trades"], symbols=["ACME"])
            slow.sendall(frame(msgspec.json.encode({"op": "subscribe", "channels": ["trades"], "symbols": ["ACME"]})))
            await asyncio.sleep(0.2)
            traded = seen = 0
            while len(house.sockets.connections) == 2 and not any(each._is_over for each in tuple(house.sockets.connections)):
                await asyncio.to_thread(trade, house, 1_000)
                traded += 1_000
                assert traded < 200_000, "it is not cut"
                while seen < traded:
                    message = await quick.until(channel="trades", type="update")
                    seen += len(message["trades"])
            assert seen == traded
        said = b""
        while part := slow.recv(2**16):
            said += part
        slow.close()
        assert b'"type":"cut"' in said
        assert b"you are slow" in said

    run(given())


def test_who_reads_late_is_shown_the_present_state_and_not_all_that_was(house: Served) -> None:
    dice = np.random.default_rng(5)

    def stir() -> int:
        """Another book; its block, which was told of."""
        prices = dice.integers(10, 40, 40).tolist()
        orders = [
            NewOrder(account=1, instrument=1, side="buy", quantity_lots=int(dice.integers(1, 9)), price_ticks=each) for each in prices
        ]
        seq = house.writer.submit(b"".join(map(to_row, orders))).result().block_seq
        eventually(lambda: house.hub.seq(1) >= seq)
        return seq

    slow = shaken(house)
    eventually(lambda: len(house.sockets.connections) == 1)
    (connection,) = house.sockets.connections
    narrow = connection._transport.underlying_transport.set_write_buffer_limits
    house.hub.outbox._loop.call_soon_threadsafe(lambda: narrow(high=8_192, low=4_096))
    slow.sendall(frame(msgspec.json.encode({"op": "subscribe", "channels": ["level2"], "symbols": ["ACME"]})))
    eventually(lambda: bool(connection.client._topics))  # type: ignore[attr-defined]
    blocks = 0
    while not connection._is_slow:
        stir()
        blocks += 1
        assert blocks < 2_000, "it is never slow"
    last = [stir() for _ in range(50)][-1]
    said, end = b"", f'"seq":{last}'.encode()
    while end not in said:
        part = slow.recv(2**16)
        assert part, "it was cut"
        said += part
    slow.close()
    kinds = [part[:8] for part in said.split(b'"type":"')[1:]]
    assert kinds.count(b"snapshot") == 2, "the first, and the one that stands for what was left out"
    assert kinds.count(b'update",') <= blocks
    run(cleared(house))


@pytest.mark.parametrize(
    "sent",
    [
        frame(b"x" * (MAX_TEXT_BYTES + 1)),
        frame(b"x" * (MAX_FRAME_BYTES + 1), 0x82),
        frame(b"x", 0x01) * 100,
        frame(b"", 0x01) * 100,
        frame(b"x", 0x80),
        frame(b"x", 0xC1),
        frame(b"x", 0x83),
        b"\x81\x01x",
    ],
    ids=["text too large", "binary too large", "endless", "endless and empty", "no beginning", "compressed", "no such kind", "not masked"],
)
def test_a_frame_that_may_not_be_ends_its_connection_and_no_other(house: Served, sent: bytes) -> None:
    broken = shaken(house)
    try:
        broken.sendall(sent)
        while broken.recv(2**16):
            pass
    except ConnectionError:
        pass  # it was ended before all was sent
    broken.close()
    works(house)


def test_what_is_small_and_would_be_large_is_refused_before_it_is(house: Served) -> None:
    async def given() -> None:
        async with connected(house, Sec_WebSocket_Extensions="permessage-deflate") as bomb:
            await bomb.next()
            made = zlib.compressobj(9, wbits=-15)
            payload = made.compress(bytes(2**24)) + made.flush(zlib.Z_SYNC_FLUSH)
            bomb.transport.send(WSMsgType.TEXT, payload[:-4], rsv1=True)
            cut = await bomb.until(type="cut")
            assert "inflated" in cut["reason"]
            assert (await bomb.is_ended() or (0, ""))[0] == 1009

    run(given())


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    said=st.lists(
        st.one_of(
            st.binary(max_size=300).map(frame),
            st.binary(max_size=300).map(lambda payload: frame(payload, 0x82)),
            st.binary(max_size=300).map(lambda payload: frame(b"OUTC" + payload, 0x82)),
            st.binary(max_size=40),
            st.fixed_dictionaries(
                {
                    "op": st.sampled_from(["login", "subscribe", "order", "cancel", "replace", "mass_cancel", "ping", "", 7]),
                    "id": st.one_of(st.text(max_size=5), st.integers()),
                },
                optional={
                    name: st.one_of(st.text(max_size=9), st.integers(), st.none(), st.lists(st.text(max_size=5)), st.just("ACME"))
                    for name in (
                        "channels",
                        "symbols",
                        "symbol",
                        "from",
                        "price",
                        "quantity",
                        "side",
                        "account",
                        "key",
                        "time",
                        "signature",
                    )
                },
            ).map(lambda words: frame(msgspec.json.encode(words))),
        ),
        max_size=8,
    )
)
def test_whatever_is_said_the_others_are_served(house: Served, said: list[bytes]) -> None:
    strange = shaken(house)
    try:
        strange.sendall(b"".join(said) + frame(b'{"op":"ping","id":"last"}'))
        strange.settimeout(0.2)
        while strange.recv(2**16):
            pass
    except (ConnectionError, TimeoutError):
        pass
    strange.close()
    works_at_all(house)


def works_at_all(house: Served) -> None:
    other = shaken(house)
    other.sendall(frame(b'{"op":"ping","id":"last"}'))
    said = b""
    while b'"pong"' not in said:
        part = other.recv(2**16)
        assert part
        said += part
    other.close()


def test_a_thousand_half_open_connections_hold_nobody_up_and_are_ended(house: Served) -> None:
    idle = [socket.create_connection(("127.0.0.1", house.ws_port)) for _ in range(1_000)]
    for each in idle[::2]:
        each.sendall(HANDSHAKE[:30])
    works(house)
    for each in idle:
        each.settimeout(PATIENCE_S)
        try:
            while each.recv(2**12):
                pass
        except ConnectionError:
            pass
        each.close()


def test_subscriptions_have_a_bound(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as greedy:
            problem = await greedy.problem(op="subscribe", channels=["level1", "level2", "trades"], symbols=["ACME"] * MAX_SUBSCRIPTIONS)
            assert problem["status"] == 429
            for _ in range(50):
                await greedy.done(op="subscribe", channels=["level1"], symbols=["ACME"])
            assert max(map(len, subscriptions(house))) == 1

    run(given())


def subscriptions(house: Served) -> Iterator[dict[object, None]]:
    for connection in house.sockets.connections:
        yield connection.client._topics  # type: ignore[attr-defined]


def test_who_says_nothing_is_asked_and_is_cut_when_he_does_not_answer(tmp_path: Path) -> None:
    with served(tmp_path, Limits(sweep_s=0.4)) as impatient:

        async def given() -> None:
            async with connected(impatient) as answers:
                _, silent = await ws_connect(Socket, f"ws://127.0.0.1:{impatient.ws_port}/v1/ws", enable_auto_pong=False)
                assert isinstance(silent, Socket)
                assert (await silent.is_ended() or (0, ""))[0] == 1001
                await answers.asks(op="ping")

        run(given())


def test_an_address_has_no_more_connections_than_it_may(tmp_path: Path) -> None:
    with served(tmp_path, Limits(per_address=2)) as made:

        async def given() -> None:
            async with connected(made) as one, connected(made) as other, connected(made) as third:
                assert (await third.next())["type"] == "cut"
                assert (await third.is_ended() or (0, ""))[0] == 1013
                await one.asks(op="ping")
                await other.asks(op="ping")

        run(given())


def test_what_is_elsewhere_is_not_found(house: Served) -> None:
    made = socket.create_connection(("127.0.0.1", house.ws_port))
    made.sendall(HANDSHAKE.replace(b"/v1/ws", os.fsencode("/v1/other")))
    assert made.recv(2**12).startswith(b"HTTP/1.1 404")
    made.close()
