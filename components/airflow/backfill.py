"""A lane of their own for runs of type backfill: queue, pool, priority and nodes.

`airflow backfill create` can ask for none of these. What can is a cluster policy of Airflow's, files/backfill_lane.py:
components get it as an installed package (a module, and beside it the entry points by which Airflow finds it), which
leaves an ``airflow_local_settings.py`` in the image alone.
"""

from pulumi_kubernetes.core.v1 import KeyToPathArgsDict

from components.airflow.configuration import FILES_FOLDER, HOME, script
from components.airflow.customisation import MODULE_PATH, PodAdditions
from components.workload import Mount

POOL = "backfill"
LANE_LABELS = {"airflow-platform/lane": "backfill"}
POLICY_FOLDER = f"{HOME}/platform-policy"
TEMPLATE_PREFIX = "backfill-"
_PACKAGE = "airflow_platform_backfill-1.dist-info"
_FILES = {
    "backfill_lane.py": "airflow_platform_backfill.py",
    "backfill-metadata": f"{_PACKAGE}/METADATA",
    "backfill-entry-points": f"{_PACKAGE}/entry_points.txt",
}
"""Keys of the ConfigMap, and where Python finds what they hold."""
_ENTRY_POINTS = """[airflow.policy]
backfill_lane = airflow_platform_backfill
[airflow.plugins]
backfill_lane = airflow_platform_backfill:BackfillLane
"""


def policy_files() -> dict[str, str]:
    """What the ConfigMap must hold for the lane."""
    return {
        "backfill_lane.py": script("backfill_lane.py").replace("@FILES_FOLDER@", FILES_FOLDER),
        "backfill-metadata": "Metadata-Version: 2.1\nName: airflow-platform-backfill\nVersion: 1\n",
        "backfill-entry-points": _ENTRY_POINTS,
    }


def policy(config_map: str) -> PodAdditions:
    """What every component gets: each may make task instances, the api-server those of backfills."""
    items: list[KeyToPathArgsDict] = [{"key": key, "path": path} for key, path in _FILES.items()]
    volume = Mount({"name": "policy", "config_map": {"name": config_map, "items": items}}, POLICY_FOLDER)
    return PodAdditions(env=({"name": MODULE_PATH, "value": POLICY_FOLDER},), mounts=(volume,))
