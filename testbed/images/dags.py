"""The DAG image: ``dags-image/Dockerfile`` on the stand-in base, as a user builds it on the official one."""

import shutil
from pathlib import Path

from testbed.build import cached
from testbed.images.buildah import GIB, buildah
from testbed.images.recipes import AIRFLOW_BASE, PREFIX, Image, ensure_stored, image
from testbed.images.wheels import wheels
from testbed.paths import cache_dir
from testbed.progress import Progress

NAME = "airflow-dags"
KEPT = 3
"""How many versions stay in the cache: each archive holds the whole image."""
FOLDERS = (
    *("dags", "plugins", "airflow_platform_bundles", "airflow_platform_logs"),
    *("Dockerfile", "requirements.lock", "mend_airflow.py", ".dockerignore"),
)
"""The parts of dags-image/ that reach the image or steer its build; tests don't."""


def dags_image(progress: Progress, repo: Path, version: str) -> Image:
    """The DAG image of the clone ``repo`` with the tag ``version``; built unless it is cached for the same content."""
    base = image(progress, AIRFLOW_BASE)
    folder = repo / "dags-image"
    reference = f"{PREFIX}/{NAME}:{version}"
    lock = folder / "requirements.lock"

    def build(target: Path) -> None:
        wheel_folder = wheels(progress, lock)
        with buildah(progress, need=2 * GIB) as builder:
            arguments = {
                "BASE_IMAGE": base.reference,
                "DAGS_VERSION": version,
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": "/wheels",
            }

            def make() -> None:
                ensure_stored(builder, base)
                builder.build(folder / "Dockerfile", folder, reference, arguments, [f"{wheel_folder}:/wheels:ro"])
                builder.save(reference, target / "image.tar")

            builder.whole(make)
            (target / "reference").write_text(reference)
            builder.forget(_discard_old())

    inputs: dict[str, str | bytes | Path] = {name: folder / name for name in FOLDERS if (folder / name).exists()}
    inputs |= {"base": base.reference, "version": version}
    title = f"building the DAG image {version}"
    made = cached(f"image-{NAME}", inputs, build, progress, title)
    return Image(NAME, reference, made / "image.tar")


def _discard_old() -> list[str]:
    """Remove all but the newest archives (the one in the making comes on top) and return their images' names."""
    folders = [path for path in cache_dir().glob(f"image-{NAME}-*") if path.is_dir()]
    folders.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    gone = []
    for folder in folders[KEPT - 1 :]:
        note = folder / "reference"
        if note.exists():
            gone.append(note.read_text())
        shutil.rmtree(folder, ignore_errors=True)
    return gone
