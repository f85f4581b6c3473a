"""The rows of the golden blocks of schema version 1: every verb and every kind, each field with a value of its own.

These numbers and the files in v1/ are what releases before this one wrote. They never change; a new version gets rows_v2.py and v2/.
`python -m tests.golden.rows_v1` wrote the files, and writes none that is there.
"""

from __future__ import annotations

import struct
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from eventstore.blocks import Block, after, genesis, seal
from eventstore.sqlite import SqliteLog

FOLDER: Final = Path(__file__).parent / "v1"
RECORD: Final = FOLDER / "record.sqlite3"
PARTITION: Final = 5

COMMANDS: Final = {
    "ListInstrument": (
        1,
        1_700_000_000_123_456_789,
        3,
        70_001,
        123_456,
        77,
        4_923_372_479_160_599_361,
        112_321_760_875_239,
        2,
        6,
        267_472_824_083_991_599,
        10,
        7,
        76_807_581_910,
        418_339_944_827_587_475,
        906_491_977_143,
    ),
    "SetInstrumentState": (2, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 77, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "OpenAccount": (3, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 4, 0, 10, 0, 0, 1_069_659_841_181, 12, 0, 0, 0, 0),
    "ChangeAccount": (4, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 75, 7, 593_325_057_701, 0, 0, 10, 587_473, 0, 0, 0, 0),
    "Deposit": (5, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 27, 0, 0, 0, 0, 0, 4_000_000_000_001, 0, 0, 0, 0),
    "Withdraw": (6, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 96, 0, 0, 0, 0, 0, 4_000_000_000_001, 0, 0, 0, 0),
    "NewOrder": (
        7,
        1_700_000_000_123_456_789,
        3,
        70_001,
        123_456,
        77,
        695,
        8_800_001,
        0,
        9_987,
        12,
        5_000_000,
        1_700_086_400_000_000_000,
        0,
        0,
        0,
    ),
    "CancelOrder": (8, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 0, 0, 8_800_001, 45_035_996_424_704_225, 0, 0, 0, 0, 0, 0, 0),
    "ReduceOrder": (9, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 0, 0, 8_800_001, 45_035_996_424_704_225, 0, 12, 0, 0, 0, 0, 0),
    "ReplaceOrder": (
        10,
        1_700_000_000_123_456_789,
        3,
        70_001,
        123_456,
        0,
        0,
        8_800_001,
        45_035_996_424_704_225,
        9_987,
        12,
        0,
        0,
        8_800_002,
        0,
        0,
    ),
    "MassCancel": (11, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 77, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    "TickClock": (12, 1_700_000_000_123_456_789, 3, 70_001, 123_456, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
}
EVENTS: Final = {
    "CommandRefused": (1, 587_037_847_893, 346_935_555_865, 1_016_127_250_898, 0, 0, 0, 0),
    "CommandRepeated": (2, 327_970_498_905, 204, 0, 0, 0, 0, 0),
    "InstrumentListed": (809_601_335_296_003, 0, 0, 0, 0, 0, 0, 0),
    "InstrumentStateChanged": (3_147_991_984_635_908, 21, 550_709, 0, 0, 0, 0, 0),
    "AccountOpened": (5, 0, 0, 0, 0, 0, 0, 0),
    "AccountChanged": (6, 377_420_841_672, 0, 0, 0, 0, 0, 0),
    "FundsDeposited": (7, 666_956_614_153, 0, 0, 0, 0, 0, 0),
    "FundsWithdrawn": (8, 2, 0, 0, 0, 0, 0, 0),
    "OrderAccepted": (742_926_262_993_161, 45_035_996_424_704_225, 11_990_399, 9_987, 12, 1_700_086_400_000_000_000, 0, 0),
    "OrderCancelled": (684_480_348_029_194, 45_035_996_424_704_225, 123_456, 9_987, 12, 1_199_040, 0, 0),
    "OrderReduced": (1_899_161_523_847_435, 45_035_996_424_704_225, 123_456, 9_987, 12, 1_199_040, 11, 0),
    "OrderReplaced": (1_531_778_611_282_700, 45_035_996_424_704_225, 623_242, 9_987, 12, -250_000, 878_663_959_324, 0),
    "OrdersMassCancelled": (13, 923_713_303_250, 5, 0, 0, 0, 0, 0),
    "ClockTicked": (14, 733_138_213_190, 1, 0, 0, 0, 0, 0),
    "TradeExecuted": (2_914_410_188_243_232, 45_035_996_307_260_391, 654_321, 9_987, 12, 787_201_343_664, 738_249_216_649, 23_659),
    "OrderRested": (1_600_871_750_172_961, 45_035_996_424_704_225, 123_456, 9_987, 12, 0, 0, 0),
    "OrderRemoved": (527_353_274_761_506, 45_035_996_424_704_225, 123_456, 9_987, 12, 1_199_040, 0, 0),
    "SelfTradePrevented": (265_510_583_271_715, 45_035_996_307_260_391, 654_321, 9_987, 12, 197, 135_624, 0),
}
FIRST_CONSEQUENCE: Final = 32


def command_row(name: str) -> bytes:
    """A command's 128 bytes."""
    return struct.pack("<16q", *COMMANDS[name])


def event_row(name: str) -> bytes:
    """An event's 64 bytes."""
    return struct.pack("<8q", *EVENTS[name])


def golden_rows() -> dict[str, tuple[bytes, bytes]]:
    """Name of a block -> its rows: each verb refused; each outcome of a tick; each consequence of an accepted order."""
    rows = {name: (command_row(name), event_row("CommandRefused")) for name in COMMANDS}
    for name, words in EVENTS.items():
        if words[0] & 0xFF < FIRST_CONSEQUENCE:
            rows[name] = command_row("TickClock"), event_row(name)
        else:
            rows[name] = command_row("NewOrder"), event_row("OrderAccepted") + event_row(name)
    return rows


def to_file(block: Block) -> bytes:
    """What is hashed, as documented in eventstore/blocks.py, then the hash."""
    header = struct.pack(
        "<IIQQQIIqII",
        block.schema_version,
        block.partition,
        block.seq,
        block.epoch,
        block.first_event,
        block.event_count,
        block.command_count,
        block.time_ns,
        len(block.inputs),
        len(block.payload),
    )
    return header + block.prev_hash + block.inputs + block.payload + block.hash


def from_file(content: bytes) -> Block:
    """The block of a golden file."""
    schema_version, partition, seq, epoch, first_event, event_count, command_count, time_ns, inputs, payload = struct.unpack_from(
        "<IIQQQIIqII", content
    )
    at = struct.calcsize("<IIQQQIIqII")
    parts = []
    for size in (32, inputs, payload, 32):
        parts.append(content[at : at + size])
        at += size
    assert at == len(content), "a golden file ends with the hash"
    return Block(
        partition, seq, epoch, first_event, event_count, command_count, time_ns, schema_version, parts[1], parts[0], parts[3], parts[2]
    )


def main() -> None:
    """Write the files, as one chain, and the chain once more as a record of SQLite."""
    head = replace(genesis(PARTITION), epoch=1)
    for name, (commands, events) in golden_rows().items():
        block = seal(head, commands, events, head.time_ns + 1_000_000_007, b'{"orders":%d}' % head.seq)
        path = FOLDER / f"{block.seq:02}-{name}.block"
        if not path.exists():
            path.write_bytes(to_file(block))
        head = after(block)
    if not RECORD.exists():
        with closing(SqliteLog(RECORD)) as log:
            log.claim(PARTITION)
            for path in sorted(FOLDER.glob("*.block")):
                log.append(from_file(path.read_bytes()))


if __name__ == "__main__":
    main()
