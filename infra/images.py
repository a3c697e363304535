"""Which of the platform's images an environment runs, by their names in components/versions.py."""

from infra.celery import broker_images
from infra.gate import gate_images
from infra.logs import log_images
from infra.metrics import metric_images
from infra.settings import Settings
from infra.settings.dags import GitSyncDags
from infra.settings.ingress_addresses import way_in
from infra.settings.sizes import capacity


def images_of(settings: Settings) -> frozenset[str]:
    """The names of the images that the pods of these ``settings`` run, beside the DAG images."""
    used = {
        "postgres",
        *broker_images(settings),
        *metric_images(settings),
        *gate_images(settings),
        *log_images(settings),
    }
    if any(capacity(airflow).pooler.enabled for airflow in settings.airflows):
        used |= {"pgbouncer", "pgbouncer-exporter"}
    if any(isinstance(airflow.dags, GitSyncDags) for airflow in settings.airflows):
        used.add("git-sync")
    if way_in(settings):
        used.add("nginx-ingress")
    return frozenset(used)
