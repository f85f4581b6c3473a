"""LOBSTER zips, written from its own description."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

MESSAGES = "ACME_2012-06-21_34200000_57600000_message_2.csv"
BOOKS = "ACME_2012-06-21_34200000_57600000_orderbook_2.csv"
NO_SELLS, NO_BUYS = "9999999999,0", "-9999999999,0"

Levels = list[tuple[int, int]]


def line(type_: int, order: int, shares: int, price: int, direction: int, at: str = "34200.5") -> str:
    """One message."""
    return f"{at},{type_},{order},{shares},{price},{direction}"


def book(sells: Levels, buys: Levels) -> str:
    """The two levels a side after a message; absent ones are marked as LOBSTER does."""
    cells = []
    for level in range(2):
        cells.append(",".join(map(str, sells[level])) if level < len(sells) else NO_SELLS)
        cells.append(",".join(map(str, buys[level])) if level < len(buys) else NO_BUYS)
    return ",".join(cells)


def zipped(folder: Path, lines: list[tuple[str, str]] | None = None, **texts: str) -> Path:
    """A zip of messages with their books; or of *messages* and *books* as given."""
    messages = texts.get("messages", "".join(f"{message}\n" for message, _ in lines or []))
    books = texts.get("books", "".join(f"{after}\n" for _, after in lines or []))
    path = folder / "day.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        archive.writestr(texts.get("books_name", BOOKS), books)
        archive.writestr(texts.get("messages_name", MESSAGES), messages)
        archive.writestr("LOBSTER_SampleFiles_ReadMe.txt", "read me")
    return path
