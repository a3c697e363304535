"""Waits until an object is ready or gone, says meanwhile what it waits for, and gives up where waiting is pointless."""

import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from testbed.engine.diffing import parse_path
from testbed.engine.kubernetes import diagnosis, readiness
from testbed.engine.kubernetes.api import Api, ApiError, same_object
from testbed.engine.kubernetes.diagnosis import Problem
from testbed.engine.kubernetes.objects import WAIT_FOR, annotation, gvk, name_of, namespace_of, title
from testbed.engine.kubernetes.readiness import READY, Readiness, Related
from testbed.engine.kubernetes.rules import rules
from testbed.engine.values import Properties
from testbed.progress import Failure

LOG_LINES: Final = 20
_WORKLOADS: Final = {"apps/v1/Deployment", "apps/v1/StatefulSet", "apps/v1/DaemonSet", "batch/v1/Job", "v1/Pod"}


class NotReadyError(Exception):
    """The object is there, but waiting for it ended without success."""

    def __init__(self, live: Properties, reasons: list[str]) -> None:
        super().__init__(reasons[0])
        self.live = live
        self.reasons = reasons


@dataclass
class Wait:
    """One wait for one object."""

    api: Api
    cancelled: threading.Event
    say: Callable[[str], None]
    """Takes a line that replaces the one before."""
    timeout: float
    """Seconds."""
    began: float = field(default_factory=time.monotonic)
    _first_seen: dict[str, float] = field(default_factory=dict)
    _endpoints: tuple[str, float] = ("", 0.0)
    _binding_mode: str | None = None

    # -- ready

    def until_ready(self, obj: Properties) -> Properties:
        """The live object once it is ready. Raises ``NotReadyError``."""
        live = obj
        while True:
            found = self._assess(live)
            if found.state == "ready":
                self.say("")
                return live
            problems = self._problems(live) if gvk(live) in _WORKLOADS else []
            final = [problem for problem in problems if self._lasts(problem)]
            if found.state == "failed" or final:
                raise self._not_ready(live, found.message, final or problems)
            self.say(found.message + (f" ({problems[0].text})" if problems else ""))
            if self._over():
                reason = f"{found.message}; not ready after {self.timeout:.0f} s"
                raise self._not_ready(live, reason, problems)
            if self.cancelled.wait(self._pause()):
                raise NotReadyError(live, [f"{title(live)}: waiting for it was cancelled ({found.message})"])
            live = self._again(live)

    def now(self, live: Properties) -> list[str]:
        """What keeps ``live`` from being ready at this moment; empty where nothing does."""
        found = self._assess(live, settled=True)
        if found.state == "ready":
            return []
        problems = self._problems(live) if gvk(live) in _WORKLOADS else []
        return self._not_ready(live, found.message, problems).reasons

    def _again(self, live: Properties) -> Properties:
        found = self.api.get(live)
        if found is None:
            raise NotReadyError(live, [f"{title(live)} was deleted by someone else while it was waited for"])
        return found

    def _over(self) -> bool:
        return time.monotonic() - self.began >= self.timeout

    def _pause(self) -> float:
        return 0.25 if time.monotonic() - self.began < 5 else 1.0

    def _assess(self, live: Properties, settled: bool = False) -> Readiness:
        if wanted := annotation(live, WAIT_FOR):
            return wait_for(live, wanted)
        return readiness.assess(live, self._related(live, settled))

    # -- what else to look at

    def _related(self, live: Properties, settled: bool) -> Related:
        namespace = namespace_of(live)
        match gvk(live):
            case "apps/v1/Deployment":
                return Related(replica_sets=tuple(self._owned("apps/v1", "ReplicaSet", live)))
            case "v1/Service":
                endpoints = self.api.get({"apiVersion": "v1", "kind": "Endpoints", "metadata": live["metadata"]})
                return Related(endpoints=endpoints, endpoints_settled=settled or self._settled(endpoints))
            case "v1/PersistentVolumeClaim":
                return Related(binding_mode=self._mode(live))
            case "networking.k8s.io/v1/Ingress":
                with_endpoints = [name_of(e) for e in self.api.list("v1", "Endpoints", namespace)]
                services = self.api.list("v1", "Service", namespace)
                external = [name_of(s) for s in services if (s.get("spec") or {}).get("type") == "ExternalName"]
                return Related(services=(*with_endpoints, *external))
        return Related()

    def _settled(self, endpoints: Properties | None) -> bool:
        version = str((endpoints or {}).get("metadata", {}).get("resourceVersion", ""))
        if version != self._endpoints[0]:
            self._endpoints = (version, time.monotonic())
        return bool(version) and time.monotonic() - self._endpoints[1] >= rules().stand_in.service_settle_seconds

    def _mode(self, claim: Properties) -> str:
        name = (claim.get("spec") or {}).get("storageClassName")
        if not name:
            return ""
        if self._binding_mode is None:
            found = self.api.get(
                {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name}}
            )
            self._binding_mode = str((found or {}).get("volumeBindingMode", ""))
        return self._binding_mode

    def _owned(self, api_version: str, kind: str, owner: Properties) -> list[Properties]:
        labels = ((owner.get("spec") or {}).get("selector") or {}).get("matchLabels") or {}
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        found = self.api.list(api_version, kind, namespace_of(owner), labels=selector)
        return [obj for obj in found if diagnosis.owned_by(obj, owner["metadata"].get("uid"))]

    # -- problems

    def _problems(self, live: Properties) -> list[Problem]:
        limits = rules().stand_in
        owner, pods = self._pods(live)
        problems: list[Problem] = []
        if owner is not None and not pods:
            problems += diagnosis.owner_problems(owner, self._events(owner), limits)
        for pod in pods:
            creating = (pod.get("status") or {}).get("phase") == "Pending"
            events = self._events(pod) if creating and time.monotonic() - self.began > 15 else []
            problems += diagnosis.pod_problems(pod, events, limits)
        return problems

    def _pods(self, live: Properties) -> tuple[Properties | None, list[Properties]]:
        """The controller that makes the pods, and the pods of its current revision."""
        match gvk(live):
            case "v1/Pod":
                return None, [live]
            case "apps/v1/Deployment":
                replica_sets = tuple(self._owned("apps/v1", "ReplicaSet", live))
                current = readiness.current_replica_set(live, replica_sets)
                return current, self._owned("v1", "Pod", current) if current else []
        return live, self._owned("v1", "Pod", live)

    def _events(self, obj: Properties) -> list[Properties]:
        fields = f"involvedObject.uid={obj['metadata'].get('uid')}"
        return self.api.list("v1", "Event", namespace_of(obj), fields=fields)

    def _lasts(self, problem: Problem) -> bool:
        since = self._first_seen.setdefault(problem.key, time.monotonic())
        return problem.fail_after is not None and time.monotonic() - since >= problem.fail_after

    def _not_ready(self, live: Properties, message: str, problems: list[Problem]) -> NotReadyError:
        logs = {problem.log: self._log(problem.log) for problem in problems if problem.log is not None}
        texts = diagnosis.with_logs(problems, logs)
        head = title(live)
        if not texts:
            return NotReadyError(
                live, [f"{head}: {message}. Mend: `kubectl describe {head.replace('/', ' ', 1)}` says more."]
            )
        # the reason first: the engine shows the first one in its summary
        return NotReadyError(live, [f"{head}: {text}" for text in texts] + [f"{head}: {message}"])

    def _log(self, container: diagnosis.Container) -> str:
        for previous in (container.previous, not container.previous):
            found = self.api.logs(
                container.namespace, container.pod, container.name, previous=previous, lines=LOG_LINES
            )
            if found.strip() and "unable to retrieve container logs" not in found:
                return found
        return ""

    # -- gone

    def until_gone(self, obj: Properties) -> None:
        """Return once ``obj`` is gone, or its name carries another object. Raises ``NotReadyError``."""
        while True:
            live = self.api.get(obj)
            if live is None or not same_object(live, obj):
                self.say("")
                return
            remaining = self._remaining(live)
            self.say(f"Waiting for deletion{remaining}")
            if self._over():
                raise NotReadyError(
                    live, [f"{title(live)} is still there {self.timeout:.0f} s after its deletion{remaining}"]
                )
            if self.cancelled.wait(self._pause()):
                raise NotReadyError(live, [f"{title(live)}: waiting for its deletion was cancelled"])

    def _remaining(self, live: Properties) -> str:
        conditions = (live.get("status") or {}).get("conditions") or []
        held = [
            str(condition.get("message"))
            for condition in conditions
            if condition.get("status") == "True" and "Remaining" in str(condition.get("type"))
        ]
        finalizers = [name for name in live["metadata"].get("finalizers") or [] if name != "foregroundDeletion"]
        parts = held or ([f"finalizers: {', '.join(finalizers)}"] if finalizers else [])
        return f" ({'; '.join(parts)})" if parts else ""


