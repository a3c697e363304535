"""Images without a registry: made from single static programs, imported from archives, listed."""

import hashlib
import io
import json
import platform
import re
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from testbed.build import cached, run
from testbed.cluster import network
from testbed.cluster.layout import Layout
from testbed.cluster.programs import go_program
from testbed.progress import Failure, Progress

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def of_program(name: str, program: Path, progress: Progress) -> tuple[str, Path]:
    """Name and archive of an image that holds nothing but the static ``program``, as ``/<name>``, and runs it.

    The name's tag changes with the program, so that a pod that names it never runs an older one.
    """
    folder = cached(
        f"image-{name}",
        {"program": program, "writer": Path(__file__)},
        lambda target: _write(target, name, program),
        progress,
        f"packing the image {name}",
    )
    return (folder / "name").read_text(), folder / f"{name}.tar"


def test_image(progress: Progress) -> tuple[str, Path]:
    """Name and archive of the image that the cluster's tests use: see testimage/main.go for its commands."""
    return of_program("probe", go_program("testimage", progress), progress)


def are_available(layout: Layout) -> bool:
    """Whether containerd answers."""
    return subprocess.run([*_ctr(layout), "images", "list"], capture_output=True, check=False).returncode == 0


def present(layout: Layout) -> dict[str, str]:
    """Digests by name of the images that pods can use."""
    lines = run([*_ctr(layout), "images", "list"]).splitlines()[1:]
    rows = (line.split() for line in lines)
    return {row[0]: row[2] for row in rows if len(row) > 2}


def load(layout: Layout, archive: Path, progress: Progress, name: str = "") -> None:
    """Import an OCI or Docker archive, unless what is in it was imported before and is still there.

    ``name`` is what progress calls it; default: the file's.
    """
    with archive.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    note = layout.containerd_root / "imported" / f"{digest}.json"
    if note.exists():
        imported: Mapping[str, str] = json.loads(note.read_text())
        if imported.items() <= present(layout).items():
            return
    with progress.step(f"loading {name or archive.name} into the cluster"):
        said = run([*_ctr(layout), "images", "import", archive], progress)
    names = re.findall(r"^unpacking (\S+) \((sha256:\w+)\)", said, re.MULTILINE)
    if not names:
        raise Failure(f"{archive} holds no image with a name.\nMend: write the archive with the image's name in it.")
    note.parent.mkdir(exist_ok=True)
    note.write_text(json.dumps(dict(names)))


def _ctr(layout: Layout) -> Sequence[str]:
    return [*network.enter(layout), "ctr", f"--address={layout.containerd_socket}", "--namespace=k8s.io"]


def _write(folder: Path, name: str, program: Path) -> None:
    """An OCI image layout as a tar file: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md"""
    architecture = _ARCHITECTURES.get(platform.machine())
    if architecture is None:
        raise Failure(f"no images can be made for a {platform.machine()} machine; known: {', '.join(_ARCHITECTURES)}.")
    layer = _tar({name: program.read_bytes()}, mode=0o755)
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Entrypoint": [f"/{name}"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_sha256(layer)}"]},
    }
    config_bytes = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config_bytes),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer)],
    }
    manifest_bytes = json.dumps(manifest).encode()
    full_name = f"testbed.local/{name}:{_sha256(layer)[:16]}"
    entry = _descriptor("application/vnd.oci.image.manifest.v1+json", manifest_bytes)
    entry["annotations"] = {"io.containerd.image.name": full_name}
    files = {
        "oci-layout": json.dumps({"imageLayoutVersion": "1.0.0"}).encode(),
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
    }
    files |= {f"blobs/sha256/{_sha256(blob)}": blob for blob in (layer, config_bytes, manifest_bytes)}
    (folder / f"{name}.tar").write_bytes(_tar(files, mode=0o644))
    (folder / "name").write_text(full_name)


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)  # owner root, time 0: the same bytes every time
            member.size = len(content)
            member.mode = mode
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": f"sha256:{_sha256(content)}", "size": len(content)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
