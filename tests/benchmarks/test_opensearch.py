"""What the benchmark of the audit index must say beside its figures. How fast is never a test."""

from __future__ import annotations

import pytest

from adapters.stack.stack import Stack
from benchmarks import cli
from tests.benchmarks.test_benchmarks import FIELDS

OWN = {"documents_per_s", "ready_documents_per_s", "ratio", "documents", "lag_ms", "searched_documents", "searches_ms", "servers"}


def test_it_says_what_the_server_takes_and_how_fast_it_is_searched(opensearch_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.opensearch.SEARCHES", 10)
    small = {"flow": "cross", "accounts": 5, "instruments": 1, "commands": 1_000, "runs": 3, "documents": 2_000}
    answer = cli.run("opensearch", {**small, "stack": opensearch_stack.folder})
    assert answer.keys() >= FIELDS | OWN
    searched = answer["searched_documents"]
    assert isinstance(searched, int)
    assert searched >= 2_000
    assert "synced" in str(answer["durability"])
