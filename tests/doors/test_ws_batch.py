"""Batches over a WebSocket: docs/protocol.md, one acknowledgement a frame, and nothing that is somebody else's."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import msgspec
import numpy as np
import pytest
from picows import WSMsgType

from adapters import example
from adapters.doors.desk import Decided
from adapters.doors.ws import entry
from adapters.doors.ws.entry import ACKNOWLEDGED
from commands import batch
from commands.codec import to_row
from commands.messages import CancelOrder, Command, Deposit, NewOrder, OpenAccount, SetInstrumentState
from domain.events import COMMAND_REFUSED, COMMAND_REPEATED, ORDER_ACCEPTED
from domain.partition import Partition
from tests.conftest import REPOSITORY
from tests.doors.house import Served, served
from tests.doors.sockets import Message, Socket, connected, run, signed
from tests.doors.test_ws import cleared, key

ORDER = NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests here: each begins with an empty book."""
    with served(tmp_path_factory.mktemp("house")) as made:
        yield made


def acknowledged(frame: bytes) -> tuple[list[int], list[int], tuple[int, int]]:
    """Of each row the kind of its outcome, and the word after it; block and first event."""
    magic, version, _flags, rows, _checksum, seq, first_event = ACKNOWLEDGED.unpack_from(frame)
    assert (magic, version, len(frame)) == (b"OUTK", 1, 32 + 16 * rows)
    words = np.frombuffer(frame[ACKNOWLEDGED.size :], "<i8").reshape(-1, 2)
    return (words[:, 0] & 255).tolist(), words[:, 1].tolist(), (seq, first_event)


def test_each_row_of_a_batch_has_its_outcome_in_one_frame(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(key(house, "alice"))
            rows = b"".join([to_row(ORDER)] * 500 + [to_row(CancelOrder(account=1, order=1))])
            socket.transport.send(WSMsgType.BINARY, batch.encode(rows))
            while not isinstance(frame := await socket.messages.get(), bytes):
                pass
            kinds, details, (seq, _) = acknowledged(frame)
            assert kinds == [ORDER_ACCEPTED] * 500 + [COMMAND_REFUSED]
            assert len(set(details[:500])) == 500
            assert seq == house.writer.head.seq
            assert int.from_bytes(batch.encode(rows)[12:16], "little") == ACKNOWLEDGED.unpack_from(frame)[4]
        await cleared(house)

    run(given())


def test_what_is_sent_again_in_a_session_is_done_once(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            issued = key(house, "alice")
            session = int((await socket.asks(op="login", **signed(issued)))["session"])
            sequence = time.time_ns()
            rows = b"".join(
                to_row(
                    NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100, session=session, sequence=sequence + n)
                )
                for n in range(3)
            )
            found = []
            for _ in range(2):
                socket.transport.send(WSMsgType.BINARY, batch.encode(rows))
                found.append(acknowledged(await socket.frame())[0])
            assert found == [[ORDER_ACCEPTED] * 3, [COMMAND_REPEATED] * 3]
        await cleared(house)

    run(given())


async def refused(socket: Socket, frame: bytes) -> Message:
    socket.transport.send(WSMsgType.BINARY, frame)
    answer = await socket.until(type="problem")
    assert answer["id"] == str(int.from_bytes(frame[12:16], "little"))
    found: Message = answer["problem"]
    return found


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        (msgspec.structs.replace(ORDER, account=2), 403, "row 1: account 2"),
        (Deposit(account=1, asset=1, amount=1), 403, "row 1: clients enter"),
        (
            NewOrder(account=1, instrument=1, side="buy", quantity_lots=1, price_ticks=100, session=4_000, sequence=1),
            403,
            "row 1: session 4000",
        ),
        (msgspec.structs.replace(ORDER, quantity_lots=-1), 400, "row 1: NewOrder.quantity_lots"),
    ],
)
def test_a_batch_with_a_row_that_may_not_be_sent_is_refused_whole(
    house: Served, command: NewOrder | Deposit, status: int, says: str
) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(key(house, "alice"))
            before = house.writer.head.seq
            problem = await refused(socket, batch.encode(to_row(ORDER) + to_row(command)))
            assert problem["status"] == status
            assert says in problem["detail"]
            assert house.writer.head.seq == before

    run(given())


def test_malformed_rows_are_left_out_for_who_asked_for_that(house: Served) -> None:
    async def given() -> None:
        async with connected(house) as socket:
            await socket.logged_in(key(house, "alice"))
            bad = to_row(msgspec.structs.replace(ORDER, quantity_lots=-1))
            problem = await refused(socket, batch.encode(to_row(ORDER) + bad, skip_malformed=True))
            assert "row 1" in problem["detail"]
            frame = await socket.frame()
            assert acknowledged(frame)[0] == [ORDER_ACCEPTED]
            assert ACKNOWLEDGED.unpack_from(frame)[2] == 1
        await cleared(house)

    run(given())


def test_the_acknowledgement_of_the_protocol_page_is_what_it_says() -> None:
    page = (REPOSITORY / "docs" / "protocol.md").read_text()
    block = re.search(r"```ack\n(.*?)```", page, re.DOTALL)
    assert block
    lines = [line.split(maxsplit=1) for line in block[1].splitlines()]
    example_bytes = b"".join(bytes.fromhex(text) for _, text in lines)
    assert [int(offset) for offset, _ in lines] == list(range(0, len(example_bytes), 16))

    partition = Partition(1)
    begun: list[Command] = [
        example.LISTING,
        OpenAccount(account=7),
        Deposit(account=7, asset=1, amount=100_000),
        SetInstrumentState(instrument=1, state="open"),
    ]
    partition.execute(b"".join(map(to_row, begun)))
    rows = to_row(NewOrder(account=7, instrument=1, side="buy", price_ticks=101, quantity_lots=5, client_order_id=3))
    rows += to_row(CancelOrder(account=7, client_order_id=3))
    first, checksum = partition.events, int.from_bytes(batch.encode(rows)[12:16], "little")
    decided = Decided(2, first, partition.execute(rows))
    assert entry.acknowledged(decided, checksum, is_part=False) == example_bytes
