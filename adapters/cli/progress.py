"""A progress bar on stderr for whatever takes longer than a second; lines now and then where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeAlias

QUIET_S: Final = 1.0
LINE_S: Final = 5.0


class Show(Protocol):
    """Called with the share of the work that is done, 0 to 1, and how fast it goes, as often as one likes."""

    def __call__(self, share: float, rate: str = "", /) -> None:
        """See above."""


Blocks: TypeAlias = Callable[[int, int], None]
"""Called with the blocks done, and blocks in all."""


@contextmanager
def progress(label: str, quiet_s: float = QUIET_S) -> Iterator[Show]:
    """Show how far *label* is; nothing at all when it is done within *quiet_s*. With 0 the finished bar stays."""
    with (_bar if sys.stderr.isatty() else _lines)(label, quiet_s) as show:
        yield show
        if not quiet_s:
            show(1.0)


@contextmanager
def block_progress(label: str, quiet_s: float = QUIET_S) -> Iterator[Blocks]:
    """As progress, for what counts blocks: how many a second is shown, too."""
    began_s = time.monotonic()
    with progress(label, quiet_s) as show:
        yield lambda done, total: show(done / max(1, total), f"{done / max(1e-3, time.monotonic() - began_s):,.0f} blocks/s")


@contextmanager
def _bar(label: str, quiet_s: float) -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import Progress, TextColumn

    begin = time.monotonic()
    columns = (*Progress.get_default_columns(), TextColumn("{task.fields[rate]}"))
    bar = Progress(*columns, console=Console(stderr=True), transient=bool(quiet_s))
    task = bar.add_task(label, total=1.0, rate="")

    def show(share: float, rate: str = "", /) -> None:
        bar.update(task, completed=share, rate=rate)
        if not bar.live.is_started and time.monotonic() - begin >= quiet_s:
            bar.start()

    try:
        yield show
    finally:
        if bar.live.is_started:
            bar.stop()


@contextmanager
def _lines(label: str, quiet_s: float) -> Iterator[Show]:
    began_s = time.monotonic()
    due, said = began_s + quiet_s, 0.0

    def show(share: float, rate: str = "", /) -> None:
        nonlocal due, said
        if time.monotonic() >= due or (share == 1.0 != said and not quiet_s):
            due, said = time.monotonic() + LINE_S, share
            left_s = (time.monotonic() - began_s) * (1 - share) / share if share else None
            left = "" if left_s is None or share == 1.0 else f"{left_s:.0f} s left"
            print(f"{label}: {', '.join(filter(None, (f'{share:.0%}', rate, left)))}", file=sys.stderr, flush=True)  # noqa: T201 - not the answer, which is stdout's

    yield show
