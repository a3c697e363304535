"""What DAGs are delivered from, as pods: a git server over ssh and https, and an object store."""

import base64
import datetime
import os
import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from cryptography.x509.oid import NameOID
from kubernetes import client, utils

from testbed.build import run
from testbed.cluster.images import of_program
from testbed.cluster.programs import go_program
from testbed.images.recipes import GIT_SERVER, image
from testbed.object_store import BUCKET, PROGRAM, TITLE
from testbed.system import ensure_packages
from tests.cluster.looks import wait_until
from tests.cluster.platform import Platform

NAMESPACE = "stores"
GIT_HOST = f"git.{NAMESPACE}.svc.cluster.local"
GIT_PORT = 2222
HTTPS_PORT = 8443
GIT_OVER_HTTPS = (Path(__file__).parent / "git_over_https.py").read_text()
STORE_PORT = 4443
STORE_URL = f"http://store.{NAMESPACE}.svc.cluster.local:{STORE_PORT}"
DAG = """
import time

from airflow.sdk import dag, task
from shared.words import WORD


@dag(description="says {word}", schedule=None)
def pinned():
    @task
    def first():
        print("first says", WORD)
        time.sleep(40)

    @task
    def second():
        print("second says", WORD)

    first() >> second()


pinned()
"""


class Stores:
    """Both servers in a namespace of their own, and a clone of the repository that pushes to the one."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.clone = platform.folder / "delivered"
        self.dags = self.clone / "dags"
        self._keys = platform.folder / "delivery-keys"
        self._host_key, self._host_public = key_pair()
        self.client_key, self._client_public = key_pair()
        self.authority, self._https_certificate, self._https_key = certificate(GIT_HOST)
        self.token = secrets.token_urlsafe(16)

    @property
    def https_repository(self) -> str:
        """The same repository over https, which asks for :attr:`token`; :attr:`authority` vouches for the server."""
        return f"https://{GIT_HOST}:{HTTPS_PORT}/repo.git"

    @property
    def repository(self) -> str:
        """The repository's address in the cluster."""
        return f"ssh://git@{GIT_HOST}:{GIT_PORT}/srv/repo.git"

    @property
    def known_hosts(self) -> str:
        """The server's line of a ``known_hosts`` file."""
        return f"[{GIT_HOST}]:{GIT_PORT} {self._host_public}"

    def start(self) -> None:
        """Have both run, and an empty clone to write to."""
        ensure_packages(["git", "openssh-client"], self.platform.progress)
        git = image(self.platform.progress, GIT_SERVER)
        store, archive = of_program(
            PROGRAM, go_program(PROGRAM, self.platform.progress, title=TITLE), self.platform.progress
        )
        self.platform.cluster.load_image(git.archive)
        self.platform.cluster.load_image(archive)
        api = self.platform.api_client()
        airflow = self.platform.target().settings.airflows[0].dags
        over_https = {
            "name": "https",
            "image": f"{airflow.repository}:{airflow.version}",
            "command": ["python", "-c", GIT_OVER_HTTPS, str(HTTPS_PORT)],
        }
        for manifest in (
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
            _named("Secret", "git-keys", stringData=self._server_keys()),
            *_server("git", git.reference, GIT_PORT, (), [("git-keys", "/keys")], {HTTPS_PORT: over_https}),
            *_server("store", store, STORE_PORT, (f"0.0.0.0:{STORE_PORT}", STORE_URL, BUCKET), []),
        ):
            utils.create_from_dict(api, manifest)
        core = client.CoreV1Api(api)
        for name in ("git", "store"):
            wait_until(lambda name=name: _is_ready(core, name), 90, f"the server {name} runs")
        wait_until(self._answers, 30, "the git server can be reached by its Service")
        self._keys.mkdir()
        for file, text in (("client", self.client_key), ("known_hosts", f"git {self._host_public}\n")):
            (self._keys / file).write_text(text)
            (self._keys / file).chmod(0o600)
        run(["git", "init", "--quiet", "--initial-branch=main", self.clone])
        self._record("--allow-empty", "--message", "nothing yet")

    def _answers(self) -> bool:
        port = self.platform.cluster.forward(f"git.{NAMESPACE}", GIT_PORT)
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
        return False

    def _server_keys(self) -> dict[str, str]:
        return {
            "host": self._host_key,
            "authorized": self._client_public,
            "certificate": self._https_certificate,
            "certificate-key": self._https_key,
            "token": self.token,
        }

    def change_keys(self, **changed: str) -> None:
        """Have the server use other ``host``, ``authorized`` or ``token``; with nothing named, its own again.

        Returns when its pod sees them; a host key counts from the next :meth:`restart` on.
        """
        held = {**self._server_keys(), **changed}
        data = {key: base64.b64encode(value.encode()).decode() for key, value in held.items()}
        client.CoreV1Api(self.platform.api_client()).patch_namespaced_secret("git-keys", NAMESPACE, {"data": data})
        for key, value in held.items():
            wait_until(
                lambda key=key, value=value: self._in_server("cat", f"/keys/{key}") == value, 150, f"{key} is seen"
            )

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Have nobody answer for as long as the block lasts."""
        core = client.CoreV1Api(self.platform.api_client())

        def select(app: str) -> None:
            core.patch_namespaced_service("git", NAMESPACE, {"spec": {"selector": {"app": app}}})

        select("nobody")
        try:
            yield
        finally:
            select("git")

    def restart(self) -> None:
        """Have the ssh server start anew; its repository stays."""
        core = client.CoreV1Api(self.platform.api_client())

        def started() -> int:
            statuses = core.read_namespaced_pod_status("git", NAMESPACE).status.container_statuses or []
            return next((one.restart_count for one in statuses if one.name == "git" and one.ready), -1)

        before = started()
        self._in_server("sh", "-c", "kill 1")
        wait_until(lambda: started() > before, 90, "the git server is back")

    def _in_server(self, *command: str) -> str:
        return self.platform.kubectl(f"--namespace={NAMESPACE}", "exec", "git", "--container=git", "--", *command)

    def stop(self) -> None:
        """Remove both."""
        client.CoreV1Api(self.platform.api_client()).delete_namespace(NAMESPACE)

    def commit(self, word: str) -> str:
        """Commit DAGs that say ``word``, with a tag of that name; returns the commit."""
        (self.dags / "shared").mkdir(parents=True, exist_ok=True)
        (self.dags / "pinned.py").write_text(DAG.format(word=word))
        (self.dags / "shared" / "words.py").write_text(f'WORD = "{word}"\n')
        run(["git", "add", "--all"], cwd=self.clone)
        self._record("--message", word)
        run(["git", "tag", word], cwd=self.clone)
        return run(["git", "rev-parse", "HEAD"], cwd=self.clone).strip()

    def _record(self, *arguments: str) -> None:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
        run(["git", *identity, "commit", "--quiet", *arguments], cwd=self.clone)

    def check_out(self, word: str) -> None:
        """Have the files of a commit again."""
        run(["git", "checkout", "--quiet", word], cwd=self.clone)

    def push(self, what: str = "main") -> None:
        """Push what is committed, or another refspec."""
        port = self.platform.cluster.forward(f"git.{NAMESPACE}", GIT_PORT)
        options: Sequence[str] = (
            f"-i {self._keys / 'client'}",
            "-o IdentitiesOnly=yes",
            "-o StrictHostKeyChecking=yes",
            "-o HostKeyAlias=git",
            f"-o UserKnownHostsFile={self._keys / 'known_hosts'}",
        )
        address = f"ssh://git@127.0.0.1:{port}/srv/repo.git"
        command = {"GIT_SSH_COMMAND": " ".join(("ssh", *options))}
        run(["git", "push", "--quiet", address, what], cwd=self.clone, env=command)

    def ops(self, *arguments: str) -> str:
        """What a command of ours says that publishes DAGs from this machine."""
        port = self.platform.cluster.forward(f"store.{NAMESPACE}", STORE_PORT)
        os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{port}"
        try:
            process = self.platform.command(*arguments)
            said, _ = process.communicate(timeout=120)
        finally:
            del os.environ["STORAGE_EMULATOR_HOST"]
        assert process.returncode == 0, said
        return said


def _is_ready(core: client.CoreV1Api, name: str) -> bool:
    statuses = core.read_namespaced_pod_status(name, NAMESPACE).status.container_statuses or []
    return bool(statuses) and all(status.ready for status in statuses)


def key_pair() -> tuple[str, str]:
    """A private key for ssh, and the public one in one line."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return private.decode(), key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def certificate(host: str) -> tuple[str, str, str]:
    """An authority's certificate, and what it signed for ``host``: certificate and key, all PEM."""
    now = datetime.datetime.now(datetime.UTC)

    def signed(name: str, key: Ed25519PrivateKey, by: str, by_key: Ed25519PrivateKey) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, by)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == by, path_length=None), critical=True)
        )
        if name != by:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        return builder.sign(by_key, None)

    authority_key, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    authority, server = (
        signed("test authority", authority_key, "test authority", authority_key),
        signed("git", key, "test authority", authority_key),
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return authority.public_bytes(Encoding.PEM).decode(), server.public_bytes(Encoding.PEM).decode(), private


def _named(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name}}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **rest}


