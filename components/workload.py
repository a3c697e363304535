"""The small builder that gives every pod its labels, probes, resources and security context.

It deals in the SDK's typed dictionaries, because the same description becomes an argument of a Pulumi resource and, for
task pods, a YAML file that Airflow reads (see ``manifest``).
"""

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi_kubernetes import _tables
from pulumi_kubernetes.core.v1 import (
    ContainerArgsDict,
    ContainerPortArgsDict,
    EnvVarArgsDict,
    LifecycleArgsDict,
    PersistentVolumeClaimSpecArgsDict,
    PodSecurityContextArgsDict,
    PodSpecArgsDict,
    PodTemplateSpecArgsDict,
    ProbeArgsDict,
    SecretVolumeSourceArgsDict,
    SecurityContextArgsDict,
    VolumeArgsDict,
    VolumeMountArgsDict,
)
from pulumi_kubernetes.meta.v1 import ObjectMetaArgsDict

PART_OF = "airflow-platform"
Labels = dict[str, str]


RETRY_FAILED = {"pulumi.com/replaceUnready": "true"}
"""For Jobs: one that failed is run anew by the next `up`; without it, it would stay as it is."""

TAKE_OVER = {"pulumi.com/patchForce": "true"}
"""For what something else than Pulumi scales, too: without it, the next change would be refused as a conflict."""


@dataclass(frozen=True)
class Resources:
    """What a container asks for and may use at most. CPU in Kubernetes' units (``100m``), memory with a binary unit."""

    cpu: str
    memory: str
    cpu_limit: str
    memory_limit: str


@dataclass(frozen=True)
class Mount:
    """A volume, and where the container sees it. ``claimed``: a StatefulSet's claim template makes the volume."""

    volume: VolumeArgsDict
    path: str
    read_only: bool = True
    claimed: bool = False


@dataclass(frozen=True)
class Container:
    """One container. Root file system is read-only: what must be written is a mount."""

    name: str
    image: pulumi.Input[str]
    resources: Resources
    command: Sequence[pulumi.Input[str]] = ()
    args: Sequence[pulumi.Input[str]] = ()
    env: Sequence[EnvVarArgsDict] = ()
    mounts: Sequence[Mount] = ()
    ports: Mapping[str, int] = field(default_factory=dict)
    startup_probe: ProbeArgsDict | None = None
    liveness_probe: ProbeArgsDict | None = None
    readiness_probe: ProbeArgsDict | None = None
    lifecycle: LifecycleArgsDict | None = None
    user: int | None = None
    """None: the pod's."""
    capabilities: Sequence[str] = ()
    """Those that it keeps. The strictest Pod Security Standard allows NET_BIND_SERVICE alone."""
    restart_policy: str | None = None
    """``Always`` makes an init container a sidecar that runs until the pod's own containers have ended."""


@dataclass(frozen=True)
class Nodes:
    """Which nodes a pod may run on: those with all of ``labels``, the ones with ``taints`` (key and value) included."""

    labels: Mapping[str, str]
    taints: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Pod:
    """What the pods of one workload have in common.

    ``service_account`` has its token mounted only where ``api_access`` is set. ``checksums`` are the keyed checksums of
    what the pod mounts: a changed one rolls the workload.
    """

    labels: Labels
    service_account: pulumi.Input[str]
    containers: Sequence[Container]
    user: int
    group: int
    api_access: bool = False
    restart_policy: str = "Always"
    grace_period_seconds: int = 30
    init_containers: Sequence[Container] = ()
    nodes: Nodes | None = None
    """None: wherever there is room."""
    spread: Labels | None = None
    """The workload's selector, to have its pods in different zones and on different nodes where there are some."""
    checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    priority: pulumi.Input[str] | None = None
    """The name of a PriorityClass (components/priorities.py). None: the cluster's default."""


def labels(instance: str, component: str, version: str, name: str = "airflow") -> Labels:
    """The recommended labels (https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/)."""
    return {**selector(instance, component, name), "app.kubernetes.io/version": version, **OWNER}


