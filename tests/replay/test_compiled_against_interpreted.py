"""The kernel compiled and interpreted: the same bytes, event for event and word for word of the state, on long flows.

Compiled integers wrap at 64 bits and a literal shifted by a native one at 32; interpreted ones grow. Nothing but this
comparison sees such a difference.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import domain.partition
from adapters.simulate import SimulatedFeed
from domain.partition import Partition
from tests.model.commands import seeded
from tests.model.pair import Pair
from tests.model.small_market import SMALL
from tests.model.wide_market import WIDE

OTHER_BUILD = """
import json, hashlib, sys
from pathlib import Path
import domain.partition
from domain.partition import Partition
assert domain.partition.__file__.endswith(".py"), "the other build is interpreted"
partition, found = Partition(1), []
for path in sys.argv[1:]:
    batch = Path(path).read_bytes()
    events = partition.execute(batch)
    found.append([hashlib.sha256(events).hexdigest(), partition.state_hash().hex()])
restored = Partition.restore(Path(sys.argv[1]).with_name("compiled.snapshot").read_bytes())
print(json.dumps([found, hashlib.sha256(partition.snapshot()).hexdigest(), restored.state_hash().hex()]))
"""


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the kernel's source and no compiled module."""
    folder = tmp_path_factory.mktemp("interpreted")
    shutil.copytree(Path(domain.partition.__file__).parent, folder / "domain", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return folder


def simulated() -> list[bytes]:
    """A simulated day: orders, quotes, cancels, replaces."""
    return list(SimulatedFeed(seed=7, commands=40_000).batches())


def small() -> list[bytes]:
    """Every verb, valid and not, in a market so small that every rule is broken."""
    pair = Pair(SMALL)
    for command in seeded(21, 4_000, SMALL):
        pair.step(command)
    return [b"".join(commands for commands, _ in pair.blocks[k : k + 100]) for k in range(0, len(pair.blocks), 100)]


def wide() -> list[bytes]:
    """Prices, quantities and times up to their bounds."""
    pair = Pair(WIDE)
    for command in seeded(22, 4_000, WIDE):
        pair.step(command)
    return [b"".join(commands for commands, _ in pair.blocks[k : k + 100]) for k in range(0, len(pair.blocks), 100)]


def garbage() -> list[bytes]:
    """Rows of any bytes: large words, negative words, verbs that are none."""
    noise = hashlib.shake_256(b"outcry").digest(128 * 4_000)
    rows = [noise[k : k + 128] for k in range(0, len(noise), 128)]
    return [b"".join(bytes([k % 13]) + bytes(7) + row[8:] for k, row in enumerate(rows))]


@pytest.mark.parametrize("flow", [simulated, small, wide, garbage], ids=lambda flow: flow.__name__)
def test_both_builds_emit_the_same_bytes_and_reach_the_same_state(
    flow: Callable[[], list[bytes]], interpreted: Path, tmp_path: Path
) -> None:
    """Events and state hash after every batch, the final snapshot, and a snapshot of one restored by the other."""
    batches = flow()
    here, found = Partition(1), []
    paths = []
    for k, batch in enumerate(batches):
        (tmp_path / f"{k}.batch").write_bytes(batch)
        paths.append(str(tmp_path / f"{k}.batch"))
        events = here.execute(batch)
        found.append([hashlib.sha256(events).hexdigest(), here.state_hash().hex()])
    (tmp_path / "compiled.snapshot").write_bytes(here.snapshot())
    other = subprocess.run([sys.executable, "-c", OTHER_BUILD, *paths], cwd=interpreted, capture_output=True, text=True, check=False)
    assert other.returncode == 0, other.stderr

    assert json.loads(other.stdout) == [found, hashlib.sha256(here.snapshot()).hexdigest(), here.state_hash().hex()]
