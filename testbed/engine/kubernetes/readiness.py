"""Whether a live object is ready, by pulumi-kubernetes's conditions (await/*.go). No calls: it looks at data only."""

from dataclasses import dataclass
from typing import Any, Literal

from testbed.engine.kubernetes.objects import gvk
from testbed.engine.values import Properties


@dataclass(frozen=True)
class Readiness:
    """What was found."""

    state: Literal["ready", "waiting", "failed"]
    message: str = ""


READY = Readiness("ready")


@dataclass(frozen=True)
class Related:
    """What belongs to an object and its readiness depends on; what a kind does not need stays empty."""

    replica_sets: tuple[Properties, ...] = ()
    endpoints: Properties | None = None
    endpoints_settled: bool = False
    binding_mode: str = ""
    """A claim's storage class's volumeBindingMode."""
    services: tuple[str, ...] | None = None
    """Names of the services in an Ingress's namespace that have endpoints or need none."""


def assess(live: Properties, related: Related | None = None) -> Readiness:
    """The readiness of ``live``. Kinds that pulumi-kubernetes does not wait for are ready at once."""
    related = related or Related()
    match gvk(live):
        case "apps/v1/Deployment":
            return _deployment(live, related.replica_sets)
        case "apps/v1/StatefulSet":
            return _stateful_set(live)
        case "apps/v1/DaemonSet":
            return _daemon_set(live)
        case "batch/v1/Job":
            return _job(live)
        case "v1/Pod":
            return _pod(live)
        case "v1/Service":
            return _service(live, related)
        case "v1/PersistentVolumeClaim":
            return _claim(live, related.binding_mode)
        case "v1/PersistentVolume":
            phase = _status(live).get("phase")
            return READY if phase in ("Available", "Bound") else Readiness("waiting", f"the volume is {phase}")
        case "v1/ResourceQuota":
            same = _status(live).get("hard") == (live.get("spec") or {}).get("hard")
            return READY if same else Readiness("waiting", "Waiting for the quota to be taken into account")
        case "v1/Secret":
            empty = live.get("type") == "kubernetes.io/service-account-token" and not live.get("data")
            return Readiness("waiting", "Waiting for the token") if empty else READY
        case "networking.k8s.io/v1/Ingress":
            return _ingress(live, related.services)
    return READY


def _status(obj: Properties) -> Properties:
    return obj.get("status") or {}


def _condition(obj: Properties, kind: str) -> Properties:
    conditions: list[Properties] = _status(obj).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _observed(obj: Properties) -> bool:
    generation: int = (obj.get("metadata") or {}).get("generation", 0)
    seen: int = _status(obj).get("observedGeneration", -1)
    return seen >= generation


def revision(obj: Properties) -> str:
    """The revision that the Deployment controller wrote on a Deployment or a ReplicaSet."""
    annotations = (obj.get("metadata") or {}).get("annotations") or {}
    return str(annotations.get("deployment.kubernetes.io/revision", ""))


def current_replica_set(deployment: Properties, replica_sets: tuple[Properties, ...]) -> Properties | None:
    """The ReplicaSet of the Deployment's current revision."""
    wanted = revision(deployment)
    return next((rs for rs in replica_sets if wanted and revision(rs) == wanted), None)


def _deployment(live: Properties, replica_sets: tuple[Properties, ...]) -> Readiness:
    spec = live.get("spec") or {}
    replica_set = current_replica_set(live, replica_sets) if _observed(live) else None
    if replica_set is None:
        return Readiness("waiting", "[1/2] Waiting for the Deployment controller")
    wanted = (replica_set.get("spec") or {}).get("replicas", 1)
    ready = _status(replica_set).get("readyReplicas", 0)
    progressing, available = _condition(live, "Progressing"), _condition(live, "Available")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return Readiness("failed", f"{progressing.get('message')} ({ready}/{wanted} replicas ready)")
    if (
        ready >= wanted >= spec.get("replicas", 1)
        and progressing.get("reason") == "NewReplicaSetAvailable"
        and available.get("status") == "True"
    ):
        return READY
    return Readiness("waiting", f"[2/2] Waiting for Deployment rollout: {ready}/{wanted} replicas ready")


