"""The oracle: from the clients' log of intents and from what lies in PostgreSQL and in Kafka, whether any promise was broken.

It knows the bytes (docs/protocol.md, docs/events.md) and what was promised, and nothing of the engine: it decides no command and matches
no order.

lost     acknowledged, and not in the record
doubled  in the record more than once
wrong    anything else: another outcome than was told or repeated, another command than was sent, a chain that is none, a topic that is no
         copy, time that goes back, money that came or went, a poison record without its note
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

from adapters.drill.intents import Intent, Line, Poison, Told
from adapters.drill.market import name_of
from adapters.drill.money import Money
from adapters.drill.pace import Pace
from adapters.drill.record import Found, Head, genesis
from commands.outcomes import Name
from domain.events import COMMAND_REPEATED, RECORD_UNREADABLE
from domain.verbs import COMMAND_BYTES, UNREADABLE
from eventstore.codec import BadPayload

RECEIVED: Final = slice(8, 16)  # of a row: the writer stamps it
SHOWN: Final = 20  # findings of a kind that are spelled out


class Entry(NamedTuple):
    """A command in the record."""

    block: int
    row: bytes
    kind: int
    detail: int


@dataclass
class Verdict:
    """What came out.

    acknowledged     commands whose client was told an outcome; unknown: whose client never was
    recorded         commands in the record, those that were repeated too
    longest_pause_s  longest time in which nobody was told anything new
    rows_seen        how often a reader looked at a view
    paces            how the market traded, before and while something broke
    trouble          what is no broken promise, and not as it should be either
    """

    acknowledged: int = 0
    unknown: int = 0
    recorded: int = 0
    blocks: int = 0
    longest_pause_s: float = 0.0
    rows_seen: int = 0
    paces: dict[str, Pace] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    @property
    def findings(self) -> list[str]:
        """All that is against the promise."""
        return [*self.lost, *self.doubled, *self.wrong]


class Oracle:
    """Judges one partition. Tell it everything, then ask `verdict`."""

    def __init__(self, partition: int) -> None:
        self._partition = partition
        self._decided: defaultdict[Name, list[Entry]] = defaultdict(list)
        self._notes: Counter[tuple[int, str]] = Counter()
        self._hashes: dict[int, set[bytes]] = {}
        self.money = Money()
        self.verdict = Verdict()

    def see_record(self, blocks: Sequence[Found], head: Head | None) -> None:
        """One chain without fork or gap, whose hashes are those of its content; and every command in it."""
        before, next_event, last = genesis(self._partition), 0, None
        for number, block in enumerate(blocks, 1):
            says = f"block {block.seq}, epoch {block.epoch}"
            self._must(block.seq == number, f"chain: {says} stands at place {number}")
            self._must(block.prev_hash == before, f"chain: {says} does not name the block before it")
            self._must(block.computed() == block.hash, f"chain: {says} has not the hash of its content")
            self._must(block.first_event == next_event, f"chain: {says} begins with event {block.first_event}, not {next_event}")
            if last is not None:
                self._must(block.time_ns >= last.time_ns, f"time: {says} goes back by {last.time_ns - block.time_ns} ns")
                self._must(block.epoch >= last.epoch, f"chain: {says} follows epoch {last.epoch}")
            before, next_event, last = block.hash, block.first_event + block.event_count, block
            self._hashes.setdefault(block.seq, set()).add(block.hash)
            self._see_rows(block)
        ends = Head(last.epoch, last.seq, last.hash, next_event) if last else None
        self._must(
            head is None or ends is None or (head[1:] == ends[1:] and head.epoch >= ends.epoch), "chain: the head is not at the last block"
        )
        self.verdict.blocks = len(blocks)

    def see_topic(self, records: Iterable[tuple[Found, dict[str, bytes]]], cluster: str) -> None:
        """Each block of the record in its order, byte for byte; more often only when it is the same."""
        seen = 0
        for block, headers in records:
            says = f"block {block.seq}, epoch {block.epoch}"
            self._must(block.seq <= seen + 1, f"topic: block {seen + 1} is missing before {says}")
            self._must(block.computed() == block.hash, f"topic: {says} has not the hash of its content")
            self._must(block.hash in self._hashes.get(block.seq, ()), f"topic: {says} is not in the record")
            right = {"cluster": cluster.encode(), "seq": b"%d" % block.seq, "epoch": b"%d" % block.epoch, "hash": block.hash.hex().encode()}
            self._must(headers == right, f"topic: {says} has headers of another: {headers}")
            seen = max(seen, block.seq)
        last = max(self._hashes, default=0)
        self._must(seen == last, f"topic: it ends with block {seen}, the record with block {last}")

    def see_clients(self, lines: Iterable[Line]) -> None:
        """What was acknowledged is in the record, once, as it was sent and as was told."""
        sent: dict[Name, bytes] = {}
        told: set[Name] = set()
        times = []
        for line in lines:
            if isinstance(line, Intent):
                sent[line.name] = line.row
            elif isinstance(line, Poison):
                self._must(self._notes.pop((line.offset, line.error), 0) == 1, f"poison: no note, or several, of offset {line.offset}")
            elif isinstance(line, Told):
                if line.name not in told:
                    times.append(line.at_ns)
                told.add(line.name)
                self._compare(line)
        for name, entries in self._decided.items():
            self._is_as_sent(name, entries, sent.get(name))
        for offset, error in self._notes:
            self._must(False, f"poison: offset {offset} has a note ({error}), and nobody sent it")
        self.verdict.acknowledged, self.verdict.unknown = len(told), len(sent.keys() - told)
        self.verdict.longest_pause_s = max((after - before for before, after in pairwise(times)), default=0) / 1e9

    def see_state(self, findings: Iterable[str]) -> None:
        """What others found of balances and states (adapters/drill/witness.py)."""
        self.verdict.wrong += findings

    def _see_rows(self, block: Found) -> None:
        try:
            commands, events, causes = block.rows()
        except BadPayload as bad:
            self._must(False, f"chain: block {block.seq} cannot be opened: {bad}")
            return
        self.verdict.recorded += len(commands)
        rows, data = commands.tobytes(), events.tolist()
        for event, k in zip(data, causes.tolist(), strict=True):
            kind, row = event[0] & 255, rows[k * COMMAND_BYTES : (k + 1) * COMMAND_BYTES]
            self.money.take(commands[k].tolist(), event)
            if kind == RECORD_UNREADABLE:
                self._notes[event[3], UNREADABLE[event[4]]] += 1
            if kind >= 32:
                continue
            name = name_of(row)
            if kind == COMMAND_REPEATED:
                self._is_the_first(block, name, event[1], event[2])
            elif name.sequence:
                self._decided[name].append(Entry(block.seq, row, kind, event[1]))

    def _is_the_first(self, block: Found, name: Name, kind: int, detail: int) -> None:
        """A repetition says what the first outcome was."""
        first = self._decided.get(name)
        if first is None:
            self._must(False, f"outcome: block {block.seq} calls {name} repeated, which was never decided")
        elif kind:
            was = first[0][2:]
            self._must((kind, detail) == was, f"outcome: block {block.seq} repeats {name} as {kind, detail}, it was {was}")

    def _compare(self, line: Told) -> None:
        entries = self._decided.get(line.name)
        if entries is None:
            self.verdict.lost.append(f"lost: {line.name}, acknowledged in block {line.block}")
        elif line.kind:
            block, _, *was = entries[0]
            told = line.kind, line.detail
            self._must(told == tuple(was), f"outcome: {line.name} was told {told}, it is {was}")
            self._must(line.repeat or line.block == block, f"outcome: {line.name} was told block {line.block}, it is in {block}")

    def _is_as_sent(self, name: Name, entries: list[Entry], row: bytes | None) -> None:
        if len(entries) > 1:
            self.verdict.doubled.append(f"doubled: {name} is in blocks {', '.join(str(entry.block) for entry in entries)}")
        for entry in entries:
            found = bytearray(entry.row)
            found[RECEIVED] = bytes(8)
            self._must(row is not None and bytes(found) == row, f"command: {name} in block {entry.block} is not what was sent")

    def _must(self, right: bool, otherwise: str) -> None:
        if not right:
            self.verdict.wrong.append(otherwise)
