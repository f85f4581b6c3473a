"""What became of the commands that clients named: by account and command id, outside of sessions.

Bound: the last COMMANDS_KEPT of a partition, just those whose ids the partition itself remembers (domain/dedupe.py): one that is here
is not executed again when it is sent again. 88 bytes each in the fold, 6 MB; older rows give way, the record keeps them.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from domain.events import COMMAND_REFUSED, COMMAND_REPEATED
from domain.rules import CROWDED_ID, MALFORMED_FIELD, TOO_MANY_SESSIONS
from domain.verbs import ACCOUNT, SEQUENCE, SESSION, VERB
from projections.columns import Columns, Ints
from projections.layouts import COMMAND, COMMANDS_KEPT, Command, keys
from projections.view import Rows

_WIDTH: Final = 2 + len(Command._fields)  # account and command id stand before the row


class Commands:
    """Fold of commands (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self, kept: int = COMMANDS_KEPT) -> None:
        self._time_ns = 0
        self._named = 0  # commands ever
        self._newest = np.zeros((_WIDTH, kept), np.int64)  # the n-th ever stands in place n % kept

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        times_ns = block.times_ns(self._time_ns)
        self._time_ns = block.time_ns
        limits, observed = np.zeros((2, len(block.outcomes)), np.int64)
        refused = block.command[block.at(COMMAND_REFUSED)]
        limits[refused], observed[refused] = block.of(COMMAND_REFUSED, 2), block.of(COMMAND_REFUSED, 3)
        kinds, details = block.kind[block.outcomes], block.incoming(block.outcomes)
        blocks = block.first_seq + np.searchsorted(block.ends, block.outcomes, side="right")
        words = [block.asked(ACCOUNT), block.asked(SEQUENCE), block.number(block.outcomes), blocks, times_ns, block.asked(VERB)]
        is_named = (block.asked(SESSION) == 0) & (block.asked(SEQUENCE) != 0) & _is_remembered(block, kinds, details, observed)
        return self._keep(np.vstack([*words, kinds, details, limits, observed])[:, is_named])

    def _keep(self, named: Ints) -> Rows:
        """Rows of the newest, and of what they take the place of."""
        kept = self._newest.shape[1]
        named = named[:, -kept:]
        numbers = np.arange(self._named, self._named + named.shape[1])
        taken = self._newest[:2, numbers[numbers >= kept] % kept]
        rows = dict.fromkeys(keys("command", *taken), b"")
        self._newest[:, numbers % kept] = named
        self._named += len(numbers)
        return rows | _rows(named)

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return _rows(self._newest[:, : self._named])

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._time_ns, self._named, self._newest[:, : self._named].astype("<i8").tobytes()))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, self._named, newest = msgspec.msgpack.decode(state, type=tuple[int, int, bytes])
        known = np.frombuffer(newest, "<i8").reshape(_WIDTH, -1)
        self._newest[:, : known.shape[1]] = known


def _is_remembered(block: Columns, kinds: Ints, details: Ints, observed: Ints) -> NDArray[np.bool_]:
    """Of each command: whether its id is taken by it. It is not by a repetition, nor by what was refused before it counted."""
    is_crowded = (details == CROWDED_ID) & (observed == block.asked(SEQUENCE))
    is_free = (kinds == COMMAND_REFUSED) & (is_crowded | (details == MALFORMED_FIELD) | (details == TOO_MANY_SESSIONS))
    remembered: NDArray[np.bool_] = (kinds != COMMAND_REPEATED) & ~is_free
    return remembered


def _rows(named: Ints) -> Rows:
    return dict(zip(keys("command", named[0], named[1]), COMMAND.pack_each(named[2:]), strict=True))
