"""Drills, short: real servers, real workers, one fault each; and each without its safeguard, which the oracle must notice.

The whole list is `outcry drill all`; here is what fits into a test run.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.drill import faults
from adapters.drill.drills import BY_NAME, NO_COMPARISON, Drill
from adapters.drill.ground import Grounds
from adapters.drill.run import Effort, Result, attempt, run
from adapters.drill.sabotage import ALTERATIONS
from adapters.stack.errors import NotInstalled

BRIEFLY = Effort(rate=1_000, before_s=(0.2, 0.6), after_s=0.2, patience_s=60.0)
FOR_LONG = Effort(rate=500, before_s=(0.5, 1.0), after_s=1.0, patience_s=120.0)
HERE = ("owner-killed", "zombie", "two-owners", "poison")
FAULTS = int(os.environ.get("OUTCRY_SOAK_FAULTS", "1000"))


def results(folder: Path) -> list[Result]:
    try:
        return list(run([BY_NAME[name] for name in HERE], folder, 1, BRIEFLY, lambda _: None))
    except NotInstalled as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


@pytest.mark.timeout(600)
def test_promises_hold_and_a_missing_safeguard_is_noticed(own_folder: Path) -> None:
    """Killed owner, zombie, two who are certain, poison: nothing acknowledged is lost, nothing is there twice.

    Without the comparison of the head, the order of commit and answer, or the note of what was unreadable, the same oracle sees it.
    """
    found = results(own_folder)
    assert [(result.drill, bool(result.control)) for result in found] == [(name, control) for name in HERE for control in (False, True)]
    assert not [f"{result.drill}, {result.control}: {result.says} {result.verdict.trouble}" for result in found if not result.passed]


@pytest.mark.parametrize("name", ALTERATIONS)
def test_every_alteration_still_alters_something(name: str, tmp_path: Path) -> None:
    """They reach into the product; one that no longer finds what it replaces would make a control that controls nothing."""
    altered = f"from adapters.drill.sabotage import ALTERATIONS; ALTERATIONS[{name!r}]()"
    subprocess.run([sys.executable, "-c", altered], check=True, env={**os.environ, "DRILL_CLOCK": str(tmp_path / "clock")})


@pytest.mark.soak
def test_a_thousand_random_faults(own_folder: Path) -> None:
    """Faults of all kinds, one after the other, in markets of twenty faults each."""
    anything = Drill("random", faults.anything, NO_COMPARISON, proxied=True)
    with Grounds(own_folder) as grounds:
        for seed in range(-(-FAULTS // faults.AT_RANDOM)):
            result = attempt(anything, grounds, seed, FOR_LONG, control=False)
            assert result.passed, f"seed {seed}: {result.says} {result.verdict.findings[:20]} {result.verdict.trouble}"
