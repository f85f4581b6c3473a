"""What the folds must know of the instruments that were listed. Bound: 2 MB."""

from __future__ import annotations

from typing import Final

import numpy as np

from domain.columns import MAX_INSTRUMENT
from domain.verbs import INSTRUMENT, LIST_INSTRUMENT, VERB_BY_CODE
from projections.columns import Columns, field

_FACTS: Final = ("base_asset", "quote_asset", "base_units", "quote_units")


class Facts:
    """Assets and units by instrument."""

    def __init__(self) -> None:
        self._facts = np.zeros((len(_FACTS), MAX_INSTRUMENT + 1), np.int64)
        self.base_asset, self.quote_asset, self.base_units, self.quote_units = self._facts

    def learn(self, block: Columns) -> None:
        """Take in what *block* lists."""
        if not len(block.listed):
            return
        for facts, name in zip(self._facts, _FACTS, strict=True):
            facts[block.listed[:, INSTRUMENT]] = field(block.listed, VERB_BY_CODE[LIST_INSTRUMENT], name)

    def state(self) -> bytes:
        """All it knows: instrument and facts of those that were listed, int64."""
        listed = np.flatnonzero(self.base_asset)
        return np.vstack([listed, self._facts[:, listed]]).astype("<i8").tobytes()

    def restore(self, state: bytes) -> None:
        """Become what state() said."""
        listed, *facts = np.frombuffer(state, "<i8").reshape(1 + len(_FACTS), -1)
        self._facts[:] = 0
        self._facts[:, listed] = facts
