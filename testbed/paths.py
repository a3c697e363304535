"""Where the testbed keeps things: expensive builds in a cache, running state apart from it.

Neither lives in the clone, so a fresh clone starts warm and ``git clean`` breaks nothing.
"""

import os
from pathlib import Path

NAME = "airflow-platform"


def cache_dir() -> Path:
    """Builds that can be made again at any time: ``$AIRFLOW_PLATFORM_CACHE``, else the XDG cache folder."""
    return _folder("AIRFLOW_PLATFORM_CACHE", "XDG_CACHE_HOME", ".cache")


def state_dir() -> Path:
    """Running state (cluster, Pulumi's state file): ``$AIRFLOW_PLATFORM_STATE``, else the XDG state folder."""
    return _folder("AIRFLOW_PLATFORM_STATE", "XDG_STATE_HOME", ".local/state")


def _folder(own: str, xdg: str, fallback: str) -> Path:
    if chosen := os.environ.get(own):
        path = Path(chosen)
    else:
        path = Path(os.environ.get(xdg) or Path.home() / fallback) / NAME
    path.mkdir(parents=True, exist_ok=True)
    return path
