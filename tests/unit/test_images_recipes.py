"""What the images are made from, as far as it can be seen without building them."""

import contextlib
import os
import re
from pathlib import Path

import pytest

from components.versions import IMAGES
from testbed.build import key_of
from testbed.images import MODULES, REPO
from testbed.images.buildah import GIB, NOT_MOUNTED, Buildah, buildah, need_space
from testbed.images.programs import Program
from testbed.images.recipes import AIRFLOW_BASE, GIT_SYNC, RECIPES, pinned_version, recipe_of
from testbed.images.wheels import IMAGE_GLIBC, platforms
from testbed.progress import Failure, Progress

BASE_LOCK = REPO / "testbed/images/airflow/requirements.lock"
LOCKS = [BASE_LOCK, REPO / "dags-image/requirements.lock", REPO / "dags-image/tests/requirements.lock"]


def pins(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9._-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(REPO)))
def test_every_locked_package_has_hashes(lock: Path) -> None:
    entries = re.split(r"\n(?=[a-z0-9])", lock.read_text())
    unhashed = [entry.split()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]
    assert pins(lock)
    assert unhashed == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(REPO)))
def test_a_lock_holds_what_its_requirements_ask_for(lock: Path) -> None:
    wanted = [
        line.split("#")[0].strip()
        for line in lock.with_suffix(".in").read_text().splitlines()
        if line.split("#")[0].strip()
    ]
    locked = pins(lock)
    for requirement in wanted:
        name, _, version = requirement.partition("==")
        assert name in locked
        assert version in ("", locked[name])


@pytest.mark.parametrize("lock", LOCKS[1:], ids=lambda lock: str(lock.relative_to(REPO)))
def test_what_the_dags_need_agrees_with_the_base_image(lock: Path) -> None:
    base, own = pins(BASE_LOCK), pins(lock)
    assert {name: version for name, version in own.items() if base.get(name, version) != version} == {}


def test_the_dag_image_defaults_to_the_official_base_of_the_same_airflow() -> None:
    dockerfile = (REPO / "dags-image/Dockerfile").read_text()
    version = AIRFLOW_BASE.arguments["AIRFLOW_VERSION"]
    assert f"ARG BASE_IMAGE=docker.io/apache/airflow:{version}-python3.12\n" in dockerfile
    assert pins(BASE_LOCK)["apache-airflow-core"] == version


def test_every_recipe_has_a_containerfile_that_ends_as_a_user_other_than_root() -> None:
    for recipe in [*RECIPES.values(), *(recipe.real for recipe in RECIPES.values() if recipe.real)]:
        users = re.findall(r"^USER (\S+)", (recipe.folder / "Containerfile").read_text(), re.MULTILINE)
        assert users, recipe.name
        assert users[-1].split(":")[0] not in ("0", "root")


@pytest.mark.parametrize("file", ["dags-image/Dockerfile", "testbed/images/airflow/Containerfile"])
def test_no_layer_of_packages_is_kept_when_the_lock_has_changed(file: str) -> None:
    # Buildah takes a layer from its cache by its words, whatever lies in its mounts; by what was copied before it.
    stages = re.split(r"^FROM ", (REPO / file).read_text(), flags=re.MULTILINE)[1:]
    assert stages
    for stage in stages:
        steps = re.split(r"\n(?=[A-Z])", stage)
        copied = [number for number, step in enumerate(steps) if re.match(r"COPY .*requirements\.lock ", step)]
        installs = [number for number, step in enumerate(steps) if step.startswith("RUN") and re.search("wheel", step)]
        assert installs
        assert copied
        assert copied[0] < installs[0]


