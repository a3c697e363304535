"""Names on Google Cloud that more than one stack must agree on, and the limits that Google sets on names.

What the bootstrap stack makes is found by its name, so an environment needs no reference to another stack's state.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

ACCOUNT_ID_LIMIT: Final = 30
"""Characters of a service account's id, at least 6 (IAM API, projects.serviceAccounts.create)."""
BUCKET_LIMIT: Final = 63
"""Characters of a bucket's name without dots (https://cloud.google.com/storage/docs/buckets#naming)."""

IMAGES_REPOSITORY: Final = "images"
"""The repository of our own images."""
KEY_RING: Final = "airflow-platform"
PULL_THROUGH: Final = {
    "docker.io": "docker-hub",
    "quay.io": "quay",
    "docker.elastic.co": "elastic",
    "registry.k8s.io": "kubernetes",
    "gcr.io/cloud-sql-connectors": "cloud-sql-connectors",
}
"""The pull-through repository for each public registry that the platform's images come from."""

BACKUP_READER: Final = "airflowPlatformBackupReader"
"""The role of our own, in each environment's project, that lists the backups of a database and does nothing else."""


@dataclass(frozen=True)
class Organisation:
    """What all environments share: made once by the bootstrap stack in ``project``, in ``region``."""

    project: str
    region: str

    @property
    def registry(self) -> str:
        """The Artifact Registry's address, without a repository."""
        return f"{self.region}-docker.pkg.dev/{self.project}"

    @property
    def state_bucket(self) -> str:
        """The bucket that holds the state of all stacks."""
        return fitted(f"{self.project}-pulumi-state", BUCKET_LIMIT)

    def key(self, name: str) -> str:
        """The full name of the key ``name``."""
        return f"projects/{self.project}/locations/{self.region}/keyRings/{KEY_RING}/cryptoKeys/{name}"


def workload_pool(project: str) -> str:
    """What Workload Identity calls the service accounts of all clusters in ``project`` by."""
    return f"{project}.svc.id.goog"


def cluster_key(project: str) -> str:
    """The key that encrypts the Kubernetes secrets of all clusters in ``project``."""
    return f"{project}-clusters"


def secrets_key(stack: str) -> str:
    """The key that encrypts the secrets in one stack's file and state, and in those of the stacks beside it.

    One for each environment: stack files are public within the repository, so who may decrypt with the key of ``dev``
    must not be able to read the secrets of ``prod``.
    """
    return f"{stack}-pulumi-secrets"


def project_role(project: str, role_id: str) -> str:
    """The full name of a role of our own, which the bootstrap stack has defined in ``project``."""
    return f"projects/{project}/roles/{role_id}"


def fitted(name: str, limit: int) -> str:
    """``name`` in at most ``limit`` characters. A longer one is cut and ends in a checksum of the whole, so that two
    names that differ stay different."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{name[: limit - 7].rstrip('-')}-{digest}"


def account_id(*parts: str) -> str:
    """The id of a service account, unique within its project if ``parts`` are."""
    return fitted("-".join(parts), ACCOUNT_ID_LIMIT)


def bucket_name(*parts: str) -> str:
    """A bucket's name; the first of ``parts`` is the project, because bucket names are unique in the whole world."""
    return fitted("-".join(parts), BUCKET_LIMIT)
