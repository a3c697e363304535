"""Settings of where the DAGs of one Airflow come from, and of the image that runs them."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import Quantity, SettingsModel

KNOWN_HOST = r"^(@(cert-authority|revoked) )?[^\s@#]\S* (ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/]+=*( .*)?$"
"""One line of a ``known_hosts`` file: hosts, kind of key, key (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT)."""
SUBPATH = r"^(\.|[A-Za-z0-9_][A-Za-z0-9._/-]{0,199})$"
"""A folder in a repository; ``.`` is all of it."""
BUCKET = r"^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$"
PUBLISHER = r"^(user|group|serviceAccount|principal|principalSet):\S+$"
"""Whom IAM policies name (https://cloud.google.com/iam/docs/principal-identifiers); never the public."""


class AirflowImage(SettingsModel):
    """The image that all components and tasks run: Airflow, and what the DAGs need. The same keys in every delivery.

    A promotion is a changed ``version`` (and ``digest``) in the stack file, so a preview shows it.
    """

    repository: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._/:-]*[a-z0-9]$")] | None = None
    """Where the image is, without tag. None, on Google Cloud: the image ``dags`` of the organisation's registry."""
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
    """The tag, as ``git describe --always`` says it. At most 63 characters: it is a label on every pod."""
    digest: Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")] | None = None
    """Pins the image's content. Without it the tag is trusted."""


class ImageDags(AirflowImage):
    """DAGs baked into the image: its version is theirs."""

    kind: Literal["image"]


class GitSource(SettingsModel):
    """DAGs in a git repository. What a private one needs to know stands under ``secrets``."""

    repository: str
    """``https://host/path``, ``ssh://git@host/path`` or ``git@host:path``. An https one holds no user name or token."""
    ref: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}$")] = "main"
    """A branch or tag. A whole commit hash works too, and pins the DAGs."""
    subpath: Annotated[str, StringConstraints(pattern=SUBPATH)] = "dags"
    """The folder in the repository that Airflow looks for DAGs in; ``.`` is all of it."""
    depth: Annotated[int, Field(ge=0)] = 1
    """How many commits of history come along; 0: all."""
    username: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._@+-]{1,64}$")] | None = None
    """Goes with the token. None: ``git``, which servers that only look at the token accept."""
    known_hosts: tuple[Annotated[str, StringConstraints(pattern=KNOWN_HOST)], ...] = ()
    """The server's public keys for ssh, lines of a ``known_hosts`` file. Others are refused."""


class GithubApp(SettingsModel):
    """A GitHub App that is installed where the DAGs' repository is, and may read it. Its key stands under ``secrets``.

    https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app
    """

    client_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.]{1,64}$")]
    """As the app's page shows it: ``Iv1.…``."""
    installation_id: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,20}$")]
    """The number at the end of the installation's address."""
    base_url: Annotated[str, StringConstraints(pattern=r"^https://[^@\s]+$")] | None = None
    """The API of a GitHub Enterprise Server. None: github.com's."""


class GitSyncDags(AirflowImage):
    """DAGs from a git repository by git-sync, beside the image: a push is a deployment.

    All tasks run what is newest when they start, also those of runs that began before.
    """

    kind: Literal["git-sync"]
    git: GitSource
    github_app: GithubApp | None = None
    """Signs in to the repository as an app, in place of a token."""
    ca_certificates: Annotated[str, StringConstraints(max_length=100_000)] | None = None
    """Certificates (PEM) of the authority that vouches for the server, where no public one does. Over https."""
    plugins: Annotated[str, StringConstraints(pattern=SUBPATH)] | None = None
    """The folder in the repository with Airflow plugins. None: those of the image."""
    period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Between two looks at the repository."""
    stale_worktree_seconds: Annotated[int, Field(ge=0, le=7 * 86400)] | None = None
    """How long an earlier commit's files stay for who has them open: tasks of workers and of the LocalExecutor. None:
    as long as the longest task of a worker; 6 hours with the LocalExecutor; else 10 minutes."""
    max_failures: Annotated[int, Field(ge=-1, le=10_000)] = -1
    """Looks in a row that may fail until git-sync starts anew; -1: any number. Until it has found back after that, its
    pod is not ready."""
    volume_size: Quantity = "1Gi"
    """The most that a pod's copy of the repository may take of its node's disk."""


class GitBundleDags(AirflowImage):
    """DAGs from a git repository by Airflow itself, beside the image: a push is a deployment.

    A run keeps the commit that it began with: its tasks clone the repository and check that commit out.
    """

    kind: Literal["git-bundle"]
    git: GitSource
    period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Between two looks at the repository."""
    volume_size: Quantity = "1Gi"
    """The most that a pod's copies of the repository may take of its node's disk."""


class ArtifactDags(AirflowImage):
    """DAGs from tarballs in a Google Cloud Storage bucket, beside the image: publishing one is a deployment.

    A run keeps the version that it began with. Going back is moving the pointer to an earlier one.
    """

    kind: Literal["artifact"]
    bucket: Annotated[str, StringConstraints(pattern=BUCKET)] | None = None
    """None: one for this Airflow's DAGs alone, made where the settings name a Google project; its pods only read it."""
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9._/-]{0,199}$")] = "dags"
    """The folder in the bucket."""
    publishers: tuple[Annotated[str, StringConstraints(pattern=PUBLISHER)], ...] = ()
    """Who may publish into the bucket that is made here, as IAM names them: ``group:…``, ``serviceAccount:…``."""
    endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^@/\s]+$")] | None = None
    """Another server than Google's, an emulator's for instance, which is asked without a login."""
    period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Between two looks at the pointer."""
    volume_size: Quantity = "1Gi"
    """The most that a pod's unpacked versions may take of its node's disk."""


Dags = Annotated[ImageDags | GitSyncDags | GitBundleDags | ArtifactDags, Field(discriminator="kind")]
