"""What it means for a DAG author that a set of requirements can't be locked, in one sentence before uv's own words."""

import re
from pathlib import Path

from testbed.images.recipes import AIRFLOW_BASE, pinned_version

NAME = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


def explain(said: str, requirements: Path, base_lock: Path) -> str | None:
    """Which line of ``requirements`` contradicts which pin of ``base_lock``, by what uv ``said``; None if none does."""
    lines = [line.partition("#")[0].strip() for line in requirements.read_text().splitlines()]
    asked = [line for line in lines if (name := NAME.match(line)) and _names(said, name[1])]
    wanted = ", ".join(asked)
    if asked and "was not found in the package registry" in said:
        return (
            f"{requirements}: {wanted}: the package index has no such package or version. Correct the name, or the "
            "version."
        )
    pins = re.findall(r"^([a-z0-9._-]+==[^\s\\]+)", base_lock.read_text(), re.MULTILINE)
    needed = [pin for pin in pins if pin in said]
    if not asked or not needed:
        return None
    airflow = pinned_version(AIRFLOW_BASE.folder / "requirements.in", "apache-airflow")
    return (
        f"{requirements}: {wanted} can't be had together with Airflow {airflow}, which comes with {', '.join(needed)}. "
        "Ask for a version that goes with it, or give the tasks that need it an image of their own (docs/authors.md)."
    )


def _names(said: str, package: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(package)}(?![\w-])", said, re.IGNORECASE) is not None
