"""`outcry bench`: every stage on every flow says how fast, of what, and where it was measured."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Outcry

PROMISED = {
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
}


@pytest.mark.parametrize("what", ["kernel", "block", "store", "embedded", "replay", "folds"])
def test_every_stage_reports_what_was_promised(outcry: Outcry, what: str) -> None:
    ran = outcry("bench", what, "--commands", 2000, "--runs", 3, "--json")
    assert ran.code == 0, ran.err
    assert set(ran.json) >= PROMISED
    assert ran.json["commands_per_s"] > 0


@pytest.mark.parametrize("flow", ["cross", "cancel", "deep", "sparse"])
def test_every_flow_runs(outcry: Outcry, flow: str) -> None:
    ran = outcry(
        "bench", "kernel", "--flow", flow, "--commands", 2000, "--runs", 3, "--resting", 500 if flow in {"cancel", "deep"} else 0, "--json"
    )
    assert ran.code == 0, ran.err
    assert ran.json["flow"] == flow


def test_what_cannot_be_measured_is_wrong_use(outcry: Outcry) -> None:
    assert outcry("bench", "kernel", "--accounts", 2**40).code == 2
    assert outcry("bench", "everything").code == 2
