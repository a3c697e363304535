"""The testbed enforces NetworkPolicies as Kubernetes documents them: later isolation tests rest on this."""

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest

from testbed.build import run
from testbed.cluster import images, policies, processes
from testbed.cluster.cluster import Cluster
from testbed.cluster.layout import API_SERVICE_IP, NODE_IP, Layout
from testbed.progress import Progress
from testbed.system import go

pytestmark = pytest.mark.cluster

NAME = "test-netpol"
NAMESPACES = ("red", "blue")
ANSWERED = "answered"
HUNG_UP = "EOF"  # what the API server does to a client that speaks no TLS: it was reached
PROHIBITED = "prohibited"  # the enforcer's own refusal; a port where nobody listens is "refused"

SERVER = {"podSelector": {"matchLabels": {"app": "server"}}}
DENY_ALL = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}

Spec = dict[str, Any]


def until(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = monotonic() + seconds
    while not condition():
        assert monotonic() < deadline, f"not within {seconds} s: {what}"
        sleep(0.05)


class Lab:
    """Pods in the namespaces red and blue, and what they see of one another."""

    def __init__(self, cluster: Cluster, image: str) -> None:
        self.cluster = cluster
        self.image = image
        self._status_port = cluster.forward(policies.LISTEN_HOST, policies.LISTEN_PORT)

    def kubectl(self, *words: str, manifest: list[dict[str, Any]] | None = None) -> str:
        done = self._run(*words, manifest=manifest)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def _run(self, *words: str, manifest: list[dict[str, Any]] | None = None) -> "subprocess.CompletedProcess[str]":
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifest}) if manifest else None
        command = [str(self.cluster.kubectl), f"--kubeconfig={self.cluster.kubeconfig}", *words]
        return subprocess.run(command, input=text, capture_output=True, text=True, timeout=120, check=False)

    def applied(self) -> dict[str, Any]:
        """What the enforcer says is in force."""
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self._status_port}/applied", timeout=5) as response:
            found: dict[str, Any] = json.load(response)
        return found

    def policy(self, namespace: str, name: str, spec: Spec) -> None:
        """Create or change a policy and wait until it is in force."""
        metadata = {"name": name, "namespace": namespace}
        policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}
        version = int(self.kubectl("apply", "-f-", "-ojsonpath={.metadata.resourceVersion}", manifest=[policy]))
        key = f"{namespace}/{name}"
        until(f"policy {key} is in force", lambda: int(self.applied()["policies"].get(key, 0)) >= version)

    def no_policies(self) -> None:
        for namespace in NAMESPACES:
            self.kubectl("delete", "networkpolicy", "--all", f"--namespace={namespace}")
        until("no policy is in force", lambda: not self.applied()["policies"])

    def label(self, pod: str, text: str) -> None:
        """Relabel a pod and wait until that counts."""
        namespace, name = pod.split("/")
        words = ("label", "pod", name, text, "--overwrite", f"--namespace={namespace}")
        version = int(self.kubectl(*words, "-ojsonpath={.metadata.resourceVersion}"))
        until(f"{pod} counts as {text}", lambda: int(self.applied()["pods"][pod]["resourceVersion"]) >= version)

    def label_namespace(self, namespace: str, text: str) -> None:
        words = ("label", "namespace", namespace, text, "--overwrite", "-ojsonpath={.metadata.resourceVersion}")
        version = int(self.kubectl(*words))
        until(f"{namespace} counts as {text}", lambda: int(self.applied()["namespaces"][namespace]) >= version)

    def start(self, namespace: str, name: str, *args: str, **spec: Any) -> None:
        """Create a pod; ``spec`` goes into its container."""
        container = {"name": "probe", "image": self.image, "args": list(args), **spec}
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"containers": [container], "restartPolicy": "Never", "terminationGracePeriodSeconds": 1},
        }
        self.kubectl("create", "-f-", manifest=[pod])

    def remove(self, namespace: str, name: str) -> None:
        self.kubectl("delete", "pod", name, f"--namespace={namespace}", "--wait")

    def wait_ready(self, namespace: str, *names: str) -> None:
        pods = [f"pod/{name}" for name in names]
        self.kubectl("wait", *pods, f"--namespace={namespace}", "--for=condition=Ready", "--timeout=60s")

    def outcome_of(self, namespace: str, name: str) -> str:
        """Phase and output of a pod that ends by itself."""
        phase = "-ojsonpath={.status.phase}"
        where = f"--namespace={namespace}"
        until(
            f"pod {namespace}/{name} ends",
            lambda: self.kubectl("get", "pod", name, where, phase) in ("Succeeded", "Failed"),
        )
        return f"{self.kubectl('get', 'pod', name, where, phase)} {self.kubectl('logs', name, where)}"

    def address(self, pod: str) -> str:
        namespace, name = pod.split("/")
        return self.kubectl("get", "pod", name, f"--namespace={namespace}", "-ojsonpath={.status.podIP}")

    def reach(self, source: str, protocol: str, host: str, port: int) -> str:
        """What a client in the pod ``source`` gets; ``host`` is a pod ("red/server"), a name or an address."""
        return self._probe(source, "connect", protocol, self.address(host) if "/" in host else host, str(port))

    def resolve(self, source: str, name: str) -> str:
        return self._probe(source, "resolve", name)

    def _probe(self, source: str, *words: str) -> str:
        namespace, name = source.split("/")
        done = self._run("exec", name, f"--namespace={namespace}", "--", "/probe", *words)
        if done.returncode == 0:
            return ANSWERED
        return PROHIBITED if "no route to host" in done.stdout else done.stdout.strip() or done.stderr


