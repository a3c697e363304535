"""A requirement of DAGs that does not go with Airflow is refused by its name, before an image is built."""

from pathlib import Path

import pytest

from testbed.images.__main__ import BASE_LOCK, REPO
from testbed.images.conflict import explain

DIRECT = (
    "error: No solution found when resolving dependencies\n  cause: Because you require sqlalchemy==1.4.0 and "
    "sqlalchemy=={pin}, we can conclude that your requirements are unsatisfiable."
)
INDIRECT = (
    "error: No solution found\n  cause: Because old-tool==1.0 depends on sqlalchemy<2 and you require "
    "sqlalchemy=={pin}, we can conclude that old-tool==1.0 cannot be used."
)
MISSING = "cause: Because nosuchthing was not found in the package registry and you require nosuchthing==2.0.0, we"


def pin() -> str:
    lines = (REPO / BASE_LOCK).read_text().splitlines()
    (found,) = [line.split()[0].partition("==")[2] for line in lines if line.startswith("sqlalchemy==")]
    return found


def explained(folder: Path, requirement: str, said: str) -> str | None:
    file = folder / "requirements.in"
    file.write_text(f"# what sqlalchemy needs\npython-stdnum==2.2  # checks numbers\n{requirement}\n")
    return explain(said.replace("{pin}", pin()), file, REPO / BASE_LOCK)


@pytest.mark.parametrize(("requirement", "said"), [("sqlalchemy==1.4.0", DIRECT), ("old-tool==1.0", INDIRECT)])
def test_a_conflict_names_the_requirement_and_what_airflow_comes_with(
    requirement: str, said: str, tmp_path: Path
) -> None:
    sentence = explained(tmp_path, requirement, said)
    assert sentence is not None
    assert f"requirements.in: {requirement} can't be had together with Airflow 3." in sentence
    assert f"which comes with sqlalchemy=={pin()}. Ask for a version that goes with it" in sentence
    assert "python-stdnum" not in sentence


def test_a_package_that_does_not_exist_is_named(tmp_path: Path) -> None:
    sentence = explained(tmp_path, "nosuchthing==2.0.0", MISSING)
    assert sentence is not None
    assert "nosuchthing==2.0.0: the package index has no such package or version" in sentence


def test_what_is_no_conflict_is_left_to_its_own_words(tmp_path: Path) -> None:
    assert explained(tmp_path, "python-dateutil", "error: Request failed after 3 retries: connection refused") is None
