"""What `outcry bench` runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from adapters.cli.progress import progress
from benchmarks import block, embedded, flows, kernel, replay, store
from benchmarks.against import CannotCompare
from benchmarks.report import is_compiled

__all__ = ["CannotCompare", "run"]

_STAGES: Final = {"block": block.run, "store": store.run, "embedded": embedded.run, "replay": replay.run}
COMMANDS: Final = 1_000_000
COMMANDS_INTERPRETED: Final = 20_000
RUNS: Final = 5


def run(what: str, options: Mapping[str, Any]) -> dict[str, object]:
    """Measure kernel, block, store, embedded or replay; the fields are those of report.report and the benchmark's own.

    options  flow, accounts, instruments; seed; commands, resting, runs (None: as usual); against (kernel only: path of a comparison kernel)
    Raises   CannotCompare
    """
    usual = COMMANDS if is_compiled() else COMMANDS_INTERPRETED
    resting = options.get("resting")
    if resting is None and options["flow"] == "deep":
        resting = usual
    flow = flows.flow(
        options["flow"],
        accounts=options["accounts"],
        instruments=options["instruments"],
        commands=options.get("commands") or usual,
        resting=resting,
        seed=options.get("seed", 1),
    )
    runs, against = options.get("runs") or RUNS, options.get("against")
    with progress(f"bench {what}") as show:
        if what == "kernel":
            return kernel.run(flow, runs, show, comparison=Path(against) if against else None)
        return _STAGES[what](flow, runs, show)
