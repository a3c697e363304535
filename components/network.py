"""Parts of NetworkPolicies: where pods may connect, said once for every namespace.

Two enforcers are meant, and differ in what an ``ip_block`` matches. Under GKE's Dataplane V2 (Cilium) it matches what
is outside the cluster only, never a pod or a node, whatever its range (cilium/cilium#9209, #20550): pods are named by
selectors. Calico compares addresses, so a block that leads out must leave the cluster's own ranges out by ``except``.
What is written here holds for both. An enforcer sees a Service's traffic on its way to the pod or server behind it, so
neither Services nor their addresses appear.
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import LabelSelectorArgsDict
from pulumi_kubernetes.networking.v1 import (
    NetworkPolicyEgressRuleArgsDict,
    NetworkPolicyIngressRuleArgsDict,
    NetworkPolicyPeerArgsDict,
    NetworkPolicyPortArgsDict,
)

from components.workload import metadata

NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
"""The label that every namespace has."""
EVERYWHERE: Final = "0.0.0.0/0"
LINK_LOCAL: Final = "169.254.0.0/16"
"""Metadata servers and other services of the node."""
HTTPS: Final = 443
CLOUD_SQL_PORT: Final = 3307
"""Where the Auth Proxy reaches an instance (https://cloud.google.com/sql/docs/postgres/connect-auth-proxy)."""
IN_CLUSTER_HOST: Final = re.compile(r"^[^.]+\.(?P<namespace>[^.]+)\.svc(\.cluster\.local)?\.?$")

GOOGLES_COLLECTORS: Final[NetworkPolicyPeerArgsDict] = {
    "namespace_selector": {
        "match_expressions": [{"key": NAMESPACE_NAME, "operator": "In", "values": ["gke-gmp-system", "gmp-system"]}]
    }
}
"""The pods with which Google Managed Prometheus reads metrics; which namespace it is depends on the cluster.

https://cloud.google.com/stackdriver/docs/managed-prometheus/setup-managed
"""

Egress = NetworkPolicyEgressRuleArgsDict
Ingress = NetworkPolicyIngressRuleArgsDict


@dataclass(frozen=True)
class Destination:
    """Addresses and the TCP ports on them; no ports: all of every protocol."""

    cidr: str
    ports: Sequence[int] = ()


@dataclass(frozen=True)
class ClusterNetwork:
    """What policies must know of a cluster and of what lies around it.

    ``own_ranges`` are never outside: those of nodes, pods, Services and managed databases. ``google_apis`` are the
    addresses of Google's APIs, none named: all that is outside; None where there is no Google Cloud.
    """

    own_ranges: Sequence[str]
    api_servers: pulumi.Output[Sequence[Egress]]
    """The way to the Kubernetes API; see ``api_servers``."""
    database: Sequence[Egress]
    """The way to the database server, for its clients."""
    google_apis: Sequence[str] | None = None

    def outside(self, *port_numbers: int) -> Egress:
        """Every address that is not the cluster's own, on TCP ``port_numbers`` or, without, all of every protocol."""
        made: Egress = {"to": [self._outside()]}
        if port_numbers:
            made["ports"] = ports(*port_numbers)
        return made

    def host(self, address: str, port: int) -> Egress:
        """The server at ``address``: a Service's name, an IP address, or a name that is taken to be outside."""
        if found := IN_CLUSTER_HOST.match(address):
            return {"to": [{"namespace_selector": _named(found["namespace"])}], "ports": ports(port)}
        try:
            return to_addresses([str(ipaddress.ip_network(address))], [port])
        except ValueError:
            return self.outside(port)

    def google(self) -> list[Egress]:
        """Google's APIs and the server that gives pods their tokens for them."""
        if self.google_apis is None:
            return []
        # https://cloud.google.com/kubernetes-engine/docs/how-to/workload-identity: the first with Dataplane V2, the
        # second with Calico, where the enforcer sees the address of the server behind it.
        metadata_server = [
            to_addresses(["169.254.169.254/32"], [80, 8080]),
            to_addresses(["169.254.169.252/32"], [987, 988]),
        ]
        apis = to_addresses(self.google_apis, [HTTPS]) if self.google_apis else self.outside(HTTPS)
        return [*metadata_server, apis]

    def _outside(self) -> NetworkPolicyPeerArgsDict:
        return {"ip_block": {"cidr": EVERYWHERE, "except_": [*self.own_ranges, LINK_LOCAL]}}


@dataclass(frozen=True)
class AirflowNetwork:
    """The network of one Airflow.

    ``task_egress``: whether what DAG authors write may connect to everything outside the cluster. Destinations are
    allowed besides: to ``tasks`` and all else that authors write, and to Airflow's own ``components``.
    ``tasks_use_kubernetes``: whether tasks may talk to the Kubernetes API, which their service accounts still limit.
    """

    cluster: ClusterNetwork
    task_egress: bool = True
    tasks: Sequence[Destination] = ()
    components: Sequence[Destination] = ()
    tasks_use_kubernetes: bool = False


DNS: Final[Egress] = {
    "to": [
        # kube-dns and CoreDNS bear the same label everywhere. GKE runs its node-local cache as a pod where Dataplane V2
        # redirects to it; elsewhere the cache has an address of the node, and so has Cloud DNS for GKE.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/nodelocal-dns-cache
        {
            "namespace_selector": {"match_labels": {NAMESPACE_NAME: "kube-system"}},
            "pod_selector": {
                "match_expressions": [
                    {"key": "k8s-app", "operator": "In", "values": ["kube-dns", "coredns", "node-local-dns"]}
                ]
            },
        },
        {"ip_block": {"cidr": "169.254.20.10/32"}},
        {"ip_block": {"cidr": "169.254.169.254/32"}},
    ],
    "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
}
"""The cluster's resolver, in its variants."""


def ports(*numbers: int) -> list[NetworkPolicyPortArgsDict]:
    """TCP ports."""
    return [{"protocol": "TCP", "port": number} for number in numbers]


def to_addresses(cidrs: Sequence[str], port_numbers: Sequence[int]) -> Egress:
    """Addresses, on TCP ``port_numbers``; without any, on all of every protocol."""
    made: Egress = {"to": [{"ip_block": {"cidr": cidr}} for cidr in cidrs]}
    if port_numbers:
        made["ports"] = ports(*port_numbers)
    return made


def to_pods(labels: Mapping[str, str], *port_numbers: int, namespace: str | None = None) -> Egress:
    """Pods with ``labels``, of the policy's own namespace unless another is named."""
    peer: NetworkPolicyPeerArgsDict = {"pod_selector": {"match_labels": dict(labels)}}
    if namespace is not None:
        peer["namespace_selector"] = _named(namespace)
    return {"to": [peer], "ports": ports(*port_numbers)}


def from_pods(labels: Mapping[str, str], namespace: str) -> NetworkPolicyPeerArgsDict:
    """Pods with ``labels`` in ``namespace``."""
    return {"pod_selector": {"match_labels": dict(labels)}, "namespace_selector": _named(namespace)}


def git_server(repository: str) -> tuple[str, int]:
    """Host and port of a git repository's address, as ``https://host/path``, ``ssh://…`` or ``git@host:path``."""
    if "://" not in repository:
        return repository.partition("@")[2].partition(":")[0], 22
    return server(repository)


def server(url: str) -> tuple[str, int]:
    """Host and port of a URL."""
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or {"https": 443, "http": 80, "ssh": 22}[parts.scheme]


def api_servers(given: Sequence[Destination], opts: pulumi.ResourceOptions) -> pulumi.Output[Sequence[Egress]]:
    """The way to the Kubernetes API: to the addresses ``given``, else to those that the cluster itself names.

    A policy can't name the API server by a selector, nor by its Service's address. Behind the Service ``kubernetes``
    stand the servers' own addresses: on GKE the control plane's private one, also where people come in by its DNS
    endpoint. They are looked up at every update. Where they are addresses of nodes, Cilium must be told to let blocks
    match nodes (``policy-cidr-match-mode: nodes``); a managed control plane is no node.
    """
    if given:
        return pulumi.Output.from_input([to_addresses([one.cidr], one.ports or [HTTPS]) for one in given])
    found = kubernetes.discovery.v1.EndpointSlice.get("kubernetes-api", "default/kubernetes", opts=opts)
    return pulumi.Output.all(found.endpoints, found.ports).apply(lambda known: to_endpoints(*known))


def to_endpoints(endpoints: Sequence[Any] | None, served: Sequence[Any] | None) -> list[Egress]:
    """The way to the ``endpoints`` of an EndpointSlice. Refuses none: a rule that names nobody means everybody."""
    endpoints, served = endpoints or (), served or ()
    addresses = {str(ipaddress.ip_network(address)) for endpoint in endpoints for address in endpoint["addresses"]}
    if not addresses or not served:
        raise pulumi.RunError(
            "the cluster does not say where its API is (EndpointSlice kubernetes in the namespace default). Mend: say "
            "so with networkPolicies.apiServers"
        )
    return [to_addresses(sorted(addresses), sorted(int(one["port"]) for one in served))]


def policy(
    name: str,
    object_name: str,
    namespace: pulumi.Input[str],
    pods: LabelSelectorArgsDict,
    opts: pulumi.ResourceOptions,
    *,
    ingress: Sequence[Ingress] | None = None,
    egress: pulumi.Input[Sequence[Egress]] | None = None,
) -> kubernetes.networking.v1.NetworkPolicy:
    """A NetworkPolicy for ``pods``. A direction that is None stays as other policies have it; an empty one is shut."""
    types = [kind for kind, rules in (("Ingress", ingress), ("Egress", egress)) if rules is not None]
    spec: kubernetes.networking.v1.NetworkPolicySpecArgsDict = {"pod_selector": pods, "policy_types": types}
    if ingress:
        spec["ingress"] = ingress
    if egress is not None:
        spec["egress"] = egress
    return kubernetes.networking.v1.NetworkPolicy(name, metadata=metadata(object_name, namespace), spec=spec, opts=opts)


def deny_by_default(
    name: str, namespace: pulumi.Input[str], parent: pulumi.Resource, allowed: Sequence[pulumi.Resource]
) -> kubernetes.networking.v1.NetworkPolicy:
    """Shuts a namespace but for what other policies allow, which are there first: what runs notices nothing."""
    return policy(
        name,
        "default-deny",
        namespace,
        {},
        pulumi.ResourceOptions(parent=parent, depends_on=list(allowed)),
        ingress=[],
        egress=[],
    )


def _named(namespace: str) -> LabelSelectorArgsDict:
    return {"match_labels": {NAMESPACE_NAME: namespace}}
