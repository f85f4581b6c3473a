"""Drills, short: real servers, real workers, one fault each; and each without its safeguard, which the oracle must notice.

The whole list is `outcry drill all`; here is what fits into a test run.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.drill import faults, view_faults
from adapters.drill.alter import ALTERATIONS
from adapters.drill.drills import BY_NAME, NO_COMPARISON, Drill
from adapters.drill.ground import Grounds, Servers
from adapters.drill.run import Effort, Result, attempt, run
from adapters.stack.errors import NotInstalled

BRIEFLY = Effort(rate=1_000, before_s=(0.2, 0.6), after_s=0.2, patience_s=60.0)
FOR_LONG = Effort(rate=75, before_s=(0.5, 1.0), after_s=1.0, patience_s=120.0)
HERE = ("owner-killed", "zombie", "two-owners", "poison", "redis-replaced", "views-killed", "view-poison")
AT_THE_DOORS = ("gateways-killed", "gateways-restarted")
AT_ONCE = 2
FAULTS = int(os.environ.get("OUTCRY_SOAK_FAULTS", "1000"))


def results(folder: Path, names: Sequence[str]) -> list[Result]:
    """Of these, each with its control."""
    try:
        found = list(run([BY_NAME[name] for name in names], folder, 1, BRIEFLY, lambda _: None))
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))
    assert [(result.drill, bool(result.control)) for result in found] == [(name, control) for name in names for control in (False, True)]
    return found


def failed(found: list[Result]) -> list[str]:
    """What did not pass, and why."""
    return [f"{result.drill}, {result.control}: {result.says} {result.verdict.trouble}" for result in found if not result.passed]


@pytest.mark.timeout(900)
def test_promises_hold_and_a_missing_safeguard_is_noticed(own_folder: Path) -> None:
    """Killed owner, zombie, two who are certain, poison: nothing acknowledged is lost, nothing is there twice.

    Without the comparison of the head, the order of commit and answer, or the note of what was unreadable, the same oracle sees it.
    An empty Redis, a killed worker of views, a view with a bug: what a reader sees is right as of the block that he is told, and never
    older. Without the comparison of positions, the one write for rows and position, or the stop at what cannot be taken in, he sees it.
    """
    assert failed(results(own_folder, HERE)) == []


@pytest.mark.timeout(900)
def test_clients_are_told_and_shown_what_the_record_says_while_gateways_die_and_are_restarted(own_folder: Path) -> None:
    """They go to the other gateway, and on where they were: nothing that they were answered is lost, nothing happens twice.

    A gateway that is told to end answers who has asked. Clients who send again under a new id are noticed, and a gateway that ends at once.
    """
    assert failed(results(own_folder, AT_THE_DOORS)) == []


@pytest.mark.parametrize("name", ALTERATIONS)
def test_every_alteration_still_alters_something(name: str, tmp_path: Path) -> None:
    """They reach into the product; one that no longer finds what it replaces would make a control that controls nothing."""
    altered = f"from adapters.drill.alter import alter; alter([{name!r}])"
    files = {"DRILL_CLOCK": str(tmp_path / "clock"), "DRILL_ACKNOWLEDGED": str(tmp_path / "acknowledged")}
    needs = {**files, "DRILL_VIEWS": f"unix://{tmp_path}/redis"}
    subprocess.run([sys.executable, "-c", altered], check=True, env=os.environ | needs)


def logs_of(folder: Path) -> Path:
    """A copy of what servers, workers and the oracle wrote there, which outlives the test: what breaks after an hour cannot be had again.

    record.log and seen.log are the blocks (Found) and what the reader of views saw (Seen), in MessagePack.
    """
    kept = Path(tempfile.mkdtemp(prefix="outcry-broken-"))
    for log in folder.rglob("*log"):
        if log.is_file() and "data" not in log.parts:
            place = kept / log.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(log, place)
    return kept


@pytest.mark.soak
def test_a_thousand_random_faults(own_folder: Path) -> None:
    """Faults of all kinds, one after the other, in markets of twenty faults each, whose views are kept and read all the time.

    Two markets at once, each with servers of its own: one alone leaves a core idle while it waits.
    """
    anything = Drill("random", view_faults.anything, NO_COMPARISON, Servers.VIEWS, proxied=True, keepers=2)
    seeds, broken = iter(range(-(-FAULTS // faults.AT_RANDOM))), list[str]()

    def one_after_the_other(folder: Path) -> None:
        with Grounds(folder) as grounds:
            for seed in seeds:
                result = attempt(anything, grounds, seed, FOR_LONG, control=False)
                print(f"seed {seed}: {result.says}; {result.verdict.acknowledged:,} acknowledged, {result.seconds:.0f} s", flush=True)  # noqa: T201
                if not result.passed:
                    kept = logs_of(folder)
                    broken.append(f"seed {seed}: {result.says} {result.verdict.findings[:20]} {result.verdict.trouble}; logs: {kept}")
                if broken:
                    return

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for ended in [pool.submit(one_after_the_other, own_folder / f"markets-{each}") for each in range(AT_ONCE)]:
            ended.result()
    assert broken == []
