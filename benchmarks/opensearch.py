"""The audit index: blocks into documents into OpenSearch, against what the server takes of ready bytes; then searches of what is there.

The ceiling is measured in turn with the view: the same documents, prepared before, posted in requests of as many, into an index with the
same mapping. The view decodes blocks, folds them, prepares documents, sends them and moves its position, as a worker that is behind does.
Searches are for accounts and orders at random, a hundred documents each, sorted by time and position, of an index that took all of them.
The lag is that of blocks committed at half the rate that the view reached: from when a block is due until its documents are acknowledged.
"""

from __future__ import annotations

import random
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Final

from opensearchpy import OpenSearch

from adapters.cli.progress import Show
from adapters.search import bulk, in_index
from adapters.search.criteria import Criteria
from adapters.search.indices import put_templates
from adapters.search.opensearch import Server, connect
from adapters.search.view import OpenSearchView
from adapters.stack.opensearch import VERSION
from adapters.stack.stack import Stack
from benchmarks import report
from benchmarks.block import sealed
from benchmarks.flows import Flow
from benchmarks.market import NUMBER, Market, events_of
from benchmarks.store import filesystem
from domain.partition import Partition
from eventstore.blocks import Block, after, genesis, seal
from projections.audit import INSTRUMENTS, Audit
from projections.columns import Columns
from projections.view import Projection, Rows

DOCUMENTS: Final = 300_000
SPARE: Final = 1.2  # documents that a longer flow has fewer of by the command
SEARCHES: Final = 200
LAG_S: Final = 5.0
LIMIT: Final = 100
PATIENCE_S: Final = 120.0


def run(flow: Flow, runs: int, show: Show, *, stack: Path | None = None, documents: int = DOCUMENTS) -> dict[str, object]:
    """Medians of *runs*: documents_per_s of the view and of ready bytes, their ratio; lag; searches over at least *documents*."""
    before, measured = _recorded(flow)
    parts = _ready([*before, *measured])
    counted = sum(len(part) for part in parts)
    with _server(stack) as (client, where):
        views, ceilings = list[float](), list[float]()
        for number in range(runs):
            ceilings.append(_posted(client, parts))
            view = OpenSearchView(client, secrets.token_hex(8))
            views.append(_kept(view, [*before, *measured]))
            _forget(view)
            show((number + 1) / (3 * runs))
        lags_ms = _lags_ms(client, before, measured, counted / median(views) / 2)
        view = OpenSearchView(client, secrets.token_hex(8))
        longer = replace(flow, commands=max(flow.commands, int(SPARE * documents * flow.commands / counted)))
        begin, blocks = _recorded(longer)
        held = _filled(view, [*begin, *blocks], documents, show)
        found = _searches(view, flow, blocks[0])
        _forget(view)
    happened = report.tally_of(block.rows() for block in measured)
    return report.report(
        flow,
        views,
        happened,
        durability="OpenSearch: the log of changes is synced before a request is acknowledged",
        documents_per_s=report.rate(counted, views),
        ready_documents_per_s=report.rate(counted, ceilings),
        ratio=report.median_ratio(ceilings, views),
        documents=counted,
        documents_per_event=round(counted / (happened.events + sum(block.event_count for block in before)), 3),
        lag_ms=lags_ms,
        searched_documents=held,
        searches_ms=found,
        servers={"opensearch": VERSION, "opensearch-py": version("opensearch-py"), "folder": where},
    )


def _recorded(flow: Flow) -> tuple[list[Block], list[Block]]:
    """The blocks of the flow's set-up, and those of its commands."""
    engine, head, before = Partition(NUMBER), genesis(NUMBER), list[Block]()
    for commands in flow.set_up():
        before.append(seal(head, commands, engine.execute(commands), engine.time_ns))
        head = after(before[-1])
    batches = flow.batches()
    return before, sealed(head, batches, events_of(Market(flow).fresh(), batches))[1]


