"""The rules, applied to every file in dags/."""

from pathlib import Path
from typing import Any

import pytest
from conftest import DAGS
from rules import dag_files, doubled_ids, inspect, problems

FILES = dag_files(DAGS)
Reports = dict[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def reports() -> Reports:
    return inspect(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DAGS)))
def test_a_dag_file_keeps_every_rule(file: Path, reports: Reports) -> None:
    assert problems(reports[file]) == []


def test_every_dag_id_is_used_once(reports: Reports) -> None:
    assert doubled_ids(reports) == []


def test_there_is_a_dag(reports: Reports) -> None:
    assert any(report["dags"] for report in reports.values())
