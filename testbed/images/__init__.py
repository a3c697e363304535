"""The images that ``local`` needs, built from Debian and PyPI packages where no registry serves them."""

from pathlib import Path

from testbed.images.dags import dags_image
from testbed.images.recipes import POSTGRES, Image, image
from testbed.images.version import dags_version
from testbed.progress import Progress

__all__ = ["Image", "build_images", "dags_version"]

REPO = Path(__file__).resolve().parents[2]


def build_images(progress: Progress, version: str, repo: Path = REPO) -> dict[str, Image]:
    """Every image that ``local`` needs, by short name: ``postgres`` and ``airflow-dags`` (tagged ``version``)."""
    made = [image(progress, POSTGRES), dags_image(progress, repo, version)]
    return {one.name: one for one in made}
