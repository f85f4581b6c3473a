"""What every benchmark says beside its figures: machine, versions, commit, the mix of the workload, the spread."""

from __future__ import annotations

import os
import platform
import resource
import sqlite3
import statistics
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import numpy as np

import domain.partition
from benchmarks.flows import Flow
from domain import events as e
from domain import verbs as v

IN_MEMORY: Final = "none: in memory"
_LIBRARIES: Final = ("outcry", "numpy", "zstandard", "librt", "mypy")


@dataclass(frozen=True, slots=True)
class Tally:
    """What a flow's commands were and what they caused."""

    commands: int
    events: int
    trades: int
    mix: dict[str, float]


def tally(batches: Sequence[bytes], happened: Sequence[bytes]) -> Tally:
    """As tally_of, of batches and the events that they caused."""
    return tally_of(zip(batches, happened, strict=True))


def tally_of(blocks: Iterable[tuple[bytes, bytes]]) -> Tally:
    """Count commands and the events that they caused, block by block. Percentages are of the commands, unless named otherwise."""
    commands = events = trades = 0
    traded = cancels = cancelled = refused = rested = 0
    for batch, rows in blocks:
        verbs = np.frombuffer(batch, "<i8")[:: v.COMMAND_WORDS]
        kinds = np.frombuffer(rows, "<i8")[:: e.EVENT_WORDS] & 0xFF
        cause = np.cumsum(kinds < e.FIRST_CONSEQUENCE)
        trade = kinds == e.TRADE_EXECUTED
        commands, events, trades = commands + len(verbs), events + len(kinds), trades + int(trade.sum())
        traded += len(np.unique(cause[trade]))
        cancels += int((verbs == v.CANCEL_ORDER).sum())
        cancelled += int((kinds == e.ORDER_CANCELLED).sum())
        refused += int((kinds == e.COMMAND_REFUSED).sum())
        rested += int((kinds == e.ORDER_RESTED).sum())
    mix = {
        "trading_percent": _percent(traded, commands),
        "resting_percent": _percent(rested, commands),
        "cancels_percent": _percent(cancels, commands),
        "cancels_that_hit_percent": _percent(cancelled, cancels),
        "refused_percent": _percent(refused, commands),
        "trades_per_command": round(trades / commands, 3),
        "events_per_command": round(events / commands, 3),
    }
    return Tally(commands, events, trades, mix)


def report(flow: Flow, seconds: Sequence[float], counted: Tally, *, durability: str = IN_MEMORY, **specific: object) -> dict[str, object]:
    """The figures of one benchmark: medians over the runs that took *seconds*; spread = (slowest - fastest) / median of the time."""
    median = statistics.median(seconds)
    return {
        "commands_per_s": rate(counted.commands, seconds),
        "trades_per_s": rate(counted.trades, seconds),
        "events_per_s": rate(counted.events, seconds),
        "spread": round((max(seconds) - min(seconds)) / median, 3),
        "seconds": [round(each, 4) for each in seconds],
        "bytes_per_event": None,
        **specific,
        "flow": flow.name,
        "accounts": flow.accounts,
        "instruments": flow.instruments,
        "resting_before": flow.resting,
        "commands": counted.commands,
        "mix": counted.mix,
        "durability": durability,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "compiled": is_compiled(),
        "machine": _machine(),
        "versions": _versions(),
        "commit": _commit(),
    }


def rate(count: int, seconds: Sequence[float]) -> int:
    """Per second, by the median of runs of *count* each."""
    return round(count / statistics.median(seconds))


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Ratio of medians of runs that were measured alternately."""
    return round(statistics.median(numerator) / statistics.median(denominator), 3)


def is_compiled() -> bool:
    """Whether the kernel runs compiled."""
    return not str(domain.partition.__file__).endswith(".py")


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(1, whole), 2)


def _machine() -> dict[str, object]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "cpu": models[0] if models else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "load": round(os.getloadavg()[0], 1),
    }


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), "sqlite": sqlite3.sqlite_version, **{name: version(name) for name in _LIBRARIES}}


def _commit() -> str:
    """Of the checkout; with a + when what was measured differs from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],  # noqa: S607 - whichever git there is
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
