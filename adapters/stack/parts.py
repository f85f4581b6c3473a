"""Everything that stacks, drills and tests of servers need from outside, by name: for machines that are prepared beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.stack.install import EATMYDATA, FAKETIME, JAVA, POSTGRES, need
from adapters.stack.jars import fetched
from adapters.stack.kafka import JARS, PROGRAM


def _kafka() -> Path:
    need(JAVA)
    return fetched(PROGRAM, JARS)


PARTS: Final[Mapping[str, Callable[[], Path]]] = {
    "postgres": lambda: need(POSTGRES),
    "kafka": _kafka,
    "faketime": lambda: need(FAKETIME),  # drills in which the clock jumps
    "eatmydata": lambda: need(EATMYDATA),  # the control of the power cut: a disk that says it wrote
}


def install(*names: str) -> dict[str, Path]:
    """Have the parts of these *names*, all unless told, and say where each is. Nothing is started. Raises NotInstalled."""
    return {name: PARTS[name]() for name in names or PARTS}
