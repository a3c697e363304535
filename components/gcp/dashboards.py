"""Dashboards in Google's console, where Google keeps the metrics: nothing of them runs in the cluster."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp


@dataclass(frozen=True)
class DashboardsArgs:
    """``pages`` are the documents that the API takes, by a name that stays. They are shown in ``project``."""

    project: str
    pages: Mapping[str, str]


class Dashboards(pulumi.ComponentResource):
    """One dashboard a page. What somebody changes in the console is set back by the next change of the page."""

    def __init__(self, name: str, args: DashboardsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:Dashboards", name, None, opts)
        for page, document in args.pages.items():
            gcp.monitoring.Dashboard(
                f"{name}-{page}",
                project=args.project,
                dashboard_json=document,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({})
