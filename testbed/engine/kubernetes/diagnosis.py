"""Why pods do not get ready, from what the cluster says about them. No calls: it looks at data only."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from testbed.engine.kubernetes.rules import Own
from testbed.engine.values import Properties

_IMAGE: Final = {
    "ErrImagePull",
    "ImagePullBackOff",
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RegistryUnavailable",
}
_CONFIG: Final = {
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ContainerCannotRun",
    "StartError",
}
_MOUNT_EVENTS: Final = {"FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "FailedMapVolume"}


@dataclass(frozen=True)
class Container:
    """A container whose log says more about a problem; ``previous``: the log of its last run, not of this one."""

    namespace: str
    pod: str
    name: str
    previous: bool


@dataclass(frozen=True)
class Problem:
    """One thing that keeps a pod from getting ready."""

    key: str
    """The same problem of the same pod keeps its key."""
    text: str
    mend: str
    fail_after: float | None
    """Seconds after which waiting is pointless; ``None``: it may still mend itself."""
    log: Container | None = None


def pod_problems(pod: Properties, events: Iterable[Properties], limits: Own) -> list[Problem]:
    """What is wrong with ``pod``. ``events`` are those about it."""
    name = pod["metadata"]["name"]
    problems = list(_scheduling(pod, name, limits))
    statuses = _container_statuses(pod)
    for status in statuses:
        problems += _container(pod, name, status, limits)
    waiting = any("waiting" in (status.get("state") or {}) for status in statuses)
    if waiting and not problems:
        problems += _mounts(name, events, limits)
    return problems


def _container_statuses(pod: Properties) -> list[Properties]:
    status = pod.get("status") or {}
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _scheduling(pod: Properties, name: str, limits: Own) -> Iterator[Problem]:
    for condition in (pod.get("status") or {}).get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            yield Problem(
                f"{name}/unschedulable",
                f"pod {name} can't be scheduled: {condition.get('message')}",
                "lower its requests, free or add a node, or correct its node selector, tolerations or claims.",
                limits.fail_after.unschedulable,
            )


def _container(pod: Properties, name: str, status: Properties, limits: Own) -> Iterator[Problem]:
    container = status["name"]
    namespace = pod["metadata"].get("namespace", "default")
    waiting = (status.get("state") or {}).get("waiting") or {}
    reason, message = str(waiting.get("reason", "")), str(waiting.get("message", ""))
    if reason in _IMAGE:
        yield Problem(
            f"{name}/{container}/image",
            f"container {container} of pod {name} cannot pull image {status.get('image') or '(none)'}: {reason}"
            f"{': ' + message if message else ''}",
            "check its name and tag, that the registry (or the node's image store) has it, and the pull secret.",
            limits.fail_after.image,
        )
    elif reason in _CONFIG:
        yield Problem(
            f"{name}/{container}/config",
            f"container {container} of pod {name} cannot start: {reason}: {message}",
            "create the Secret, ConfigMap or key that it names, or correct its command.",
            limits.fail_after.config,
        )
    elif reason == "CrashLoopBackOff" or (status.get("restartCount", 0) > 0 and not status.get("ready")):
        restarts = status.get("restartCount", 0)
        final = restarts >= limits.crash_loop_restarts and reason == "CrashLoopBackOff"
        yield Problem(
            f"{name}/{container}/crash",
            f"container {container} of pod {name} keeps ending ({restarts} restarts): {_last_end(status)}",
            "see its last log lines; correct what it runs or what it is configured with.",
            0.0 if final else None,
            Container(namespace, name, container, previous=True),
        )
    elif terminated := _failed_run(status):
        yield Problem(
            f"{name}/{container}/ended",
            f"container {container} of pod {name} ended: {terminated}",
            "see its last log lines; correct what it runs or what it is configured with.",
            None,
            Container(namespace, name, container, previous=False),
        )


def _failed_run(status: Properties) -> str:
    terminated = (status.get("state") or {}).get("terminated") or {}
    return _end(terminated) if terminated.get("exitCode", 0) != 0 else ""


def _last_end(status: Properties) -> str:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    return _end(state.get("terminated") or last.get("terminated") or {})


def _end(terminated: Properties) -> str:
    if not terminated:
        return "for no known reason"
    text = f"{terminated.get('reason', 'ended')}, exit code {terminated.get('exitCode')}"
    return f"{text}: {terminated['message']}" if terminated.get("message") else text


def _mounts(name: str, events: Iterable[Properties], limits: Own) -> Iterator[Problem]:
    found = [event for event in events if event.get("reason") in _MOUNT_EVENTS]
    if found:
        last = max(found, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
        yield Problem(
            f"{name}/mount",
            f"pod {name} cannot start: {last.get('reason')}: {last.get('message')}",
            "create the volume, Secret or ConfigMap that it mounts, or correct the mount.",
            limits.fail_after.mount,
        )


def owner_problems(owner: Properties, events: Iterable[Properties], limits: Own) -> list[Problem]:
    """Why a controller makes no pods: ``owner`` is a ReplicaSet, StatefulSet, DaemonSet or Job."""
    messages = [
        str(condition.get("message"))
        for condition in (owner.get("status") or {}).get("conditions") or []
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True"
    ]
    if not messages:
        refused = [event for event in events if event.get("reason") == "FailedCreate"]
        messages = [str(event.get("message")) for event in refused[-1:]]
    name = f"{str(owner.get('kind')).lower()} {owner['metadata']['name']}"
    quota = "raise the namespace's ResourceQuota, or lower what the pods request."
    policy = "correct what the message names."
    return [
        Problem(
            f"{owner['metadata']['name']}/create",
            f"{name} can't create pods: {message}",
            quota if "exceeded quota" in message else policy,
            limits.fail_after.quota,
        )
        for message in messages
    ]


def with_logs(problems: Sequence[Problem], logs: dict[Container, str]) -> list[str]:
    """The problems as text, each with its mend and, where ``logs`` has it, its log's end."""
    texts = []
    for problem in problems:
        text = f"{problem.text}. Mend: {problem.mend}"
        if problem.log and (tail := logs.get(problem.log, "").rstrip()):
            indented = "\n".join(f"    {line}" for line in tail.splitlines()[-20:])
            text += f"\n  Last lines of its log:\n{indented}"
        texts.append(text)
    return texts


def owned_by(obj: Properties, uid: Any) -> bool:
    """Whether an owner reference of ``obj`` names ``uid``."""
    references = (obj.get("metadata") or {}).get("ownerReferences") or []
    return any(reference.get("uid") == uid for reference in references)
