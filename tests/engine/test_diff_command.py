"""The offline diff as a person calls it, in a clone whose program changes between revisions."""

import json
import os
import subprocess
import sys

import pytest

from tests.engine.projects import PROGRAM, Project, copied

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The whole project, to call the command in as a person does."""
    return copied(tmp_path_factory.mktemp("clone") / "tree", *PROGRAM, "ops", "policy", "testbed")


def called(clone: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ops.diff", "--stack", "prod", *arguments],
        cwd=clone.tree,
        env={**os.environ, "GOOGLE_APPLICATION_CREDENTIALS": "/nowhere", "GOOGLE_OAUTH_ACCESS_TOKEN": "leaked"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_base_is_what_its_own_program_makes(clone: Project) -> None:
    file = clone.tree / "components" / "gcp" / "database.py"
    program = file.read_text(encoding="utf-8")
    file.write_text(program.replace('"query_string_length": 1024', '"query_string_length": 2048'), encoding="utf-8")
    assert file.read_text(encoding="utf-8") != program
    old = clone.commit()
    file.write_text(program, encoding="utf-8")
    done = called(clone, "--base", old, "--format", "json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["counts"] == {"create": 0, "update": 1, "replace": 0, "delete": 0}
    (database,) = report["resources"]
    assert [(each["path"], each["old"], each["new"]) for each in database["changes"]] == [
        ("settings.insightsConfig.queryStringLength", "2048", "1024")
    ]
    assert "leaked" not in done.stdout + done.stderr


def test_a_broken_program_is_named_by_file_and_line(clone: Project) -> None:
    file = clone.tree / "infra" / "environment.py"
    program = file.read_text(encoding="utf-8")
    broken = program.replace("    images = image_source(settings)\n", "    images = imagesource(settings)\n", 1)
    line = broken[: broken.index("imagesource(")].count("\n") + 1
    base = clone.commit()
    file.write_text(broken, encoding="utf-8")
    try:
        done = called(clone, "--base", base)
        assert done.returncode == 1
        assert f"infra/environment.py, line {line}: NameError: name 'imagesource' is not defined" in done.stderr
        assert "the working tree's program can't be previewed" in done.stderr
        assert "Traceback" not in done.stderr
        worse = clone.commit()
    finally:
        file.write_text(program, encoding="utf-8")
    done = called(clone, "--base", worse)
    assert done.returncode == 1
    assert f"the program of {worse} ({worse[:12]}) does not come up" in done.stderr
    assert "NameError: name 'imagesource' is not defined" in done.stderr
    assert "Mend: choose another BASE=" in done.stderr
    assert "Traceback" not in done.stderr
