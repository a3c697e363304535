"""Which host leads where, as plain Ingress objects.

The controller gives a host to one Ingress only. So a host is a *master* in the controller's namespace, which holds what
is the host's own (TLS), and a *minion* beside each Service that it leads to:
https://docs.nginx.com/nginx-ingress-controller/configuration/ingress-resources/cross-namespace-configuration/
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.networking.v1 import HTTPIngressPathArgsDict

from components.ingress.configuration import CLASS
from components.ingress.controller import IngressController
from components.workload import metadata

MERGEABLE: Final = "nginx.org/mergeable-ingress-type"
LOGIN_BURST = 20


@dataclass(frozen=True)
class Backend:
    """A Service in ``namespace``. ``depends_on`` is what it needs to have endpoints."""

    namespace: pulumi.Input[str]
    service: str
    port: int
    depends_on: Sequence[pulumi.Resource] = ()


@dataclass(frozen=True)
class Limit:
    """Paths, below the route's own, that an address may ask ``per_minute`` times, besides a burst of 20."""

    paths: Sequence[str]
    per_minute: int


class SharedController(pulumi.ComponentResource):
    """The controller of another environment's, which answers hosts of any namespace: here those of ``namespace``."""

    namespace: pulumi.Output[str]
    ready: pulumi.Output[str]

    def __init__(self, name: str, namespace: pulumi.Output[str], opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:ingress:SharedController", name, None, opts)
        self.namespace = namespace
        self.ready = pulumi.Output.from_input(CLASS)
        self.register_outputs({"namespace": self.namespace, "ready": self.ready})


@dataclass
class Routes:
    """Makes the routes of ``controller``. Each host may be named any number of times."""

    controller: IngressController | SharedController
    opts: pulumi.ResourceOptions | None = None
    _masters: dict[str, kubernetes.networking.v1.Ingress] = field(default_factory=dict, init=False)

    def add(
        self,
        name: str,
        host: str,
        backend: Backend,
        path: str = "",
        limit: Limit | None = None,
        websockets: bool = False,
    ) -> None:
        """Has everything at ``host`` and below ``path`` answered by ``backend``, whose namespace must bear ``REACHED``.

        ``name`` names the objects. ``path`` begins with a slash and has none at the end; empty is the whole host. The
        backend sees the whole path: nothing is rewritten.
        """
        master = self._master(host)
        extra = {"nginx.org/websocket-services": backend.service} if websockets else {}
        self._minion(name, host, backend, master, _paths(path), extra)
        if limit is not None:
            annotations = {
                "nginx.org/limit-req-rate": f"{limit.per_minute}r/m",
                "nginx.org/limit-req-burst": str(LOGIN_BURST),
                "nginx.org/limit-req-no-delay": "true",
                "nginx.org/limit-req-reject-code": "429",
                "nginx.org/limit-req-zone-size": "10m",
                "nginx.org/limit-req-log-level": "warn",
            }
            limited = [_path(f"{path}{below}", "Prefix") for below in limit.paths]
            self._minion(f"{name}-login", host, backend, master, limited, annotations)

    def _master(self, host: str) -> kubernetes.networking.v1.Ingress:
        if host not in self._masters:
            self._masters[host] = kubernetes.networking.v1.Ingress(
                f"host-{host}",
                metadata=metadata(
                    host,
                    self.controller.namespace,
                    # Nothing waits for it to be served: it is not before its first minion is there.
                    annotations={MERGEABLE: "master", "pulumi.com/skipAwait": "true"},
                ),
                spec={
                    "ingress_class_name": self.controller.ready,
                    "tls": [{"hosts": [host]}],
                    "rules": [{"host": host}],
                },
                opts=pulumi.ResourceOptions.merge(self.opts, pulumi.ResourceOptions(parent=self.controller)),
            )
        return self._masters[host]

    def _minion(
        self,
        name: str,
        host: str,
        backend: Backend,
        master: kubernetes.networking.v1.Ingress,
        paths: Sequence[HTTPIngressPathArgsDict],
        annotations: Mapping[str, str],
    ) -> None:
        service: kubernetes.networking.v1.IngressBackendArgsDict = {
            "service": {"name": backend.service, "port": {"number": backend.port}}
        }
        kubernetes.networking.v1.Ingress(
            f"route-{name}",
            metadata=metadata(name, backend.namespace, annotations={MERGEABLE: "minion", **annotations}),
            spec={
                "ingress_class_name": self.controller.ready,
                "rules": [{"host": host, "http": {"paths": [{**path, "backend": service} for path in paths]}}],
            },
            opts=pulumi.ResourceOptions(parent=self.controller, depends_on=[master, *backend.depends_on]),
        )


def _paths(path: str) -> list[HTTPIngressPathArgsDict]:
    # NGINX compares beginnings: a prefix without a slash at its end would also be that of another team's path.
    return [_path(path, "Exact"), _path(f"{path}/", "Prefix")] if path else [_path("/", "Prefix")]


def _path(path: str, kind: str) -> HTTPIngressPathArgsDict:
    # The backend is added to every path.
    return {"path": path, "path_type": kind}  # type: ignore[typeddict-item]
