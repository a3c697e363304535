"""The Kubernetes stand-in with no cluster behind it: for tests and diffs that need nothing but the engine.

Checks, diffs and replacements are those of the real stand-in; an object that is created exists at once, in the engine's
state alone. Nothing is contacted, whatever kubeconfig the program names.
"""

import secrets
from typing import Final

import grpc
from google.protobuf import empty_pb2
from kubernetes.client import Configuration
from pulumi.runtime.proto import provider_pb2

from testbed.engine.kubernetes import objects
from testbed.engine.kubernetes.api import Api, Resource
from testbed.engine.kubernetes.configuration import Settings
from testbed.engine.kubernetes.objects import id_of
from testbed.engine.kubernetes.provider import KubernetesStandIn
from testbed.engine.servicer import Session
from testbed.engine.values import Properties, from_struct, has_unknown, plain, to_struct

CLUSTER_SCOPED: Final = frozenset(
    {
        "APIService",
        "ClusterIssuer",
        "ClusterPodMonitoring",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterRules",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "RuntimeClass",
        "StorageClass",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
    }
)
"""Of Kubernetes' own kinds (`kubectl api-resources --namespaced=false`, 1.34), Google Managed Prometheus' and
cert-manager's."""


EVERY_CLUSTER_HAS: Final = {
    ("EndpointSlice", "default/kubernetes"): {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "kubernetes", "namespace": "default", "uid": "offline"},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.99.0.1"]}],
        "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}],
    }
}
"""What a program may look up, by kind and id."""


class NoApi(Api):
    """Answers from what is known without a server: which kinds have a namespace."""

    def __init__(self) -> None:
        super().__init__(Configuration(host="http://127.0.0.1:0"), "no cluster")

    def check(self) -> None:
        """There is nothing to reach."""

    def resource(self, api_version: str, kind: str) -> Resource:
        """How a cluster would serve ``kind``."""
        return Resource(kind.lower() + "s", kind not in CLUSTER_SCOPED)

    def get(self, obj: Properties) -> Properties | None:
        """Nothing is there that the engine's state does not have."""
        return None


class OfflineKubernetes(KubernetesStandIn):
    """See the module. It has the protocol's calls that would reach the API server."""

    def configure(self, session: Session, config: Properties) -> Settings:
        known = plain(config)
        return Settings(
            api=NoApi(),
            namespace=str(known.get("namespace") or "default"),
            config_maps_mutable=known.get("enableConfigMapMutable") == "true",
            secrets_mutable=known.get("enableSecretMutable") == "true",
            patch_force=False,
            upsert=True,
            delete_unreachable=False,
        )

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        def create() -> provider_pb2.CreateResponse:
            inputs = from_struct(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(properties=to_struct(_previewed(inputs)))
            made = _made(inputs, secrets.token_hex(4))
            return provider_pb2.CreateResponse(id=id_of(plain(made)), properties=to_struct(made))

        return self.guarded(context, create)

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        def update() -> provider_pb2.UpdateResponse:
            state, inputs = from_struct(request.olds), from_struct(request.news)
            if request.preview and has_unknown(inputs):
                return provider_pb2.UpdateResponse(properties=to_struct(inputs))
            uid = str((plain(state).get("metadata") or {}).get("uid"))
            return provider_pb2.UpdateResponse(properties=to_struct(_made(inputs, uid)))

        return self.guarded(context, update)

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        there = EVERY_CLUSTER_HAS.get((request.urn.split("::")[2].rpartition(":")[2], request.id))
        if there is None:
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        found = objects.state({}, there, "pulumi-kubernetes-offline")
        return provider_pb2.ReadResponse(id=request.id, properties=to_struct(found), inputs=to_struct({}))

    def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()


def _previewed(inputs: Properties) -> Properties:
    return inputs if has_unknown(inputs) else objects.preview_state(inputs, objects.manifest(inputs), created=True)


def _made(inputs: Properties, uid: str) -> Properties:
    live = objects.manifest(inputs)
    live["metadata"] = {**live.get("metadata", {}), "uid": uid}
    return objects.state(inputs, live, "pulumi-kubernetes-offline")
