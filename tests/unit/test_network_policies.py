"""Who may connect to whom, by what the recorded policies let pass."""

from collections.abc import Callable
from typing import Any

import pulumi
import pytest
import yaml

from components.network import git_server, to_endpoints
from infra.settings import SettingsError
from tests.unit.policy_world import Pod, World
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config

RESOLVER = Pod("kube-system", {"k8s-app": "kube-dns"})
SERVER = Pod(
    "postgresql",
    {
        "app.kubernetes.io/name": "postgresql",
        "app.kubernetes.io/instance": "postgresql",
        "app.kubernetes.io/component": "server",
    },
)
API, OUTSIDE, GOOGLE = "10.99.0.1", "93.184.216.34", "142.250.1.95"
PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")


def two(tree: Tree) -> None:
    tree["airflows"].append({**tree["airflows"][0], "name": "team-b"})


def deployed_twice(stack: str = "local", change: Callable[[Tree], object] | None = None) -> Recording:
    def both(tree: Tree) -> None:
        two(tree)
        if change:
            change(tree)

    return deployed(stack, both)


@pytest.fixture(scope="module")
def local() -> Recording:
    return deployed_twice()


@pytest.fixture(scope="module")
def prod() -> Recording:
    return deployed_twice("prod")


def pod_of(recording: Recording, part: str, airflow: str = "main") -> Pod:
    """A pod as the recorded workload would make it; ``task`` as the template does."""
    namespace = f"airflow-{airflow}"
    if part == "task":
        text = recording.one("ConfigMap", f"{airflow}-config").inputs["data"]["pod-template.yaml"]
        return Pod(namespace, yaml.safe_load(text)["metadata"]["labels"])
    kind = "Job" if part in {"migrate", "create-admin"} else "Deployment"
    template = recording.one(kind, f"{airflow}-{part}").inputs["spec"]["template"]
    return Pod(namespace, template["metadata"]["labels"])


def everybody(recording: Recording, airflow: str = "main") -> dict[str, Pod]:
    return {part: pod_of(recording, part, airflow) for part in (*PARTS, "migrate", "create-admin", "task")}


@pytest.mark.parametrize("blocks_match_pods", [True, False], ids=["as Calico", "as Dataplane V2"])
@pytest.mark.parametrize("stack", ["local", "prod"])
def test_nobody_reaches_another_team_on_any_port(
    stack: str, blocks_match_pods: bool, request: pytest.FixtureRequest
) -> None:
    recording: Recording = request.getfixturevalue(stack)
    world = World(recording, blocks_match_pods)
    others = [*everybody(recording, "team-b").values(), Pod("airflow-team-b"), Pod("elsewhere")]
    strangers = [Pod("airflow-main", {"made": "by a KubernetesPodOperator"}), *everybody(recording).values()]
    for source in strangers:
        for target in others:
            for port in (22, 443, 5432, 6379, 6432, 8080, 8793, 8794):
                assert not world.passes(source, target, port), (source, target, port)
        for target in others[:-1]:
            assert not world.arrives(target, source, 8080)


def test_every_pod_finds_the_resolver_and_its_own_api_server(local: Recording) -> None:
    world = World(local, blocks_match_pods=False)
    own = everybody(local)
    for source in (*own.values(), Pod("airflow-main", {"made": "by a KubernetesPodOperator"})):
        assert world.passes(source, RESOLVER, 53, "UDP")
        assert world.passes(source, RESOLVER, 53)
        assert world.passes(source, "169.254.20.10", 53, "UDP")
        assert world.passes(source, own["api-server"], 8080)
        assert not world.passes(source, RESOLVER, 443)


def test_the_database_is_reached_by_its_clients_and_never_by_a_task(local: Recording) -> None:
    world = World(local)
    for part, source in everybody(local).items():
        assert world.passes(source, SERVER, 5432) == (part != "task"), part
        assert not world.passes(source, SERVER, 22)
    job = local.one("Job", "main-database-bootstrap").inputs["spec"]["template"]["metadata"]["labels"]
    assert world.passes(Pod("postgresql", job), SERVER, 5432)
    assert world.passes(Pod("postgresql", job), RESOLVER, 53, "UDP")
    assert not world.passes(Pod("postgresql", job), OUTSIDE, 443)
    assert not world.passes(SERVER, Pod("airflow-main"), 8080)


def test_the_kubernetes_api_is_for_those_who_use_it(local: Recording) -> None:
    world = World(local)
    reach = {part for part, source in everybody(local).items() if world.passes(source, API, 6443)}
    assert reach == {"api-server", "scheduler", "migrate"}
    tasks_too = deployed(change=lambda tree: tree["airflows"][0].update(network={"tasksUseKubernetes": True}))
    reach = {part for part, source in everybody(tasks_too).items() if World(tasks_too).passes(source, API, 6443)}
    assert reach == {"api-server", "scheduler", "migrate", "dag-processor", "triggerer", "task"}
    alone = deployed(change=lambda tree: tree["airflows"][0].update(executor="LocalExecutor"))
    assert {part for part in PARTS if World(alone).passes(pod_of(alone, part), API, 6443)} <= {"migrate"}


