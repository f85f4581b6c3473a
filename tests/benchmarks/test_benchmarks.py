"""What a benchmark must say beside its figure, so that the figure means something. How fast is never a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import cli, report
from benchmarks.market import NUMBER
from domain.partition import Partition

FIELDS = {
    "commands_per_s",
    "trades_per_s",
    "events_per_s",
    "spread",
    "mix",
    "bytes_per_event",
    "compiled",
    "machine",
    "versions",
    "commit",
    "durability",
    "seconds",
}
OWN = {
    "kernel": {"of_cross"},
    "block": {"blocks", "ms_per_block"},
    "store": {"blocks", "ms_per_block", "mb_per_s", "file_bytes_per_event"},
    "embedded": {"kernel_commands_per_s", "ratio", "stages_ns_per_command"},
    "folds": {"events_per_s_alone", "events_per_s_decompress", "events_per_s_together", "rows_written"},
    "replay": {"events_per_s_execute", "ratio", "snapshot_s", "restore_s", "live_orders"},
}
SMALL = {"accounts": 5, "instruments": 2, "commands": 2_000, "resting": 900, "runs": 3}


@pytest.mark.parametrize("what", OWN)
@pytest.mark.parametrize("flow", ["cross", "deep"])
def test_every_benchmark_says_what_was_measured_where_and_how_far_runs_differed(what: str, flow: str) -> None:
    answer = cli.run(what, {"flow": flow, **SMALL})
    assert FIELDS | OWN[what] <= answer.keys()
    assert (answer["flow"], answer["accounts"], answer["instruments"], answer["commands"]) == (flow, 5, 2, 2_000)
    seconds = answer["seconds"]
    assert isinstance(seconds, list)
    assert len(seconds) == 3
    assert (answer["bytes_per_event"] is None) == (what in ("kernel", "replay"))


def test_a_commit_of_the_store_and_of_the_embedded_path_is_said_to_be_durable() -> None:
    """A figure without the setting could be one of a file that is never synced."""
    for what in ("store", "embedded"):
        assert "synchronous=FULL" in str(cli.run(what, {"flow": "cross", **SMALL})["durability"])
    assert "in memory" in str(cli.run("block", {"flow": "cross", **SMALL})["durability"])


def test_a_machine_whose_kernel_is_interpreted_gets_an_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "is_compiled", lambda: False)
    assert cli.run("kernel", {"flow": "cross", "accounts": 5, "instruments": 1, "runs": 3})["commands"] == cli.COMMANDS_INTERPRETED


COMPARISON = """
from mypy_extensions import i64
from librt.strings import BytesWriter

class Book:
    def __init__(self, capacity: i64, accounts: i64, cash: i64, stock: i64) -> None:
        self.seen: i64 = 0

    def run(self, commands: bytes, out: BytesWriter) -> None:
        self.seen += len(commands) // 40
"""


needs_compiler = pytest.mark.skipif(not report.is_compiled(), reason="the kernel is interpreted: there may be no compiler")


@needs_compiler
def test_a_comparison_kernel_is_measured_beside_ours(tmp_path: Path) -> None:
    """The ratio is ours to theirs: one that does nothing is faster."""
    source = tmp_path / "nothing.py"
    source.write_text(COMPARISON)
    answer = cli.run("kernel", {"flow": "cross", **SMALL, "instruments": 1, "against": source})
    assert isinstance(answer["ratio"], float)
    assert 0 < answer["ratio"] < 1


@needs_compiler
def test_a_comparison_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "nothing.py"
    source.write_text("Book = 1 +")
    with pytest.raises(cli.CannotCompare, match="one instrument"):
        cli.run("kernel", {"flow": "sparse", **SMALL, "against": source})
    with pytest.raises(cli.CannotCompare, match="does not compile"):
        cli.run("kernel", {"flow": "cross", **SMALL, "instruments": 1, "against": source})


def test_a_big_market_is_set_up_anew_and_a_small_one_restored_to_the_same_state() -> None:
    from benchmarks import market
    from benchmarks.flows import flow

    wanted = flow("cross", accounts=7, instruments=3, commands=1, resting=50)
    restored, made = market.Market(wanted), Partition(NUMBER)
    for batch in wanted.set_up():
        made.execute(batch)
    assert restored.fresh().state_hash() == restored.fresh().state_hash() == made.state_hash()
