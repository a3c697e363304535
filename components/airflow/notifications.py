"""Tells people of failed DAG runs: a plugin in the scheduler (files/notifications.py), and the Secret that it reads.

The scheduler alone has both: no DAG has to name a callback, and no task holds a login or a way to the mail server.
"""

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.core.v1 import KeyToPathArgsDict

from components.airflow.configuration import HOME, script
from components.airflow.customisation import MODULE_PATH, PodAdditions
from components.airflow.operation_args import Notifications
from components.workload import Mount, metadata, secret_volume

SECRET = "notifications"  # noqa: S105 (a name)
FOLDER = "/run/secrets/notifications"
FILE = "notifications.json"
PACKAGE_FOLDER = f"{HOME}/platform-notifications"
_PACKAGE = "airflow_platform_notifications-1.dist-info"
_FILES = {
    "notifications.py": "airflow_platform_notifications.py",
    "notifications-metadata": f"{_PACKAGE}/METADATA",
    "notifications-entry-points": f"{_PACKAGE}/entry_points.txt",
}
"""Keys of the ConfigMap, and where Python finds what they hold."""


def notification_files() -> dict[str, str]:
    """What the ConfigMap must hold for the plugin."""
    return {
        "notifications.py": script("notifications.py").replace("@CONFIGURATION@", f"{FOLDER}/{FILE}"),
        "notifications-metadata": "Metadata-Version: 2.1\nName: airflow-platform-notifications\nVersion: 1\n",
        "notifications-entry-points": (
            "[airflow.plugins]\nnotifications = airflow_platform_notifications:Notifications\n"
        ),
    }


def make_notification_secret(
    name: str, asked: Notifications | None, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> list[pulumi.Resource]:
    """The Secret with the document, where messages are asked for."""
    if asked is None:
        return []
    return [
        kubernetes.core.v1.Secret(
            f"{name}-notifications",
            metadata=metadata(SECRET, namespace),
            string_data={FILE: asked.document},
            opts=pulumi.ResourceOptions(parent=parent),
        )
    ]


def notifier(config_map: str) -> PodAdditions:
    """What the scheduler gets."""
    items: list[KeyToPathArgsDict] = [{"key": key, "path": path} for key, path in _FILES.items()]
    package = Mount({"name": "notifier", "config_map": {"name": config_map, "items": items}}, PACKAGE_FOLDER)
    return PodAdditions(
        env=({"name": MODULE_PATH, "value": PACKAGE_FOLDER},),
        mounts=(package, Mount(secret_volume("notifications", SECRET), FOLDER)),
    )
