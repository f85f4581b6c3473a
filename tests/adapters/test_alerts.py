"""Every alarm can fire: it asks for metrics, labels and buckets that a worker has. And it is in the manual, which says what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import promql_parser as promql
import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics import ROLES, Metrics, PartitionStatus
from commands.writer import Writer
from eventstore.memory import MemoryLog, MemorySnapshots
from tests import market
from tests.conftest import REPOSITORY

PROMETHEUS = {"up": {"job": {"outcry"}}}  # what Prometheus adds
ROW = re.compile(r"^\| (Outcry\w+) \| `([^`]+)`(?: for (\w+))? \| (.+) \| (.+) \|$", re.MULTILINE)
SEVERITY = re.compile(r"^\| \*\*(page|ticket)\*\* \|", re.MULTILINE)


class Alert(msgspec.Struct, forbid_unknown_fields=True):
    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]
    for_: str | None = msgspec.field(name="for", default=None)


class Group(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    rules: list[Alert]


class File(msgspec.Struct, forbid_unknown_fields=True):
    groups: list[Group]


def alerts() -> Sequence[Alert]:
    path: Path = REPOSITORY / "deploy" / "alerts.yaml"
    return [rule for group in msgspec.yaml.decode(path.read_bytes(), type=File).groups for rule in group.rules]


Series = Mapping[str, Mapping[str, set[str]]]
"""Name -> label -> its values."""


@pytest.fixture(scope="module")
def exposed() -> Series:
    """What a worker exposes that has been through everything once."""
    metrics = Metrics("worker-1")
    with Writer(
        MemoryLog(), MemorySnapshots(), 1, on_commit=lambda block, rows, took_s: metrics.on_commit(block, rows.events, took_s)
    ) as writer:
        writer.submit(market.buy(9, 1, 100)).result(20)
    metrics.observe([PartitionStatus(1, role) for role in ROLES])
    metrics.observe_views(1, 2, {"quotes": 1})
    found: dict[str, dict[str, set[str]]] = {name: dict(labels) for name, labels in PROMETHEUS.items()}
    for family in text_string_to_metric_families(generate_latest(metrics.registry).decode()):
        for sample in family.samples:
            has = found.setdefault(sample.name, {"job": {"outcry"}, "instance": set()})
            for label, value in sample.labels.items():
                has.setdefault(label, set()).add(value)
    return found


def missing(expression: str, exposed: Series) -> list[str]:
    """What *expression* asks for and nobody has. ValueError when it is no PromQL."""
    found = []

    def look(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            name = str(node.name)
            if name not in exposed:
                found.append(name)
            else:
                has = exposed[name]
                absent = [each for each in node.matchers.matchers if each.value not in has.get(each.name, set())]
                found.extend(f"{name}{{{each.name}={each.value}}}" for each in absent)
        labels_named = getattr(getattr(node, "modifier", None), "labels", None) or ()
        found.extend(label for label in labels_named if not any(label in labels for labels in exposed.values()))
        return True

    promql.walk(promql.parse(expression), look)
    return found


@pytest.mark.parametrize(
    ("wrong", "what"),
    [
        ("rate(outcry_block_total[5m]) > 0", ["outcry_block_total"]),
        ('outcry_role{role="boss"} > 0', ["outcry_role{role=boss}"]),
        ('outcry_takeover_seconds_bucket{le="4.0"} > 0', ["outcry_takeover_seconds_bucket{le=4.0}"]),
        ("sum by (part) (outcry_epoch)", ["part"]),
    ],
)
def test_the_check_finds_what_it_is_for(wrong: str, what: list[str], exposed: Series) -> None:
    assert missing(wrong, exposed) == what


@pytest.mark.parametrize("wrong", ["outcry_epoch >", "rate(outcry_epoch) > 1", "sum(outcry_epoch"])
def test_what_is_no_promql_is_found(wrong: str, exposed: Series) -> None:
    with pytest.raises(ValueError, match=r"."):
        missing(wrong, exposed)


@pytest.mark.parametrize("alert", alerts(), ids=lambda alert: alert.alert)
def test_an_alarm_asks_for_what_there_is(alert: Alert, exposed: Series) -> None:
    assert missing(alert.expr, exposed) == []
    assert alert.labels["severity"] in ("page", "ticket")
    named = set(re.findall(r"\$labels\.(\w+)", alert.annotations["summary"]))
    assert named <= {"instance", "partition", "rule", "view"}


def test_the_manual_has_every_alarm_as_it_is_and_says_what_to_do() -> None:
    manual = (REPOSITORY / "docs" / "operating.md").read_text()
    rows = list(ROW.finditer(manual))
    severities = list(SEVERITY.finditer(manual))
    in_manual = [(row[1], row[2], row[3], [each[1] for each in severities if each.start() < row.start()][-1]) for row in rows]
    assert in_manual == [(alert.alert, alert.expr, alert.for_, alert.labels["severity"]) for alert in alerts()]
