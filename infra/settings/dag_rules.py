"""Rules between where an Airflow's DAGs come from and the secrets that are given for it.

They are here and not in the models, because no text of theirs may show a repository's address: one that is wrong may
hold a password.
"""

import base64
import binascii
import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra.settings.airflow import AirflowSettings, ProvidedSecrets
from infra.settings.base import ENCRYPTED
from infra.settings.celery import CelerySettings
from infra.settings.dags import ArtifactDags, Dags, GitBundleDags, GitSource, GitSyncDags
from infra.settings.executors import Executor

if TYPE_CHECKING:
    from infra.settings.environment import Settings

SSH_PORT = 22
SCP_FORM = re.compile(r"[A-Za-z0-9._-]+@(?P<host>[A-Za-z0-9.-]+):[^\s:]\S*")
"""``git@host:path``, as ssh's own copy program writes it (git-clone(1), GIT URLS)."""
KEY_BEGINS = re.compile(r"-----BEGIN ([A-Z]+ )?PRIVATE KEY-----")
CERTIFICATES = re.compile(r"(-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----\s*)+")
OPENSSH_MAGIC = b"openssh-key-v1\0"
"""What the key format of OpenSSH begins with; the cipher's name follows, after four bytes that say how long it is
(https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key)."""


@dataclass(frozen=True)
class Remote:
    """Who a repository's address leads to. ``login`` says whether a user name or a password stands in it that should
    not."""

    ssh: bool
    host: str
    port: int | None
    login: bool

    @property
    def known_as(self) -> str:
        """The host as ``known_hosts`` files write it."""
        return self.host if self.port in (None, SSH_PORT) else f"[{self.host}]:{self.port}"


def dag_problems(settings: "Settings") -> list[str]:
    """Everything about the delivery of DAGs that does not fit together."""
    problems: list[str] = []
    for airflow in settings.airflows:
        secrets = settings.secrets.get(airflow.name, ProvidedSecrets())
        dags = airflow.dags
        problems += _unread_problems(airflow.name, dags, secrets)
        if isinstance(dags, GitSyncDags | GitBundleDags):
            problems += _git_problems(airflow.name, dags.git, secrets)
        if isinstance(dags, GitSyncDags):
            problems += [*_git_sync_problems(airflow.name, dags, secrets), *_stale_problems(airflow, dags)]
        elif isinstance(dags, GitBundleDags):
            problems += _git_bundle_problems(airflow.name, dags)
        elif isinstance(dags, ArtifactDags):
            problems += _artifact_problems(airflow.name, dags, on_google=settings.google is not None)
    return problems


def _unread_problems(name: str, dags: Dags, secrets: ProvidedSecrets) -> Iterator[str]:
    given = {"gitToken": secrets.git_token, "gitSshKey": secrets.git_ssh_key, "githubAppKey": secrets.github_app_key}
    match dags:
        case GitSyncDags():
            return
        case GitBundleDags():
            unread, why = {"githubAppKey"}, "a GitHub App signs in for kind 'git-sync' only"
        case ArtifactDags():
            unread, why = set(given), "the DAGs of this Airflow come from a bucket"
        case _:
            unread, why = set(given), "the DAGs of this Airflow come with its image"
    for key, value in given.items():
        if key in unread and value is not None:
            yield (
                f"secrets.{name}.{key}: nothing reads it, {why}. Remove it, or choose kind 'git-sync' in "
                f"airflows.{name}.dags"
            )


