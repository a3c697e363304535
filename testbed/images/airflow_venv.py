"""A virtual environment with Airflow for the DAG tests: the stand-in image's packages under this machine's Python.

Apart from the project's own environment, whose packages Airflow's would contradict.
"""

import platform
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from uv import find_uv_bin

from testbed.build import cached, run
from testbed.images.recipes import AIRFLOW_BASE
from testbed.images.wheels import wheels
from testbed.progress import Progress

REPO = Path(__file__).resolve().parents[2]


def airflow_python(progress: Progress, repo: Path = REPO) -> Path:
    """The ``python`` of an environment with Airflow, the DAGs' requirements and pytest; built where a lock changed.

    Run the DAG tests with it: ``<python> -m pytest dags-image/tests``.
    """
    locks = {
        "airflow": AIRFLOW_BASE.folder / "requirements.lock",
        "dags": repo / "dags-image/requirements.lock",
        "tests": repo / "dags-image/tests/requirements.lock",
    }

    def build(folder: Path) -> None:
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        folders = [wheels(progress, lock, python) for lock in locks.values()]
        uv = find_uv_bin()
        # relocatable: the folder gets its final name when it is whole
        run([uv, "venv", "--quiet", "--relocatable", "--allow-existing", "--python", sys.executable, folder], progress)
        run(
            [
                *(uv, "pip", "install", "--quiet", "--python", folder / "bin/python", "--link-mode", "copy"),
                *("--no-index", "--no-deps", "--require-hashes", "--compile-bytecode"),
                *(f"--find-links={wheel_folder}" for wheel_folder in folders),
                *(f"--requirement={lock}" for lock in locks.values()),
            ],
            progress,
        )

    inputs: dict[str, str | bytes | Path] = {**locks, "python": platform.python_version(), "base": sys.base_prefix}
    inputs["uv"] = installed_version("uv")
    return cached("airflow-venv", inputs, build, progress, "making an environment for the DAG tests") / "bin/python"


if __name__ == "__main__":
    print(airflow_python(Progress()))