def _stateful_set(live: Properties) -> Readiness:
    if not _observed(live):
        return Readiness("waiting", "[1/2] Waiting for the StatefulSet controller")
    spec, status = live.get("spec") or {}, _status(live)
    wanted = spec.get("replicas", 1)
    ready, total = status.get("readyReplicas", 0), status.get("replicas", 0)
    current, updated = status.get("currentRevision"), status.get("updateRevision")
    by_hand = (spec.get("updateStrategy") or {}).get("type") == "OnDelete" and live["metadata"]["generation"] > 1
    settled = by_hand or (current and current == updated and status.get("currentReplicas", 0) == wanted)
    if settled and ready == wanted == total:
        return READY
    moved = ready if current == updated else min(ready, status.get("updatedReplicas", 0))
    return Readiness("waiting", f"[2/2] Waiting for StatefulSet rollout: {moved}/{wanted} replicas ready")


def _daemon_set(live: Properties) -> Readiness:
    if not _observed(live):
        return Readiness("waiting", "[1/2] Waiting for the DaemonSet controller")
    status = _status(live)
    wanted = status.get("desiredNumberScheduled", 0)
    counts = [
        status.get(key, 0)
        for key in ("currentNumberScheduled", "updatedNumberScheduled", "numberAvailable", "numberReady")
    ]
    if all(count >= wanted for count in counts):
        return READY
    return Readiness("waiting", f"[2/2] Waiting for DaemonSet rollout: {min(counts)}/{wanted} pods ready")


def _job(live: Properties) -> Readiness:
    failed = _condition(live, "Failed")
    if failed.get("status") == "True":
        return Readiness("failed", f"the Job failed ({failed.get('reason')}): {failed.get('message')}")
    if _condition(live, "Complete").get("status") == "True":
        return READY
    status = _status(live)
    counts = ", ".join(f"{status.get(key, 0)} {key}" for key in ("active", "succeeded", "failed"))
    return Readiness("waiting", f"Waiting for the Job to succeed: {counts}")


def _pod(live: Properties) -> Readiness:
    phase = _status(live).get("phase")
    if phase == "Succeeded" or _condition(live, "Ready").get("status") == "True":
        return READY
    if phase == "Failed":
        return Readiness("failed", f"the pod failed: {_status(live).get('message') or _status(live).get('reason')}")
    return Readiness("waiting", f"Waiting for the pod: {phase}")


def _service(live: Properties, related: Related) -> Readiness:
    spec = live.get("spec") or {}
    if spec.get("type") == "LoadBalancer" and not (_status(live).get("loadBalancer") or {}).get("ingress"):
        return Readiness("waiting", "[1/2] Waiting for the load balancer's address")
    if spec.get("type") == "ExternalName" or spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    if related.endpoints is None or not related.endpoints_settled:
        return Readiness("waiting", "[2/2] Finding Pods to direct traffic to")
    pending = [s for s in related.endpoints.get("subsets") or [] if s.get("notReadyAddresses")]
    return Readiness("waiting", "[2/2] Waiting for the Service's Pods to be ready") if pending else READY


def _claim(live: Properties, binding_mode: str) -> Readiness:
    phase = _status(live).get("phase")
    if phase == "Bound" or (phase == "Pending" and binding_mode == "WaitForFirstConsumer"):
        return READY
    if phase == "Lost":
        return Readiness("failed", "the claim lost its volume")
    return Readiness("waiting", f"Waiting for a volume: the claim is {phase}")


def _ingress(live: Properties, services: tuple[str, ...] | None) -> Readiness:
    wanted = set(backends(live))
    if services is not None and (missing := sorted(wanted - set(services))):
        return Readiness("waiting", f"[1/2] Waiting for the services behind it: {', '.join(missing)}")
    if not (_status(live).get("loadBalancer") or {}).get("ingress"):
        return Readiness("waiting", "[2/2] Waiting for an ingress controller to write the address")
    return READY


def backends(ingress: Properties) -> list[str]:
    """The names of the services that an Ingress's rules send traffic to."""
    rules: list[Any] = (ingress.get("spec") or {}).get("rules") or []
    paths = [path for rule in rules for path in (rule.get("http") or {}).get("paths") or []]
    names = [((path.get("backend") or {}).get("service") or {}).get("name") for path in paths]
    return [name for name in names if name]