def _ready(blocks: Sequence[Block]) -> list[list[bytes]]:
    """What the view sends for *blocks*, request by request."""
    sent = list[list[bytes]]()

    class Listener:
        rows_at_once = OpenSearchView.rows_at_once

        def position(self, _partition: int) -> int:
            return self.seq

        def write(self, rows: Rows, _partition: int, seq: int) -> None:
            self.seq = seq
            sent.append([row for key, row in rows.items() if not key.startswith(INSTRUMENTS)])

        seq = 0

    _fold(Projection(NUMBER, Audit(), Listener()), blocks, Listener.rows_at_once)
    return sent


def _fold(projection: Projection, blocks: Sequence[Block], rows_at_once: int) -> None:
    """As a keeper that is behind does."""
    for block in blocks:
        projection.take(Columns(block))
        if len(projection.waits) >= rows_at_once:
            projection.write()
    projection.write()


def _posted(client: OpenSearch, parts: Sequence[Sequence[bytes]]) -> float:
    """Seconds until the server has acknowledged *parts*, ready bytes."""
    server, index = Server(client, "ready bytes"), f"outcry-audit-days-{secrets.token_hex(8)}"
    put_templates(server)
    server.ask("PUT", f"/{index}", patience_s=PATIENCE_S)
    bodies = [b"".join(part[at : at + bulk.DOCUMENTS_AT_ONCE]) for part in parts for at in range(0, len(part), bulk.DOCUMENTS_AT_ONCE)]
    began = time.perf_counter()
    for body in bodies:
        answer = server.ask("POST", f"/{index}/_bulk", body, patience_s=PATIENCE_S, params={"filter_path": "errors"})
        assert not answer["errors"], "every document is new"
    taken = time.perf_counter() - began
    server.ask("DELETE", f"/{index}", patience_s=PATIENCE_S)
    return taken


def _kept(view: OpenSearchView, blocks: Sequence[Block]) -> float:
    """Seconds for a view to keep *blocks*."""
    began = time.perf_counter()
    _fold(Projection(NUMBER, Audit(), view), blocks, view.rows_at_once)
    return time.perf_counter() - began


def _forget(view: OpenSearchView) -> None:
    where = view.where(NUMBER)
    for index in (where.state, where.refused, where.day("*")):
        for name in view.server.ask("GET", f"/{index}/_alias", patience_s=PATIENCE_S):
            view.server.ask("DELETE", f"/{name}", patience_s=PATIENCE_S)


def _lags_ms(client: OpenSearch, before: Sequence[Block], blocks: Sequence[Block], documents_per_s: float) -> dict[str, float]:
    """From when a block is due until its documents are acknowledged: small blocks at a steady rate, for LAG_S."""
    view, fold = OpenSearchView(client, secrets.token_hex(8)), Audit()
    projection = Projection(NUMBER, fold, view)
    _fold(projection, before, view.rows_at_once)
    due, lags_ms, taken = list[float](), list[float](), 0
    small = list(_small(blocks, before[-1]))
    every_s = _documents_of(small, before) / len(small) / documents_per_s
    began = time.perf_counter()
    while taken < len(small) and time.perf_counter() - began < LAG_S:
        while taken < len(small) and began + taken * every_s <= time.perf_counter():
            due.append(began + taken * every_s)
            projection.take(Columns(small[taken]))
            taken += 1
        projection.write()
        lags_ms += [1e3 * (time.perf_counter() - each) for each in due]
        due.clear()
        time.sleep(max(0.0, min(every_s, began + taken * every_s - time.perf_counter())))
    _forget(view)
    lags_ms.sort()
    at = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        **{name: round(lags_ms[min(int(share * len(lags_ms)), len(lags_ms) - 1)], 1) for name, share in at.items()},
        "documents_per_s": round(documents_per_s),
        "blocks": taken,
    }