@pytest.fixture(scope="module")
def stage(progress: Progress) -> Iterator[Lab]:
    cluster = Cluster(NAME, progress)
    image, archive = images.test_image(progress)
    try:
        cluster.down(delete=True)
        cluster.up()
        cluster.load_image(archive)
        lab = Lab(cluster, image)
        lab.kubectl("create", "-f-", manifest=[*map(_namespace, NAMESPACES), _service()])
        until("the namespaces have their service accounts", lambda: all(_has_account(lab, n) for n in NAMESPACES))
        ports = [{"name": "web", "containerPort": 8000}, {"name": "data", "containerPort": 9000, "protocol": "UDP"}]
        lab.start("red", "server", "listen", "tcp:8000", "tcp:8001", "tcp:8002", "udp:9000", ports=ports)
        clients = [("red", "client"), ("red", "other"), ("blue", "client"), ("blue", "other")]
        for namespace, name in clients:
            lab.start(namespace, name, "sleep")
        lab.wait_ready("red", "server", "client", "other")
        lab.wait_ready("blue", "client", "other")
        yield lab
    finally:
        cluster.down(delete=True)


def _namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"team": name}}}


def _service() -> dict[str, Any]:
    spec = {"selector": {"app": "server"}, "ports": [{"port": 80, "targetPort": "web"}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "server", "namespace": "red"}, "spec": spec}


def _has_account(lab: Lab, namespace: str) -> bool:
    return "default" in lab.kubectl("get", "serviceaccounts", f"--namespace={namespace}", "-oname")


@pytest.fixture
def lab(stage: Lab) -> Iterator[Lab]:
    """Without policies at first, and afterwards again."""
    yield stage
    stage.no_policies()


def ingress(*rules: Spec, pods: Spec = SERVER) -> Spec:
    return {**pods, "policyTypes": ["Ingress"], "ingress": list(rules)}


def egress(*rules: Spec) -> Spec:
    return {"podSelector": {}, "policyTypes": ["Egress"], "egress": list(rules)}


def app(name: str) -> Spec:
    return {"podSelector": {"matchLabels": {"app": name}}}


def team(name: str) -> Spec:
    return {"namespaceSelector": {"matchLabels": {"team": name}}}


def test_the_enforcers_own_tests_pass(progress: Progress) -> None:
    module = Path(policies.__file__).with_name("netpol")
    for words in (["vet", "./..."], ["test", "./..."]):
        run([go(progress), *words], progress, cwd=module)


def test_without_policies_everything_passes(lab: Lab) -> None:
    for source in ("red/client", "blue/client"):
        for protocol, port in (("tcp", 8000), ("tcp", 8001), ("udp", 9000)):
            assert lab.reach(source, protocol, "red/server", port) == ANSWERED
    assert lab.reach("blue/client", "tcp", "server.red", 80) == ANSWERED
    assert lab.reach("red/client", "tcp", "red/server", 9999) == "refused"


