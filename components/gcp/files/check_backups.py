"""Fails where a Cloud SQL instance has no backup that is young enough, and says since when.

Usage: check_backups.py PROJECT INSTANCE HOURS [API [METADATA]]

Asks as the service account that the pod acts as: https://cloud.google.com/sql/docs/postgres/admin-api/rest/v1/backupRuns
"""

import json
import sys
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

API = "https://sqladmin.googleapis.com"
METADATA = "http://metadata.google.internal"
TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 (a path)
SAID_TO_KUBERNETES = Path("/dev/termination-log")
SECONDS = 30


def answer(url: str, header: tuple[str, str]) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict([header])), timeout=SECONDS) as response:
        return json.load(response)


def newest(runs: list[dict[str, Any]]) -> datetime | None:
    """When the latest backup ended that succeeded."""
    ends = [datetime.fromisoformat(run["endTime"]) for run in runs if run.get("status") == "SUCCESSFUL"]
    return max(ends, default=None)


def check(project: str, instance: str, hours: int, api: str = API, metadata: str = METADATA) -> str | None:
    """What is wrong; None if nothing is."""
    token = answer(metadata + TOKEN, ("Metadata-Flavor", "Google"))["access_token"]
    url = f"{api}/v1/projects/{project}/instances/{instance}/backupRuns?maxResults=50"
    last = newest(answer(url, ("Authorization", f"Bearer {token}")).get("items", []))
    if last is None:
        return f"the instance {instance} has no backup that succeeded"
    if datetime.now(UTC) - last > timedelta(hours=hours):
        return f"the latest backup of the instance {instance} that succeeded is of {last:%Y-%m-%d %H:%M} UTC"
    print(f"the latest backup of {instance} is of {last:%Y-%m-%d %H:%M} UTC")
    return None


if __name__ == "__main__":
    project, instance, hours, *servers = sys.argv[1:]
    try:
        wrong = check(project, instance, int(hours), *servers)
    except OSError as error:
        wrong = f"the backups of the instance {instance} can't be asked for: {error}"
    if wrong:
        if SAID_TO_KUBERNETES.exists():
            SAID_TO_KUBERNETES.write_text(wrong)
        sys.exit(wrong)
