"""What takes minutes: run by `make soak`."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMANDS = 50_000_000
SETTLED = 0.2  # share of the run after which memory has reached what the market needs


def resident_bytes(pid: int) -> int:
    """Memory of a process now; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (FileNotFoundError, ProcessLookupError):
        return 0


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads the memory of a process from /proc")
def test_memory_is_flat_over_fifty_million_commands(tmp_path: Path) -> None:
    """The whole embedded path: what grows is the file. Memory after a fifth of the run is what the end of it needs, within a tenth."""
    feed = [sys.executable, "-c", "from adapters.cli.app import main; main()", "feed", "simulate", "--commands", str(COMMANDS)]
    with (
        (tmp_path / "out").open("w") as out,
        subprocess.Popen([*feed, "--json", "--store", str(tmp_path / "store")], stdout=out) as running,
    ):
        record, seen = tmp_path / "store" / "record.sqlite", list[tuple[int, int]]()
        while running.poll() is None:
            time.sleep(1)
            seen.append((record.stat().st_size if record.exists() else 0, resident_bytes(running.pid)))
    assert running.returncode == 0
    end = seen[-1][0]
    settled = max(memory for size, memory in seen if size < SETTLED * end)
    after = max(memory for size, memory in seen if size >= SETTLED * end)
    print(f"{end:,} bytes recorded; {settled:,} bytes of memory after a fifth, at most {after:,} later")  # noqa: T201 - the figure
    assert after < 1.1 * settled
