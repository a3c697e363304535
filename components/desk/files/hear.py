"""Hears what dev stacks ask for: writes the Secrets that are requests into a folder, and publishes what has been made.

It never sees the administrator's password, and it runs on Airflow's image: the server's client has no Python. Standard
library only.
"""

import base64
import json
import os
import re
import shutil
import signal
import ssl
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

FOLDER = Path("/run/requests")
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAME = re.compile(r"^dev-[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?$")
KEYS = ("password", "connections")
SECONDS = 2
NAMESPACE = os.environ["REQUESTS_NAMESPACE"]
LABEL = os.environ["REQUESTS_LABEL"]


def ask(method: str, path: str, body: object = None) -> dict[str, Any]:
    """One question to the Kubernetes API. The token is read each time: it is renewed."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    request = urllib.request.Request(
        f"https://{host}:{port}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}",
            "Content-Type": "application/merge-patch+json",
        },
    )
    context = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=20, context=context) as answer:
        return json.load(answer)


def requests() -> dict[str, dict[str, str]]:
    """What is asked for, by name. Raises where the list can't be had: nothing asked for would drop everything."""
    found = ask("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets?labelSelector={LABEL}")
    asked = {}
    for item in found["items"]:
        name, data = item["metadata"]["name"], item.get("data") or {}
        if item["metadata"].get("deletionTimestamp"):
            continue
        if not NAME.match(name) or any(key not in data for key in KEYS):
            print(f"request {name}: is none. It needs a name of the form dev-<name>, and {' and '.join(KEYS)}")
            continue
        asked[name] = {key: base64.b64decode(data[key]).decode() for key in KEYS}
    return asked


def write(asked: dict[str, dict[str, str]], number: int) -> None:
    """Lay a whole list beside the one of before, then turn to it at once."""
    folder = FOLDER / f"list-{number}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, values in asked.items():
        (folder / name).mkdir()
        for key, value in values.items():
            (folder / name / key).write_text(value)
    link = FOLDER / "asked.new"
    link.unlink(missing_ok=True)
    link.symlink_to(folder)
    link.replace(FOLDER / "asked")
    for old in FOLDER.glob("list-*"):
        if old not in {folder, FOLDER / f"list-{number - 1}"}:
            shutil.rmtree(old, ignore_errors=True)


def main() -> None:
    """For as long as the pod lives."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    number, known, published = int(time.time()), None, None
    while True:
        try:
            if (asked := requests()) != known:
                number += 1
                write(asked, number)
                known = asked
                print(f"asked for: {', '.join(sorted(asked)) or 'nothing'}", flush=True)
            made = FOLDER / "made"
            if made.exists() and (roles := made.read_text()) != published:
                path = f"/api/v1/namespaces/{NAMESPACE}/configmaps/databases"
                ask("PATCH", path, {"data": {"roles": roles}})
                published = roles
        except (OSError, ValueError, KeyError) as error:
            print(f"the Kubernetes API did not answer as expected: {error}", flush=True)
        (FOLDER / "heard").touch()
        time.sleep(SECONDS)


main()