def _server(
    name: str,
    reference: str,
    port: int,
    args: Sequence[str],
    secrets: Sequence[tuple[str, str]],
    beside: Mapping[int, dict[str, Any]] | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A pod and its Service. ``beside`` are further containers by their port."""
    mounts = [{"name": secret, "mountPath": path} for secret, path in secrets]
    own = {"name": name, "image": reference, **({"args": list(args)} if args else {})}
    servers = {port: own, **(beside or {})}
    containers = [
        {
            **container,
            "ports": [{"containerPort": listened}],
            "readinessProbe": {"tcpSocket": {"port": listened}, "periodSeconds": 1},
            "volumeMounts": [*mounts, {"name": "data", "mountPath": "/srv"}],
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            # A pod that asks for nothing gets next to nothing on a machine that is busy.
            "resources": {"requests": {"cpu": "50m"}},
        }
        for listened, container in servers.items()
    ]
    spec = {
        "automountServiceAccountToken": False,
        "priorityClassName": "system-cluster-critical",  # or a rolling Airflow takes its place on a full node
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": containers,
        "volumes": [
            *({"name": secret, "secret": {"secretName": secret}} for secret, _ in secrets),
            {"name": "data", "emptyDir": {}},
        ],
    }
    ports = [{"name": f"port-{listened}", "port": listened} for listened in servers]
    return _named("Pod", name, spec=spec), _named("Service", name, spec={"selector": {"app": name}, "ports": ports})
