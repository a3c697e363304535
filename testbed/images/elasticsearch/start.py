"""Runs OpenSearch for Elasticsearch: takes Elasticsearch's configuration, starts the node, and stands in its door.

A stand-in: the REST API that the platform uses is translated (elastic.py), policies of lifecycles and of snapshots are
checked, remembered and never run (lifecycle.py), and what is not known is refused with 501 and a line in the log.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from configuration import (
    NODE_PORT,
    TRANSPORT_FILES,
    Configuration,
    RefusedError,
    configuration,
    default_folder,
    java_options,
)
from door import Door, is_open
from messages import Node

HERE = Path(__file__).parent
OPENSEARCH = Path("/opt/opensearch")
SHIPPED = OPENSEARCH / "plugins/opensearch-security/config"
NODE_PASSWORD_HASH = "$2y$04$standinstandinstandinOpGy6V.lKNxI9jDk9qJ1ZWNsO.cTTwx2"  # noqa: S105
"""Of messages.NODE_PASSWORD, by bcrypt."""
ADMINISTRATORS = "superusers"


def password_of(environment: dict[str, str]) -> str:
    """The superuser's. Refuses to start without one: the official image would print one that it makes."""
    if file := environment.get("ELASTIC_PASSWORD_FILE"):
        return Path(file).read_text(encoding="utf-8").strip()
    if not (password := environment.get("ELASTIC_PASSWORD", "")):
        raise RefusedError("ELASTIC_PASSWORD: the stand-in makes no password of its own; give one")
    return password


def write_node_files(folder: Path, asked: Configuration) -> None:
    """The node's configuration: its settings, certificates, and the one user that it begins with."""
    (folder / "opensearch.yml").write_text(json.dumps(dict(asked.node)), encoding="utf-8")
    shutil.copy(HERE / "log4j2.properties", folder)
    for name, file in TRANSPORT_FILES.items():
        shutil.copy(getattr(asked.transport, name), folder / file)
    own = folder / "opensearch-security"
    shutil.copytree(SHIPPED, own)
    users = {"elastic": {"hash": NODE_PASSWORD_HASH, "reserved": False, "backend_roles": [ADMINISTRATORS]}}
    write_part(own / "internal_users.yml", "internalusers", users)
    mapping = {"all_access": {"reserved": False, "backend_roles": [ADMINISTRATORS]}}
    write_part(own / "roles_mapping.yml", "rolesmapping", mapping)
    write_part(own / "roles.yml", "roles", {})
    write_part(own / "tenants.yml", "tenants", {})
    for file in (*folder.glob("*.*"), *own.iterdir()):
        file.chmod(0o600)


def write_part(file: Path, kind: str, content: dict[str, Any]) -> None:
    """One of the security plugin's files (JSON is YAML)."""
    file.write_text(json.dumps({"_meta": {"type": kind, "config_version": 2}, **content}), encoding="utf-8")


def serve(asked: Configuration, password: str, java: "subprocess.Popen[bytes]") -> None:
    """Open the door once the node is there, as Elasticsearch opens its own last."""
    while not is_open(NODE_PORT):
        if java.poll() is not None:
            return
        time.sleep(0.2)
    door = Door(asked.port, asked.http, password, lambda: Node("127.0.0.1", NODE_PORT))
    print(f"the stand-in for Elasticsearch listens on {asked.port}", flush=True)
    door.serve_forever()


def main() -> int:
    """Until the node ends; its exit code."""
    folder = default_folder()
    environment = dict(os.environ)
    try:
        asked = configuration(folder, environment)
        password = password_of(environment)
    except (RefusedError, OSError, ValueError) as error:
        print(f"the stand-in for Elasticsearch can't start:\n{error}", file=sys.stderr)
        return 78
    node_folder = Path(tempfile.mkdtemp(prefix="node-", dir=environment.get("ES_TMPDIR", "/tmp")))
    write_node_files(node_folder, asked)
    classes = f"{OPENSEARCH}/classes:{OPENSEARCH}/lib/*"
    options = [*java_options(folder, environment), "-cp", classes, "Launcher", str(OPENSEARCH)]
    # The password is the door's: the node has no use for it.
    secrets = {"ELASTIC_PASSWORD", "ELASTIC_PASSWORD_FILE"}
    kept = {name: value for name, value in environment.items() if name not in secrets}
    java = subprocess.Popen(["java", *options, str(node_folder)], env=kept)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: java.terminate())
    threading.Thread(target=serve, args=(asked, password, java), daemon=True).start()
    code = java.wait()
    return 0 if code == 128 + signal.SIGTERM else code


if __name__ == "__main__":
    sys.exit(main())
