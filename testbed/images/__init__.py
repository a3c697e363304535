"""The images that ``local`` needs, built from Debian and PyPI packages where no registry serves them."""

from collections.abc import Collection
from pathlib import Path

from testbed.images.dags import dags_image
from testbed.images.recipes import Image, image, recipe_of
from testbed.images.version import dags_version
from testbed.progress import Progress

__all__ = ["Image", "build_images", "dags_version"]

REPO = Path(__file__).resolve().parents[2]
DAGS = "airflow-dags"


def build_images(progress: Progress, version: str, repo: Path = REPO, names: Collection[str] = ()) -> dict[str, Image]:
    """The DAG image as ``airflow-dags``, tagged ``version``, and of the platform's images ``names`` those that this
    machine makes, each by its name; images that share a recipe are one image."""
    recipes = {name: recipe for name in sorted(names) if (recipe := recipe_of(name))}
    made = {recipe.name: image(progress, recipe) for recipe in recipes.values()}
    return {DAGS: dags_image(progress, repo, version), **{name: made[recipe.name] for name, recipe in recipes.items()}}
