"""Which reader answers next: a policy without I/O, clock or chance. Whoever uses it says what time it is and what happened.

A reader is a server that has a copy of the record. It is asked

- only for what it has: a read names for each partition the block that it must be able to see;
- in proportion to its weight. Each reader has a tag that a read moves on by 1 / weight; the lowest tag is next, and who was left out for a
  while (behind, gone, busy) goes on from the tag of the last one chosen, not from where its own stood. So of any two readers i and j that
  could be asked all the time, over any stretch of time: | reads(i) / weight(i) - reads(j) / weight(j) | <= 1 / weight(i) + 1 / weight(j);
- by no more than its share of connections at once: what it can bear does not grow because others are gone;
- not at all after it failed (its circuit is open), until it has answered a probe. Probes come later and later, each server's at another
  moment; and what comes back gets its share of connections little by little, over RAMP_S.

The last resort (the primary, which has better to do) is asked when every other reader is gone, or when none of them could be asked for as
long as the read may wait for them; and it has a share, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

TAG_UNIT: Final = 10**9
MAX_WEIGHT: Final = 1_000
PROBE_S: Final = 1.0  # a reader of which nothing was heard for so long is asked how far it is
FRESH_S: Final = 0.05  # what is known of a reader for less is not asked again: it would be the same
RETRY_S: Final = 0.5  # after the first failure; doubles with each further one
MAX_RETRY_S: Final = 30.0
RAMP_S: Final = 5.0

Needs = Mapping[int, int]  # partition -> the block that a read must be able to see
Circuit = Literal["unknown", "closed", "ramping", "open"]


class Member(NamedTuple):
    """A reader. share: connections to it at most; 0 only for a last resort that is never asked."""

    name: str
    weight: int
    share: int
    is_last_resort: bool = False


class Standing(NamedTuple):
    """How a reader is.

    circuit     unknown: it was never heard of; ramping: it is back and not yet trusted with all of its share; open: it is not asked
    lag_blocks  of the partition in which it is furthest behind the newest block that any reader was seen to have
    in_use      connections to it that are in somebody's hands
    failures    in a row, as far as the policy still minds them
    """

    name: str
    is_last_resort: bool
    circuit: Circuit
    positions: Mapping[int, int]
    lag_blocks: int
    in_use: int
    share: int
    failures: int


@dataclass(slots=True)
class _Reader:
    member: Member
    stride: int
    positions: Mapping[int, int] = field(default_factory=dict)
    seen_s: float | None = None  # when it last said how far it is
    asked_s: float | None = None  # when somebody last went to ask
    tag: int = 0
    in_use: int = 0
    failures: int = 0
    retry_s: float | None = None  # its circuit is open: when to probe; None: it is not
    back_s: float | None = None  # since when it is back; None: for long

    def allowed(self, now_s: float) -> int:
        """Connections that it may have now."""
        if self.back_s is None:
            return self.member.share
        return min(self.member.share, max(1, int(self.member.share * (now_s - self.back_s) / RAMP_S)))

    def can_be_asked(self, now_s: float) -> bool:
        return self.retry_s is None and self.seen_s is not None and self.in_use < self.allowed(now_s)

    def short_of(self, needs: Needs) -> int:
        """Blocks that it does not have, of the partition in which most are missing, as far as is known."""
        most = 0
        for partition, seq in needs.items():
            most = max(most, seq - self.positions.get(partition, 0))
        return most


class ReaderChoice:
    """Chooses among *members*, whose names differ. A process that names another *seed* probes at other moments. Not for several threads."""

    def __init__(self, members: Sequence[Member], seed: int = 0) -> None:
        assert len({member.name for member in members}) == len(members), "a reader's name is its own"
        assert all(1 <= member.weight <= MAX_WEIGHT for member in members), "weights have bounds"
        assert all(member.share >= (0 if member.is_last_resort else 1) for member in members), "who may not be asked is no reader"
        self._readers = {member.name: _Reader(member, TAG_UNIT // member.weight) for member in members}
        self._usual = [reader for reader in self._readers.values() if not reader.member.is_last_resort]
        self._last = [reader for reader in self._readers.values() if reader.member.is_last_resort]
        self._seed, self._tag = seed, 0
        self._newest: dict[int, int] = {}

    def take(self, needs: Needs, now_s: float, waited_s: float, patience_s: float) -> str | None:
        """Name of the reader to ask for what *needs* names; None: none now, try again a little later. Give it back.

        Whoever is chosen may turn out not to have it yet: look, say so by `observed`, and take again.

        waited_s    for how long this read has been waiting
        patience_s  for how long it may wait before the last resort is asked
        """
        found = self._best(self._usual, needs, now_s)
        if found is None and (waited_s >= patience_s or all(reader.retry_s is not None for reader in self._usual)):
            found = self._best(self._last, needs, now_s)
        if found is None:
            return None
        start = max(found.tag, self._tag)
        if not found.member.is_last_resort:
            self._tag = start
        found.tag = start + found.stride
        found.asked_s = now_s
        found.in_use += 1
        return found.member.name

    def give_back(self, name: str) -> None:
        """A connection that was taken, or that `due` asked for, is in nobody's hands any more."""
        reader = self._readers[name]
        assert reader.in_use > 0, "what is given back was taken"
        reader.in_use -= 1

    def observed(self, name: str, positions: Mapping[int, int], now_s: float) -> None:
        """The reader answered: it has these blocks. So it is there, whatever was thought of it."""
        reader = self._readers[name]
        reader.positions, reader.seen_s = positions, now_s
        for partition, seq in positions.items():
            self._newest[partition] = max(seq, self._newest.get(partition, 0))
        if reader.retry_s is not None:
            reader.retry_s, reader.back_s = None, now_s
        elif reader.back_s is not None and now_s - reader.back_s >= RAMP_S:
            reader.back_s, reader.failures = None, 0

    def failed(self, name: str, now_s: float) -> None:
        """The reader did not do what was asked of it: its circuit opens, for longer each time."""
        reader = self._readers[name]
        if reader.retry_s is not None and now_s < reader.retry_s:
            return  # others who had a connection find out, too: it is one failure
        reader.failures += 1
        chance = _chance(f"{self._seed} {name} {reader.failures}")
        reader.retry_s = now_s + min(RETRY_S * 2 ** min(reader.failures - 1, 16), MAX_RETRY_S) * (0.5 + chance)
        reader.back_s = None

    def due(self, now_s: float) -> list[str]:
        """Who is to be asked now how far it is: of whom nothing was heard for long, and whose circuit may close. Give each of them back."""
        found = [reader for reader in self._readers.values() if reader.in_use < reader.member.share and self._is_due(reader, now_s)]
        for reader in found:
            reader.asked_s = now_s
            reader.in_use += 1
        return [reader.member.name for reader in found]

    def newest(self, partition: int) -> int:
        """The highest block that any of them was seen to have."""
        return self._newest.get(partition, 0)

    def standings(self, now_s: float) -> list[Standing]:
        """How each of them is, in the order of *members*."""
        return [self._standing(reader, now_s) for reader in self._readers.values()]

    def _best(self, those: Sequence[_Reader], needs: Needs, now_s: float) -> _Reader | None:
        """Of those that are known to have it the one whose turn it is; else of those of whom we may know too little the closest."""
        next_, lowest, closest, least = None, 0, None, (0, 0)
        for reader in those:
            if not reader.can_be_asked(now_s):
                continue
            tag, missing = max(reader.tag, self._tag), reader.short_of(needs)
            if not missing:
                if next_ is None or tag < lowest:
                    next_, lowest = reader, tag
            elif (reader.asked_s is None or now_s - reader.asked_s >= FRESH_S) and (closest is None or (missing, tag) < least):
                closest, least = reader, (missing, tag)
        return next_ or closest

    def _is_due(self, reader: _Reader, now_s: float) -> bool:
        if reader.retry_s is not None:
            return now_s >= reader.retry_s and reader.in_use == 0  # one at a time tries whether it is back
        if reader.asked_s is not None and now_s - reader.asked_s < PROBE_S:
            return False
        return reader.seen_s is None or now_s - reader.seen_s >= PROBE_S

    def _standing(self, reader: _Reader, now_s: float) -> Standing:
        if reader.retry_s is not None:
            circuit: Circuit = "open"
        elif reader.seen_s is None:
            circuit = "unknown"
        else:
            circuit = "closed" if reader.allowed(now_s) == reader.member.share else "ramping"
        name, _, share, is_last_resort = reader.member
        lag = reader.short_of(self._newest)
        return Standing(name, is_last_resort, circuit, reader.positions, lag, reader.in_use, share, reader.failures)


def _chance(of: str) -> float:
    """From 0 to 1, the same for the same text, and nothing alike for texts that are alike (of CRC-32, half of a hundred were)."""
    return int.from_bytes(hashlib.blake2b(of.encode(), digest_size=6).digest()) / 2**48


def shares(weights: Sequence[int], connections: int) -> list[int]:
    """*connections* divided by weight, at least one for each; what does not divide goes to those who are furthest below their part.

    Asserts that there are as many connections as weights.
    """
    assert len(weights) <= connections, "a reader has a connection"
    given = [1] * len(weights)
    for _ in range(connections - len(weights)):
        poorest = min(range(len(weights)), key=lambda reader: (given[reader] / weights[reader], reader))
        given[poorest] += 1
    return given
