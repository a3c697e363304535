"""The images that ``local`` needs, built from Debian and PyPI packages where no registry serves them."""

from collections.abc import Sequence
from pathlib import Path

from testbed.images.dags import dags_image
from testbed.images.recipes import RECIPES, Image, image
from testbed.images.version import dags_version
from testbed.progress import Progress

__all__ = ["Image", "build_images", "dags_version"]

REPO = Path(__file__).resolve().parents[2]


def build_images(progress: Progress, version: str, repo: Path = REPO, servers: Sequence[str] = ()) -> dict[str, Image]:
    """Images by short name: ``airflow-dags`` (tagged ``version``), and of the ``servers`` that a stack has:
    ``postgres``, ``pgbouncer`` (its exporter is in it, too), ``redis``, ``rabbitmq``."""
    made = [*(image(progress, RECIPES[name]) for name in servers), dags_image(progress, repo, version)]
    return {one.name: one for one in made}
