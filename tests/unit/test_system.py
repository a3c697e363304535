"""What the testbed installs on the machine."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testbed import system
from testbed.progress import Progress


def test_two_that_want_packages_install_them_once_and_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    installed: set[str] = set()
    commands: list[list[str]] = []
    both_looked = threading.Barrier(2, timeout=10)
    looked = threading.local()

    def is_installed(package: str) -> bool:
        found = package in installed
        if not hasattr(looked, "once"):
            looked.once = True
            both_looked.wait()
        return found

    def run(command: list[str], *_: object, **__: object) -> str:
        commands.append(command)
        if "install" in command:
            installed.add(command[-1])
        return ""

    monkeypatch.setattr(system, "_installed", is_installed)
    monkeypatch.setattr(system, "run", run)
    monkeypatch.setattr(system, "cache_dir", lambda: tmp_path)
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    with ThreadPoolExecutor(2) as threads, Path("/dev/null").open("w") as nowhere:
        for ended in [threads.submit(system.ensure_packages, ["hello"], Progress(out=nowhere)) for _ in range(2)]:
            ended.result(timeout=20)
    assert [command[1] for command in commands] == ["update", "install"]
