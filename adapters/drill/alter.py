"""What can be altered in a worker, by name. For drills only; the product has no such switch (workers.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from adapters.drill import sabotage, view_sabotage

ALTERATIONS: Final = {**sabotage.ALTERATIONS, **view_sabotage.ALTERATIONS}


def alter(names: Sequence[str]) -> None:
    """Put these in place, in this process, before it serves."""
    for name in names:
        ALTERATIONS[name]()
