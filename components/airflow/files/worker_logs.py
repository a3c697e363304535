"""Serves the logs of a worker's tasks to the api-server, and removes those that nobody has taken away in time.

Usage: worker_logs.py KEPT_SECONDS
"""

import sys
import threading
import time
from pathlib import Path

from airflow.configuration import conf
from airflow.utils.serve_logs import serve_logs

LOOK_SECONDS = 600


def remove_old(folder: Path, kept: float) -> None:
    while True:
        end = time.time() - kept
        for path in folder.rglob("*.log"):
            try:
                if path.stat().st_mtime < end:
                    path.unlink()
            except FileNotFoundError:
                continue  # taken away meanwhile
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    logs = Path(conf.get("logging", "base_log_folder"))
    threading.Thread(target=remove_old, args=(logs, float(sys.argv[1])), daemon=True).start()
    serve_logs()
