"""From settings to components: what an Airflow gets by hand, the shapes of its tasks, its backfill lane."""

from collections.abc import Mapping

import pulumi
from pulumi_kubernetes.core.v1 import EnvVarArgsDict, VolumeArgsDict

from components.airflow.customisation import ENV_SECRET, Customisation, PodAdditions
from components.airflow.task_shapes import BackfillLane, TaskShape
from components.gcp.node_pools import TASK_POOL_LABEL
from components.workload import Container, Mount, Nodes, Resources, config_volume, scratch, secret_env, secret_volume
from infra.settings.airflow import AirflowSettings, ProvidedSecrets
from infra.settings.configuration_rules import merged
from infra.settings.customisation import (
    PART_FIELDS,
    ClaimVolume,
    ConfigMapKey,
    ConfigMapVolume,
    CsiVolume,
    EmptyDirVolume,
    EnvSource,
    ExistingSecretKey,
    ExtraVolume,
    GivenSecret,
    PodExtra,
    SecretVolume,
    Sidecar,
    for_part,
)


def customisation(airflow: AirflowSettings, secrets: ProvidedSecrets) -> Customisation:
    """What ``airflow`` gets by hand. Says which options of its airflow.cfg are not taken over."""
    config, left_out = merged(airflow.extra.config, airflow.extra.airflow_cfg)
    if left_out:
        pulumi.log.info(
            f"airflows.{airflow.name}.extra.airflowCfg: the platform keeps its own {', '.join(sorted(left_out))}"
        )
    return Customisation(
        parts={part: _additions(for_part(airflow.extra, part)) for part in PART_FIELDS},
        secret_env={
            name: pulumi.Output.secret(value.get_secret_value()) for name, value in (secrets.env or {}).items()
        },
        config=config,
    )


def task_nodes(pool: str) -> Nodes:
    """The nodes of a task pool: labelled with its name, and tainted so that no other pod runs there."""
    return Nodes({TASK_POOL_LABEL: pool}, {TASK_POOL_LABEL: pool})


def task_shapes(airflow: AirflowSettings) -> dict[str, TaskShape]:
    """The kinds of pods that tasks of ``airflow`` can ask for."""
    return {
        name: TaskShape(
            cpu=shape.cpu,
            memory=shape.memory,
            cpu_limit=shape.cpu_limit,
            memory_limit=shape.memory_limit,
            nodes=task_nodes(shape.task_pool) if shape.task_pool else None,
            image=shape.image,
        )
        for name, shape in airflow.task_shapes.items()
    }


def backfill_lane(airflow: AirflowSettings) -> BackfillLane | None:
    """The lane for backfills, if ``airflow`` has one."""
    if airflow.backfill is None:
        return None
    pool = airflow.backfill.task_pool
    return BackfillLane(airflow.backfill.slots, task_nodes(pool) if pool else None)


def _additions(extra: PodExtra) -> PodAdditions:
    mounts = tuple(_mount(name, volume) for name, volume in extra.volumes.items())
    return PodAdditions(
        env=_environment(extra.env, extra.env_from),
        mounts=mounts,
        sidecars=tuple(_sidecar(name, sidecar, mounts) for name, sidecar in extra.containers.items()),
        labels=extra.labels,
        annotations=extra.annotations,
    )


def _environment(plain: Mapping[str, str], sources: Mapping[str, EnvSource]) -> tuple[EnvVarArgsDict, ...]:
    values: list[EnvVarArgsDict] = [{"name": name, "value": value} for name, value in plain.items()]
    return (*values, *(_from(name, source) for name, source in sources.items()))


def _from(name: str, source: EnvSource) -> EnvVarArgsDict:
    match source:
        case GivenSecret():
            return secret_env(name, ENV_SECRET, name)
        case ExistingSecretKey():
            return secret_env(name, source.name, source.key)
        case ConfigMapKey():
            return {"name": name, "value_from": {"config_map_key_ref": {"name": source.name, "key": source.key}}}


def _mount(name: str, volume: ExtraVolume) -> Mount:
    own_name = f"extra-{name}"
    match volume:
        case ConfigMapVolume():
            return Mount(config_volume(own_name, volume.name), volume.path)
        case SecretVolume():
            return Mount(secret_volume(own_name, volume.name), volume.path)
        case EmptyDirVolume():
            return Mount({"name": own_name, "empty_dir": {"size_limit": volume.size}}, volume.path, read_only=False)
        case ClaimVolume():
            claim: VolumeArgsDict = {"name": own_name, "persistent_volume_claim": {"claim_name": volume.name}}
            return Mount(claim, volume.path, read_only=volume.read_only)
        case CsiVolume():
            csi: VolumeArgsDict = {
                "name": own_name,
                "csi": {"driver": volume.driver, "read_only": True, "volume_attributes": volume.attributes},
            }
            return Mount(csi, volume.path)


def _sidecar(name: str, sidecar: Sidecar, mounts: tuple[Mount, ...]) -> Container:
    resources = sidecar.resources
    return Container(
        name=name,
        image=sidecar.image,
        resources=Resources(resources.cpu, resources.memory, resources.cpu_limit, resources.memory_limit),
        command=sidecar.command,
        args=sidecar.args,
        env=_environment(sidecar.env, sidecar.env_from),
        mounts=[*mounts, scratch(f"extra-tmp-{name}", "/tmp")],
        user=sidecar.user,
        # A native sidecar: one beside the containers proper would keep a task's pod or a Job's running for ever.
        restart_policy="Always",
    )
