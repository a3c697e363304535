"""What may not be added to an Airflow's pods, and why: what is the platform's, what is secret, what is in the way."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from components.gcp.naming import IMAGES_REPOSITORY
from components.quantities import mebibytes, millicpus
from infra.settings.airflow import AirflowSettings, Executor, ProvidedSecrets
from infra.settings.cloud_rules import organisation_of
from infra.settings.configuration_rules import configuration_problems, is_secret, looks_secret, why_not
from infra.settings.customisation import (
    PART_FIELDS,
    EnvSource,
    ExistingSecretKey,
    Extra,
    GivenSecret,
    PodExtra,
    SecretVolume,
    Sidecar,
    for_part,
)

if TYPE_CHECKING:
    from infra.settings.environment import Settings

ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OPTION_VARIABLE = re.compile(r"AIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)")
OWN_VARIABLES = frozenset({"AIRFLOW_CONFIG", "AIRFLOW_HOME"})
PATH_ENDINGS = ("_FILE", "_PATH", "_DIR")
"""A variable that ends so says where a secret is, and is none."""
LABEL_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?")
QUALIFIED_NAME = re.compile(r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
OWN_KEYS = re.compile(
    r"(app\.kubernetes\.io|airflow-platform|pulumi\.com|checksum|[a-z.-]*kubernetes\.io)/.*|"
    r"dag_id|task_id|run_id|try_number|map_index|airflow-worker|airflow_version|kubernetes_executor"
)
"""Labels and annotations by which the platform, Airflow and Kubernetes find pods and know what to do with them."""
OWN_SECRETS = frozenset({"airflow-keys", "database", "admin", "git", "elasticsearch", "extra-env"})
OWN_FOLDERS = (
    "/opt/airflow/platform",
    "/opt/airflow/logs",
    "/opt/airflow/dags",
    "/tmp",
    "/run/secrets",
    "/home/airflow",
)
SYSTEM_FOLDERS = ("/bin", "/boot", "/dev", "/lib", "/proc", "/sbin", "/sys", "/usr", "/var/run/secrets")
OWN_CONTAINERS = frozenset({"base", "cloud-sql-proxy", "git-sync", *PART_FIELDS})


def customisation_problems(settings: "Settings") -> list[str]:
    """Everything that is wrong with what the Airflows are given by hand."""
    problems: list[str] = []
    for airflow in settings.airflows:
        secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
        problems += configuration_problems(airflow.name, airflow.extra.config, airflow.extra.airflow_cfg)
        read: set[str] = set()
        for field, alias in _layers(airflow.extra):
            layer: PodExtra = getattr(airflow.extra, field)
            where = f"airflows.{airflow.name}.extra.{alias}"
            problems += _layer_problems(where, airflow.name, layer, secrets, read)
            for name, sidecar in layer.containers.items():
                problems += image_problems(f"{where}.containers.{name}", sidecar.image, settings)
        problems += _clashes(airflow)
        problems += [
            f"secrets.{airflow.name}.env.{name}: nothing reads it. Write {name}: {{ kind: secret }} under envFrom of a "
            f"part in airflows.{airflow.name}.extra, or remove it"
            for name in sorted((secrets.env or {}).keys() - read)
        ]
        if Executor.KUBERNETES not in airflow.executor and airflow.extra.task != PodExtra():
            problems.append(
                f"airflows.{airflow.name}.extra.task: tasks of this Airflow have no pods of their own. Write it under "
                "worker with the CeleryExecutor, under scheduler with the LocalExecutor"
            )
        if Executor.CELERY not in airflow.executor and airflow.extra.worker != PodExtra():
            problems.append(
                f"airflows.{airflow.name}.extra.worker: there are no workers without the CeleryExecutor. Remove it, or "
                "add that to executor"
            )
    return problems


def _layers(extra: Extra) -> list[tuple[str, str]]:
    """Fields of ``extra`` that are about pods, with their names in stack files."""
    fields = type(extra).model_fields
    return [(name, field.alias or name) for name, field in fields.items() if isinstance(getattr(extra, name), PodExtra)]


def _layer_problems(
    where: str, airflow: str, layer: PodExtra, secrets: ProvidedSecrets, read: set[str]
) -> Iterator[str]:
    yield from _env_problems(where, airflow, layer.env, layer.env_from, secrets, read)
    for name, volume in layer.volumes.items():
        at = f"{where}.volumes.{name}"
        if not LABEL_NAME.fullmatch(name):
            yield f"{where}.volumes: '{name}' is no name for a volume. Write lower-case letters, digits and dashes"
        if reason := _why_not_there(volume.path):
            yield f"{at}.path: {volume.path} {reason}. Choose another folder, for example /mnt/{name}"
        if isinstance(volume, SecretVolume) and volume.name in OWN_SECRETS:
            yield _own_secret(f"{at}.name", volume.name)
    for name, sidecar in layer.containers.items():
        yield from _sidecar_problems(where, airflow, name, sidecar, secrets, read)
    for kind, given in (("labels", layer.labels), ("annotations", layer.annotations)):
        for key, value in given.items():
            if not QUALIFIED_NAME.fullmatch(key):
                yield f"{where}.{kind}: '{key}' is no name for one. Write it like team or example.com/team"
            elif OWN_KEYS.fullmatch(key):
                yield f"{where}.{kind}.{key}: is how pods are found and treated. Choose a name of your own"
            elif kind == "labels" and not LABEL_VALUE.fullmatch(value):
                yield (
                    f"{where}.labels.{key}: a label's value is at most 63 letters, digits, dashes, dots and "
                    "underscores. Write it so, or make it an annotation"
                )


def _env_problems(
    where: str,
    airflow: str,
    env: Mapping[str, str],
    env_from: Mapping[str, EnvSource],
    secrets: ProvidedSecrets,
    read: set[str],
) -> Iterator[str]:
    for name in sorted(env.keys() & env_from.keys()):
        yield f"{where}.envFrom.{name}: stands under env too. Remove one of them"
    for name in [*env, *env_from]:
        key = "env" if name in env else "envFrom"
        option = OPTION_VARIABLE.fullmatch(name)
        reason = why_not(option[1].lower(), option[2].lower()) if option else None
        if not ENV_NAME.fullmatch(name):
            yield f"{where}.{key}: '{name}' is no name for a variable. Write letters, digits and underscores"
        elif name in OWN_VARIABLES:
            yield f"{where}.{key}.{name}: is the platform's own. Leave it out"
        elif reason:
            yield f"{where}.{key}.{name}: is the platform's own: {reason}. Leave it out"
    for name, value in env.items():
        if _variable_is_secret(name, value):
            yield (
                f"{where}.env.{name}: looks like a secret, and a stack file shows it to everybody. It belongs under "
                f"secrets: run {_command(airflow, name)} and write {name}: {{ kind: secret }} under envFrom; where "
                "it is none, give it another name"
            )
    for name, source in env_from.items():
        if isinstance(source, GivenSecret):
            read.add(name)
            if name not in (secrets.env or {}):
                yield (
                    f"secrets.{airflow}.env.{name}: is missing, and {where}.envFrom reads it. Set it with: "
                    f"{_command(airflow, name)}"
                )
        elif isinstance(source, ExistingSecretKey) and source.name in OWN_SECRETS:
            yield _own_secret(f"{where}.envFrom.{name}.name", source.name)


def _sidecar_problems(
    where: str, airflow: str, name: str, sidecar: Sidecar, secrets: ProvidedSecrets, read: set[str]
) -> Iterator[str]:
    if not LABEL_NAME.fullmatch(name):
        yield f"{where}.containers: '{name}' is no name for a container. Write lower-case letters, digits and dashes"
    if name in OWN_CONTAINERS:
        yield f"{where}.containers.{name}: is the name of one of the platform's. Choose another"
    at = f"{where}.containers.{name}"
    yield from _env_problems(at, airflow, sidecar.env, sidecar.env_from, secrets, read)
    resources = sidecar.resources
    if millicpus(resources.cpu_limit) < millicpus(resources.cpu):
        yield f"{at}.resources.cpuLimit: {resources.cpu_limit} is less than cpu, {resources.cpu}. Raise it"
    if mebibytes(resources.memory_limit) < mebibytes(resources.memory):
        yield f"{at}.resources.memoryLimit: {resources.memory_limit} is less than memory, {resources.memory}. Raise it"


def image_problems(where: str, image: str, settings: "Settings") -> Iterator[str]:
    """Whether a cluster on Google Cloud would admit ``image``."""
    if settings.google is None:
        return
    registry = f"{organisation_of(settings.google).registry}/"
    if not image.startswith(registry):
        yield (
            f"{where}.image: {image} is not in the organisation's registry, and the cluster admits no image from "
            f"elsewhere. Push it to {registry}{IMAGES_REPOSITORY}/"
        )
    if not re.search(r"@sha256:[0-9a-f]{64}$", image):
        yield (f"{where}.image: is not pinned. On Google Cloud images are pinned by digest: end it with @sha256:…")


def _clashes(airflow: AirflowSettings) -> Iterator[str]:
    """Volumes of one pod that want the same folder, whichever part asked for them."""
    for part in PART_FIELDS:
        paths: dict[str, str] = {}
        for name, volume in for_part(airflow.extra, part).volumes.items():
            path = volume.path.rstrip("/")
            if other := paths.get(path):
                yield (
                    f"airflows.{airflow.name}.extra: the volumes '{other}' and '{name}' are both at {path} in the pods "
                    f"of {part}. Give one another path"
                )
            paths[path] = name


def _why_not_there(path: str) -> str | None:
    parts = path.strip("/").split("/")
    if not all(part.strip(".") for part in parts):
        return "has a part that is empty or only dots"
    normal = "/" + "/".join(parts)
    for own in (*OWN_FOLDERS, *SYSTEM_FOLDERS):
        if normal == own or normal.startswith(f"{own}/"):
            return f"is in {own}, which is " + ("the platform's" if own in OWN_FOLDERS else "the system's")
        if own.startswith(f"{normal}/"):
            return f"would hide {own}, which the containers need"
    return None


def _variable_is_secret(name: str, value: str) -> bool:
    if name.startswith("AIRFLOW_CONN_"):
        return True
    if name.upper().endswith(PATH_ENDINGS) or name == "GOOGLE_APPLICATION_CREDENTIALS":
        return looks_secret("", value)
    if option := OPTION_VARIABLE.fullmatch(name):
        return is_secret(option[1].lower(), option[2].lower(), value)
    return looks_secret(name, value)


def _own_secret(where: str, name: str) -> str:
    return f"{where}: '{name}' holds keys of the platform, which nothing else may read. Name a Secret of your own"


def _command(airflow: str, name: str) -> str:
    return f"pulumi config set --secret --path 'airflow-platform:secrets.{airflow}.env.{name}'"
