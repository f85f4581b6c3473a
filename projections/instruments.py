"""Every instrument: what was listed, and the state it is in.

Bound: one row of 160 bytes per instrument, at most 65,535, and as much in the fold.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np

from domain.events import EVENT_BY_CODE, FEE_RATES_SET, INSTRUMENT_LISTED, INSTRUMENT_STATE_CHANGED
from domain.verbs import LIST_INSTRUMENT, PRE_OPEN, VERB_BY_CODE
from projections.columns import Columns, field, kinds
from projections.layouts import INSTRUMENT, Instrument, instrument_key
from projections.view import Rows

_LISTED = Instrument._fields[3:]
_CHANGES = kinds(INSTRUMENT_LISTED, INSTRUMENT_STATE_CHANGED, FEE_RATES_SET)


class Instruments:
    """Fold of instruments (see Fold)."""

    version: Final = 1
    takes_runs: Final = True

    def __init__(self) -> None:
        self._time_ns = 0
        self._instruments: dict[int, Instrument] = {}

    def fold(self, block: Columns) -> Rows:
        """See Fold."""
        at = np.flatnonzero(_CHANGES[block.kind])
        times_ns = block.times_ns(self._time_ns)[block.command[at]].tolist() if len(at) else []
        self._time_ns = block.time_ns
        changed = {}
        for place, time_ns in zip(at.tolist(), times_ns, strict=True):
            instrument = int(block.instrument[place])
            if block.kind[place] == INSTRUMENT_LISTED:
                listed = block.commands[block.command[place]][None]
                facts = [int(field(listed, VERB_BY_CODE[LIST_INSTRUMENT], name)[0]) for name in _LISTED]
                changed[instrument] = Instrument(PRE_OPEN, time_ns, time_ns, *facts)
            elif block.kind[place] == FEE_RATES_SET:
                maker_rate, taker_rate = (_said(block, place, FEE_RATES_SET, name) for name in ("maker_rate", "taker_rate"))
                changed[instrument] = self._instruments[instrument]._replace(maker_rate=maker_rate, taker_rate=taker_rate)
            else:
                state = _said(block, place, INSTRUMENT_STATE_CHANGED, "state")
                changed[instrument] = self._instruments[instrument]._replace(state=state, since_ns=time_ns)
            self._instruments[instrument] = changed[instrument]
        return {instrument_key(instrument): INSTRUMENT.pack(changed[instrument]) for instrument in sorted(changed)}

    def rows(self, _partition: int) -> Rows:
        """See Whole."""
        return {instrument_key(instrument): INSTRUMENT.pack(known) for instrument, known in self._instruments.items()}

    def state(self) -> bytes:
        """See Fold."""
        return msgspec.msgpack.encode((self._time_ns, self._instruments))

    def restore(self, state: bytes) -> None:
        """See Fold."""
        self._time_ns, self._instruments = msgspec.msgpack.decode(state, type=tuple[int, dict[int, Instrument]])


def _said(block: Columns, place: int, kind: int, name: str) -> int:
    """A field of the event at *place*."""
    return int(field(block.events[place : place + 1], EVENT_BY_CODE[kind], name)[0])