def test_default_deny_of_ingress_holds_for_every_source_and_protocol(lab: Lab) -> None:
    service = lab.kubectl("get", "service", "server", "--namespace=red", "-ojsonpath={.spec.clusterIP}")
    lab.policy("red", "deny", ingress(pods={"podSelector": {}}))
    for source in ("red/client", "blue/client"):
        assert lab.reach(source, "tcp", "red/server", 8000) == PROHIBITED
        assert lab.reach(source, "udp", "red/server", 9000) == PROHIBITED
        assert lab.reach(source, "tcp", service, 80) == PROHIBITED
    # The pod itself may still call, and gets its answers.
    assert lab.reach("red/client", "tcp", API_SERVICE_IP, 443) == HUNG_UP


def test_default_deny_of_egress_cuts_pods_resolver_and_api_server_off(lab: Lab) -> None:
    lab.policy("blue", "deny", egress())
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == PROHIBITED
    assert lab.reach("blue/client", "tcp", API_SERVICE_IP, 443) == PROHIBITED
    assert lab.reach("blue/client", "tcp", NODE_IP, 6443) == PROHIBITED
    assert lab.resolve("blue/client", "server.red.svc.cluster.local") == PROHIBITED
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED


def test_egress_and_ingress_must_both_allow(lab: Lab) -> None:
    lab.policy("red", "deny", DENY_ALL)
    lab.policy("red", "in", ingress({"from": [app("client")]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED
    lab.policy("red", "out", egress({"to": [app("server")]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED


def test_a_removed_policy_denies_no_longer(lab: Lab) -> None:
    lab.policy("red", "deny", ingress())
    assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED
    lab.no_policies()
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED


def test_a_pod_selector_means_pods_of_the_policys_own_namespace(lab: Lab) -> None:
    lab.policy("red", "client", ingress({"from": [app("client")]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("red/other", "tcp", "red/server", 8000) == PROHIBITED
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == PROHIBITED


def test_a_namespace_selector_means_all_pods_of_those_namespaces(lab: Lab) -> None:
    lab.policy("red", "blue", ingress({"from": [team("blue")]}))
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("blue/other", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED


def test_both_selectors_in_one_peer_must_match(lab: Lab) -> None:
    lab.policy("red", "blue-client", ingress({"from": [team("blue") | app("client")]}))
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("blue/other", "tcp", "red/server", 8000) == PROHIBITED
    assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED


def test_match_expressions_select_pods(lab: Lab) -> None:
    wanted = [{"key": "app", "operator": "NotIn", "values": ["other"]}]
    lab.policy("red", "not-other", ingress({"from": [{"podSelector": {"matchExpressions": wanted}}]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("red/other", "tcp", "red/server", 8000) == PROHIBITED


@pytest.mark.parametrize(
    ("ports", "open_ports"),
    [
        ([{"port": 8001}], {("tcp", 8001)}),
        ([{"port": 8001, "endPort": 8002}], {("tcp", 8001), ("tcp", 8002)}),
        ([{"port": "web"}], {("tcp", 8000)}),
        ([{"port": "data", "protocol": "UDP"}], {("udp", 9000)}),
        ([{"port": 9000, "protocol": "UDP"}, {"port": 8002}], {("udp", 9000), ("tcp", 8002)}),
        ([{"port": "nobody-has-this"}], set()),
    ],
    ids=["number", "range", "name", "name of another protocol", "two", "unknown name"],
)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_ports_are_opened_by_number_range_and_name(
    lab: Lab, direction: str, ports: list[Spec], open_ports: set[tuple[str, int]]
) -> None:
    rule = {"ports": ports}
    lab.policy("red", "ports", ingress(rule) if direction == "ingress" else egress(rule))
    tried = [("tcp", 8000), ("tcp", 8001), ("tcp", 8002), ("udp", 9000)]
    expected = {one: ANSWERED if one in open_ports else PROHIBITED for one in tried}
    assert {one: lab.reach("red/client", one[0], "red/server", one[1]) for one in tried} == expected


def test_an_address_block_leaves_its_exceptions_out(lab: Lab) -> None:
    client, other = lab.address("red/client"), lab.address("blue/client")
    lab.policy("red", "block", ingress({"from": [{"ipBlock": {"cidr": "10.244.0.0/16", "except": [f"{other}/32"]}}]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == PROHIBITED
    lab.policy("red", "block", ingress({"from": [{"ipBlock": {"cidr": f"{client}/32"}}]}))
    assert lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED
    assert lab.reach("red/other", "tcp", "red/server", 8000) == PROHIBITED


def test_the_resolver_is_allowed_by_its_usual_label_and_nothing_else_with_it(lab: Lab) -> None:
    resolver = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
        "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
    }
    ports = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]
    lab.policy("blue", "dns", egress({"to": [resolver], "ports": ports}))
    assert lab.resolve("blue/client", "server.red.svc.cluster.local") == ANSWERED
    assert lab.reach("blue/client", "tcp", "server.red.svc.cluster.local", 80) == PROHIBITED
    assert lab.reach("blue/client", "tcp", API_SERVICE_IP, 443) == PROHIBITED


def test_the_api_server_is_allowed_by_the_nodes_address(lab: Lab) -> None:
    lab.policy("blue", "api", egress({"to": [{"ipBlock": {"cidr": f"{NODE_IP}/32"}}], "ports": [{"port": 6443}]}))
    assert lab.reach("blue/client", "tcp", API_SERVICE_IP, 443) == HUNG_UP
    assert lab.reach("blue/client", "tcp", NODE_IP, 10250) == PROHIBITED
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == PROHIBITED


def test_a_relabelled_pod_changes_sides(lab: Lab) -> None:
    lab.policy("red", "client", ingress({"from": [app("client")]}))
    assert lab.reach("red/other", "tcp", "red/server", 8000) == PROHIBITED
    lab.label("red/other", "app=client")
    try:
        assert lab.reach("red/other", "tcp", "red/server", 8000) == ANSWERED
    finally:
        lab.label("red/other", "app=other")
    assert lab.reach("red/other", "tcp", "red/server", 8000) == PROHIBITED


def test_a_relabelled_namespace_changes_sides(lab: Lab) -> None:
    lab.policy("red", "friends", ingress({"from": [{"namespaceSelector": {"matchLabels": {"friend": "yes"}}}]}))
    assert lab.reach("blue/client", "tcp", "red/server", 8000) == PROHIBITED
    lab.label_namespace("blue", "friend=yes")
    try:
        assert lab.reach("blue/client", "tcp", "red/server", 8000) == ANSWERED
    finally:
        lab.label_namespace("blue", "friend=no")


def test_probes_pass_when_everything_is_denied(lab: Lab) -> None:
    lab.policy("red", "deny", DENY_ALL)
    probe = {"tcpSocket": {"port": 8000}, "periodSeconds": 1}
    lab.start("red", "probed", "listen", "tcp:8000", readinessProbe=probe)
    try:
        lab.wait_ready("red", "probed")
    finally:
        lab.remove("red", "probed")


def test_a_new_pods_first_packet_passes_at_once_if_it_may(lab: Lab) -> None:
    # Less than the second after which a lost first packet is sent again.
    lab.start("blue", "first", "connect", "tcp", lab.address("red/server"), "8000", "900ms")
    try:
        assert lab.outcome_of("blue", "first").startswith("Succeeded server ")
    finally:
        lab.remove("blue", "first")


def test_a_new_pods_first_packet_is_denied_if_it_may_not_pass(lab: Lab) -> None:
    lab.policy("blue", "deny", egress())
    lab.start("blue", "first", "connect", "tcp", lab.address("red/server"), "8000")
    try:
        outcome = lab.outcome_of("blue", "first")
        assert outcome.startswith("Failed ")
        assert "no route to host" in outcome
    finally:
        lab.remove("blue", "first")


def test_policies_stay_in_force_while_the_enforcer_is_down_and_changes_count_once_it_is_back(lab: Lab) -> None:
    lab.policy("red", "deny", ingress())
    processes.stop(Layout(NAME), ["netpol"])
    try:
        assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED
        lab.kubectl("delete", "networkpolicy", "deny", "--namespace=red")
        assert lab.reach("red/client", "tcp", "red/server", 8000) == PROHIBITED
    finally:
        lab.cluster.up()
    until("the enforcer is back", lambda: lab.reach("red/client", "tcp", "red/server", 8000) == ANSWERED)
