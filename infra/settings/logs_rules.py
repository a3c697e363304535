"""Rules between the log shipper, what it fills, and those who read it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from components.quantities import mebibytes
from infra.settings.airflow import AirflowSettings, AirflowState, ElasticsearchTaskLogs, ProvidedSecrets
from infra.settings.cluster import GkeCluster
from infra.settings.dev_stacks import StackCluster
from infra.settings.logs import GivenLogs, OwnLogs
from infra.settings.logs_planning import SHARDS_PER_NODE, LogPlan, counted

if TYPE_CHECKING:
    from infra.settings.environment import Settings

LEAST_MEMORY_MIB = 1024
"""What Java takes beside its heap is some 400 MiB, however small the heap."""
WAY_IN = "ingress"


def log_problems(settings: "Settings") -> Iterator[str]:
    """Everything about shipped logs that can't work."""
    logs = settings.logs
    if not isinstance(logs, GivenLogs) and settings.logs_password is not None:
        yield "logsPassword: is for the user of 'logs' of kind 'given'. Leave it out"
    readers = log_readers(settings)
    yield from _reader_problems(settings, readers)
    if logs is None:
        return
    if isinstance(logs, GivenLogs) and settings.logs_password is None:
        yield "logsPassword: 'logs' needs the password of its user. Add it, encrypted"
    if logs.components and any(airflow.name == WAY_IN for airflow in settings.airflows):
        yield (
            f"airflows.{WAY_IN}: its lines would be among those of the way in, logs-airflow.component-{WAY_IN}. Choose "
            "another name, or leave logs.components out"
        )
    if not readers and not logs.components:
        yield (
            "logs: ships the lines of tasks, and no Airflow reads them there. Give one taskLogs of kind "
            "'elasticsearch', or leave 'logs' out"
        )
    if isinstance(logs, OwnLogs):
        yield from _own_problems(settings, logs)


def log_readers(settings: "Settings") -> list[AirflowSettings]:
    """The Airflows that read their logs from an Elasticsearch."""
    return [airflow for airflow in settings.airflows if isinstance(airflow.task_logs, ElasticsearchTaskLogs)]


def log_plan(settings: "Settings", logs: OwnLogs) -> LogPlan:
    """What the environment's own Elasticsearch must hold."""
    active = [airflow for airflow in settings.airflows if airflow.state is AirflowState.ACTIVE]
    return LogPlan(logs, 2 * len(active) + 1 if logs.components else len(active))


def _reader_problems(settings: "Settings", readers: list[AirflowSettings]) -> Iterator[str]:
    logs = settings.logs
    for airflow in readers:
        where, asked = f"airflows.{airflow.name}.taskLogs", airflow.task_logs
        assert isinstance(asked, ElasticsearchTaskLogs)
        secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
        logins = (secrets.elasticsearch_user, secrets.elasticsearch_password)
        if asked.url is None and not isinstance(logs, OwnLogs):
            yield f"{where}.url: is missing. Name the Elasticsearch, or have one made: logs of kind 'own'"
        if asked.url is not None and isinstance(logs, OwnLogs):
            yield f"{where}.url: the environment has an Elasticsearch of its own ('logs'). Leave it out"
        if asked.url is not None and isinstance(logs, GivenLogs) and asked.url.rstrip("/") != logs.url.rstrip("/"):
            yield f"{where}.url: is another Elasticsearch than the one that 'logs' fills, {logs.url}. Make them one"
        if asked.url is None:
            for key, value in (("indexPatterns", asked.index_patterns), ("kibanaUrl", asked.kibana_url)):
                if value is not None:
                    yield f"{where}.{key}: follows from 'logs' of kind 'own'. Leave it out"
            if any(logins):
                yield f"secrets.{airflow.name}: the user of an Elasticsearch that is made here is, too. Leave it out"
        elif not all(logins):
            yield (
                f"secrets.{airflow.name}: task logs of kind 'elasticsearch' need elasticsearchUser and "
                "elasticsearchPassword"
            )


def _own_problems(settings: "Settings", logs: OwnLogs) -> Iterator[str]:
    plan = log_plan(settings, logs)
    if plan.needed_gib > logs.volume_gib:
        yield (
            f"logs.volumeGib: {logs.volume_gib} can't hold the retention: {plan.sum}. Make it {plan.needed_gib}, or "
            "keep less: logs.retention"
        )
    if plan.shards > SHARDS_PER_NODE * logs.nodes:
        yield (
            f"logs.retention: makes {plan.indices} indices of {counted(plan.copies, 'copy', 'copies')}, {plan.shards} "
            f"shards, and {counted(logs.nodes, 'node takes', 'nodes take')} {SHARDS_PER_NODE * logs.nodes}. Keep fewer "
            "days, or make volumeGib larger: indices get larger with it"
        )
    if mebibytes(logs.memory) < LEAST_MEMORY_MIB:
        yield f"logs.memory: {logs.memory} is too little for Elasticsearch. Make it {LEAST_MEMORY_MIB}Mi or more"
    if isinstance(settings.cluster, StackCluster):
        yield "logs.kind: a dev stack stands on its base's cluster, where 'log-store' is the base's. Leave 'logs' out"
    one_zone = isinstance(settings.cluster, GkeCluster) and settings.cluster.zone is not None
    if logs.nodes > 1 and logs.spread == "zones" and one_zone:
        yield "logs.spread: the cluster is in one zone. Say 'anywhere', or leave cluster.zone out"
