"""What the pods of one Airflow may connect to, and who may connect to them: nothing but what is listed here.

Policies add up, so each says what one kind of pod needs and none takes anything away. They keep teams apart; inside a
namespace, which is one team's, they are a second line: who may make pods there may label them as he likes.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import pulumi
from pulumi_kubernetes.meta.v1 import LabelSelectorArgsDict
from pulumi_kubernetes.networking.v1 import NetworkPolicyPortArgsDict

from components.airflow.args import AirflowArgs, SharedServer
from components.airflow.celery.configuration import FLOWER_PORT
from components.airflow.configuration import API_PORT, STATSD, STATSD_PORT
from components.airflow.dag_bundles import ArtifactStore, GitBundle
from components.airflow.git_sync import HTTP_PORT as GIT_SYNC_PORT
from components.airflow.git_sync import GitSync
from components.airflow.task_logs import ElasticsearchLogs
from components.auth_proxy import HTTP_PORT as PROXY_PORT
from components.ingress.labels import INGRESS_NAMESPACE
from components.network import (
    DNS,
    AirflowNetwork,
    Destination,
    Egress,
    Ingress,
    deny_by_default,
    git_server,
    policy,
    ports,
    server,
    to_addresses,
    to_pods,
)
from components.postgresql import CLIENT_LABEL

COMPONENT: Final = "app.kubernetes.io/component"
LOG_PORTS: Final = (8793, 8794)
"""Log servers of what runs tasks, and of the triggerer: ``[logging] worker_log_server_port`` and
``trigger_log_server_port``."""
INNER_SERVICES: Final = {"pgbouncer": 6432, "rabbitmq": 5672, "redis": 6379}
"""Parts of an Airflow that its other parts use, a task's pod never, and their ports."""
METRICS_PORTS: Final = (PROXY_PORT, 9102, 9121, 9127, GIT_SYNC_PORT)
"""The Auth Proxy's, the statsd exporter's, those of Redis and PgBouncer, and git-sync's."""
TASK: Final = "task"
EVERY_POD: Final[LabelSelectorArgsDict] = {}
KUBERNETES_USERS: Final = ("scheduler", "clean-task-pods")
"""Parts that make or remove tasks' pods."""
PLUGIN_LOADERS: Final = ("api-server", "flower", "scheduler")
"""Parts that read no DAGs, but have git-sync beside them where plugins come with the DAGs."""
NO_AUTHORS_CODE: Final = (
    "api-server",
    "backfill-pool",
    "clean-logs",
    "clean-task-pods",
    "create-admin",
    "db-clean",
    "export",
    "flower",
    "migrate",
    "reconcile",
    "rotate-fernet-key",
    "scheduler",
    STATSD,
    *INNER_SERVICES,
)
"""Parts that run Airflow's own code only. The others run what DAG authors write, too: tasks, triggers, DAG files and
callbacks; and so does what a task starts itself (KubernetesPodOperator), which bears no such label at all."""


