"""Imports DAG files as the dag-processor does and reports, as JSON, what they hold and what they did meanwhile.

Run as a program of its own (``python probe.py FILE …``): an audit hook, once set, stays for the process's life.
"""

import json
import os
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import BaseHook, Connection, Variable
from airflow.serialization.serialized_objects import DagSerialization

FORBIDDEN = {
    "ftplib.connect",
    "os.exec",
    "os.fork",
    "os.mkdir",
    "os.posix_spawn",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.system",
    "shutil.copyfile",
    "shutil.move",
    "shutil.rmtree",
    "smtplib.connect",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
    "sqlite3.connect",
    "subprocess.Popen",
    "urllib.Request",
}
"""Audit events that no DAG file has reason to cause while it is parsed: it is parsed twice a minute, for ever."""
CODE = (".py", ".pyc", ".so", ".pyi")


class TopLevelIO(RuntimeError):
    """What a DAG file gets instead of the network, another program or a file, while it is imported."""


class Watch:
    """Notes and refuses input and output that code below ``folder`` causes while it is ``current``ly imported."""

    def __init__(self) -> None:
        self.folder = ""
        self.seen: list[str] = []
        # Python's own folders and the system's (time zones, certificates) may be read: imports do.
        paths = [sys.prefix, sys.base_prefix, *sysconfig.get_paths().values(), os.environ["AIRFLOW_HOME"]]
        self._readable = (*{os.path.realpath(path) for path in paths}, "/usr", "/etc", "/lib", "/proc", "/sys", "/dev")

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The audit hook: cheap when nothing is watched."""
        if not self.folder:
            return
        if event in FORBIDDEN:
            self.refuse(f"{event}{arguments[:2]!r}")
        elif event == "open" and not self._harmless(*arguments):
            self.refuse(f"open({arguments[0]!r}, {arguments[1]!r})")

    def refuse(self, what: str) -> None:
        """Note ``what`` under the line of the DAG file that caused it and stop it; ignore what no DAG file caused."""
        line = self._line()
        if line:
            self.seen.append(f"{line}: {what}")
            raise TopLevelIO(f"{what} at the top level of a DAG file")

    def _harmless(self, path: object, mode: object, flags: object) -> bool:
        if not isinstance(path, str | bytes):  # a file descriptor that is open already
            return True
        writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
        if (isinstance(flags, int) and flags & writes) or (isinstance(mode, str) and set(mode) & set("wax+")):
            return False
        name = os.fsdecode(path)
        return name.endswith(CODE) or os.path.realpath(name).startswith(self._readable)

    def _line(self) -> str:
        frame = sys._getframe()
        while frame := frame.f_back:  # type: ignore[assignment]
            if frame.f_code.co_filename.startswith(self.folder):
                return f"{Path(frame.f_code.co_filename).name}:{frame.f_lineno}"
        return ""


def forbid(watch: Watch, owner: type, name: str) -> None:
    """Make ``owner.name`` count as input and output: it asks the API server or a secrets backend."""
    real: Callable[..., Any] = getattr(owner, name)

    def refused(*arguments: Any, **named: Any) -> Any:
        if watch.folder:
            watch.refuse(f"{owner.__name__}.{name}{arguments!r}")
        return real(*arguments, **named)

    setattr(owner, name, staticmethod(refused))


def describe(dag: Any) -> dict[str, Any]:
    """What the rules look at."""
    return {
        "dag_id": dag.dag_id,
        "description": dag.description,
        "dagrun_timeout": dag.dagrun_timeout is not None,
        "tasks": [
            {
                "task_id": task.task_id,
                "owner": task.owner,
                "retries": task.retries,
                "execution_timeout": task.execution_timeout is not None,
            }
            for task in dag.tasks
        ],
    }


def main(files: list[str]) -> None:
    """Report each of ``files`` in one JSON object."""
    sys.dont_write_bytecode = True  # or an import inside a DAG file would count as writing
    watch = Watch()
    forbid(watch, Variable, "get")
    forbid(watch, Variable, "set")
    forbid(watch, Connection, "get")
    forbid(watch, BaseHook, "get_connection")
    sys.addaudithook(watch.hook)
    reports = {}
    for name in files:
        watch.folder, watch.seen = str(Path(name).parent) + os.sep, []
        bag = DagBag(dag_folder=name)
        watch.folder = ""
        errors = [str(error) for error in bag.import_errors.values()]
        for dag in bag.dags.values():
            try:
                DagSerialization.to_dict(dag)
            except Exception as error:
                errors.append(f"{dag.dag_id} can't be serialised: {error}")
        reports[name] = {
            "errors": errors,
            "io": watch.seen,
            "dags": [describe(dag) for dag in bag.dags.values()],
        }
    print("\n" + json.dumps(reports))


if __name__ == "__main__":
    main(sys.argv[1:])
