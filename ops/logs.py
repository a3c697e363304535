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
WATERMARKS: Final = "/_cluster/settings?include_defaults=true&filter_path=*.cluster.routing.allocation.disk.watermark"
LOW: Final = "85%"
"""Of a node's disk: when it is fuller, Elasticsearch gives it no new shard (the watermark ``low``), unless told so."""
FLOOD: Final = "95%"
"""When it is fuller, what is on it takes no more lines (the watermark ``flood_stage``)."""
FULL_BUFFER: Final = 20
"""Percent free."""
LONG_RETRY: Final = 5.0
"""Seconds that the store has taken nothing for; less is a node that is rolled."""
LAST_WORDS: Final = 180
"""Seconds of fluentd's log that are looked through for why. It tries again every 30 at most."""
FLUSH_FAILED: Final = "failed to flush the buffer"
"""How fluentd begins to say why."""
RED_PAGE: Final = "docs/runbooks/ElasticsearchRed.md"
BEHIND_PAGE: Final = "docs/runbooks/LogsBehind.md"
_ASK: Final = (
    f"for path in {HEALTH} {DISKS} '{BLOCKS}' '{WATERMARKS}'; do curl --silent --globoff --max-time 10 "
    f"--cacert {CONFIG_FOLDER}/certs/{AUTHORITY_FILE} --config {LOGIN_FOLDER}/{LOGIN_FILE} "
    f'"https://localhost:{PORT}$path"; echo; done'
)
_FIGURES: Final = f"puts Net::HTTP.get(URI('http://localhost:{METRICS_PORT}/metrics'))"
_MARK: Final = re.compile(r"([0-9.]+)(%|[kmgtp]?b|)")
_UNITS: Final = ("b", "kb", "mb", "gb", "tb", "pb")
_SAMPLE: Final = re.compile(r"^(?P<name>\w+)(?:\{[^}]*\})? (?P<value>\S+)", re.MULTILINE)


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
    for pod, said in figures.items():
        found += shipper_problems(pod, said)
        if retrying(said) > LONG_RETRY:
            log = view.log(SHIPPER, pod, "fluentd", LAST_WORDS)
            found.append(stuck_problem(pod, retrying(said), log, isinstance(logs, OwnLogs)))
    return found


def stuck_problem(pod: str, seconds: float, log: str, own: bool) -> str:
    """That one fluentd gets rid of nothing, with the reason that the end of its ``log`` names. ``own``: whether the
    store is the environment's."""
    reasons = [line for line in log.splitlines() if FLUSH_FAILED in line]
    why = f": {_error_in(reasons[-1])[:200]}" if reasons else ""
    password = "raise logs.rotation by one" if own else "correct logsPassword"
    mend = f"{password} and `make up STACK=…`" if "[401]" in why else BEHIND_PAGE
    return f"{SHIPPER}/{pod}: the store has taken no line for {seconds:.0f} s; they wait on the node{why}. Mend: {mend}"


def _error_in(line: str) -> str:
    said = line.partition('error="')[2] or line.partition(FLUSH_FAILED)[2]
    # Before it stand the store's address and user, which everybody knows.
    return (said.partition("}): ")[2] or said).replace('\\"', '"').strip('" ')


def _asked(view: ClusterView, nodes: int) -> list[str]:
    try:
        said = view.said_in(NAMESPACE, ELASTICSEARCH, ["bash", "-c", _ASK])
    except Failure as failure:
        return [f"{NAMESPACE}: {failure}"]
    try:
        health, disks, blocks, marks = (json.loads(line) for line in said.splitlines() if line.strip())
    except ValueError:
        log = f"kubectl -n {NAMESPACE} logs {ELASTICSEARCH}-0 --tail=50"
        return [f"{NAMESPACE}: Elasticsearch does not answer. Mend: `{log}`"]
    return list(store_problems(health, disks, blocks, marks, nodes))


def store_problems(
    health: Mapping[str, Any], disks: Mapping[str, Any], blocks: Mapping[str, Any], marks: Mapping[str, Any], nodes: int
) -> Iterator[str]:
    """What Elasticsearch's answers say: of its health, its nodes' file systems, indices that take no more, and how full
    it lets a disk become."""
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
        size, free = int(total["total_in_bytes"]), int(total["available_in_bytes"])
        if free < room_below(watermark(marks, "low", LOW), size):
            shut = free < room_below(watermark(marks, "flood_stage", FLOOD), size)
            yield (
                f"{NAMESPACE}/{node['name']}: its disk is {1 - free / size:.0%} full and "
                f"{'takes no more lines' if shut else 'gets no more shards'}. Mend: fewer logs.retention.days, or a "
                "larger volume (docs/logs.md#when-it-is-full)"
            )
    # Where nothing is set, there is nothing; an answer that is an error is none of the indices'.
    shut = sorted(name for name, index in blocks.items() if name.startswith(".ds-") and _is_shut(index))
    if shut:
        yield (
            f"{NAMESPACE}: {len(shut)} indices take no more lines because a disk was full, {shut[0]} among them; what "
            "comes waits in fluentd's buffers. Mend: make room (docs/logs.md#when-it-is-full)"
        )


def watermark(marks: Mapping[str, Any], name: str, default: str) -> str:
    """What Elasticsearch's settings say: those that somebody made come before those of its files."""
    for kind in ("transient", "persistent", "defaults"):
        found = marks.get(kind, {})
        for part in ("cluster", "routing", "allocation", "disk", "watermark"):
            found = found.get(part, {})
        if name in found:
            return str(found[name])
    return default


def room_below(mark: str, size: int) -> float:
    """The bytes that are free on a disk of ``size`` when it is as full as ``mark`` allows: ``85%``, ``0.85``, or what
    has to be free, ``10gb``."""
    number, unit = _MARK.fullmatch(mark.strip().lower()).groups()  # pyright: ignore[reportOptionalMemberAccess]
    if unit in _UNITS:
        return float(number) * 1024 ** _UNITS.index(unit)
    return size * (1 - float(number) / (100 if unit == "%" else 1))


def _is_shut(index: Any) -> bool:
    return index["settings"].get("index.blocks.read_only_allow_delete") == "true"


def retrying(figures: str) -> float:
    """For how many seconds, up to its next attempt, one fluentd has failed to send."""
    return max(_values(figures, "fluentd_output_status_retry_wait"), default=0.0)


def shipper_problems(pod: str, figures: str) -> Iterator[str]:
    """What the figures of one fluentd say, as Prometheus would read them."""
    refused = sum(_values(figures, "airflow_platform_logs_refused_lines"))
    if refused:
        yield (
            f"{SHIPPER}/{pod}: {refused:.0f} lines were refused since it started; they are on its node, in "
            f"{STATE_FOLDER}/refused. Mend: its log says why: `kubectl -n {SHIPPER} logs {pod} | grep -i error`"
        )
    free = _values(figures, "fluentd_output_status_buffer_available_space_ratio")
    if free and min(free) < FULL_BUFFER:
        yield f"{SHIPPER}/{pod}: its buffer is {min(free):.0f}% free: logs arrive late. Mend: {BEHIND_PAGE}"


def _values(figures: str, name: str) -> list[float]:
    return [float(found["value"]) for found in _SAMPLE.finditer(figures) if found["name"] == name]