def restrict_network(
    name: str, args: AirflowArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> tuple[pulumi.Resource, ...]:
    """Makes the policies of the Airflow ``name``; none without ``args.network``."""
    network = args.network
    if network is None:
        return ()
    cluster = network.cluster
    to_kubernetes = pulumi.Output.from_input(cluster.api_servers if args.launches_pods else [])
    log_servers: Egress = {"to": [{"pod_selector": COMPONENTS}], "ports": ports(*LOG_PORTS)}
    made: list[pulumi.Resource] = []

    def allow(
        part: str,
        pods: LabelSelectorArgsDict,
        *,
        egress: pulumi.Input[Sequence[Egress]] | None = None,
        ingress: Sequence[Ingress] | None = None,
    ) -> None:
        opts = pulumi.ResourceOptions(parent=parent)
        made.append(policy(f"{name}-network-{part}", part, namespace, pods, opts, ingress=ingress, egress=egress))

    to_api_server = to_pods({COMPONENT: "api-server"}, API_PORT)
    allow("every-pod", EVERY_POD, egress=[DNS, to_api_server, *cluster.google()])
    allow(
        "api-server",
        _only("api-server"),
        ingress=[
            {"from_": [{"pod_selector": EVERY_POD}], "ports": ports(API_PORT)},
            {"from_": [{"namespace_selector": {"match_labels": INGRESS_NAMESPACE}}], "ports": ports(API_PORT)},
        ],
        egress=to_kubernetes.apply(lambda found: [log_servers, *_log_store(args, network), *found]),
    )
    if args.celery and args.celery.flower:
        from_outside: Ingress = {"from_": [{"namespace_selector": {"match_labels": INGRESS_NAMESPACE}}]}
        allow("flower", _only("flower"), ingress=[{**from_outside, "ports": ports(FLOWER_PORT)}])
    allow("pod-launchers", _any_of(KUBERNETES_USERS), egress=to_kubernetes)
    allow("migrate", _only("migrate"), egress=cluster.api_servers)
    if told := args.operation.notifications:
        allow("notifications", _only("scheduler"), egress=[cluster.host(told.host, told.port)])
    if isinstance(args.dags, GitSync):
        allow("plugins", _any_of(PLUGIN_LOADERS), egress=_dags(args, network))
    allow(
        "components",
        COMPONENTS,
        egress=[
            *(to_pods({COMPONENT: part}, port) for part, port in INNER_SERVICES.items()),
            *_to(network.components),
        ],
        ingress=[{"from_": [{"pod_selector": _only("api-server")}], "ports": ports(*LOG_PORTS)}],
    )
    allow(
        "inner-services",
        _any_of(INNER_SERVICES),
        ingress=[{"from_": [{"pod_selector": COMPONENTS}], "ports": ports(*INNER_SERVICES.values())}],
    )
    if args.metrics:
        statsd: NetworkPolicyPortArgsDict = {"protocol": "UDP", "port": STATSD_PORT}
        senders: Egress = {"to": [{"pod_selector": _only(STATSD)}], "ports": [statsd]}
        allow("metrics-senders", EVERY_POD, egress=[senders])
        allow("metrics-read", COMPONENTS, ingress=[{"from_": [args.metrics.reader], "ports": ports(*METRICS_PORTS)}])
        allow("statsd", _only(STATSD), ingress=[{"from_": [{"pod_selector": EVERY_POD}], "ports": [statsd]}])
    allow("database-clients", {"match_labels": dict(CLIENT_LABEL)}, egress=cluster.database)
    if args.sign_in.provider:
        allow("sign-in", _only("api-server"), egress=[cluster.host(*server(args.sign_in.provider.issuer))])
    to_api = pulumi.Output.from_input(cluster.api_servers if network.tasks_use_kubernetes or args.pod_operator else [])
    allow(
        "authors-code",
        _authors_code(args),
        egress=to_api.apply(lambda found: [*_authors_egress(args, network), *found]),
    )
    made.append(deny_by_default(f"{name}-network-default-deny", namespace, parent, made))
    return tuple(made)


COMPONENTS: Final[LabelSelectorArgsDict] = {
    "match_expressions": [
        {"key": COMPONENT, "operator": "Exists"},
        {"key": COMPONENT, "operator": "NotIn", "values": [TASK]},
    ]
}
"""Everything of an Airflow but its tasks' pods."""


def _only(component: str) -> LabelSelectorArgsDict:
    return {"match_labels": {COMPONENT: component}}


def _any_of(components: Iterable[str]) -> LabelSelectorArgsDict:
    return {"match_expressions": [{"key": COMPONENT, "operator": "In", "values": list(components)}]}


def _authors_code(args: AirflowArgs) -> LabelSelectorArgsDict:
    # With the LocalExecutor, tasks are processes of the scheduler's pod.
    runs_tasks = {"scheduler"} if args.runs_tasks_in_scheduler else set[str]()
    others = [part for part in NO_AUTHORS_CODE if part not in runs_tasks]
    if isinstance(args.database, SharedServer):
        others.append("await-database")
    return {"match_expressions": [{"key": COMPONENT, "operator": "NotIn", "values": others}]}


def _authors_egress(args: AirflowArgs, network: AirflowNetwork) -> list[Egress]:
    outside = [network.cluster.outside()] if network.task_egress else []
    return [*outside, *_to(network.tasks), *_dags(args, network)]


def _dags(args: AirflowArgs, network: AirflowNetwork) -> list[Egress]:
    """Where DAGs come from."""
    match args.dags:
        case GitSync(repository=repository) | GitBundle(repository=repository):
            return [network.cluster.host(*git_server(repository))]
        case ArtifactStore(endpoint=str(endpoint)):
            return [network.cluster.host(*server(endpoint))]
        case _:
            return []


def _log_store(args: AirflowArgs, network: AirflowNetwork) -> list[Egress]:
    if not isinstance(args.task_logs, ElasticsearchLogs):
        return []
    return [network.cluster.host(*server(args.task_logs.url))]


def _to(destinations: Sequence[Destination]) -> list[Egress]:
    return [to_addresses([one.cidr], one.ports) for one in destinations]
