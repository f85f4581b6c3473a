"""What is asked most: a decayed count, kept as a fold of what was read, so that a process knows after a restart what will be asked."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from adapters.reads.answer import Asked

HALF_LIFE_NS: Final = 86_400 * 10**9  # what was asked yesterday counts half of what was asked today
KEPT: Final = 65_536  # questions, about 10 MB
COUNTED: Final = 2 * KEPT  # between two turns; new ones beyond are not counted
_LOG: Final = logging.getLogger(__name__)

Scores = dict[Asked, float]


class Popular:
    """Counts what it is told of; for one thread.

    scores  question -> how often it was asked, what is older counting less; as of at_ns
    """

    def __init__(self, scores: Mapping[Asked, float] | None = None, at_ns: int = 0) -> None:
        self.scores, self.at_ns = dict(scores or {}), at_ns
        self._counts: Counter[Asked] = Counter()

    def count(self, asked: Asked) -> None:
        """It was asked once more."""
        if len(self._counts) < COUNTED or asked in self._counts:
            self._counts[asked] += 1

    def turn(self, now_ns: int) -> None:
        """Take in what was counted since the last turn."""
        self.scores = decayed(self.scores, self._counts, now_ns - self.at_ns)
        self.at_ns = now_ns
        self._counts.clear()

    def most(self) -> list[Asked]:
        """What was asked, the most asked first."""
        return sorted(self.scores, key=lambda asked: (-self.scores[asked], asked))

    def save(self, path: Path) -> None:
        """Keep it for the process that comes after. Raises OSError."""
        made = path.with_suffix(".new")
        made.write_bytes(msgspec.msgpack.encode((self.at_ns, list(self.scores.items()))))
        made.replace(path)


def decayed(scores: Mapping[Asked, float], counts: Mapping[Asked, int], elapsed_ns: int) -> Scores:
    """The fold: *scores* as they count *elapsed_ns* later, with *counts* added; the KEPT highest."""
    left = 0.5 ** (max(elapsed_ns, 0) / HALF_LIFE_NS)
    summed = {asked: score * left for asked, score in scores.items()}
    for asked, times in counts.items():
        summed[asked] = summed.get(asked, 0.0) + times
    if len(summed) <= KEPT:
        return summed
    return dict(_highest(summed.items()))


def _highest(scores: Iterable[tuple[Asked, float]]) -> list[tuple[Asked, float]]:
    return sorted(scores, key=lambda each: (-each[1], each[0]))[:KEPT]


def load(path: Path) -> Popular:
    """What was saved there; nothing when there is none, or none that can be read: it is never needed."""
    try:
        at_ns, kept = msgspec.msgpack.decode(path.read_bytes(), type=tuple[int, list[tuple[Asked, float]]])
    except FileNotFoundError:
        return Popular()
    except (OSError, msgspec.MsgspecError) as wrong:
        _LOG.warning("%s: what was asked most is not known: %s", path, wrong)
        return Popular()
    return Popular(dict(kept), at_ns)
