"""What guardrails look at: a resource as the engine is asked for it, and the pods in it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

UNKNOWN: Final = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",  # text
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",  # boolean
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",  # number
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",  # array
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",  # object
    }
)
"""What the engine writes in place of a value that a preview does not know yet: sdk/go/common/resource/plugin/rpc.go."""
Tree = Mapping[str, Any]


@dataclass(frozen=True)
class Resource:
    """One resource. ``inputs`` are plain values with camelCase keys; what is not known yet is one of ``UNKNOWN``."""

    type: str
    name: str
    inputs: Tree
    protect: bool = False

    @property
    def kind(self) -> str:
        """The last part of the type: ``Deployment``."""
        return self.type.rpartition(":")[2]

    def at(self, path: str, default: Any = None) -> Any:
        """The input at the dotted ``path``; ``default`` where there is none."""
        node: Any = self.inputs
        for part in path.split("."):
            if not isinstance(node, Mapping) or part not in node:
                return node if is_unknown(node) else default
            node = node[part]
        return default if node is None else node


@dataclass(frozen=True)
class PodSpec:
    """A pod that a resource makes, or has others make. ``where`` is how its place in the resource is called."""

    where: str
    spec: Tree

    def containers(self) -> Iterator[Tree]:
        """All of them: init containers and sidecars too."""
        for group in ("initContainers", "containers", "ephemeralContainers"):
            yield from self.spec.get(group) or []


def is_unknown(value: Any) -> bool:
    """Whether a preview does not know ``value`` yet."""
    return isinstance(value, str) and value in UNKNOWN


def pods(resource: Resource) -> Iterator[PodSpec]:
    """Every pod of a workload; of a ConfigMap the pod templates in it, from which task pods are made."""
    if not resource.type.startswith("kubernetes:"):
        return
    match resource.kind:
        case "Pod" | "PodTemplate":
            found = resource.at("spec") if resource.kind == "Pod" else resource.at("template.spec")
        case "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job":
            found = resource.at("spec.template.spec")
        case "CronJob":
            found = resource.at("spec.jobTemplate.spec.template.spec")
        case "ConfigMap":
            yield from _templates(resource)
            return
        case _:
            return
    if isinstance(found, Mapping):
        yield PodSpec("", found)


def _templates(resource: Resource) -> Iterator[PodSpec]:
    for key, text in (resource.at("data", {}) or {}).items():
        if not key.endswith((".yaml", ".yml")) or not isinstance(text, str) or is_unknown(text):
            continue
        try:
            content = yaml.safe_load(text)
        except yaml.YAMLError:
            continue
        if isinstance(content, dict) and content.get("kind") == "Pod":
            yield PodSpec(f"{key}: ", content.get("spec") or {})
