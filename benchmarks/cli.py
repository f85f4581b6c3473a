"""What `outcry bench` runs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from adapters.cli.progress import progress
from benchmarks import block, embedded, flows, folds, kernel, replay, store
from benchmarks.against import CannotCompare
from benchmarks.report import is_compiled

__all__ = ["CannotCompare", "run"]

_STAGES: Final = {"block": block.run, "store": store.run, "embedded": embedded.run, "replay": replay.run, "folds": folds.run}
_ON_SERVERS: Final = {  # module of each, and the options of its own
    "postgres": (),
    "relay": (),
    "stack": (),
    "latency": ("rate", "through"),
    "failover": ("rate", "kills"),
    "restart": ("events",),
    "partitions": (),
    "faust": (),
    "rebuild": ("events",),
    "redis": ("rate",),
    "warm": (),
    "balances": (),
    "opensearch": ("documents",),
    "alerts": ("rate", "rules"),
}
_OPTIONS: Final = {
    "archive": ("events",),
    "doors": ("batch", "rate", "clients"),
    "push": ("rate", "clients"),
    "storm": ("clients",),
    "front": (),
}  # of its own, without servers
COMMANDS: Final = 1_000_000
COMMANDS_OF: Final = {"faust": 3_000_000, "opensearch": 100_000}
COMMANDS_INTERPRETED: Final = 20_000
RUNS: Final = 5
RUNS_ON_SERVERS: Final = 3
ACCOUNTS: Final = 64
ACCOUNTS_OF: Final = {"postgres": 1_000_000, "restart": 1_000_000, "warm": 50_000, "balances": 10_000_000}
FLOW_OF: Final = {"restart": "deep", "rebuild": "cancel"}


def run(what: str, options: Mapping[str, Any]) -> dict[str, object]:
    """Measure one of WHAT; the fields are those of report.report and the benchmark's own.

    options  flow, accounts, instruments; seed; commands, resting, runs (None or absent: as usual); against (kernel only: path of a
             comparison kernel); stack (folder of a stack whose servers to use), rate, through, kills, events, documents: on servers
    Raises   CannotCompare; ValueError for an option that this benchmark does not have; what stacks and records raise
    """
    own = _ON_SERVERS.get(what, _OPTIONS.get(what))
    _refuse_others(what, options, own)
    usual = COMMANDS_OF.get(what, COMMANDS) if is_compiled() else COMMANDS_INTERPRETED
    name, resting = options.get("flow") or FLOW_OF.get(what, "cross"), options.get("resting")
    if resting is None and name == "deep":
        resting = usual
    flow = flows.flow(
        name,
        accounts=options.get("accounts") or (ACCOUNTS_OF.get(what, ACCOUNTS) if is_compiled() else ACCOUNTS),
        instruments=options["instruments"],
        commands=options.get("commands") or usual,
        resting=resting,
        seed=options.get("seed", 1),
    )
    runs, against = options.get("runs") or (RUNS if own is None else RUNS_ON_SERVERS), options.get("against")
    with progress(f"bench {what}") as show:
        if what == "kernel":
            return kernel.run(flow, runs, show, comparison=Path(against) if against else None)
        if own is None:
            return _STAGES[what](flow, runs, show)
        given = {key: options[key] for key in ("stack", *own) if options.get(key) is not None}
        answer: dict[str, object] = import_module(f"benchmarks.{what}").run(flow, runs, show, **given)
        return answer


def _refuse_others(what: str, options: Mapping[str, Any], own: tuple[str, ...] | None) -> None:
    """An option without effect would be taken for one that had some."""
    has = {"against"} if what == "kernel" else set() if own is None else {*own} if what in _OPTIONS else {"stack", *own}
    for key in ("against", "stack", "rate", "through", "kills", "events", "documents", "rules", "batch", "clients"):
        if options.get(key) is not None and key not in has:
            raise ValueError(f"bench {what} has no --{key}")
