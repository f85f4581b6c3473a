"""Everything that stacks, drills and tests of servers need from outside, by name: for machines that are prepared beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from adapters.stack import kafka, opensearch
from adapters.stack.install import EATMYDATA, FAKETIME, JAVA, NGINX, POSTGRES, REDIS, need
from adapters.stack.jars import fetched, unpacked


def _kafka() -> Path:
    need(JAVA)
    return fetched(kafka.PROGRAM, kafka.JARS)


def _opensearch() -> Path:
    need(JAVA)
    return unpacked(opensearch.PROGRAM, opensearch.ARCHIVE)


PARTS: Final[Mapping[str, Callable[[], Path]]] = {
    "postgres": lambda: need(POSTGRES),
    "kafka": _kafka,
    "redis": lambda: need(REDIS),
    "opensearch": _opensearch,
    "nginx": lambda: need(NGINX),
    "faketime": lambda: need(FAKETIME),  # drills in which the clock jumps
    "eatmydata": lambda: need(EATMYDATA),  # the control of the power cut: a disk that says it wrote
}


def install(*names: str) -> dict[str, Path]:
    """Have the parts of these *names*, all unless told, and say where each is. Nothing is started. Raises NotInstalled."""
    return {name: PARTS[name]() for name in names or PARTS}
