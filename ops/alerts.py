"""Alerts that fire now, as the environment's Alertmanager has them."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from components.metrics.args import ALERTMANAGER_PORT, NAMESPACE
from infra.settings.metrics import PrometheusMetrics
from ops.door import Door
from ops.reach import reach
from ops.target import Target
from testbed.progress import Failure

PATH = "/api/v2/alerts?active=true&silenced=false&inhibited=false"
ANSWER_SECONDS = 10


def firing_alerts(chosen: Target) -> list[str]:
    """A line for each alert that fires and that nobody has silenced; none where no Prometheus of its own watches."""
    if not isinstance(chosen.settings.metrics, PrometheusMetrics):
        return []
    try:
        with (
            reach(chosen, NAMESPACE, "alertmanager", ALERTMANAGER_PORT) as url,
            Door(url).opener.open(f"{url}{PATH}", timeout=ANSWER_SECONDS) as answer,
        ):
            return described(json.load(answer))
    except (Failure, OSError, ValueError) as error:
        return [
            f"{NAMESPACE}: its alerts can't be asked for: {error}. Mend: `kubectl -n {NAMESPACE} get pods`; until then "
            "nobody is told of anything"
        ]


def described(alerts: Sequence[Mapping[str, Any]]) -> list[str]:
    """The lines for ``alerts``, as Alertmanager's API shows them: what for somebody gets up first."""
    order = sorted(alerts, key=lambda one: (one["labels"]["severity"] != "page", one["startsAt"]))
    return [
        f"alert {one['labels']['alertname']} ({one['labels']['severity']}, since {one['startsAt'][:16]}Z): "
        f"{one['annotations']['summary']}. Mend: {one['annotations']['runbook']}"
        for one in order
    ]
