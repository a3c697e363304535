"""What an Airflow's pods and configuration get by hand, on top of what the platform gives them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.task_logs import Sections
from components.workload import Container, Mount, Pod, checksum, metadata

ENV_SECRET = "extra-env"  # noqa: S105 (a name)
JOBS = "jobs"
COMPONENTS = "components"
MODULE_PATH = "PYTHONPATH"


@dataclass(frozen=True)
class PodAdditions:
    """What is added to a pod: ``env`` and ``mounts`` to its own containers, ``sidecars`` beside them."""

    env: tuple[EnvVarArgsDict, ...] = ()
    mounts: tuple[Mount, ...] = ()
    sidecars: tuple[Container, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Customisation:
    """Additions by part; ``components`` is for those that have none of their own here."""

    parts: Mapping[str, PodAdditions] = field(default_factory=dict)
    secret_env: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    """Secret values of environment variables, by name."""
    config: Sections = field(default_factory=dict)
    """Options that win over the platform's own in airflow.cfg."""

    def of(self, part: str) -> PodAdditions:
        """What the pods of ``part`` get."""
        return self.parts.get(part) or self.parts.get(COMPONENTS) or PodAdditions()


def make_env_secret(
    name: str, given: Customisation, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """The Secret with the values of ``given.secret_env``, where there are any."""
    if not given.secret_env:
        return []
    return [
        kubernetes.core.v1.Secret(
            f"{name}-extra-env",
            metadata=metadata(ENV_SECRET, namespace),
            string_data=given.secret_env,
            opts=pulumi.ResourceOptions(parent=parent),
        )
    ]


def env_checksum(given: Customisation, key: pulumi.Output[str]) -> dict[str, pulumi.Input[str]]:
    """A checksum that rolls what has the secret values in its environment."""
    if not given.secret_env:
        return {}
    return {"extra-env": checksum(key, *(given.secret_env[name] for name in sorted(given.secret_env)))}


def added(pod: Pod, additions: PodAdditions) -> Pod:
    """``pod`` with ``additions``. A variable that the pod has already gets the new value; PYTHONPATH is prolonged."""
    return dataclasses.replace(
        pod,
        labels={**additions.labels, **pod.labels},
        annotations={**additions.annotations, **pod.annotations},
        # Last, so the platform's own (the way to the database, the DAGs) are there before them.
        init_containers=[*pod.init_containers, *additions.sidecars],
        containers=[
            dataclasses.replace(
                container,
                env=_environment([*container.env], additions.env),
                mounts=[*container.mounts, *additions.mounts],
            )
            for container in pod.containers
        ],
    )


def _environment(own: list[EnvVarArgsDict], additional: tuple[EnvVarArgsDict, ...]) -> list[EnvVarArgsDict]:
    before = {variable["name"]: variable for variable in own}
    for variable in additional:
        name = variable["name"]
        earlier = before.get(name)
        if name == MODULE_PATH and earlier and "value" in earlier and "value" in variable:
            before[name] = {"name": name, "value": f"{earlier['value']}:{variable['value']}"}
        else:
            before[name] = variable
    return list(before.values())
