"""Clones of the project, with revisions and stack files to change: what the offline diff looks at."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ops.diff import ROOT, diff
from ops.diff_report import Report
from testbed.progress import Progress

Tree = dict[str, Any]
PROGRAM = ("infra", "components", "stacks", "Pulumi.yaml", "requirements.txt")
IDENTITY = ("-c", "user.name=Ada", "-c", "user.email=ada@acme.example")


@dataclass
class Project:
    """A clone of the project, with its stack files to change."""

    tree: Path

    def git(self, *arguments: str) -> str:
        return subprocess.run(
            ["git", *IDENTITY, *arguments], cwd=self.tree, check=True, capture_output=True, text=True
        ).stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "a revision")
        return self.git("rev-parse", "HEAD")

    def changed(self, *changes: Callable[[Tree], object], allow: str = "", base: str = "HEAD") -> Report:
        """What the working tree does to prod after ``changes`` to its stack file."""
        path = self.tree / "stacks" / "Pulumi.prod.yaml"
        before = path.read_text(encoding="utf-8")
        content = yaml.safe_load(before)
        tree = {key.partition(":")[2]: value for key, value in content["config"].items()}
        for change in changes:
            change(tree)
        content["config"] = {f"airflow-platform:{key}": value for key, value in tree.items()}
        try:
            path.write_text("# another comment\n" + yaml.safe_dump(content), encoding="utf-8")
            return diff("prod", base, Progress(), [allow], self.tree)
        finally:
            path.write_text(before, encoding="utf-8")


def copied(tree: Path, *parts: str) -> Project:
    tree.mkdir()
    for part in parts:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / part, tree / part)
    project = Project(tree)
    project.git("init", "--quiet", "--initial-branch=main")
    project.commit()
    return project
