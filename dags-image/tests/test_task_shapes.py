"""Shapes that tasks ask for by name."""

from pathlib import Path

import pytest
from task_shapes import shape


def test_a_shape_is_the_template_that_the_platform_has_for_it(tmp_path: Path) -> None:
    (tmp_path / "shape-large.yaml").touch()
    assert shape("large", tmp_path) == {"pod_template_file": f"{tmp_path}/shape-large.yaml"}


def test_a_misspelled_shape_names_those_that_there_are(tmp_path: Path) -> None:
    for name in ("shape-large.yaml", "shape-quick.yaml", "pod-template.yaml", "backfill-shape-large.yaml"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"no task shape 'lrage': taskShapes in the stack file has large, quick$"):
        shape("lrage", tmp_path)


def test_where_there_are_no_shapes_every_task_has_the_default_pod(tmp_path: Path) -> None:
    assert shape("large", tmp_path) == {}
    assert shape("large", tmp_path / "not-there") == {}
