"""git-sync (https://github.com/kubernetes/git-sync): a copy of a git repository beside what reads its DAGs.

Flags and behaviour are those of v4.5, as its manual (README.md) and, where that is silent, its main.go say. Readers use
the link ``current`` alone: git-sync checks a new commit out beside it and then turns the link, so they see one commit
or the other.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

import pulumi
from pulumi_kubernetes.core.v1 import (
    EnvVarArgsDict,
    ProbeArgsDict,
    VolumeArgsDict,
)

from components.workload import Container, Mount, Resources, scratch, secret_volume

NAME: Final = "git-sync"
ROOT: Final = "/opt/airflow/git"
LINK: Final = "current"
HTTP_PORT: Final = 9802
SECRET: Final = "git"  # noqa: S105 (a name)
SECRET_FOLDER: Final = "/run/secrets/git"  # noqa: S105 (a folder)

USER: Final = 65533
"""Of the image, which has it in /etc/passwd: ssh starts for nobody who is not there."""
START_SECONDS: Final = 300
TASK_PERIOD_SECONDS: Final = 10
TASK_FAILURES: Final = 18
"""An outage of three minutes fails no task. Airflow itself gives up on a pod whose task has not begun after ten
(``[scheduler] task_queued_timeout``)."""
RESOURCES: Final = Resources(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="512Mi")


@dataclass(frozen=True)
class GitLogin:
    """The contents of the Secret ``git``, by file, and what leads git-sync to them: flags and environment."""

    files: Mapping[str, pulumi.Input[str]]
    flags: Sequence[str] = ()
    env: Sequence[EnvVarArgsDict] = ()


@dataclass(frozen=True)
class GithubApp:
    """A GitHub App that signs in with a private key; ``base_url`` is the API of a GitHub Enterprise Server."""

    client_id: str
    installation_id: str
    base_url: str | None = None


@dataclass(frozen=True)
class GitSync:
    """DAGs in ``subpath`` of a git ``repository``, at the newest commit of ``ref``.

    ``repository`` is reached over https, or over ssh if its address begins otherwise; then only the keys in
    ``known_hosts`` are accepted, so without any none is. ``stale_worktree_seconds`` is how long an earlier commit's
    files stay, ``max_failures`` how many looks may fail in a row until git-sync exits and is started anew (-1: any
    number; its pod is not ready from then until a look goes well), ``ca_certificates`` (PEM) who vouches for an https
    server in place of the public authorities that the image knows, ``volume_size`` the most that a copy may take of a
    node's disk. With ``plugins``, a folder in the repository, every component has a copy, because all of them load
    plugins.
    """

    image: str
    repository: str
    ref: str = "main"
    subpath: str = "dags"
    depth: int = 1
    username: str = "git"
    known_hosts: Sequence[str] = ()
    github_app: GithubApp | None = None
    ca_certificates: str | None = None
    plugins: str | None = None
    period_seconds: int = 30
    stale_worktree_seconds: int = 600
    max_failures: int = -1
    volume_size: str = "1Gi"

    @property
    def over_ssh(self) -> bool:
        """Whether the repository is reached over ssh."""
        return not self.repository.startswith("https://")

    @property
    def folder(self) -> str:
        """Where readers find the DAGs."""
        return str(PurePosixPath(ROOT, LINK, self.subpath))

    @property
    def plugins_folder(self) -> str | None:
        """Where components and tasks find the plugins; None: in the image."""
        return str(PurePosixPath(ROOT, LINK, self.plugins)) if self.plugins else None

    @property
    def readable(self) -> Mount:
        """The copy, for readers."""
        return Mount(self._volume, ROOT)

    @property
    def _volume(self) -> VolumeArgsDict:
        return {"name": "git", "empty_dir": {"size_limit": self.volume_size}}

    def login(
        self,
        token: pulumi.Output[str] | None,
        ssh_key: pulumi.Output[str] | None,
        app_key: pulumi.Output[str] | None = None,
    ) -> GitLogin | None:
        """What the repository asks for, of the secrets given; None for a public one of a public authority."""
        if self.over_ssh:
            # Without a key and known hosts ssh is refused, by the server or by ours: never is a host trusted unseen.
            files: dict[str, pulumi.Input[str]] = {"known_hosts": "".join(f"{line}\n" for line in self.known_hosts)}
            if ssh_key is not None:
                files["ssh"] = ssh_key.apply(key_file)
            key, hosts = f"{SECRET_FOLDER}/ssh", f"{SECRET_FOLDER}/known_hosts"
            return GitLogin(
                files, (f"--ssh-key-file={key}", "--ssh-known-hosts=true", f"--ssh-known-hosts-file={hosts}")
            )
        signed = self._signed_in(token, app_key)
        if self.ca_certificates is None:
            return signed
        held = signed or GitLogin({})
        # git's own, and that of git-sync itself (a Go program), which asks GitHub's API for an app's token.
        names = ("GIT_SSL_CAINFO", *(["SSL_CERT_FILE"] if self.github_app else []))
        trusted: list[EnvVarArgsDict] = [{"name": name, "value": f"{SECRET_FOLDER}/ca"} for name in names]
        return replace(held, files={**held.files, "ca": key_file(self.ca_certificates)}, env=trusted)

    def _signed_in(self, token: pulumi.Output[str] | None, app_key: pulumi.Output[str] | None) -> GitLogin | None:
        """Over https."""
        if self.github_app and app_key is not None:
            return GitLogin({"app": app_key.apply(key_file)}, tuple(_app_flags(self.github_app)))
        if token is not None:
            flags = (f"--username={self.username}", f"--password-file={SECRET_FOLDER}/token")
            return GitLogin({"token": token}, flags)
        return None

    def sidecar(self, login: GitLogin | None) -> Container:
        """Keeps the copy up to date: a native sidecar, so what comes after it in the pod finds the first one there.

        Answers on its port with an error until that is so, with 200 from then on: whether the copy is fresh is told by
        ``git_sync_count_total`` under /metrics. It wants no readiness probe: readers go on with what they have.
        """
        there: ProbeArgsDict = {"http_get": {"path": "/", "port": HTTP_PORT}, "timeout_seconds": 10}
        flags = [
            f"--period={self.period_seconds}s",
            f"--stale-worktree-timeout={self.stale_worktree_seconds}s",
            f"--max-failures={self.max_failures}",
            "--git-gc=auto",
            f"--http-bind=:{HTTP_PORT}",
            "--http-metrics",
        ]
        return Container(
            name=NAME,
            image=self.image,
            args=[*self._flags(login), *flags],
            env=login.env if login else (),
            mounts=self._mounts(login),
            user=USER,
            ports={"git-sync-http": HTTP_PORT},
            resources=RESOURCES,
            startup_probe={**there, "period_seconds": 2, "failure_threshold": START_SECONDS // 2},
            liveness_probe={**there, "period_seconds": 60, "failure_threshold": 5},
            restart_policy="Always",
        )

    def once(self, login: GitLogin | None) -> Container:
        """Makes the copy and ends: an init container for a task's pod, which reads its DAG once."""
        flags = ["--one-time", f"--period={TASK_PERIOD_SECONDS}s", f"--max-failures={TASK_FAILURES}", "--git-gc=off"]
        return Container(
            name=NAME,
            image=self.image,
            args=[*self._flags(login), *flags],
            env=login.env if login else (),
            mounts=self._mounts(login),
            user=USER,
            resources=RESOURCES,
        )

    def _flags(self, login: GitLogin | None) -> list[str]:
        return [
            f"--repo={self.repository}",
            f"--ref={self.ref}",
            f"--depth={self.depth}",
            f"--root={ROOT}",
            f"--link={LINK}",
            *(login.flags if login else ()),
        ]

    def _mounts(self, login: GitLogin | None) -> list[Mount]:
        # Its own scratch space, not the one that the pod's other containers share: the helper that git asks for the
        # token listens there.
        made = [replace(self.readable, read_only=False), scratch("git-tmp", "/tmp")]
        return [*made, Mount(secret_volume("git-login", SECRET), SECRET_FOLDER)] if login else made


def key_file(text: str) -> str:
    """A key as a file: ssh refuses one whose last line does not end, and configuration values lose that."""
    return "\n".join(text.strip().splitlines()) + "\n"


def _app_flags(app: GithubApp) -> list[str]:
    return [
        f"--github-app-client-id={app.client_id}",
        f"--github-app-installation-id={app.installation_id}",
        f"--github-app-private-key-file={SECRET_FOLDER}/app",
        *([f"--github-base-url={app.base_url}"] if app.base_url else []),
    ]
