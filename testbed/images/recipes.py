"""The images that the testbed makes, each from Debian, PyPI and Maven packages, each cached as an archive.

An image of a program that no registry serves (git-sync, fluentd, …) is one more entry of ``RECIPES``, with a
``program``: it is made where the program is on PATH, and anew where it is another one.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version as installed_version
from pathlib import Path

from uv import find_uv_bin

from testbed.build import cached, key_of
from testbed.images.buildah import Buildah, buildah
from testbed.images.jars import has_jars, jars
from testbed.images.programs import Program
from testbed.images.rootfs import rootfs
from testbed.images.wheels import wheels
from testbed.progress import Progress

HERE = Path(__file__).parent
PREFIX = "localhost/airflow-platform"
"""Before every image's name: no registry has this name, so nothing can be pulled by mistake."""


@dataclass(frozen=True)
class Image:
    """An image that was built: its short ``name``, its full ``reference``, and a Docker archive (tar) that holds it."""

    name: str
    reference: str
    archive: Path


@dataclass(frozen=True)
class Recipe:
    """How an image is made: ``<name>/Containerfile`` here, on top of Debian ``packages``.

    ``hooks`` run while Debian's part is made (see :func:`rootfs`). Where ``<name>/requirements.lock`` exists, the build
    finds its wheels, the lock and ``uv`` in ``/build``. Where there is a ``pom.xml``, what is made of it (see
    :func:`jars`) lies beside the Containerfile as ``jars``. So does a ``program`` of this machine, as ``program``;
    where it is a folder, the build argument PROGRAM_HOME says where that was. Without packages there is nothing of
    Debian in it. ``real`` is what is made in its place where this machine has that one's program: then this one is a
    stand-in.
    """

    name: str
    packages: tuple[str, ...]
    hooks: tuple[str, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    program: Program | None = None
    real: "Recipe | None" = None

    @property
    def there(self) -> bool:
        """Whether this machine has what it is made from."""
        return self.program is None or self.program.there

    @property
    def has_real(self) -> bool:
        """Whether this machine has the real thing, which is then made in the stand-in's place."""
        return self.real is not None and self.real.there

    @property
    def folder(self) -> Path:
        """The build's context."""
        return HERE / self.name

    @property
    def lock(self) -> Path | None:
        """The Python packages, if it has any."""
        path = self.folder / "requirements.lock"
        return path if path.exists() else None


def pinned_version(requirements: Path, package: str) -> str:
    """The version of ``package`` that a requirements file pins."""
    found = re.search(rf"^{re.escape(package)}==(\S+)", requirements.read_text(), re.MULTILINE)
    if not found:
        raise LookupError(f"{requirements} doesn't pin {package}")
    return found[1]


def _as_user_999(name: str, home: str) -> tuple[str, ...]:
    """Hooks that make a program's user, with the official images' number, before its Debian package does."""
    return (
        f'echo "{name}:x:999:" >> "$1/etc/group"',
        f'echo "{name}:x:999:999::{home}:/bin/false" >> "$1/etc/passwd"',
    )


AIRFLOW_BASE = Recipe(
    "airflow",
    ("python3", "python3-venv", "ca-certificates", "dumb-init", "git", "netbase", "openssh-client", "tzdata"),
    arguments={"AIRFLOW_VERSION": pinned_version(HERE / "airflow/requirements.in", "apache-airflow")},
)
POSTGRES = Recipe(
    "postgres",
    ("postgresql-15", "libnss-wrapper", "tzdata"),
    hooks=(
        # 999 as in the official image, and no cluster made at installation
        'echo "postgres:x:999:" >> "$1/etc/group"',
        'echo "postgres:x:999:999:PostgreSQL:/var/lib/postgresql:/bin/bash" >> "$1/etc/passwd"',
        'mkdir -p "$1/etc/postgresql-common"',
        'echo "create_main_cluster = false" > "$1/etc/postgresql-common/createcluster.conf"',
    ),
)
GIT_SERVER = Recipe("git-server", ("git", "openssh-server"))
REDIS = Recipe("redis", ("redis-server", "redis-tools"), hooks=_as_user_999("redis", "/data"))
RABBITMQ = Recipe("rabbitmq", ("rabbitmq-server",), hooks=_as_user_999("rabbitmq", "/var/lib/rabbitmq"))
PGBOUNCER = Recipe("pgbouncer", ("pgbouncer", "python3"))
GIT_SYNC = Recipe("git-sync", ("ca-certificates", "git", "openssh-client"), program=Program("git-sync"))
NGINX_INGRESS = Recipe(
    "nginx-ingress",
    ("nginx", "python3"),
    real=Recipe("nginx-ingress-vendor", (), program=Program("nginx-ingress", folders_up=1)),
)
ALERTMANAGER = Recipe("alertmanager", ("prometheus-alertmanager",))
REDIS_EXPORTER = Recipe("redis-exporter", ("prometheus-redis-exporter",))
ELASTICSEARCH = Recipe(
    "elasticsearch",
    ("openjdk-17-jre-headless", "python3", "python3-yaml", "bash", "curl", "ca-certificates"),
    # Java's packages link a page of the manual, whose folder is left out.
    hooks=('mkdir -p "$1/usr/share/man/man1"',),
    arguments={"ELASTICSEARCH_VERSION": "9.5.3"},
)
FLUENTD = Recipe(
    "fluentd",
    # `make status` asks for its figures in Ruby, which the real one always has.
    ("python3", "ruby", "ca-certificates", "tzdata"),
    real=Recipe(
        "fluentd-vendor",
        # The Ruby libraries of fluentd and its plugins that Debian has, for a program that does not bring them along.
        (
            *("ruby", "ruby-cool.io", "ruby-elasticsearch", "ruby-excon", "ruby-faraday", "ruby-http-parser.rb"),
            *("ruby-lru-redux", "ruby-msgpack", "ruby-serverengine", "ruby-sigdump", "ruby-strptime", "ruby-tzinfo"),
            *("ruby-webrick", "ruby-yajl", "ca-certificates", "tzdata"),
        ),
        program=Program("fluentd", folders_up=2),
    ),
)
_ALL = (
    *(AIRFLOW_BASE, POSTGRES, GIT_SERVER, REDIS, RABBITMQ, PGBOUNCER, GIT_SYNC, NGINX_INGRESS, ALERTMANAGER),
    *(ELASTICSEARCH, FLUENTD, REDIS_EXPORTER),
)
RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in _ALL}


