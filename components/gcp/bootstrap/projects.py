"""The projects: which of Google's APIs are on in each, and the service agents that other resources name.

Deliberately not here: the projects themselves, their billing and their organisation's policies, which exist before.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

_CALLED_BY_DEPLOYERS: Final = (
    "cloudresourcemanager",  # the projects' IAM policies
    "dns",
    "gkebackup",
    "iam",
    "iamcredentials",  # short-lived tokens
    "monitoring",  # dashboards; Google's collectors write to it, too
    "secretmanager",
    "servicenetworking",  # private services access, for Cloud SQL
    "serviceusage",
    "sqladmin",
    "storage",
)
ENVIRONMENT_SERVICES: Final = (
    *_CALLED_BY_DEPLOYERS,
    "artifactregistry",
    "binaryauthorization",
    "cloudkms",
    "compute",
    "container",
    "containerfilesystem",  # image streaming
    "containersecurity",  # GKE's security posture
    "logging",
)
"""Of an environment's project; each with ``.googleapis.com`` behind it."""
ORGANISATION_SERVICES: Final = (
    # Google counts some calls on the project of the service account that makes them, and wants the API to be on there:
    # https://cloud.google.com/docs/quotas/quota-project
    *_CALLED_BY_DEPLOYERS,
    "artifactregistry",
    "binaryauthorization",
    "cloudkms",
    "logging",
    "sts",  # takes GitHub's tokens
)
"""Of the organisation's project. Not ``compute`` and ``container``: they would bring a default network and default
service accounts into the project that holds the keys."""
SCANNING_SERVICE: Final = "containerscanning"


@dataclass(frozen=True)
class Environment:
    """One environment: the name of its stack, and the id and number of its project, which others may share.

    ``ephemeral_stacks``: its deployer may make stacks ``<name>-…`` and delete what holds data.
    """

    name: str
    project: str
    project_number: str
    ephemeral_stacks: bool = False


def numbers(environments: tuple[Environment, ...]) -> dict[str, str]:
    """The number of each project, once, however many environments are in it."""
    return {environment.project: environment.project_number for environment in environments}


@dataclass(frozen=True)
class ProjectsArgs:
    """Arguments of ``Projects``. ``project`` is the organisation's own. ``scan``: images are looked through."""

    project: str
    environments: tuple[Environment, ...]
    scan: bool = True


class Projects(pulumi.ComponentResource):
    """APIs and service agents. An API is never switched off again: others may have come to rely on it."""

    gke_agents: Mapping[str, pulumi.Output[str]]
    """By project: who, in GKE, encrypts with the project's key."""

    def __init__(self, name: str, args: ProjectsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Projects", name, None, opts)
        scanning = (SCANNING_SERVICE,) if args.scan else ()
        self._switch_on(args.project, (*ORGANISATION_SERVICES, *scanning))
        self.gke_agents = {
            project: self._gke_agent(project, number, self._switch_on(project, ENVIRONMENT_SERVICES))
            for project, number in numbers(args.environments).items()
        }
        self.register_outputs({"gkeAgents": dict(self.gke_agents)})

    def _switch_on(self, project: str, services: tuple[str, ...]) -> list[gcp.projects.Service]:
        return [
            gcp.projects.Service(
                f"{project}-{service}",
                project=project,
                service=f"{service}.googleapis.com",
                disable_on_destroy=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for service in services
        ]

    def _gke_agent(self, project: str, number: str, on: list[gcp.projects.Service]) -> pulumi.Output[str]:
        # Google makes the agent some time after the API is on; a role for one that does not exist yet is refused.
        agent = gcp.projects.ServiceIdentity(
            f"{project}-gke-agent",
            project=project,
            service="container.googleapis.com",
            opts=pulumi.ResourceOptions(parent=self, depends_on=on),
        )
        # By its documented name: the API does not always say it.
        # https://cloud.google.com/kubernetes-engine/docs/how-to/encrypting-secrets
        return agent.service.apply(
            lambda _: f"serviceAccount:service-{number}@container-engine-robot.iam.gserviceaccount.com"
        )
