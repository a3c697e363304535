"""What a resource of the program is in the cluster, and what can be none."""

from typing import Final

from testbed.engine.servicer import Refusal
from testbed.engine.values import Properties, plain

_NOT_OBJECTS: Final = ("helm.sh/", "yaml:", "yaml/", "kustomize")


def refusals(kind: str, inputs: Properties) -> list[Refusal]:
    """Why the resource of type ``kind`` (a type token) with ``inputs`` can't be applied."""
    if any(part in kind for part in _NOT_OBJECTS):
        reason = f"the kubernetes stand-in can't do {kind}. Mend: write plain resources, or use the real provider."
        return [Refusal("", reason)]
    wrong = [
        Refusal(key, "is required. Mend: use the SDK's class for the kind, or set it.")
        for key in ("apiVersion", "kind")
        if not isinstance(plain(inputs.get(key)), str)
    ]
    if not wrong and str(inputs["kind"]).endswith("List"):
        wrong.append(Refusal("kind", "a list can't be created. Mend: create its items as resources of their own."))
    if kind.endswith("Patch"):
        wrong.append(Refusal("kind", f"the kubernetes stand-in has no patch resources ({kind}). Mend: use plain ones."))
    meta = inputs.get("metadata")
    if isinstance(meta, dict) and meta.get("generateName") and not meta.get("name"):
        wrong.append(Refusal("metadata.generateName", "server-side apply needs a name. Mend: set metadata.name."))
    return wrong


def reference(urn: str, id_: str, known: Properties) -> Properties:
    """What identifies the object: its kind from the state or the type token, its name from the id."""
    namespace, _, name = id_.rpartition("/")
    module, kind = urn.split("::")[2].rsplit("$", 1)[-1].split(":")[1:]
    group_version = module.removeprefix("core/")
    return {
        "apiVersion": known.get("apiVersion") or group_version,
        "kind": known.get("kind") or kind,
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
    }
