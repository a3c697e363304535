"""DAGs as versioned bundles of Airflow's own: a run keeps the version that it began with.

Whatever reads DAG files gets the version that it needs by itself, into a folder of its pod. Airflow's bundles:
https://airflow.apache.org/docs/apache-airflow/stable/administration-and-deployment/dag-bundles.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi

from components.airflow.git_sync import key_file
from components.workload import Mount, scratch

STORAGE: Final = "/opt/airflow/bundles"
CONNECTION_ID: Final = "dags_git"
CONNECTION_VARIABLE: Final = f"AIRFLOW_CONN_{CONNECTION_ID.upper()}"
KNOWN_HOSTS: Final = "known_hosts"
"""The file with the git server's keys, beside airflow.cfg."""
GIT_CLASS: Final = "airflow.providers.git.bundles.git.GitDagBundle"
ARTIFACT_CLASS: Final = "airflow_platform_bundles.artifact.ArtifactDagBundle"
"""In the image: dags-image/airflow_platform_bundles."""


@dataclass(frozen=True)
class GitBundle:
    """DAGs in ``subpath`` of a git ``repository``; new runs begin with the newest commit of ``ref``.

    ``repository`` is reached over https, or over ssh if its address begins otherwise; then only the keys in
    ``known_hosts`` are accepted. ``volume_size`` is the most that a pod's copies may take of a node's disk.
    """

    repository: str
    ref: str = "main"
    subpath: str = "dags"
    username: str = "git"
    known_hosts: Sequence[str] = ()
    period_seconds: int = 30
    volume_size: str = "1Gi"

    @property
    def storage(self) -> Mount:
        """Where a pod keeps its copies."""
        return storage(self.volume_size)

    @property
    def kwargs(self) -> Mapping[str, object]:
        """Arguments of the bundle's class. The address is in the connection alone: without it nothing is reached, least
        of all a server whose key nobody has checked."""
        subdir = {} if self.subpath == "." else {"subdir": self.subpath}
        return {
            "git_conn_id": CONNECTION_ID,
            "tracking_ref": self.ref,
            **subdir,
            "refresh_interval": self.period_seconds,
        }

    @property
    def files(self) -> Mapping[str, str]:
        """What all pods need to know of the server, and is no secret."""
        return {KNOWN_HOSTS: "".join(f"{line}\n" for line in self.known_hosts)} if self.known_hosts else {}

    def connection(
        self, files_folder: str, token: pulumi.Output[str] | None, ssh_key: pulumi.Output[str] | None
    ) -> pulumi.Output[str]:
        """The Airflow connection ``CONNECTION_ID`` as JSON, with the login of the secrets given; secret.

        ``files_folder`` is where pods see ``files``.
        """
        known = {"strict_host_key_checking": "yes", "known_hosts_file": f"{files_folder}/{KNOWN_HOSTS}"}

        def described(token: str | None, ssh_key: str | None) -> str:
            described: dict[str, object] = {"conn_type": "git", "host": self.repository}
            if not self.repository.startswith("https://"):
                described["extra"] = {**known, **({"private_key": key_file(ssh_key)} if ssh_key else {})}
            elif token:
                described |= {"login": self.username, "password": token}
            return json.dumps(described)

        return pulumi.Output.secret(pulumi.Output.all(token, ssh_key).apply(lambda given: described(*given)))


@dataclass(frozen=True)
class ArtifactStore:
    """DAGs as tarballs under ``prefix`` in a ``bucket`` that the pods' identities may read.

    ``endpoint`` is another server than Google's, which is asked without a login.
    """

    bucket: str
    prefix: str = "dags"
    endpoint: str | None = None
    period_seconds: int = 30
    volume_size: str = "1Gi"

    @property
    def storage(self) -> Mount:
        """Where a pod keeps its unpacked versions."""
        return storage(self.volume_size)

    @property
    def kwargs(self) -> Mapping[str, object]:
        """Arguments of the bundle's class."""
        endpoint = {"endpoint": self.endpoint} if self.endpoint else {}
        return {"bucket": self.bucket, "prefix": self.prefix, **endpoint, "refresh_interval": self.period_seconds}


def storage(size: str) -> Mount:
    """A pod's own folder for bundles. Not under /tmp, which anything may fill."""
    return Mount(
        {**scratch("dag-bundles", STORAGE).volume, "empty_dir": {"size_limit": size}}, STORAGE, read_only=False
    )
