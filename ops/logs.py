"""What is wrong with the logs: Elasticsearch by its own word, fluentd by its figures."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.logs.elasticsearch import CONFIG_FOLDER, LOGIN_FILE, LOGIN_FOLDER
from components.logs.objects import PATTERN
from components.logs.shipper import METRICS_PORT, STATE_FOLDER
from components.logs.shipper import NAMESPACE as SHIPPER
from components.logs.store_args import ELASTICSEARCH, NAMESPACE, PORT
from components.logs.store_certificates import AUTHORITY_FILE
from infra.settings.logs import OwnLogs
from ops.cluster_view import ClusterView
from ops.target import Target
from testbed.progress import Failure

HEALTH: Final = "/_cluster/health"
DISKS: Final = "/_nodes/stats/fs"
BLOCKS: Final = f"/{PATTERN}/_settings/index.blocks.read_only_allow_delete?flat_settings=true"
LOW: Final = 0.15
"""Of a node's disk: with less free, Elasticsearch gives it no more shards (the watermark ``low``)."""
FLOOD: Final = 0.05
"""With less free, what is on it takes no more lines (the watermark ``flood_stage``)."""
FULL_BUFFER: Final = 20
"""Percent free."""
RED_PAGE: Final = "docs/runbooks/ElasticsearchRed.md"
BEHIND_PAGE: Final = "docs/runbooks/LogsBehind.md"
_ASK: Final = (
    f"for path in {HEALTH} {DISKS} '{BLOCKS}'; do curl --silent --globoff --max-time 10 "
    f"--cacert {CONFIG_FOLDER}/certs/{AUTHORITY_FILE} --config {LOGIN_FOLDER}/{LOGIN_FILE} "
    f'"https://localhost:{PORT}$path"; echo; done'
)
_FIGURES: Final = f"puts Net::HTTP.get(URI('http://localhost:{METRICS_PORT}/metrics'))"
_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>[^}]*)\})? (?P<value>\S+)", re.MULTILINE)


def log_problems(chosen: Target, view: ClusterView) -> list[str]:
    """A line for each thing that is wrong, with the mend; none where no logs are shipped."""
    logs = chosen.settings.logs
    if logs is None:
        return []
    found: list[str] = []
    if isinstance(logs, OwnLogs):
        found += _asked(view, logs.nodes)
    try:
        figures = view.said_by_each(SHIPPER, "fluentd", ["ruby", "-rnet/http", "-e", _FIGURES])
    except Failure as failure:
        return [*found, f"{SHIPPER}: {failure}"]
    return [*found, *(line for pod, said in figures.items() for line in shipper_problems(pod, said))]


def _asked(view: ClusterView, nodes: int) -> list[str]:
    try:
        said = view.said_in(NAMESPACE, ELASTICSEARCH, ["bash", "-c", _ASK])
    except Failure as failure:
        return [f"{NAMESPACE}: {failure}"]
    try:
        health, disks, blocks = (json.loads(line) for line in said.splitlines() if line.strip())
    except ValueError:
        log = f"kubectl -n {NAMESPACE} logs {ELASTICSEARCH}-0 --tail=50"
        return [f"{NAMESPACE}: Elasticsearch does not answer. Mend: `{log}`"]
    return list(store_problems(health, disks, blocks, nodes))


def store_problems(
    health: Mapping[str, Any], disks: Mapping[str, Any], blocks: Mapping[str, Any], nodes: int
) -> Iterator[str]:
    """What Elasticsearch's answers say: of its health, its nodes' file systems, and indices that take no more."""
    if "status" not in health:
        yield f"{NAMESPACE}: Elasticsearch refuses to say how it is: {json.dumps(health)[:200]}. Mend: {RED_PAGE}"
        return
    if health["status"] == "red":
        yield f"{NAMESPACE}: red: some logs can be neither written nor read. Mend: {RED_PAGE}"
    if health["status"] == "yellow":
        yield (
            f"{NAMESPACE}: yellow: {health['unassigned_shards']} shards lack a copy. Mend: none where a node has just "
            f"started; else {RED_PAGE}"
        )
    if health["number_of_nodes"] < nodes:
        yield (
            f"{NAMESPACE}: {health['number_of_nodes']} of {nodes} nodes are in the cluster. Mend: `kubectl -n "
            f"{NAMESPACE} get pods`, and the log of the one that is not ready"
        )
    for node in disks.get("nodes", {}).values():
        total = node["fs"]["total"]
        free = total["available_in_bytes"] / total["total_in_bytes"]
        if free < LOW:
            taken = "takes no more lines" if free < FLOOD else "gets no more shards"
            yield (
                f"{NAMESPACE}/{node['name']}: its disk is {1 - free:.0%} full and {taken}. Mend: fewer "
                "logs.retention.days, or a larger volume (docs/logs.md#when-it-is-full)"
            )
    # Where nothing is set, there is nothing; an answer that is an error is none of the indices'.
    shut = sorted(name for name, index in blocks.items() if name.startswith(".ds-") and _is_shut(index))
    if shut:
        yield (
            f"{NAMESPACE}: {len(shut)} indices take no more lines because a disk was full, {shut[0]} among them; what "
            "comes waits in fluentd's buffers. Mend: make room (docs/logs.md#when-it-is-full)"
        )


def _is_shut(index: Any) -> bool:
    return index["settings"].get("index.blocks.read_only_allow_delete") == "true"


def shipper_problems(pod: str, figures: str) -> Iterator[str]:
    """What the figures of one fluentd say, as Prometheus would read them."""
    samples = [(found["name"], found["labels"] or "", found["value"]) for found in _SAMPLE.finditer(figures)]
    refused = sum(float(value) for name, _, value in samples if name == "airflow_platform_logs_refused_lines")
    if refused:
        yield (
            f"{SHIPPER}/{pod}: {refused:.0f} lines were refused since it started; they are on its node, in "
            f"{STATE_FOLDER}/refused. Mend: its log says why: `kubectl -n {SHIPPER} logs {pod} | grep -i error`"
        )
    free = [float(value) for name, _, value in samples if name.endswith("_buffer_available_space_ratio")]
    if free and min(free) < FULL_BUFFER:
        yield f"{SHIPPER}/{pod}: its buffer is {min(free):.0f}% free: logs arrive late. Mend: {BEHIND_PAGE}"
