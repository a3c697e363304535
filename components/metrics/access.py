"""What Prometheus and kube-state-metrics may see of the Kubernetes API, and what they may connect to."""

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.meta.v1 import LabelSelectorArgsDict
from pulumi_kubernetes.networking.v1 import NetworkPolicyPeerArgsDict
from pulumi_kubernetes.rbac.v1 import PolicyRuleArgsDict

from components.ingress.labels import INGRESS_NAMESPACE
from components.metrics.args import ALERTMANAGER_PORT, GRAFANA_PORT, NAMESPACE, PROMETHEUS_PORT, MetricsArgs, WatchArgs
from components.network import DNS, ClusterNetwork, Egress, Ingress, deny_by_default, policy, ports, to_pods
from components.workload import OWNER, metadata, selector

KUBELET_PORT = 10250
FIND_PODS: list[PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
]
READ_STATE: list[PolicyRuleArgsDict] = [
    {
        "api_groups": [""],
        "resources": ["pods", "resourcequotas", "persistentvolumeclaims"],
        "verbs": ["list", "watch"],
    },
    {"api_groups": ["apps"], "resources": ["deployments", "statefulsets"], "verbs": ["list", "watch"]},
    {"api_groups": ["batch"], "resources": ["cronjobs", "jobs"], "verbs": ["list", "watch"]},
]
READ_NODES: list[PolicyRuleArgsDict] = [
    {"api_groups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]},
    # https://kubernetes.io/docs/reference/access-authn-authz/kubelet-authn-authz/: what /metrics of a kubelet takes.
    {"api_groups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
]


def account(
    name: str, part: str, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> kubernetes.core.v1.ServiceAccount:
    """A service account of a part."""
    return kubernetes.core.v1.ServiceAccount(
        f"{name}-{part}-service-account",
        metadata=metadata(part, namespace),
        automount_service_account_token=False,
        opts=pulumi.ResourceOptions(parent=parent),
    )


def allow_in(
    part: str,
    rules: list[PolicyRuleArgsDict],
    args: WatchArgs,
    who: pulumi.Output[str],
    own: pulumi.Output[str],
    parent: pulumi.Resource,
) -> list[pulumi.Resource]:
    """Lets the account ``who`` of the namespace ``own`` do ``rules`` in the namespaces that are measured; no other."""
    made: list[pulumi.Resource] = []
    opts = pulumi.ResourceOptions(parent=parent)
    for namespace_name, namespace in sorted(args.namespaces.items()):
        named = f"{NAMESPACE}-{part}"
        role = kubernetes.rbac.v1.Role(
            f"{namespace_name}-{named}", metadata=metadata(named, namespace), rules=rules, opts=opts
        )
        made.append(
            kubernetes.rbac.v1.RoleBinding(
                f"{namespace_name}-{named}-binding",
                metadata=metadata(named, namespace),
                role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role.metadata.name},
                subjects=[{"kind": "ServiceAccount", "name": who, "namespace": own}],
                opts=opts,
            )
        )
    return made


def allow_nodes(who: pulumi.Output[str], own: pulumi.Output[str], parent: pulumi.Resource) -> list[pulumi.Resource]:
    """Lets Prometheus find the nodes and read their kubelets' figures."""
    named = "airflow-platform-metrics"
    opts = pulumi.ResourceOptions(parent=parent)
    role = kubernetes.rbac.v1.ClusterRole(f"{NAMESPACE}-nodes", metadata=metadata(named), rules=READ_NODES, opts=opts)
    return [
        kubernetes.rbac.v1.ClusterRoleBinding(
            f"{NAMESPACE}-nodes-binding",
            metadata=metadata(named),
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.metadata.name},
            subjects=[{"kind": "ServiceAccount", "name": who, "namespace": own}],
            opts=opts,
        )
    ]


def restrict_network(
    name: str, args: MetricsArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """The policies of the namespace; none without ``args.network``."""
    network = args.network
    if network is None:
        return []
    opts = pulumi.ResourceOptions(parent=parent)
    prometheus, alertmanager, grafana = (_pods(part) for part in ("prometheus", "alertmanager", "grafana"))
    # Kubelets are at nodes' addresses, which no selector names and, under Cilium, no block matches: a rule without a
    # destination is any, nodes included. Only Airflow's namespaces let Prometheus in.
    kubelets: Egress = {"ports": ports(KUBELET_PORT)}
    measured: Egress = {"to": [{"namespace_selector": {"match_labels": dict(OWNER)}}]}
    to_alertmanager = to_pods(selector(NAMESPACE, "alertmanager", NAMESPACE), ALERTMANAGER_PORT)
    to_prometheus = to_pods(selector(NAMESPACE, "prometheus", NAMESPACE), PROMETHEUS_PORT)
    receivers = [network.host(one.host, one.port) for one in args.receivers if one.host]
    made: list[pulumi.Resource] = [
        policy(
            f"{name}-network-prometheus",
            "prometheus",
            namespace,
            prometheus,
            opts,
            ingress=[{"from_": [{"pod_selector": grafana}], "ports": ports(PROMETHEUS_PORT)}],
            egress=network.api_servers.apply(lambda found: [DNS, kubelets, measured, to_alertmanager, *found]),
        ),
        policy(
            f"{name}-network-alertmanager",
            "alertmanager",
            namespace,
            alertmanager,
            opts,
            ingress=[{"from_": [{"pod_selector": prometheus}], "ports": ports(ALERTMANAGER_PORT)}],
            egress=[DNS, *receivers],
        ),
    ]
    if args.state_image:
        made.append(state_policy(name, network, {"pod_selector": prometheus}, namespace, parent))
    if args.grafana_image:
        people: Ingress = {
            "from_": [{"namespace_selector": {"match_labels": INGRESS_NAMESPACE}}, {"pod_selector": prometheus}],
            "ports": ports(GRAFANA_PORT),
        }
        ways = [DNS, to_prometheus]
        made.append(
            policy(f"{name}-network-grafana", "grafana", namespace, grafana, opts, ingress=[people], egress=ways)
        )
    made.append(deny_by_default(f"{name}-network-default-deny", namespace, parent, made))
    return made


def state_policy(
    name: str,
    network: ClusterNetwork,
    reader: NetworkPolicyPeerArgsDict,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
) -> pulumi.Resource:
    """kube-state-metrics talks to the Kubernetes API, and answers ``reader`` alone."""
    return policy(
        f"{name}-network-state",
        "kube-state-metrics",
        namespace,
        _pods("state"),
        pulumi.ResourceOptions(parent=parent),
        ingress=[{"from_": [reader]}],
        egress=network.api_servers.apply(lambda found: [DNS, *found]),
    )


def _pods(part: str) -> LabelSelectorArgsDict:
    return {"match_labels": selector(NAMESPACE, part, NAMESPACE)}
