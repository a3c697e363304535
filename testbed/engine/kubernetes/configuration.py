"""The Kubernetes provider's own configuration, and the cluster that it names."""

import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from kubernetes import config as kubernetes_config
from kubernetes.client import Configuration
from kubernetes.config import ConfigException

from testbed.engine.kubernetes.api import Api
from testbed.engine.servicer import Refusal
from testbed.engine.values import UNKNOWN, Properties, plain
from testbed.progress import Failure

KNOWN: Final = frozenset(
    {
        "kubeconfig",
        "context",
        "namespace",
        "clusterIdentifier",
        "enableServerSideApply",
        "enableConfigMapMutable",
        "enableSecretMutable",
        "enablePatchForce",
        "upsertExistingObjects",
        "deleteUnreachable",
        "skipUpdateUnreachable",
        "suppressDeprecationWarnings",
        "suppressHelmHookWarnings",
        "version",
        "pluginDownloadURL",
    }
)
_FLAGS: Final = {
    "enableServerSideApply": "PULUMI_K8S_ENABLE_SERVER_SIDE_APPLY",
    "enableConfigMapMutable": "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE",
    "enableSecretMutable": "PULUMI_K8S_ENABLE_SECRET_MUTABLE",
    "enablePatchForce": "PULUMI_K8S_ENABLE_PATCH_FORCE",
    "upsertExistingObjects": "PULUMI_K8S_UPSERT_EXISTING_OBJECTS",
    "deleteUnreachable": "PULUMI_K8S_DELETE_UNREACHABLE",
}
"""Flags and the variables that set them where the provider does not (provider.go, Configure)."""


_load_file: Callable[..., None] = kubernetes_config.load_kube_config
_load_content: Callable[..., None] = kubernetes_config.load_kube_config_from_dict


@dataclass(frozen=True)
class Settings:
    """What the provider is configured with."""

    api: Api
    namespace: str
    config_maps_mutable: bool
    secrets_mutable: bool
    patch_force: bool
    upsert: bool
    delete_unreachable: bool


def check(news: Properties) -> list[Refusal]:
    """What the stand-in does not understand or can't do."""
    wrong = [
        Refusal(
            key, "the kubernetes stand-in does not know this setting. Mend: leave it out, or add it to the stand-in."
        )
        for key in news
        if key not in KNOWN and not key.startswith("__")
    ]
    if _truth(news.get("enableServerSideApply")) is False:
        wrong.append(Refusal("enableServerSideApply", "the stand-in only applies server-side. Mend: leave it out."))
    return wrong


def diff(old: Properties, new: Properties) -> tuple[list[str], list[str]]:
    """Changed settings, and those that replace every object (provider.go, DiffConfig).

    With an unchanged ``clusterIdentifier`` nothing replaces. Without one, a change of the active cluster does, and so
    does one that is not known yet.
    """
    old, new = plain(old), plain(new)
    changed = sorted(key for key in {*old, *new} - {"version"} if old.get(key) != new.get(key))
    identifier = new.get("clusterIdentifier")
    if identifier and old.get("clusterIdentifier") == identifier:
        return changed, []
    replaces = []
    if identifier and old.get("clusterIdentifier"):
        replaces.append("clusterIdentifier")
    connection = [key for key in ("kubeconfig", "context") if key in changed]
    if any(new.get(key) is UNKNOWN for key in connection):
        return changed, [*replaces, *connection]
    before, after = _active_cluster(old), _active_cluster(new)
    if before is not None and after is not None and before != after:
        replaces += connection
    return changed, replaces


def _active_cluster(settings: Properties) -> Any:
    try:
        content = _content(settings.get("kubeconfig"))
    except Failure:
        return None
    if content is None:
        return None
    current = settings.get("context") or content.get("current-context")
    contexts = {entry["name"]: entry["context"] for entry in content.get("contexts") or []}
    clusters = {entry["name"]: entry["cluster"] for entry in content.get("clusters") or []}
    return clusters.get(contexts.get(current, {}).get("cluster"))


def settings(news: Properties, fallback: str | None) -> Settings:
    """The settings in ``news``; ``fallback`` is the kubeconfig where they name none.

    Raises ``Failure`` where there is no usable kubeconfig. Does not connect yet.
    """
    news = plain(news)
    flags = {key: _flag(news, key, variable) for key, variable in _FLAGS.items()}
    configuration, namespace, source = _connection(news, fallback)
    return Settings(
        api=Api(configuration, source),
        namespace=str(news.get("namespace") or namespace or "default"),
        config_maps_mutable=flags["enableConfigMapMutable"],
        secrets_mutable=flags["enableSecretMutable"],
        patch_force=flags["enablePatchForce"],
        upsert=flags["upsertExistingObjects"],
        delete_unreachable=flags["deleteUnreachable"],
    )


def _flag(news: Properties, key: str, variable: str) -> bool:
    given = _truth(news.get(key))
    return given if given is not None else os.environ.get(variable) == "true"


def _truth(value: object) -> bool | None:
    """Provider configuration travels as text: ``"true"``."""
    return None if value is None else value is True or value == "true"


def _connection(news: Properties, fallback: str | None) -> tuple[Configuration, str, str]:
    given = news.get("kubeconfig")
    text = given or fallback or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube/config")
    source = "the provider's `kubeconfig`" if given else text if "\n" not in text else "the given kubeconfig"
    context = news.get("context")
    configuration = Configuration()
    content = _content(text)
    if content is None:
        raise Failure(
            f"there is no kubeconfig: {text} does not exist.\nMend: start a cluster, or name one by the stack's "
            "kubeconfig or the variable KUBECONFIG."
        )
    try:
        if Path(text.split(os.pathsep)[0]).expanduser().is_file() if "\n" not in text else False:
            paths = os.pathsep.join(str(Path(part).expanduser()) for part in text.split(os.pathsep))
            _load_file(paths, context, configuration, persist_config=False)
        else:
            _load_content(content, context, configuration, persist_config=False, temp_file_path=tempfile.gettempdir())
    except ConfigException as error:
        raise Failure(f"the kubeconfig ({source}) can't be used: {error}.\nMend: correct it.") from error
    return configuration, _namespace(content, context), source


def _namespace(content: Mapping[str, Any], context: str | None) -> str:
    wanted = context or content.get("current-context")
    for entry in content.get("contexts") or []:
        if entry.get("name") == wanted:
            return str((entry.get("context") or {}).get("namespace") or "")
    return ""


def _content(text: object) -> dict[str, Any] | None:
    """The kubeconfig in ``text``, which is its content or a path; ``None`` where that path does not exist."""
    if not isinstance(text, str) or not text:
        return text if isinstance(text, dict) else None
    if "\n" not in text and not text.lstrip().startswith("{"):
        path = Path(text.split(os.pathsep)[0]).expanduser()
        if not path.is_file():
            return None
        text = path.read_text()
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Failure("the kubeconfig is not valid YAML. Mend: correct it.") from error
    if not isinstance(content, dict):
        raise Failure("the kubeconfig holds no configuration. Mend: give the content of a kubeconfig, or its path.")
    return content