RESTRICTED: Labels = {"pod-security.kubernetes.io/enforce": "restricted"}
"""For namespaces: the strictest Pod Security Standard, which every pod of the platform meets."""
OWNER: Labels = {"app.kubernetes.io/part-of": PART_OF, "app.kubernetes.io/managed-by": "pulumi"}


def selector(instance: str, component: str, name: str = "airflow") -> Labels:
    """The labels that never change, for selectors: a changed selector would replace the workload."""
    return {
        "app.kubernetes.io/name": name,
        "app.kubernetes.io/instance": instance,
        "app.kubernetes.io/component": component,
    }


def metadata(
    name: pulumi.Input[str],
    namespace: pulumi.Input[str] | None = None,
    own_labels: Labels | None = None,
    annotations: Mapping[str, str] | None = None,
) -> ObjectMetaArgsDict:
    """An object's metadata: a fixed name, because others refer to it, and whose it is."""
    made: ObjectMetaArgsDict = {"name": name, "labels": {**OWNER, **(own_labels or {})}}
    if namespace is not None:
        made["namespace"] = namespace
    if annotations:
        made["annotations"] = dict(annotations)
    return made


def claim_spec(size: str, access_mode: str, storage_class: str | None) -> PersistentVolumeClaimSpecArgsDict:
    """A claim for a volume of ``size`` (``5Gi``); ``storage_class`` None takes the cluster's default."""
    made: PersistentVolumeClaimSpecArgsDict = {
        "access_modes": [access_mode],
        "resources": {"requests": {"storage": size}},
    }
    if storage_class is not None:
        made["storage_class_name"] = storage_class
    return made


def secret_env(name: str, secret: str, key: str) -> EnvVarArgsDict:
    """An environment variable whose value stays in the Secret."""
    return {"name": name, "value_from": {"secret_key_ref": {"name": secret, "key": key}}}


def config_volume(name: str, config_map: pulumi.Input[str]) -> VolumeArgsDict:
    """A ConfigMap as a volume."""
    return {"name": name, "config_map": {"name": config_map}}


def secret_volume(name: str, secret: pulumi.Input[str], keys: Sequence[str] = ()) -> VolumeArgsDict:
    """A Secret as a volume, readable by the pod's group only. With ``keys``, these alone."""
    source: SecretVolumeSourceArgsDict = {"secret_name": secret, "default_mode": 0o440}
    if keys:
        source["items"] = [{"key": key, "path": key} for key in keys]
    return {"name": name, "secret": source}


def scratch(name: str, path: str) -> Mount:
    """A place to write that goes with the pod."""
    return Mount({"name": name, "empty_dir": {}}, path, read_only=False)


METRICS_PORTS = ("git-sync-http", "metrics", "prometheus", "proxy-http")
"""Names of ports that answer /metrics."""
SCRAPE_ANNOTATION = "prometheus.io/scrape"


def pod_template(pod: Pod) -> PodTemplateSpecArgsDict:
    """The template of a workload's pods. Those that go on running and have metrics say so, for whoever collects."""
    checksums = {f"checksum/{name}": value for name, value in pod.checksums.items()}
    ports = [port for container in (*pod.init_containers, *pod.containers) for port in container.ports]
    measured = pod.restart_policy == "Always" and any(port in METRICS_PORTS for port in ports)
    scrape = {SCRAPE_ANNOTATION: "true"} if measured else {}
    return {
        "metadata": {"labels": pod.labels, "annotations": {**pod.annotations, **scrape, **checksums}},
        "spec": pod_spec(pod),
    }


