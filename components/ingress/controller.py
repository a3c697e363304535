"""The ingress controller: F5's NGINX Ingress Controller with plain Ingress objects, in a namespace of its own.

Deliberately not here: which host leads where. ``routes`` makes that, beside what each host leads to.
Its manifests: https://github.com/nginx/kubernetes-ingress/tree/main/deployments
"""

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.apps.v1 import DeploymentSpecArgsDict
from pulumi_kubernetes.core.v1 import ProbeArgsDict, ServiceSpecArgsDict

from components.availability import disruption_budget
from components.ingress.access import grant
from components.ingress.args import Exposure, IngressArgs
from components.ingress.certificates import make_certificate
from components.ingress.configuration import (
    CLASS,
    CONFIG,
    CONTROLLER,
    METRICS_PORT,
    NAME,
    NAMESPACE,
    READY_PORT,
    WORKER_SHUTDOWN_SECONDS,
    arguments,
    configuration,
)
from components.ingress.labels import INGRESS_NAMESPACE, METRICS_READERS, REACHED
from components.network import DNS, GOOGLES_COLLECTORS, Egress, deny_by_default, policy, ports
from components.versions import version_label
from components.workload import (
    RESTRICTED,
    Container,
    Mount,
    Pod,
    Resources,
    labels,
    metadata,
    pod_template,
    scratch,
    selector,
)

_NGINX_UID = 101  # of the official image
_WRITTEN = {"etc": "/etc/nginx", "cache": "/var/cache/nginx", "lib": "/var/lib/nginx", "log": "/var/log/nginx"}
"""What the controller writes to; all else of the image stays as it is."""


class IngressController(pulumi.ComponentResource):
    """The controller, its certificate and the Service that people come to.

    ``ready`` is known when it serves. Refuses nothing: settings see to what can't work.
    """

    namespace: pulumi.Output[str]
    service: str = NAME
    authority: pulumi.Output[str] | None
    """The certificate in PEM that browsers must be told to trust; None where they do already."""
    expires: pulumi.Output[int] | None
    """When the certificate ends (Unix time); None where something else keeps it."""
    ready: pulumi.Output[str]

    def __init__(self, name: str, args: IngressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:ingress:IngressController", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels={**RESTRICTED, **INGRESS_NAMESPACE, **REACHED}),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.namespace = namespace.metadata.name
        ingress_class = kubernetes.networking.v1.IngressClass(
            f"{name}-class",
            metadata=metadata(CLASS),
            spec={"controller": "nginx.org/ingress-controller"},
            opts=child,
        )
        restricted = _restrict_network(name, args, self.namespace, self)
        certificate = make_certificate(name, args, self.namespace, self)
        self.authority, self.expires = certificate.authority, certificate.expires
        config = kubernetes.core.v1.ConfigMap(
            f"{name}-config", metadata=metadata(CONFIG, self.namespace), data=configuration(args), opts=child
        )
        account, rights = grant(name, self.namespace, self)

        own = selector(name, "controller", NAME)
        pod = _pod(name, args, account, certificate.secret)
        spec: DeploymentSpecArgsDict = {
            "revision_history_limit": 3,
            # A new one serves before an old one goes.
            "strategy": {"type": "RollingUpdate", "rolling_update": {"max_surge": 1, "max_unavailable": 0}},
            "selector": {"match_labels": own},
            "template": pod_template(pod),
        }
        if args.most_replicas is None:
            spec["replicas"] = args.replicas
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-controller",
            metadata=metadata(NAME, self.namespace, pod.labels),
            spec=spec,
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[*restricted, *certificate.resources, *rights, config, ingress_class]
            ),
        )
        if args.most_replicas:
            _autoscale(name, args, deployment, self.namespace, self)
        disruption_budget(f"{name}-budget", NAME, self.namespace, own, args.replicas, self)
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=metadata(NAME, self.namespace, annotations=_load_balancer(args)),
            spec=_service(args, own),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.ready = service.id.apply(lambda _: CLASS)
        self.register_outputs({"namespace": self.namespace, "ready": self.ready})


