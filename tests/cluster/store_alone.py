"""The stand-in for Elasticsearch by itself: its image's files in namespaces of their own, without a cluster."""

import json
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from testbed.build import run
from testbed.cluster import forwarder
from testbed.images.recipes import ELASTICSEARCH, image
from testbed.progress import Progress
from tests.cluster.store_client import PASSWORD, StoreClient, certificates

START_SECONDS = 240
USER = 1000
SETTINGS = {
    "node.name": "alone",
    "network.host": "0.0.0.0",
    "discovery.seed_hosts": ["localhost"],
    "cluster.initial_master_nodes": ["alone"],
    "xpack.security.transport.ssl.verification_mode": "certificate",
    **{f"xpack.security.{side}.ssl.enabled": True for side in ("http", "transport")},
    **{f"xpack.security.{side}.ssl.key": "certs/tls.key" for side in ("http", "transport")},
    **{f"xpack.security.{side}.ssl.certificate": "certs/tls.crt" for side in ("http", "transport")},
    **{f"xpack.security.{side}.ssl.certificate_authorities": ["certs/ca.crt"] for side in ("http", "transport")},
}
# As the kubelet would: a root that can't be written, a folder for what is temporary, no network but its own.
ENTER = """
set -e
root=$1 folder=$2
shift 2
ip link set lo up
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t tmpfs none "$root/tmp"
chmod 1777 "$root/tmp"
for part in config data; do mount --bind "$folder/$part" "$root/usr/share/elasticsearch/$part"; done
mount -o remount,ro,bind "$root"
exec chroot --userspec=1000:1000 "$root" /usr/bin/env -i "$@"
"""


class StoreAlone(StoreClient):
    """One node below ``folder``, which keeps its data over :meth:`away`."""

    def __init__(self, folder: Path, progress: Progress) -> None:
        self._root, self._folder, self._progress = folder / "root", folder, progress
        self._node: subprocess.Popen[bytes] | None = None
        self._forwarder: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._words: list[str] = []

    @property
    def port(self) -> int:
        """Leads into the node's network."""
        return self._port

    def start(self) -> None:
        """Unpack the image, run it, and wait until it is well."""
        self._unpack(image(self._progress, ELASTICSEARCH).archive)
        for part in ("config/certs", "data"):
            (self._folder / part).mkdir(parents=True)
        shutil.chown(self._folder / "data", USER, USER)
        (self._folder / "config/elasticsearch.yml").write_text(json.dumps(SETTINGS))
        self.authority, files = certificates(["localhost"])
        for name, text in files.items():
            (self._folder / "config/certs" / name).write_text(text)
        self._run()

    def stop(self) -> None:
        """End it, as the kubelet would."""
        for process in (self._node, self._forwarder):
            if process is not None:
                process.terminate()
                process.wait(60)
        self._node = self._forwarder = None

    def remove(self) -> None:
        """End it and remove the image's files."""
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody answers for as long as the block lasts."""
        self.stop()
        try:
            yield
        finally:
            self._run()

    def _unpack(self, archive: Path) -> None:
        parts = self._folder / "image"
        with tarfile.open(archive) as content:
            content.extractall(parts, filter="data")
        manifest = json.loads((parts / "manifest.json").read_text())[0]
        told = json.loads((parts / manifest["Config"]).read_text())["config"]
        given = {"ELASTIC_PASSWORD": PASSWORD, "ES_JAVA_OPTS": "-Xms320m -Xmx320m"}
        self._words = [*told["Env"], *(f"{name}={value}" for name, value in given.items()), *told["Entrypoint"]]
        self._root.mkdir()
        for layer in manifest["Layers"]:
            run(["tar", "--extract", f"--file={parts / layer}", f"--directory={self._root}"])
        shutil.rmtree(parts)

    def _run(self) -> None:
        apart = ["unshare", "--mount", "--net", "--propagation", "private"]
        with (self._folder / "log").open("ab") as log:
            self._node = subprocess.Popen(
                [*apart, "bash", "-c", ENTER, "enter", self._root, self._folder, *self._words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        own = Path("/proc/self/ns/net").readlink()
        network = Path(f"/proc/{self._node.pid}/ns/net")
        self._until("it has a network of its own", lambda: network.readlink() != own)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = listener.getsockname()[1]
            words = ["nsenter", f"--net={network}", sys.executable, forwarder.__file__, "127.0.0.1", "9200"]
            handed = f'exec "$@" 3<&{listener.fileno()}'
            self._forwarder = subprocess.Popen(
                ["bash", "-c", handed, "forwarder", *words],
                pass_fds=[listener.fileno()],
                stderr=subprocess.DEVNULL,  # each look before the node is there
            )
        self._until("it is green", lambda: self.health() == "green")

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + START_SECONDS
        while not condition():
            ended = self._node is None or self._node.poll() is not None
            if ended or time.monotonic() > end:
                raise AssertionError(f"not yet: {what}\n{(self._folder / 'log').read_text(errors='replace')[-3000:]}")
            time.sleep(0.2)