def _git_sync_problems(name: str, dags: GitSyncDags, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{name}.dags"
    key = secrets.github_app_key
    if dags.plugins is not None:
        yield from _path_problems(f"{where}.plugins", dags.plugins)
        if dags.max_failures >= 0:
            yield (
                f"{where}.maxFailures: with plugins git-sync is in the api-servers' pods, too. They answer nobody "
                "while it starts anew and the repository can't be read, and running tasks fail. Remove it"
            )
    if dags.ca_certificates is not None:
        yield from _ca_problems(f"{where}.caCertificates", dags)
    if dags.github_app is None:
        if key is not None:
            yield (
                f"secrets.{name}.githubAppKey: nothing reads it, there is no {where}.githubApp. Add it with clientId "
                "and installationId, or remove the key"
            )
        return
    if not dags.git.repository.startswith("https://"):
        yield f"{where}.githubApp: signs in over https. Write the repository's address as https://host/path"
    if secrets.git_token is not None:
        yield f"secrets.{name}.gitToken: the app of {where}.githubApp signs in. Remove the one or the other"
    if key is None:
        yield (
            f"secrets.{name}.githubAppKey: is missing, and {where}.githubApp signs in with it. Set it with: "
            f"{_set(name, 'githubAppKey')} < <key file>"
        )
    elif key.get_secret_value() != ENCRYPTED and (wrong := _key_problem(key.get_secret_value())):
        yield f"secrets.{name}.githubAppKey: {wrong}"


def _stale_problems(airflow: AirflowSettings, dags: GitSyncDags) -> Iterator[str]:
    if dags.stale_worktree_seconds is None or Executor.CELERY not in airflow.executor:
        return
    longest = (airflow.celery or CelerySettings()).longest_of_all
    if dags.stale_worktree_seconds < longest:
        yield (
            f"airflows.{airflow.name}.dags.staleWorktreeSeconds: {dags.stale_worktree_seconds} is less than the "
            f"longest task of a worker, {longest} (celery.longestTaskSeconds): a push would take its files away while "
            "it runs. Leave the key out, or raise it"
        )


def _ca_problems(where: str, dags: GitSyncDags) -> Iterator[str]:
    if not dags.git.repository.startswith("https://"):
        yield f"{where}: is for https. Over ssh, git.knownHosts says which server is trusted. Remove it"
    elif "PRIVATE KEY-----" in str(dags.ca_certificates):
        yield f"{where}: holds a private key. Take it out, and replace that key where it is in use"
    elif not CERTIFICATES.fullmatch(str(dags.ca_certificates).strip()):
        yield (
            f"{where}: is no list of certificates, each from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----. "
            "Give the authority's whole PEM file"
        )


def _git_bundle_problems(name: str, dags: GitBundleDags) -> Iterator[str]:
    if "depth" in dags.git.model_fields_set:
        yield (
            f"airflows.{name}.dags.git.depth: runs of kind 'git-bundle' go back to the commit that they began with, so "
            "the whole history comes along. Remove it"
        )


def _artifact_problems(name: str, dags: ArtifactDags, *, on_google: bool) -> Iterator[str]:
    where = f"airflows.{name}.dags"
    yield from _path_problems(f"{where}.prefix", dags.prefix)
    if dags.bucket is None and dags.endpoint is not None:
        yield f"{where}.endpoint: is for a bucket that is there; the one made here is Google's. Name it under 'bucket'"
    elif dags.bucket is None and not on_google:
        yield f"{where}.bucket: is missing. Name one, or add 'google' to have one made"
    if dags.bucket is not None and dags.publishers:
        yield (
            f"{where}.publishers: are given rights on the bucket that is made here, and {dags.bucket} is yours: give "
            "them there, and remove the key"
        )


def _path_problems(where: str, path: str) -> Iterator[str]:
    if path != "." and any(part.strip(".") == "" for part in path.split("/")):
        yield f"{where}: {path} has a part that is empty or only dots. Write it without"


def _git_problems(name: str, git: GitSource, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{name}.dags.git"
    for key, path in (("ref", git.ref), ("subpath", git.subpath)):
        yield from _path_problems(f"{where}.{key}", path)
    remote = _remote(git.repository)
    if remote is None:
        yield (
            f"{where}.repository: is no address that is encrypted. Write https://host/path, ssh://git@host/path or "
            "git@host:path"
        )
        return
    if remote.login:
        yield (
            f"{where}.repository: holds a user name or password, and a stack file is no place for one. Take it out, "
            f"change it where it was valid, and set a new token with: {_set(name, 'gitToken')}"
        )
    yield from _ssh_problems(name, git, remote, secrets) if remote.ssh else _https_problems(name, git, secrets)


def _https_problems(name: str, git: GitSource, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{name}.dags.git"
    if secrets.git_ssh_key is not None:
        yield (
            f"secrets.{name}.gitSshKey: is for ssh, and {where}.repository is https. Remove it, or write the address "
            "as git@host:path"
        )
    if git.known_hosts:
        yield (
            f"{where}.knownHosts: is for ssh, and the repository's address is https, where certificates say who the "
            "server is. Remove it, or write the address as git@host:path"
        )
    token = secrets.git_token
    if token is None and git.username is not None:
        yield (
            f"{where}.username: goes with a token, and there is none. Remove it, or set one with: "
            f"{_set(name, 'gitToken')}"
        )
    if token is not None and re.search(r"\s", token.get_secret_value()):
        yield f"secrets.{name}.gitToken: has a space or a line break in it, which no token has. Set it anew without"


def _ssh_problems(name: str, git: GitSource, remote: Remote, secrets: ProvidedSecrets) -> Iterator[str]:
    where = f"airflows.{name}.dags.git"
    if secrets.git_token is not None:
        yield (
            f"secrets.{name}.gitToken: is for https, and {where}.repository is ssh. Remove it, or write the address as "
            "https://host/path"
        )
    if git.username is not None:
        yield f"{where}.username: goes with a token, over https. Write an ssh user into the address: user@host:path"
    if secrets.git_ssh_key is None:
        yield (
            f"secrets.{name}.gitSshKey: is missing, and {where}.repository is ssh. Set it with: "
            f"{_set(name, 'gitSshKey')} < <key file>; or write the address as https://host/path"
        )
    elif secrets.git_ssh_key.get_secret_value() != ENCRYPTED and (
        wrong := _key_problem(secrets.git_ssh_key.get_secret_value())
    ):
        yield f"secrets.{name}.gitSshKey: {wrong}"
    if not git.known_hosts:
        yield (
            f"{where}.knownHosts: is missing, and without it nobody can tell the server from an impostor. Add the "
            f"lines that `ssh-keyscan {remote.host}` prints, once you have compared them with what its owner publishes"
        )
    elif not any(_names(line, remote.known_as) for line in git.known_hosts):
        yield (
            f"{where}.knownHosts: has no key of {remote.known_as}, where the repository is. Add its line, or correct "
            "the repository"
        )


def _set(name: str, key: str) -> str:
    return f"pulumi config set --secret --path 'airflow-platform:secrets.{name}.{key}'"


def _remote(repository: str) -> Remote | None:
    if re.search(r"\s", repository):
        return None
    if short := SCP_FORM.fullmatch(repository):
        return Remote(ssh=True, host=short["host"].lower(), port=None, login=False)
    try:
        url = urlsplit(repository)
        host, port = url.hostname, url.port
    except ValueError:
        return None
    if url.scheme not in ("https", "ssh") or not host or len(url.path) < 2 or url.query or url.fragment:
        return None
    ssh = url.scheme == "ssh"
    # Where a token that is not escaped has a slash in it, only the sign between it and the host gives it away.
    return Remote(ssh, host, port, login=url.password is not None or (not ssh and "@" in repository))


def _names(line: str, host: str) -> bool:
    """Whether a line of ``known_hosts`` may be about ``host``. A hashed one can't be told."""
    fields = line.split()
    if fields[0].startswith("@"):
        if fields[0] == "@revoked":
            return False
        fields = fields[1:]
    if fields[0].startswith("|"):
        return True
    # Brackets, which stand around a host with a port, are no pattern here.
    return any(fnmatch.fnmatchcase(host, pattern.lower().replace("[", "[[]")) for pattern in fields[0].split(","))


def _key_problem(text: str) -> str | None:
    lines = text.strip().splitlines()
    if not lines or not KEY_BEGINS.fullmatch(lines[0].strip()) or not lines[-1].startswith("-----END "):
        return (
            "is no private key: one begins with -----BEGIN … PRIVATE KEY----- and ends with -----END … PRIVATE "
            "KEY-----. Set the whole file, not the .pub beside it"
        )
    if "ENCRYPTED" in "".join(lines[:3]) or _openssh_cipher(lines[1:-1]) not in (None, b"none"):
        return "is protected by a passphrase, and nobody is there to type it in. Use a key without one"
    return None


def _openssh_cipher(body: list[str]) -> bytes | None:
    """The cipher that protects a key in OpenSSH's format; None for other formats."""
    try:
        content = base64.b64decode("".join(body))
    except (ValueError, binascii.Error):
        return None
    if not content.startswith(OPENSSH_MAGIC):
        return None
    start = len(OPENSSH_MAGIC) + 4
    return content[start : start + int.from_bytes(content[start - 4 : start], "big")]
