"""Every dashboard of the platform."""

from components.metrics.dashboards.airflow import GLANCE, SCHEDULER, TASKS
from components.metrics.dashboards.google import google_json
from components.metrics.dashboards.panels import Dashboard, Panel, Query, dashboard_json
from components.metrics.dashboards.surroundings import DATABASE, INGRESS, LOGS, RESOURCES

DASHBOARDS = (GLANCE, SCHEDULER, TASKS, DATABASE, RESOURCES, LOGS, INGRESS)

__all__ = ["DASHBOARDS", "Dashboard", "Panel", "Query", "dashboard_json", "google_json"]
