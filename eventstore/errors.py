"""How the record can fail. Each name says what to do next."""

from __future__ import annotations


class Fenced(Exception):
    """Somebody claimed the partition after us, so this block is not in the record and never will be. Stop writing."""

    def __init__(self, partition: int, seq: int, epoch: int, head_seq: int, head_epoch: int) -> None:
        super().__init__(
            f"partition {partition}: block {seq} of epoch {epoch} does not follow the head, block {head_seq} in epoch {head_epoch}; "
            "another writer owns the partition, stop this one"
        )
        self.partition, self.seq = partition, seq


class OutcomeUnknown(Exception):
    """The store did not say whether the block is in the record. Append the same block again, or claim and read the head."""

    def __init__(self, partition: int, seq: int, cause: str) -> None:
        super().__init__(
            f"partition {partition}: it is not known whether block {seq} is durable ({cause}); "
            "append the same block again, or claim and rebuild from the record"
        )
        self.partition, self.seq = partition, seq


class StoreFailed(Exception):
    """The store could not do it and nothing changed. Mend the cause, then repeat."""

    def __init__(self, store: str, cause: str) -> None:
        super().__init__(f"{store}: {cause}; nothing was changed")
        self.store, self.cause = store, cause


class NoReader(StoreFailed):
    """No server with a copy of the record could be asked in time. The text says of each why; repeat when one of them is back."""


class TooFarBehind(StoreFailed):
    """Servers answered, and none of them had by then what was asked for. The text says who has how much; repeat, or ask for less."""


class NewerSchema(Exception):
    """Written by a later release than this one. Use that release."""

    def __init__(self, what: str, found: int, known: int) -> None:
        super().__init__(f"{what} has schema version {found}, this release knows up to {known}; use the release that wrote it")
        self.what, self.found, self.known = what, found, known


class Damaged(Exception):
    """Stored bytes are not those that were committed. Stop reading there; restore the store from a copy.

    partition, seq  the block concerned; None: not known (the file as a whole)
    what            what differs
    """

    def __init__(self, partition: int | None, seq: int | None, what: str) -> None:
        where = "the store" if partition is None else f"partition {partition}" if seq is None else f"partition {partition}, block {seq}"
        super().__init__(f"{where}: {what}")
        self.partition, self.seq, self.what = partition, seq, what


class Disagree(Exception):
    """Topic and record are not of one history. Publish nothing; find out with `outcry verify` which is right, and mend the other."""

    def __init__(self, topic: str, partition: int, what: str) -> None:
        super().__init__(f"topic {topic}, partition {partition}: {what}; nothing is published until topic and record agree")
        self.topic, self.partition, self.what = topic, partition, what


class Expired(Exception):
    """The topic no longer has these blocks, or never had. Read them in the record."""

    def __init__(self, topic: str, partition: int, wanted: int, first: int) -> None:
        super().__init__(
            f"topic {topic}, partition {partition}: block {wanted} is asked for, the first there is {first}; read it in the record"
        )
        self.wanted, self.first = wanted, first


class BadTopic(ValueError):
    """A topic that is missing or has a setting that would break the promise: topic, key, value, and what would be right."""

    def __init__(self, topic: str, key: str, value: str, right: str) -> None:
        super().__init__(f"topic {topic}: {key} is {value}; right would be {right}")
        self.topic, self.key, self.value, self.right = topic, key, value, right


class BadArchive(ValueError):
    """The URL of an archive that cannot be one: what it is and what would be right."""