def _small(blocks: Sequence[Block], last: Block) -> Iterator[Block]:
    """The same commands and events in blocks of 256 commands, as a market that is not flooded commits them."""
    from replay.rows import Batch

    head = after(last)
    for block in blocks:
        batch = Batch(block)
        for first in range(0, len(batch.commands), 256):
            commands, events = (
                batch.part(first, first + 256) if first + 256 <= len(batch.commands) else batch.part(first, len(batch.commands))
            )
            sealed_block = seal(head, commands, events, int.from_bytes(commands[-120:-112], "little"))
            head = after(sealed_block)
            yield sealed_block


def _documents_of(blocks: Sequence[Block], before: Sequence[Block]) -> int:
    """How many documents are written for *blocks*, each by itself."""
    fold = Audit()
    for block in before:
        fold.skip(Columns(block))
    return sum(len(fold.fold(Columns(block))) for block in blocks)


def _filled(view: OpenSearchView, blocks: Sequence[Block], documents: int, show: Show) -> int:
    """Let *view* keep the first of *blocks*, as many as it takes until it holds *documents*; how many it holds."""
    projection = Projection(NUMBER, Audit(), view)
    for number, block in enumerate(blocks):
        _fold(projection, [block], view.rows_at_once)
        if number % 8 == 0:
            held = _count(view)
            show(1 / 3 + min(held / documents, 1.0) / 2)
            if held >= documents:
                return held
    return _count(view)


def _count(view: OpenSearchView) -> int:
    days = view.where(NUMBER).day("*")
    view.server.ask("POST", f"/{days}/_refresh", patience_s=PATIENCE_S)
    return int(view.server.ask("GET", f"/{days}/_count", patience_s=PATIENCE_S)["count"])


def _searches(view: OpenSearchView, flow: Flow, block: Block) -> dict[str, dict[str, float]]:
    """Milliseconds of searches, each with its own connection to what is as of then, as `outcry search` asks."""
    dice = random.Random(flow.seed)
    orders = [int(row[1]) for row in block.arrays().events[:20_000] if row[0] & 255 == 9]
    asked: dict[str, Callable[[], Criteria]] = {
        "by_account": lambda: Criteria(account=dice.randint(1, flow.accounts)),
        "by_account_and_kind": lambda: Criteria(account=dice.randint(1, flow.accounts), kind="trade"),
        "by_order": lambda: Criteria(order=dice.choice(orders)),
    }
    found = {}
    for name, make in asked.items():
        taken = []
        for _ in range(SEARCHES + SEARCHES // 10):
            criteria = make()
            began = time.perf_counter()
            hits = in_index.search(view, [NUMBER], criteria, limit=LIMIT)
            taken.append(1e3 * (time.perf_counter() - began))
            assert hits.hits, f"{criteria} is of the flow"
        taken = sorted(taken[SEARCHES // 10 :])  # the first are of a cold index
        found[name] = {"p50": round(median(taken), 1), "p95": round(taken[int(0.95 * len(taken))], 1), "max": round(taken[-1], 1)}
    return found


@contextmanager
def _server(given: Path | None) -> Iterator[tuple[OpenSearch, str]]:
    """An OpenSearch of one's own, gone afterwards, or that of the stack in *given*; and where its data lies."""
    if given is not None:
        stack = Stack.open(given)
        if "opensearch" not in stack.servers or not stack.servers["opensearch"].alive():
            raise ValueError(f"--stack {given}: no OpenSearch runs there; `outcry stack up --with all` starts one, or leave the option out")
        with closing(connect(stack.opensearch_url)) as client:
            yield client, f"{given}, on {filesystem(given)}"
        return
    with tempfile.TemporaryDirectory(prefix="outcry-bench-", ignore_cleanup_errors=True) as root:
        folder = Path(root)
        folder.chmod(0o711)  # the servers' user passes through it
        stack = Stack(folder / "stack", postgres=False, kafka=False, opensearch=True)
        try:
            stack.up()
            with closing(connect(stack.opensearch_url)) as client:
                yield client, f"of this run, on {filesystem(folder)}"
        finally:
            stack.destroy()
