"""Who used the cores while something was measured: servers, workers, threads of this process, and whatever else ran on the machine."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

Roots = Callable[[], Sequence[tuple[str, int]]]
"""Name and number of processes; a name may come more than once."""

PROC: Final = Path("/proc")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_OURSELVES: Final = "this process"
_ALL: Final = "all"


class Cores:
    """Adds up the CPU time that is used inside `during`."""

    def __init__(self) -> None:
        self._used: dict[str, float] = defaultdict(float)
        self._seconds = 0.0

    @contextmanager
    def during(self, roots: Roots) -> Iterator[None]:
        """Count; *roots*: processes by name, each with its descendants, asked at both ends. Who ends in between is not told apart."""
        before, began = _read(roots()), time.perf_counter()
        yield
        self._seconds += time.perf_counter() - began
        for name, seconds in _read(roots()).items():
            self._used[name] += seconds - before.get(name, 0.0)

    def cpu_s(self, name: str) -> float:
        """CPU seconds that *name* used."""
        return self._used.get(name, 0.0)

    def ns_each(self, count: int) -> dict[str, int]:
        """CPU nanoseconds for each of *count*, by who used them: what a loaded machine makes little of."""
        return {name: round(1e9 * seconds / count) for name, seconds in sorted(self._used.items()) if name != _ALL}

    def shares(self) -> dict[str, float]:
        """Cores in use on average: by this process and each of its named threads, by servers and workers, by everything else."""
        if not self._seconds or not self._used:
            return {}
        shares = {name: round(seconds / self._seconds, 2) for name, seconds in sorted(self._used.items()) if name != _ALL}
        known = sum(seconds for name, seconds in self._used.items() if name != _ALL and not name.startswith(f"{_OURSELVES}, "))
        return shares | {"everything else": round(max(self._used[_ALL] - known, 0.0) / self._seconds, 2)}


def _read(roots: Sequence[tuple[str, int]]) -> dict[str, float]:
    """CPU seconds so far, by name; nothing where there is no /proc."""
    if not (PROC / "stat").exists():
        return {}
    user, nice, system = (int(ticks) / _TICKS for ticks in (PROC / "stat").read_text().split("\n", 1)[0].split()[1:4])
    used: dict[str, float] = {_ALL: user + nice + system, _OURSELVES: time.process_time()}
    for thread in threading.enumerate():
        stat = PROC / "self" / "task" / str(thread.native_id) / "stat"
        if thread.name.startswith("partition ") and (fields := _fields(stat)):
            used[f"{_OURSELVES}, {thread.name}"] = _seconds(fields[11:13])
    children: dict[int, list[list[str]]] = {}
    found = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit() and (fields := _fields(folder / "stat")):
            found[int(folder.name)] = fields
            children.setdefault(int(fields[1]), []).append([folder.name, *fields])
    for name, pid in roots:
        if pid in found:
            used[name] = used.get(name, 0.0) + _seconds(found[pid][11:15]) + _below(pid, children)
    return used


def _below(pid: int, children: Mapping[int, list[list[str]]]) -> float:
    """CPU seconds of the descendants of *pid* that live; those that ended are in what their parents waited for."""
    return sum(_seconds(fields[12:16]) + _below(int(fields[0]), children) for fields in children.get(pid, ()))


def _fields(stat: Path) -> list[str]:
    """Fields of a stat file from the state on; none when the process is gone."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _seconds(ticks: list[str]) -> float:
    return sum(map(int, ticks)) / _TICKS
