"""Which indices the audit index has, what they are called, and how they keep documents.

index                                                   holds
outcry-audit-days-CLUSTER-PARTITION-gGENERATION-DAY     the documents that began that day
outcry-audit-refused-CLUSTER-PARTITION-gGENERATION      documents that their mapping refused, with the reason
outcry-audit-state-CLUSTER-PARTITION-gGENERATION        the position, and the units of instruments
The alias outcry-audit-state-CLUSTER-PARTITION names the generation that is looked at.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from adapters.search.opensearch import Server
from projections import documents as d

PREFIX: Final = "outcry-audit"
POSITION: Final = "position"
PATIENCE_S: Final = 10.0
_SETTINGS: Final = {"number_of_shards": 1, "auto_expand_replicas": "0-1"}
_KEPT: Final = {"type": "keyword", "index": False, "doc_values": False}
_NUMBER: Final = {"type": "long"}
_MAPPINGS: Final[dict[str, dict[str, Any]]] = {
    "days": d.MAPPING,
    "refused": {"dynamic": "strict", "properties": {"reason": _KEPT, "place": _KEPT, "document": _KEPT, "at_seq": _NUMBER}},
    "state": {
        "dynamic": "strict",
        "properties": {"seq": _NUMBER, "layout": _NUMBER, "days": _KEPT, "stopped": _KEPT, "refused": _NUMBER, **d.INSTRUMENTS},
    },
}


class Position(NamedTuple):
    """As of which block a generation is, its days, why its writer stopped, if he did, and how many documents their mapping refused."""

    seq: int = 0
    layout: int = d.LAYOUT
    days: tuple[str, ...] = ()
    stopped: str = ""
    refused: int = 0


class Generation(NamedTuple):
    """The names of the indices of one generation."""

    cluster: str
    partition: int
    number: int

    @property
    def alias(self) -> str:
        """Under which the state of the generation that is looked at is found."""
        return f"{PREFIX}-state-{self.cluster}-{self.partition}"

    @property
    def state(self) -> str:
        """Where position and instruments are."""
        return f"{self.alias}-g{self.number}"

    @property
    def refused(self) -> str:
        """Where documents are that their mapping refused."""
        return f"{PREFIX}-refused-{self.cluster}-{self.partition}-g{self.number}"

    def day(self, day: str) -> str:
        """Where the documents of *day* are; `*`: those of every day."""
        return f"{PREFIX}-days-{self.cluster}-{self.partition}-g{self.number}-{day}"


def put_templates(server: Server) -> None:
    """Say how our indices keep documents, those that are still to be made. Raises ViewAway."""
    for name, mapping in _MAPPINGS.items():
        template = {"index_patterns": [f"{PREFIX}-{name}-*"], "priority": 500, "version": d.LAYOUT}
        body = template | {"template": {"settings": {"index": _SETTINGS}, "mappings": mapping}}
        server.ask("PUT", f"/_index_template/{PREFIX}-{name}", body, patience_s=PATIENCE_S)