def test_what_authors_write_goes_out_and_airflows_own_code_does_not(local: Recording) -> None:
    world = World(local)
    own = everybody(local)
    assert {part for part in own if world.passes(own[part], OUTSIDE, 443)} == {"dag-processor", "triggerer", "task"}
    assert world.passes(own["task"], OUTSIDE, 5432)
    assert world.passes(Pod("airflow-main", {"made": "by a KubernetesPodOperator"}), OUTSIDE, 443)
    for address in ("10.1.2.3", "192.168.1.1", "172.16.0.9", "169.254.169.254", API):
        assert not world.passes(own["task"], address, 80), address
    alone = deployed(change=lambda tree: tree["airflows"][0].update(executor="LocalExecutor"))
    assert World(alone).passes(pod_of(alone, "scheduler"), OUTSIDE, 443)


def test_destinations_are_added_and_none_leaves_those_alone() -> None:
    network = {
        "taskEgress": "none",
        "taskDestinations": [{"cidr": "10.20.0.0/24", "ports": [5432]}, {"cidr": "192.0.2.7/32"}],
        "componentDestinations": [{"cidr": "192.0.2.9/32", "ports": [587]}],
    }
    recording = deployed(change=lambda tree: tree["airflows"][0].update(network=network))
    world, own = World(recording), everybody(recording)
    assert world.passes(own["task"], "10.20.0.9", 5432)
    assert not world.passes(own["task"], "10.20.0.9", 5433)
    assert world.passes(own["task"], "192.0.2.7", 9999, "UDP")
    assert not world.passes(own["task"], OUTSIDE, 443)
    assert not world.passes(own["task"], "192.0.2.9", 587)
    assert world.passes(own["api-server"], "192.0.2.9", 587)
    assert not world.passes(own["api-server"], "192.0.2.7", 9999)


def test_readers_of_a_git_repository_reach_its_server_also_without_any_other_way_out() -> None:
    def git(tree: Tree) -> None:
        dags = {"kind": "git-sync", "version": "1", "repository": "acme/dags"}
        source = {"repository": "https://git.example.com:8443/dags.git"}
        tree["airflows"][0].update(dags={**dags, "git": source}, network={"taskEgress": "none"})

    recording = deployed(change=git)
    world, own = World(recording), everybody(recording)
    reach = {part for part in own if world.passes(own[part], OUTSIDE, 8443)}
    assert reach == {"api-server", "scheduler", "dag-processor", "triggerer", "task"}
    assert not world.passes(own["task"], OUTSIDE, 443)


@pytest.mark.parametrize(
    ("repository", "server"),
    [
        ("https://git.example.com/dags.git", ("git.example.com", 443)),
        ("ssh://git@git.example.com:2222/dags.git", ("git.example.com", 2222)),
        ("ssh://git@git.example.com/dags.git", ("git.example.com", 22)),
        ("git@git.example.com:team/dags.git", ("git.example.com", 22)),
    ],
)
def test_a_git_server_is_found_in_its_repositorys_address(repository: str, server: tuple[str, int]) -> None:
    assert git_server(repository) == server


def test_logs_and_people_come_in_where_they_should_and_nowhere_else(local: Recording) -> None:
    world = World(local, more_namespaces={"ingress": {"airflow-platform/ingress": "true"}})
    own = everybody(local)
    for part in ("scheduler", "triggerer"):
        assert world.passes(own["api-server"], own[part], 8793)
        assert world.passes(own["api-server"], own[part], 8794)
        assert not world.passes(own["dag-processor"], own[part], 8793)
    assert not world.passes(own["api-server"], own["task"], 8793)
    assert world.arrives(own["api-server"], Pod("ingress"), 8080)
    assert not world.arrives(own["scheduler"], Pod("ingress"), 8080)
    assert not world.arrives(own["api-server"], OUTSIDE, 8080)


def test_brokers_and_poolers_serve_their_own_airflow(local: Recording) -> None:
    world = World(local)
    part = "app.kubernetes.io/component"
    worker, task = Pod("airflow-main", {part: "worker"}), pod_of(local, "task")
    for name, port in (("pgbouncer", 6432), ("redis", 6379), ("rabbitmq", 5672)):
        service = Pod("airflow-main", {part: name})
        assert world.passes(pod_of(local, "scheduler"), service, port)
        assert world.passes(worker, service, port)
        assert not world.passes(task, service, port)
        assert not world.passes(service, OUTSIDE, 443)
        assert not world.passes(pod_of(local, "scheduler", "team-b"), service, port)
    pooler = Pod("airflow-main", {part: "pgbouncer", "airflow-platform/database-client": "true"})
    assert world.passes(pooler, SERVER, 5432)