def wait_for(live: Properties, expression: str) -> Readiness:
    """The annotation ``pulumi.com/waitFor``: ``condition=Type[=Value]``, ``jsonpath={.a}[=value]``, or a list."""
    try:
        parsed = json.loads(expression) if expression.startswith("[") else [expression]
    except ValueError:
        parsed = [expression]
    for part in parsed:
        if not _holds(live, str(part)):
            return Readiness("waiting", f"Waiting for {part}")
    return READY


def _holds(live: Properties, expression: str) -> bool:
    kind, _, rest = expression.partition("=")
    if kind == "condition":
        name, _, wanted = rest.partition("=")
        conditions = (live.get("status") or {}).get("conditions") or []
        return any(c.get("type") == name and c.get("status") == (wanted or "True") for c in conditions)
    match = re.fullmatch(r"\{\.?([\w.\[\]\"*/-]+)\}(?:=(.*))?", rest)
    if kind != "jsonpath" or not match:
        raise Failure(
            f"{title(live)}: the annotation {WAIT_FOR} says {expression!r}, which the stand-in does not understand. "
            "Mend: write condition=Type, or jsonpath={.path.to.field}=value with plain fields and indices."
        )
    found = _select(live, parse_path(match[1]))
    return any(match[2] is None or str(value) == match[2] for value in found if value is not None)


def _select(value: Any, path: tuple[str | int, ...]) -> list[Any]:
    if not path:
        return [value]
    if path[0] == "*":
        items = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
        return [found for item in items for found in _select(item, path[1:])]
    if isinstance(path[0], int):
        return _select(value[path[0]], path[1:]) if isinstance(value, list) and path[0] < len(value) else []
    return _select(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else []


def errors_as_failures(api_error: ApiError, what: str) -> Failure:
    """A server's refusal as something that a person can act on."""
    mends = {
        "Conflict": "another manager owns these fields: stop it from writing them, leave them out of the program, or "
        "set the annotation pulumi.com/patchForce to take them over.",
        "Forbidden": "give the kubeconfig's user the right, or raise the quota that the message names.",
        "Invalid": "correct the named fields.",
        "NoSuchKind": "create its CustomResourceDefinition first, or correct apiVersion and kind.",
        "NotFound": "create what is missing first; a reference to the Namespace resource makes the engine wait for it.",
    }
    mend = mends.get(api_error.reason, "correct what the message names.")
    return Failure(f"{what} was refused by the cluster: {api_error.message}. Mend: {mend}")
