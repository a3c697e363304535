"""Who may connect to a log store, and what it may connect to: nothing but what is listed here."""

from collections.abc import Sequence

import pulumi
from pulumi_kubernetes.networking.v1 import NetworkPolicyPeerArgsDict

from components.ingress.labels import INGRESS_NAMESPACE, METRICS_READERS
from components.logs import bootstrap, elasticsearch, exporter, kibana
from components.logs.shipper import NAMESPACE as SHIPPERS
from components.logs.store_args import PORT, TRANSPORT_PORT, LogStoreArgs
from components.network import (
    DNS,
    GOOGLES_COLLECTORS,
    ClusterNetwork,
    Ingress,
    deny_by_default,
    from_pods,
    policy,
    ports,
    to_pods,
)
from components.workload import Labels

COMPONENT = "app.kubernetes.io/component"


def restrict_store(
    name: str, args: LogStoreArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """The policies of the namespace; none without ``args.network``."""
    network = args.network
    if network is None:
        return []
    made = [_nodes(name, args, network, namespace, parent)]

    def allow(part: str, chosen: Labels, ingress: Sequence[Ingress], *, kibana_too: bool = False) -> None:
        ways = [DNS, to_pods(elasticsearch.SELECTOR, PORT)]
        if kibana_too:
            ways.append(to_pods(kibana.SELECTOR, kibana.PORT))
        opts = pulumi.ResourceOptions(parent=parent)
        made.append(
            policy(
                f"{name}-network-{part}",
                part,
                namespace,
                {"match_labels": chosen},
                opts,
                ingress=ingress,
                egress=ways,
            )
        )

    allow("bootstrap", bootstrap.SELECTOR, [], kibana_too=args.kibana is not None)
    if args.exporter_image:
        readers: list[NetworkPolicyPeerArgsDict] = [
            {"namespace_selector": {"match_labels": METRICS_READERS}},
            GOOGLES_COLLECTORS,
        ]
        allow("exporter", exporter.SELECTOR, [{"from_": readers, "ports": ports(exporter.PORT)}])
    if args.kibana:
        people: list[NetworkPolicyPeerArgsDict] = [
            {"namespace_selector": {"match_labels": INGRESS_NAMESPACE}},
            {"pod_selector": {"match_labels": bootstrap.SELECTOR}},
        ]
        allow("kibana", kibana.SELECTOR, [{"from_": people, "ports": ports(kibana.PORT)}])
    made.append(deny_by_default(f"{name}-network-default-deny", namespace, parent, made))
    return made


def _nodes(
    name: str, args: LogStoreArgs, network: ClusterNetwork, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> pulumi.Resource:
    """Nodes among themselves, and whoever writes or reads: fluentd, and of an Airflow what shows logs."""
    clients: list[NetworkPolicyPeerArgsDict] = [
        {"pod_selector": {}},
        from_pods({COMPONENT: "fluentd"}, SHIPPERS),
        *(from_pods({COMPONENT: "api-server"}, f"airflow-{airflow}") for airflow in args.readers),
    ]
    own: NetworkPolicyPeerArgsDict = {"pod_selector": {"match_labels": elasticsearch.SELECTOR}}
    return policy(
        f"{name}-network-elasticsearch",
        "elasticsearch",
        namespace,
        {"match_labels": elasticsearch.SELECTOR},
        pulumi.ResourceOptions(parent=parent),
        ingress=[
            {"from_": clients, "ports": ports(PORT)},
            {"from_": [own], "ports": ports(TRANSPORT_PORT)},
        ],
        egress=[
            DNS,
            to_pods(elasticsearch.SELECTOR, TRANSPORT_PORT),
            *(network.google() if args.snapshots else []),
        ],
    )