def pod_spec(pod: Pod) -> PodSpecArgsDict:
    """The pod's spec under the `restricted` Pod Security Standard."""
    every = [*pod.init_containers, *pod.containers]
    mounts = [mount for container in every for mount in container.mounts if not mount.claimed]
    volumes = {str(mount.volume["name"]): mount.volume for mount in mounts}
    security: PodSecurityContextArgsDict = {
        "run_as_non_root": True,
        "run_as_user": pod.user,
        "run_as_group": pod.group,
        "fs_group": pod.group,
        # Changing the owner of every file of a large log volume at each start takes minutes; the root folder tells.
        "fs_group_change_policy": "OnRootMismatch",
        "seccomp_profile": {"type": "RuntimeDefault"},
    }
    made: PodSpecArgsDict = {
        "service_account_name": pod.service_account,
        "automount_service_account_token": pod.api_access,
        # Service variables would put hundreds of unused entries into every environment.
        "enable_service_links": False,
        "restart_policy": pod.restart_policy,
        "termination_grace_period_seconds": pod.grace_period_seconds,
        "security_context": security,
        "containers": [_container(container) for container in pod.containers],
        "volumes": list(volumes.values()),
    }
    if pod.init_containers:
        made["init_containers"] = [_container(container) for container in pod.init_containers]
    if pod.priority is not None:
        made["priority_class_name"] = pod.priority
    if pod.nodes:
        made["node_selector"] = dict(pod.nodes.labels)
        made["tolerations"] = [
            {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"}
            for key, value in pod.nodes.taints.items()
        ]
    if pod.spread:
        made["topology_spread_constraints"] = [
            {
                "max_skew": 1,
                "topology_key": key,
                # Better two on one node than one that waits.
                "when_unsatisfiable": "ScheduleAnyway",
                "label_selector": {"match_labels": pod.spread},
                # In a roll the pods that are about to go don't count.
                "match_label_keys": ["pod-template-hash"],
            }
            for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
        ]
    return made


def _container(spec: Container) -> ContainerArgsDict:
    security: SecurityContextArgsDict = {
        "allow_privilege_escalation": False,
        "read_only_root_filesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    if spec.user is not None:
        security["run_as_user"] = spec.user
    if spec.capabilities:
        security["capabilities"] = {"drop": ["ALL"], "add": list(spec.capabilities)}
    ports: list[ContainerPortArgsDict] = [{"name": name, "container_port": port} for name, port in spec.ports.items()]
    made: ContainerArgsDict = {
        "name": spec.name,
        "image": spec.image,
        "image_pull_policy": "IfNotPresent",
        "resources": {
            "requests": {"cpu": spec.resources.cpu, "memory": spec.resources.memory},
            "limits": {"cpu": spec.resources.cpu_limit, "memory": spec.resources.memory_limit},
        },
        "security_context": security,
        "volume_mounts": [_mount(mount) for mount in spec.mounts],
    }
    if spec.command:
        made["command"] = list(spec.command)
    if spec.args:
        made["args"] = list(spec.args)
    if spec.env:
        made["env"] = list(spec.env)
    if ports:
        made["ports"] = ports
    if spec.startup_probe:
        made["startup_probe"] = spec.startup_probe
    if spec.liveness_probe:
        made["liveness_probe"] = spec.liveness_probe
    if spec.readiness_probe:
        made["readiness_probe"] = spec.readiness_probe
    if spec.lifecycle:
        made["lifecycle"] = spec.lifecycle
    if spec.restart_policy:
        made["restart_policy"] = spec.restart_policy
    return made


def _mount(mount: Mount) -> VolumeMountArgsDict:
    return {"name": mount.volume["name"], "mount_path": mount.path, "read_only": mount.read_only}


def checksum(key: pulumi.Output[str], *parts: pulumi.Input[str]) -> pulumi.Output[str]:
    """A checksum under ``key`` of what a pod mounts.

    Keyed, because it stands in clear on the pod: nobody who reads it can try passwords against it.
    """

    def digest(values: Sequence[str]) -> str:
        secret, *rest = values
        return hmac.new(secret.encode(), "\0".join(rest).encode(), hashlib.sha256).hexdigest()[:16]

    return pulumi.Output.unsecret(pulumi.Output.all(key, *parts).apply(digest))


def manifest(described: Mapping[str, Any]) -> dict[str, Any]:
    """A typed dictionary with plain values as Kubernetes writes it: camelCase keys.

    Keys of labels, annotations and the like are the user's own and stay.
    """
    verbatim = {"labels", "annotations", "requests", "limits", "match_labels", "node_selector", "volume_attributes"}

    def convert(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {
                _tables.SNAKE_TO_CAMEL_CASE_TABLE.get(key, key): (inner if key in verbatim else convert(inner))
                for key, inner in value.items()
            }
        if isinstance(value, list | tuple):
            return [convert(inner) for inner in value]
        return value

    return convert(described)
