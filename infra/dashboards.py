"""From settings to the dashboards in Google's console."""

import pulumi

from components.gcp.dashboards import Dashboards, DashboardsArgs
from components.metrics.dashboards import DASHBOARDS, google_json
from infra.google_cloud import GoogleCloud
from infra.settings import GkeCluster, Settings


def show_in_console(settings: Settings, environment: str, google: GoogleCloud) -> None:
    """Makes them, in the project of the environment."""
    # A project may have others' clusters, with Airflows of the same names. What a cluster that isn't made here is
    # called, nobody has said.
    cluster = environment if isinstance(settings.cluster, GkeCluster) else None
    pages = {one.uid: google_json(one, environment, cluster) for one in DASHBOARDS}
    Dashboards(
        "dashboards", DashboardsArgs(google.google.project, pages), pulumi.ResourceOptions(provider=google.provider)
    )
