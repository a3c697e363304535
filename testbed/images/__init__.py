"""The images that stacks on this machine need, built from Debian, PyPI and Go packages: no registry serves them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from testbed.cluster.images import of_program
from testbed.cluster.programs import go_program
from testbed.images.dags import dags_image
from testbed.images.recipes import Image, image, recipe_of
from testbed.images.version import dags_version
from testbed.progress import Progress

__all__ = ["Image", "build_images", "dags_version"]

REPO = Path(__file__).resolve().parents[2]
DAGS = "airflow-dags"


@dataclass(frozen=True)
class Module:
    """A program of a public Go module, as it is: its ``package``, pinned by the module ``testbed/cluster/<folder>``."""

    folder: str
    package: str
    tags: str = ""
    title: str | None = None


MODULES = {
    "statsd-exporter": Module("statsdexporter", "github.com/prometheus/statsd_exporter"),
    "oauth2-proxy": Module("oauth2proxy", "github.com/oauth2-proxy/oauth2-proxy/v7", title="building oauth2-proxy"),
    # Debian's own has no discovery by the Kubernetes API. Here without all others, and without pages for people.
    "prometheus": Module(
        "prometheus",
        "github.com/prometheus/prometheus/cmd/prometheus",
        "remove_all_sd,enable_kubernetes_sd",
        "building Prometheus (about 4 minutes)",
    ),
    "pgbouncer-exporter": Module("pgbouncerexporter", "github.com/prometheus-community/pgbouncer_exporter"),
    "elasticsearch-exporter": Module("elasticsearchexporter", "github.com/prometheus-community/elasticsearch_exporter"),
    "kube-state-metrics": Module(
        "statemetrics", "k8s.io/kube-state-metrics/v2", title="building kube-state-metrics (about 3 minutes)"
    ),
}
"""Images of the platform that hold one such program and nothing else."""


def build_images(progress: Progress, version: str, repo: Path = REPO, names: Collection[str] = ()) -> dict[str, Image]:
    """The DAG image as ``airflow-dags``, tagged ``version``, and of the platform's images ``names`` those that this
    machine makes, each by its name."""
    recipes = {name: recipe for name in sorted(names) if (recipe := recipe_of(name))}
    return {
        DAGS: dags_image(progress, repo, version),
        **{name: image(progress, recipe) for name, recipe in recipes.items()},
        **{name: _of_module(progress, name) for name in sorted(MODULES.keys() & set(names))},
    }


def _of_module(progress: Progress, name: str) -> Image:
    module = MODULES[name]
    program = go_program(module.folder, progress, title=module.title, package=module.package, tags=module.tags)
    return Image(name, *of_program(module.folder, program, progress))