def recipe_of(image_name: str) -> Recipe | None:
    """How this machine makes the platform's image ``image_name`` (a name in components/versions.py).

    None where it can't: there is no recipe, or the program that the recipe needs is not on PATH.
    """
    recipe = RECIPES.get(image_name)
    if recipe and recipe.has_real:
        return recipe.real
    return recipe if recipe and recipe.there else None


def image(progress: Progress, recipe: Recipe) -> Image:
    """The image of ``recipe``, built where its files, packages or wheels changed. Its tag is a hash of these."""
    inputs: dict[str, str | bytes | Path] = {
        "folder": recipe.folder,
        "packages": " ".join(recipe.packages),
        "hooks": "\n".join(recipe.hooks),
        "arguments": repr(sorted(recipe.arguments.items())),
        "uv": installed_version("uv") if recipe.lock else "",
    }
    if recipe.program:
        inputs["program"] = recipe.program.path
        if recipe.program.folders_up:
            inputs["program home"] = str(recipe.program.path)
    reference = f"{PREFIX}/{recipe.name}:{key_of(inputs)}"

    def build(folder: Path) -> None:
        made_of_jars = jars(progress, recipe.folder) if has_jars(recipe.folder) else None
        debian = rootfs(progress, recipe.name, recipe.packages, recipe.hooks) if recipe.packages else None
        volumes = []
        if recipe.lock:
            wheels_folder = wheels(progress, recipe.lock)
            volumes = [
                f"{find_uv_bin()}:/build/uv:ro",
                f"{wheels_folder}:/build/wheels:ro",
                f"{recipe.lock}:/build/requirements.lock:ro",
            ]
        with tempfile.TemporaryDirectory(dir=folder) as scratch, buildah(progress) as builder:
            context = Path(scratch)
            for file in recipe.folder.iterdir():
                if file.is_file():
                    shutil.copy(file, context)
            if debian:
                (context / "rootfs.tar").hardlink_to(debian)
            arguments = dict(recipe.arguments)
            if recipe.program:
                recipe.program.copy_into(context)
                if recipe.program.folders_up:
                    arguments["PROGRAM_HOME"] = str(recipe.program.path)
            if made_of_jars:
                shutil.copytree(made_of_jars, context / "jars", copy_function=os.link)

            def make() -> None:
                builder.build(context / "Containerfile", context, reference, arguments, volumes)
                builder.save(reference, folder / "image.tar")

            builder.whole(make)

    title = f"building the image {recipe.name}"
    return Image(recipe.name, reference, cached(f"image-{recipe.name}", inputs, build, progress, title) / "image.tar")


def ensure_stored(builder: Buildah, made: Image) -> None:
    """Have ``made`` in the storage, where images that are built on it look for it."""
    if not builder.has(made.reference):
        builder.load(made.archive, made.reference)