def test_a_package_that_is_not_pinned_is_named(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.in"
    requirements.write_text("alpha==1.2\n")
    assert pinned_version(requirements, "alpha") == "1.2"
    with pytest.raises(LookupError, match="doesn't pin beta"):
        pinned_version(requirements, "beta")


def test_wheels_for_the_images_own_glibc_come_first_and_none_for_a_newer_one() -> None:
    tags = platforms("aarch64")
    assert tags[0] == f"manylinux_2_{IMAGE_GLIBC}_aarch64"
    assert "manylinux2014_aarch64" in tags
    assert f"manylinux_2_{IMAGE_GLIBC + 1}_aarch64" not in tags


def test_a_full_disk_is_refused_with_path_need_and_mend(tmp_path: Path) -> None:
    with pytest.raises(Failure) as refused:
        need_space(tmp_path, 10**9 * GIB, "building images")
    text = str(refused.value)
    assert str(tmp_path) in text
    assert "1000000000.0 GiB" in text
    assert "AIRFLOW_PLATFORM_CACHE" in text


def test_building_without_root_is_refused_before_anything_happens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("AIRFLOW_PLATFORM_CACHE", str(tmp_path))
    with pytest.raises(Failure, match="needs root"), buildah(Progress()):
        pytest.fail("it went on")
    assert list(tmp_path.iterdir()) == []


def put_on_path(folder: Path, name: str, content: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    program = folder / name
    program.write_text(content)
    program.chmod(0o755)
    return program


def test_an_image_of_a_program_is_made_only_where_the_program_is_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert recipe_of("git-sync") is None
    assert recipe_of("redis") is RECIPES["redis"]
    assert recipe_of("no-such-image") is None
    with pytest.raises(Failure, match="git-sync is not on PATH") as refused:
        _ = Program("git-sync").path
    assert "Mend:" in str(refused.value)
    put_on_path(tmp_path, "git-sync", "#!/bin/sh\n")
    assert recipe_of("git-sync") is GIT_SYNC


def test_a_stand_in_gives_way_to_the_real_thing_where_that_is_on_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    stand_in = RECIPES["nginx-ingress"]
    assert recipe_of("nginx-ingress") is stand_in
    program = put_on_path(tmp_path / "vendor", "nginx-ingress", "#!/bin/sh\n")
    (tmp_path / "vendor/nginx.tmpl").write_text("its templates are beside it")
    (tmp_path / "path").mkdir()
    (tmp_path / "path/nginx-ingress").symlink_to(program)
    real = recipe_of("nginx-ingress")
    assert real is stand_in.real
    assert real.program.path == tmp_path / "vendor"


def test_another_program_is_another_image(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    put_on_path(tmp_path, "tool", "one")
    before = key_of({"program": Program("tool").path})
    assert key_of({"program": Program("tool").path}) == before
    put_on_path(tmp_path, "tool", "two")
    assert key_of({"program": Program("tool").path}) != before


def test_a_program_with_an_installation_around_it_comes_whole_and_a_link_to_it_is_followed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = put_on_path(tmp_path / "opt/tool/bin", "tool", "run")
    (tmp_path / "opt/tool/public").mkdir()
    (tmp_path / "opt/tool/public/page").write_text("hello")
    (tmp_path / "path").mkdir()
    (tmp_path / "path/tool").symlink_to(program)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    context = tmp_path / "context"
    context.mkdir()
    Program("tool", folders_up=2).copy_into(context)
    assert (context / "program/bin/tool").read_text() == "run"
    assert (context / "program/public/page").read_text() == "hello"
    alone = tmp_path / "alone"
    alone.mkdir()
    Program("tool").copy_into(alone)
    assert (alone / "program").read_text() == "run"


def test_the_recipes_stand_for_images_that_the_platform_has() -> None:
    assert recipe_of("pgbouncer-exporter") is None  # a Go module's program
    assert not MODULES.keys() & RECIPES.keys()
    assert MODULES.keys() <= IMAGES.keys()
    assert {name for name, recipe in RECIPES.items() if recipe.program} <= IMAGES.keys()


@pytest.mark.parametrize(("said", "again"), [(f"find /tmp/wheels {NOT_MOUNTED}", True), ("no space left", False)])
def test_a_stage_that_came_from_the_cache_and_is_not_mounted_is_built_again_without_it(
    said: str, again: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    builder = Buildah(tmp_path, "vfs", Progress())
    calls: list[tuple[str | Path, ...]] = []

    def run(command: str, *arguments: str | Path) -> str:
        calls.append((command, *arguments))
        if "--no-cache" not in arguments:
            raise Failure(said)
        return ""

    monkeypatch.setattr(builder, "run", run)
    with contextlib.nullcontext() if again else pytest.raises(Failure, match=said):
        builder.build(tmp_path / "Dockerfile", tmp_path, "x:1", {"A": "b"})
    assert ["--no-cache" in call for call in calls] == ([False, True] if again else [False])
    assert all("--build-arg=A=b" in call for call in calls)