def test_on_google_cloud_pods_get_tokens_and_use_apis_and_clients_reach_the_instance(prod: Recording) -> None:
    world, own = World(prod), everybody(prod)
    pooler = pod_of(prod, "pgbouncer", "main")
    assert world.passes(pooler, "10.9.0.5", 3307)
    for part, source in own.items():
        assert world.passes(source, "169.254.169.254", 80), part
        assert world.passes(source, "169.254.169.252", 988), part
        assert world.passes(source, GOOGLE, 443), part
        assert world.passes(source, "10.9.0.5", 3307) == (part in {"migrate", "create-admin"}), part
        assert world.passes(source, pooler, 6432) == (part != "task"), part
        assert not world.passes(source, "10.9.0.5", 5432), part
        assert not world.passes(source, "10.0.0.9", 10250), part
    bootstrap = prod.one("Job", "main-database-bootstrap").inputs["spec"]["template"]["metadata"]["labels"]
    assert world.passes(Pod("database", bootstrap), "10.9.0.5", 3307)
    assert world.passes(Pod("database", bootstrap), "169.254.169.254", 80)
    assert not world.passes(Pod("database", bootstrap), Pod("airflow-main"), 8080)
    # The company's own network is outside of the cluster.
    assert world.passes(own["task"], "192.168.5.5", 5432)


def test_googles_apis_may_be_said_to_be_at_private_addresses() -> None:
    def private(tree: Tree) -> None:
        tree["networkPolicies"] = {"googleApis": ["199.36.153.8/30"]}
        tree["airflows"][0]["network"] = {"taskEgress": "none"}

    recording = deployed("prod", private)
    world, own = World(recording), everybody(recording)
    for source in own.values():
        assert world.passes(source, "199.36.153.9", 443)
        assert not world.passes(source, GOOGLE, 443)


def test_a_cluster_may_say_where_its_api_and_its_ranges_are() -> None:
    def mine(tree: Tree) -> None:
        tree["networkPolicies"] = {
            "apiServers": [{"cidr": "203.0.113.5/32"}],
            "clusterRanges": ["10.244.0.0/16", "10.96.0.0/16"],
        }

    recording = deployed(change=mine)
    world, own = World(recording), everybody(recording)
    assert world.passes(own["scheduler"], "203.0.113.5", 443)
    assert not world.passes(own["scheduler"], API, 6443)
    assert world.passes(own["task"], "192.168.1.1", 443)
    assert not world.passes(own["task"], "10.244.3.3", 8080)


def test_several_api_servers_are_all_reached_and_none_is_no_rule_that_means_everybody() -> None:
    (rule,) = to_endpoints([{"addresses": ["10.0.0.2"]}, {"addresses": ["10.0.0.1"]}], [{"port": 6443}])
    assert rule.get("to") == [{"ip_block": {"cidr": f"10.0.0.{last}/32"}} for last in (1, 2)]
    for endpoints, ports in ((None, None), ([], [{"port": 6443}]), ([{"addresses": ["10.0.0.1"]}], [])):
        with pytest.raises(pulumi.RunError, match=r"networkPolicies\.apiServers"):
            to_endpoints(endpoints, ports)


def test_without_policies_there_are_none_but_the_databases_own() -> None:
    recording = deployed(change=lambda tree: tree.update(networkPolicies={"enabled": False}))
    assert set(recording.of("NetworkPolicy")) == {"postgresql-access"}


def test_a_namespace_is_shut_last_and_before_anything_runs_in_it(local: Recording) -> None:
    allowed = {name for name in local.of("NetworkPolicy") if name.startswith("main-")} - {"main-network-default-deny"}
    assert len(allowed) == 8
    assert allowed <= local.one("NetworkPolicy", "main-network-default-deny").dependencies
    assert "main-network-default-deny" in local.one("Job", "main-migrate").dependencies


def network(**values: Any) -> Callable[[Tree], object]:
    return lambda tree: tree["airflows"][0].update(network=values)


@pytest.mark.parametrize(
    ("stack", "change", "text"),
    [
        ("local", network(taskDestinations=[{"cidr": "10.1.2.3/8"}]), "taskDestinations: 10.1.2.3/8 is no range"),
        ("local", network(componentDestinations=[{"cidr": "0.0.0.0/0"}]), "componentDestinations: 0.0.0.0/0 is nearly"),
        ("prod", network(taskDestinations=[{"cidr": "10.5.0.0/16"}]), "10.5.0.0/16 overlaps 10.4.0.0/14, which is the"),
        ("prod", network(taskEgress="none"), "network.taskEgress: 'none' can't hold while Google's APIs"),
        ("local", lambda t: t.update(networkPolicies={"googleApis": ["199.36.153.8/30"]}), "googleApis: is for an env"),
        (
            "local",
            lambda t: t.update(networkPolicies={"clusterRanges": ["10.0.0.1/8"]}),
            "clusterRanges: 10.0.0.1/8 is",
        ),
    ],
)
def test_wrong_addresses_are_named_with_the_mend(stack: str, change: Callable[[Tree], object], text: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config(stack), change))
    assert text in str(refused.value)
