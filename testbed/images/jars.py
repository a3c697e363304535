"""Java programs for images: from Maven by a pom.xml, each file checked against the checksum that is kept beside it."""

import hashlib
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

from testbed.build import cached, run
from testbed.progress import Failure, Progress
from testbed.system import ensure_packages

LOCK = "jars.lock"
JAVA = "17"
"""Debian bookworm's, on this machine and in the image."""
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def has_jars(folder: Path) -> bool:
    """Whether an image's folder asks for Java programs."""
    return (folder / "pom.xml").exists()


def jars(progress: Progress, folder: Path) -> Path:
    """What the image of ``folder`` runs: ``lib`` with the jars of its pom.xml, ``plugins`` with the zips unpacked,
    ``classes`` with its own ``*.java`` compiled.

    Refuses a file whose checksum is not in the folder's jars.lock, and one that is missing.
    """
    ensure_packages(["maven", f"openjdk-{JAVA}-jdk-headless"], progress)
    pom, lock, sources = folder / "pom.xml", folder / LOCK, sorted(folder.glob("*.java"))

    def build(target: Path) -> None:
        with tempfile.TemporaryDirectory(dir=target) as scratch:
            found = _download(progress, pom, Path(scratch))
            _check(found, lock)
            _lay_out(found, target)
        run(["javac", "-cp", f"{target}/lib/*", "-d", target / "classes", *sources], progress)

    inputs: dict[str, str | bytes | Path] = {"pom": pom, "lock": lock, "java": JAVA}
    inputs |= {source.name: source for source in sources}
    return cached(f"jars-{folder.name}", inputs, build, progress, f"downloading the jars of the image {folder.name}")


def lock_jars(progress: Progress, folder: Path) -> None:
    """Write ``folder``'s jars.lock anew, from what Maven serves now."""
    ensure_packages(["maven", f"openjdk-{JAVA}-jdk-headless"], progress)
    with progress.step(f"locking {folder.name}/pom.xml"), tempfile.TemporaryDirectory() as scratch:
        found = _download(progress, folder / "pom.xml", Path(scratch))
        lines = [f"{_sum(file)}  {file.name}\n" for file in sorted(found.iterdir())]
        (folder / LOCK).write_text("".join(lines), encoding="utf-8")


def _download(progress: Progress, pom: Path, scratch: Path) -> Path:
    target = scratch / "found"
    run(
        [
            *("mvn", "--quiet", "--batch-mode", f"--file={pom}", f"-Dmaven.repo.local={scratch / 'repository'}"),
            *(_COPY, f"-DoutputDirectory={target}"),
        ],
        progress,
        mend="Mend: see that Maven Central answers, then run the command again.",
    )
    return target


def _check(found: Path, lock: Path) -> None:
    wanted = {name: digest for digest, _, name in (line.partition("  ") for line in lock.read_text().splitlines())}
    got = {file.name: _sum(file) for file in found.iterdir()}
    if wanted != got:
        other = sorted(name for name in wanted.keys() | got.keys() if wanted.get(name) != got.get(name))
        raise Failure(
            f"Maven does not serve what {lock} names: {', '.join(other)} missing, added or changed.\n"
            "Mend: look why; where it is meant, `python -m testbed.images lock --jars` writes the checksums anew."
        )


def _sum(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _lay_out(found: Path, target: Path) -> None:
    for name in ("lib", "plugins", "modules", "classes"):
        (target / name).mkdir()
    for jar in found.glob("*.jar"):
        shutil.move(jar, target / "lib")
    shared = {_artifact(jar) for jar in (target / "lib").iterdir()}
    for archive in found.glob("*.zip"):
        plugin = target / "plugins" / _artifact(archive)
        with zipfile.ZipFile(archive) as content:
            content.extractall(plugin)
        # A class may not be both on the class path and in a plugin: the server refuses to start ("jar hell").
        for jar in plugin.glob("*.jar"):
            if _artifact(jar) in shared:
                jar.unlink()


def _artifact(file: Path) -> str:
    return re.sub(r"-\d.*$", "", file.stem)