def _pod(name: str, args: IngressArgs, account: pulumi.Output[str], certificate: str) -> Pod:
    ready: ProbeArgsDict = {"http_get": {"path": "/nginx-ready", "port": READY_PORT}, "timeout_seconds": 2}
    written = [scratch(part, path) for part, path in _WRITTEN.items()]
    return Pod(
        labels=labels(name, "controller", version_label(args.image), NAME),
        service_account=account,
        user=_NGINX_UID,
        group=_NGINX_UID,
        api_access=True,
        grace_period_seconds=args.drain_seconds + WORKER_SHUTDOWN_SECONDS + 10,
        nodes=args.nodes,
        priority=args.priority,
        spread=selector(name, "controller", NAME) if args.replicas > 1 else None,
        # It reads the ConfigMap and the certificate again by itself; its arguments are in the template.
        init_containers=[
            Container(
                name="configuration",
                image=args.image,
                command=["cp", "-dR", "/etc/nginx/.", "/mnt/etc"],
                resources=Resources(cpu="10m", memory="16Mi", cpu_limit="500m", memory_limit="64Mi"),
                mounts=[Mount(written[0].volume, "/mnt/etc", read_only=False)],
            )
        ],
        containers=[
            Container(
                name=CONTROLLER,
                image=args.image,
                args=arguments(args, certificate),
                resources=Resources(cpu="50m", memory="128Mi", cpu_limit="2", memory_limit="512Mi"),
                env=[
                    {"name": "POD_NAMESPACE", "value_from": {"field_ref": {"field_path": "metadata.namespace"}}},
                    {"name": "POD_NAME", "value_from": {"field_ref": {"field_path": "metadata.name"}}},
                ],
                mounts=written,
                ports={"http": args.http_port, "https": args.port, "ready": READY_PORT, "metrics": METRICS_PORT},
                # The image's programs have it on their files: without it in the pod's bounds they do not even start.
                capabilities=["NET_BIND_SERVICE"],
                startup_probe={**ready, "period_seconds": 1, "failure_threshold": 120},
                readiness_probe={**ready, "period_seconds": 2, "failure_threshold": 3},
                liveness_probe={"tcp_socket": {"port": args.port}, "period_seconds": 20, "failure_threshold": 3},
                lifecycle={"pre_stop": {"sleep": {"seconds": args.drain_seconds}}},
            )
        ],
    )


def _service(args: IngressArgs, own: dict[str, str]) -> ServiceSpecArgsDict:
    made: ServiceSpecArgsDict = {
        "type": "NodePort" if args.exposure is Exposure.NODE_PORT else "LoadBalancer",
        # The client's own address stays, for logs and for limits; and no second hop to another node.
        "external_traffic_policy": "Local",
        "selector": own,
        "ports": [
            {"name": "https", "port": args.port, "target_port": "https"},
            {"name": "http", "port": args.http_port, "target_port": "http"},
        ],
    }
    if args.exposure is not Exposure.NODE_PORT:
        if args.address is not None:
            made["load_balancer_ip"] = args.address
        if args.source_ranges:
            made["load_balancer_source_ranges"] = list(args.source_ranges)
    return made


def _load_balancer(args: IngressArgs) -> dict[str, str]:
    """What makes GKE's load balancer the kind with a backend service, and an internal one where it is to be.

    https://cloud.google.com/kubernetes-engine/docs/concepts/service-load-balancer-parameters
    """
    match args.exposure:
        case Exposure.PUBLIC:
            return {"cloud.google.com/l4-rbs": "enabled"}
        case Exposure.INTERNAL:
            return {"networking.gke.io/load-balancer-type": "Internal"}
        case Exposure.NODE_PORT:
            return {}


def _autoscale(
    name: str,
    args: IngressArgs,
    deployment: kubernetes.apps.v1.Deployment,
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
) -> None:
    kubernetes.autoscaling.v2.HorizontalPodAutoscaler(
        f"{name}-autoscaler",
        metadata=metadata(NAME, namespace),
        spec={
            "scale_target_ref": {"api_version": "apps/v1", "kind": "Deployment", "name": deployment.metadata.name},
            "min_replicas": args.replicas,
            "max_replicas": args.most_replicas or args.replicas,
            "metrics": [
                {
                    "type": "Resource",
                    # Of the request, which is small: a busy one is at many times that.
                    "resource": {"name": "cpu", "target": {"type": "AverageValue", "average_value": "800m"}},
                }
            ],
            "behavior": {"scale_down": {"stabilization_window_seconds": 600}},
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )


def _restrict_network(
    name: str, args: IngressArgs, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    if args.network is None:
        return []
    behind: Egress = {"to": [{"namespace_selector": {"match_labels": REACHED}}]}
    allowed = [
        policy(
            f"{name}-network-controller",
            "controller",
            namespace,
            {"match_labels": selector(name, "controller", NAME)},
            pulumi.ResourceOptions(parent=parent),
            ingress=[
                {"ports": ports(args.port, args.http_port)},
                {
                    "from_": [{"namespace_selector": {"match_labels": METRICS_READERS}}, GOOGLES_COLLECTORS],
                    "ports": ports(METRICS_PORT),
                },
            ],
            # To whom exactly is for the namespaces behind it to say.
            egress=args.network.api_servers.apply(lambda found: (DNS, behind, *found)),
        )
    ]
    return [*allowed, deny_by_default(f"{name}-network-default-deny", namespace, parent, allowed)]
