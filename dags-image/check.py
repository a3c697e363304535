"""Says of each DAG file whether it keeps the rules (tests/rules.py), then runs the DAGs' own tests.

Usage: check.py [--dags FOLDER]    with a Python that has Airflow and pytest; `make dags-test` finds one.
Exit code: 0 all is well, 1 something is not.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
TESTS = HERE / "tests"
PLATFORM_TESTS = (
    *("test_dags.py", "test_rules.py", "test_backfill_lane.py", "test_task_shapes.py", "test_loop.py"),
    *("test_artifact_bundle.py", "test_image_bundle.py", "test_notifications.py", "test_mend_airflow.py"),
    *("test_task_log_lines.py", "test_task_log_reading.py", "test_celery_preload.py"),
)
"""What does not test this folder's DAGs: the rules themselves (applied above) and what the platform brings along."""


def check(folder: Path) -> bool:
    """Apply the rules to the files of ``folder`` and print what they find; whether they found nothing."""
    import conftest  # noqa: F401, PLC0415 (gives Airflow a home before anything imports it)
    from rules import dag_files, doubled_ids, inspect, problems  # noqa: PLC0415

    files = dag_files(folder)
    if not files:
        print(f"{folder} has no Python file.\nMend: put a DAG there, or say with --dags where they are.")
        return False
    reports = inspect(files)
    well = True
    for file, report in reports.items():
        found = problems(report)
        names = ", ".join(dag["dag_id"] for dag in report["dags"]) or "no DAG"
        print(f"{'wrong' if found else 'ok':<6} {file.relative_to(folder)} ({names})")
        for problem in found:
            print("       - " + "\n         ".join(problem.strip().splitlines()))
        well = well and not found
    for name in doubled_ids(reports):
        print(f"wrong  the id {name} is that of more than one DAG. Rename all but one")
        well = False
    return well


def unlocked(asked: str, lock: str) -> list[str]:
    """The lines of requirements.in (``asked``) that requirements.lock does not satisfy."""
    locked = dict(re.findall(r"^([A-Za-z0-9._-]+)==([^\s\\;]+)", lock, re.MULTILINE))
    locked = {canonicalize_name(name): version for name, version in locked.items()}
    lines = filter(None, (line.partition("#")[0].strip() for line in asked.splitlines()))
    wanted = [Requirement(line) for line in lines]
    return [
        str(one)
        for one in wanted
        if not one.specifier.contains(locked.get(canonicalize_name(one.name), "0"), prereleases=True)
        or canonicalize_name(one.name) not in locked
    ]


def check_lock() -> bool:
    """Whether what the image is built from is what the DAGs ask for; says what is not."""
    texts = [(HERE / f"requirements.{ending}").read_text(encoding="utf-8") for ending in ("in", "lock")]
    missing = unlocked(*texts)
    for line in missing:
        print(f"wrong  requirements.lock does not have {line}, which requirements.in asks for. Run make dags-lock")
    return not missing


def run_tests() -> bool:
    """Run the tests of the DAGs; whether they pass."""
    ignored = [f"--ignore={TESTS / name}" for name in PLATFORM_TESTS]
    with tempfile.TemporaryDirectory() as elsewhere:
        options = [
            "-q",
            "--no-header",
            "--disable-warnings",
            f"--rootdir={HERE}",
            f"--override-ini=cache_dir={elsewhere}",
        ]
        done = subprocess.run([sys.executable, "-m", "pytest", *options, *ignored, TESTS], cwd=HERE, check=False)
    return done.returncode == 0


def main(arguments: list[str]) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="check.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--dags", type=Path, default=HERE / "dags")
    folder = parser.parse_args(arguments).dags.resolve()
    sys.path.insert(0, str(TESTS))
    well = check(folder)
    # Tests of DAGs that are not even read say the same again, only longer.
    if well and folder == HERE / "dags":
        well = check_lock() and run_tests()
    print("\nall is well" if well else "\nsomething is wrong, see above")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
