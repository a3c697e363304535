"""One Artifact Registry for all stacks: our own images, and copies of the public ones that the platform uses.

Deliberately not here: which images a cluster may run, which is the admission's concern.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp
from pulumi_gcp.artifactregistry import RepositoryRemoteRepositoryConfigArgsDict

from components.gcp.naming import IMAGES_REPOSITORY, PULL_THROUGH

DAY_SECONDS: Final = 24 * 3600
READER: Final = "roles/artifactregistry.reader"
WRITER: Final = "roles/artifactregistry.writer"


def upstream(registry: str) -> RepositoryRemoteRepositoryConfigArgsDict:
    """How Artifact Registry reaches a public ``registry``, one of ``PULL_THROUGH``.

    Docker Hub has a name of its own; what is on Google's own registries is named by its repository; the rest by URL
    (https://cloud.google.com/artifact-registry/docs/repositories/remote-repo).
    """
    if registry == "docker.io":
        return {"description": registry, "docker_repository": {"public_repository": "DOCKER_HUB"}}
    host, _, project = registry.partition("/")
    # gcr.io/<project> is the repository gcr.io of that project, in the multi-region us.
    uri = f"projects/{project}/locations/us/repositories/{host}" if project else f"https://{registry}"
    return {"description": registry, "common_repository": {"uri": uri}}


@dataclass(frozen=True)
class RegistryArgs:
    """Arguments of ``Registry``. ``readers`` pull everything, ``writers`` push to our own images, by a label each.

    An image without a tag goes when it is older than ``untagged_days`` and not among the ``newest_kept`` of its name.
    """

    project: str
    region: str
    readers: Mapping[str, pulumi.Input[str]]
    writers: Mapping[str, pulumi.Input[str]]
    untagged_days: int = 30
    newest_kept: int = 20
    scan: bool = True


class Registry(pulumi.ComponentResource):
    """A repository for our images, and one for each public registry."""

    repositories: Mapping[str, pulumi.Output[str]]
    """Ids by what they hold: ``images``, ``docker.io``."""

    def __init__(self, name: str, args: RegistryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Registry", name, None, opts)
        lasting = pulumi.ResourceOptions(parent=self, protect=True)
        images = gcp.artifactregistry.Repository(
            f"{name}-{IMAGES_REPOSITORY}",
            repository_id=IMAGES_REPOSITORY,
            project=args.project,
            location=args.region,
            description="Images that CI builds",
            format="DOCKER",
            mode="STANDARD_REPOSITORY",
            # A version says the same for ever: who may push cannot change what a stack file already names.
            docker_config={"immutable_tags": True},
            # Stacks name images by tag and digest, tags cannot be moved, and nothing with a tag is ever deleted: so
            # nothing that a stack uses is.
            cleanup_policies=[
                {
                    "id": "keep-newest",
                    "action": "KEEP",
                    "most_recent_versions": {"keep_count": args.newest_kept},
                },
                {
                    "id": "delete-untagged",
                    "action": "DELETE",
                    "condition": {
                        "tag_state": "UNTAGGED",
                        "older_than": f"{args.untagged_days * DAY_SECONDS}s",
                    },
                },
            ],
            cleanup_policy_dry_run=False,
            vulnerability_scanning_config={"enablement_config": "INHERITED" if args.scan else "DISABLED"},
            opts=lasting,
        )
        copies = {
            registry: gcp.artifactregistry.Repository(
                f"{name}-{repository}",
                repository_id=repository,
                project=args.project,
                location=args.region,
                description=f"Copies of what the platform uses of {registry}",
                format="DOCKER",
                mode="REMOTE_REPOSITORY",
                remote_repository_config=upstream(registry),
                # No cleanup: a copy that a stack uses may be older than any limit, and gone where it came from.
                vulnerability_scanning_config={
                    "enablement_config": "DISABLED"
                },  # billed by image, and not ours to mend
                opts=lasting,
            )
            for registry, repository in PULL_THROUGH.items()
        }
        made = {IMAGES_REPOSITORY: images, **copies}
        self.repositories = {held: repository.repository_id for held, repository in made.items()}
        grants = [(held, label, READER, member) for held in made for label, member in args.readers.items()]
        grants += [(IMAGES_REPOSITORY, label, WRITER, member) for label, member in args.writers.items()]
        for held, label, role, member in grants:
            gcp.artifactregistry.RepositoryIamMember(
                f"{name}-{PULL_THROUGH.get(held, held)}-{label}",
                project=args.project,
                location=args.region,
                repository=self.repositories[held],
                role=role,
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"repositories": dict(self.repositories)})


def all_service_accounts(project_number: str) -> str:
    """Everyone who is a service account of that project: nodes of clusters that don't exist yet, too.

    https://cloud.google.com/iam/docs/principal-identifiers
    """
    return f"principalSet://cloudresourcemanager.googleapis.com/projects/{project_number}/type/ServiceAccount"
