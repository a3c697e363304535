"""Guardrails for what runs in the cluster. Each yields what is wrong with one resource, and how to mend it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.resource import Resource, is_unknown, pods

_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_LOCAL: Final = "localhost/"
"""Images that were built on this machine. No registry serves them, so nobody else can move their tags."""


def images_are_pinned(resource: Resource) -> Iterator[str]:
    """What runs today is what runs tomorrow, whatever happens in a registry."""
    for pod in pods(resource):
        for container in pod.containers():
            image = container.get("image")
            if not isinstance(image, str) or is_unknown(image) or image.startswith(_LOCAL):
                continue
            if not _DIGEST.search(image):
                yield f"{pod.where}{container.get('name')}: {image} has no digest. Mend: add @sha256:…"


def requests_and_limits(resource: Resource) -> Iterator[str]:
    """The scheduler knows what a container needs, and none takes what is another's."""
    for pod in pods(resource):
        for container in pod.containers():
            resources = container.get("resources") or {}
            if is_unknown(resources):
                continue
            missing = [
                f"{group}.{name}"
                for group in ("requests", "limits")
                for name in ("cpu", "memory")
                if not is_unknown(resources.get(group)) and not (resources.get(group) or {}).get(name)
            ]
            if missing:
                yield f"{pod.where}{container.get('name')}: {', '.join(missing)} missing. Mend: add to its resources"


def nothing_privileged(resource: Resource) -> Iterator[str]:
    """A container that is taken over is not the node."""
    for pod in pods(resource):
        for switch in ("hostNetwork", "hostPID", "hostIPC"):
            if pod.spec.get(switch) is True:
                yield f"{pod.where}{switch}: it shares the node's. Mend: remove it"
        for volume in pod.spec.get("volumes") or []:
            if isinstance(volume, Mapping) and volume.get("hostPath") is not None:
                path = (volume["hostPath"] or {}).get("path")
                yield f"{pod.where}volume {volume.get('name')}: mounts the node's {path}. Mend: another kind of volume"
        whole = pod.spec.get("securityContext") or {}
        for container in pod.containers():
            for wrong in _privileges(container, whole if isinstance(whole, Mapping) else {}):
                yield f"{pod.where}{container.get('name')}: {wrong}"


def _privileges(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    context = container.get("securityContext") or {}
    if is_unknown(context):
        return
    if context.get("privileged") is True:
        yield "privileged. Mend: remove securityContext.privileged"
    # Kubernetes' default is true.
    if context.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges. Mend: securityContext.allowPrivilegeEscalation: false"
    if added := [one for one in (context.get("capabilities") or {}).get("add") or [] if one != "NET_BIND_SERVICE"]:
        yield f"has the capabilities {', '.join(added)}. Mend: remove securityContext.capabilities.add"
    user = context.get("runAsUser", pod.get("runAsUser"))
    if user == 0 or (user is None and context.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True):
        yield "may run as root. Mend: securityContext.runAsNonRoot: true"
    if any(port.get("hostPort") for port in container.get("ports") or []):
        yield "takes a port of the node. Mend: remove hostPort"


def no_wildcard_rbac(resource: Resource) -> Iterator[str]:
    """A role says what it is for; what Kubernetes gets tomorrow is not in it."""
    if not resource.type.startswith("kubernetes:rbac.authorization.k8s.io/"):
        return
    if resource.at("roleRef.name") == "cluster-admin":
        yield "binds cluster-admin. Mend: a role with what is needed"
    rules = resource.at("rules") or []
    for rule in rules if isinstance(rules, list) else []:
        for part in ("apiGroups", "resources", "verbs", "nonResourceURLs"):
            if any(value == "*" or str(value).endswith("/*") for value in rule.get(part) or []):
                yield f"rules: {part} has a wildcard. Mend: name them"
        if set(rule.get("verbs") or []) & {"escalate", "bind", "impersonate"}:
            yield "rules: verbs lets it become somebody else. Mend: remove escalate, bind and impersonate"
