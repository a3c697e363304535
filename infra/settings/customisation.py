"""Settings that add to an Airflow what the platform has no setting for: environment, volumes, containers, options.

Only what Pod Security `restricted` allows has a key here, so nothing that is written with them can break it
(https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted).
"""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import MOUNTABLE_NAME, Cpu, Quantity, SettingsModel

ObjectName = Annotated[str, StringConstraints(pattern=MOUNTABLE_NAME, max_length=253)]
ObjectKey = Annotated[str, StringConstraints(pattern=r"^[-._A-Za-z0-9]+$", max_length=253)]


class GivenSecret(SettingsModel):
    """The value that stands, encrypted, in ``secrets.<airflow>.env`` under the variable's name."""

    kind: Literal["secret"]


class ExistingSecretKey(SettingsModel):
    """A key of a Secret that somebody else keeps in the Airflow's namespace."""

    kind: Literal["existing-secret"]
    name: ObjectName
    key: ObjectKey


class ConfigMapKey(SettingsModel):
    """A key of a ConfigMap that somebody else keeps in the Airflow's namespace."""

    kind: Literal["config-map"]
    name: ObjectName
    key: ObjectKey


EnvSource = Annotated[GivenSecret | ExistingSecretKey | ConfigMapKey, Field(discriminator="kind")]


class _Volume(SettingsModel):
    path: Annotated[str, StringConstraints(pattern=r"^/[^\s:]+$")]
    """Where containers see it."""


class ConfigMapVolume(_Volume):
    """A ConfigMap as files, read-only."""

    kind: Literal["config-map"]
    name: ObjectName


class SecretVolume(_Volume):
    """A Secret as files, read-only, for the pod's group."""

    kind: Literal["secret"]
    name: ObjectName


class EmptyDirVolume(_Volume):
    """A place to write on the node's disk that goes with the pod."""

    kind: Literal["empty-dir"]
    size: Quantity = "1Gi"
    """A pod that needs more is evicted."""


class ClaimVolume(_Volume):
    """A PersistentVolumeClaim that somebody else keeps in the Airflow's namespace."""

    kind: Literal["claim"]
    name: ObjectName
    read_only: bool = True


class CsiVolume(_Volume):
    """What a CSI driver that the cluster has makes for each pod, e.g. files of Google's Secret Manager. Read-only."""

    kind: Literal["csi"]
    driver: ObjectName
    attributes: dict[str, str] = Field(default_factory=dict)


ExtraVolume = Annotated[
    ConfigMapVolume | SecretVolume | EmptyDirVolume | ClaimVolume | CsiVolume, Field(discriminator="kind")
]


class SidecarResources(SettingsModel):
    """What a sidecar asks for and may use at most."""

    cpu: Cpu = "50m"
    memory: Quantity = "64Mi"
    cpu_limit: Cpu = "500m"
    memory_limit: Quantity = "256Mi"


class Sidecar(SettingsModel):
    """A container beside the part's own. It starts before it, ends after it, and sees the part's extra volumes.

    A native sidecar, so Jobs and tasks end although it is still running
    (https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/).
    """

    image: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][A-Za-z0-9._/:@-]+$")]
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    env_from: dict[str, EnvSource] = Field(default_factory=dict)
    resources: SidecarResources = SidecarResources()
    user: Annotated[int, Field(ge=1)] | None = None
    """None: Airflow's, 50000."""


class PodExtra(SettingsModel):
    """What the pods of one part get on top."""

    env: dict[str, str] = Field(default_factory=dict)
    """Plain values, nothing that is secret."""
    env_from: dict[str, EnvSource] = Field(default_factory=dict)
    volumes: dict[str, ExtraVolume] = Field(default_factory=dict)
    containers: dict[str, Sidecar] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


class Extra(SettingsModel):
    """What the parts of an Airflow get on top of what the platform gives them. What is said for fewer parts wins."""

    all: PodExtra = PodExtra()
    """Every component, every Job, every task's pod."""
    components: PodExtra = PodExtra()
    """Every component and every Job, no task."""
    api_server: PodExtra = PodExtra()
    scheduler: PodExtra = PodExtra()
    dag_processor: PodExtra = PodExtra()
    triggerer: PodExtra = PodExtra()
    jobs: PodExtra = PodExtra()
    """The migration and what else runs to its end in the Airflow's namespace."""
    task: PodExtra = PodExtra()
    """Pods of single tasks, with the KubernetesExecutor."""
    worker: PodExtra = PodExtra()
    """Celery workers, which run many tasks each."""
    config: dict[str, dict[str, str]] = Field(default_factory=dict)
    """Options for airflow.cfg, by section. They win over the platform's defaults and over ``airflow_cfg``."""
    airflow_cfg: str | None = None
    """A whole airflow.cfg of one's own. What the platform must own in it is left out."""


PART_FIELDS = {
    "api-server": "api_server",
    "scheduler": "scheduler",
    "dag-processor": "dag_processor",
    "triggerer": "triggerer",
    "jobs": "jobs",
    "components": "components",
    "task": "task",
    "worker": "worker",
}
"""The parts that can be told apart, and their fields in ``Extra``; ``components`` stands for all other components."""


def for_part(extra: Extra, part: str) -> PodExtra:
    """Everything that the pods of ``part`` get, from the general to the particular."""
    own: PodExtra = getattr(extra, PART_FIELDS[part])
    env: dict[str, str] = {}
    env_from: dict[str, EnvSource] = {}
    layers = [extra.all, *([] if part == "task" else [extra.components]), own]
    for layer in layers:
        # A variable has one source: the particular one.
        env = {name: value for name, value in env.items() if name not in layer.env_from} | layer.env
        env_from = {name: source for name, source in env_from.items() if name not in layer.env} | layer.env_from
    return PodExtra.model_construct(
        env=env,
        env_from=env_from,
        volumes={name: volume for layer in layers for name, volume in layer.volumes.items()},
        containers={name: container for layer in layers for name, container in layer.containers.items()},
        labels={key: value for layer in layers for key, value in layer.labels.items()},
        annotations={key: value for layer in layers for key, value in layer.annotations.items()},
    )
