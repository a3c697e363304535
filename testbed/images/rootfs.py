"""Root file systems for images, made of Debian packages."""

from collections.abc import Sequence
from pathlib import Path

from testbed.build import cached, run
from testbed.progress import Progress
from testbed.system import ensure_packages

SUITE = "bookworm"
SOURCES = (Path("/etc/apt/sources.list.d/debian.sources"), Path("/etc/apt/sources.list"))
"""Where Debian itself says which mirror the machine uses; a machine with neither gets mmdebstrap's own default."""
LEAN = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/lintian/*")


def rootfs(progress: Progress, name: str, packages: Sequence[str], hooks: Sequence[str] = ()) -> Path:
    """A tar archive with Debian ``packages`` and what they need, without documentation.

    ``hooks`` are shell commands that run before the packages are configured, with the folder as ``$1``.
    """
    ensure_packages(["mmdebstrap", "debian-archive-keyring"], progress)

    def build(folder: Path) -> None:
        target: list[str | Path] = [SUITE, folder / "rootfs.tar"]
        target += [source for source in SOURCES if _lists_debian(source)][:1]
        run(
            [
                *("unshare", "--mount", "--propagation", "private"),  # an interrupted one leaves no mount behind
                *("mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}"),
                *(f"--dpkgopt=path-exclude={pattern}" for pattern in LEAN),
                *(f"--essential-hook={hook}" for hook in hooks),
                *target,
            ],
            progress,
            env={"TMPDIR": str(folder)},  # /tmp may be small, or forbid device nodes
            mend="Mend: see that Debian's mirror answers (apt-get update), then run the command again.",
        )

    inputs = {"suite": SUITE, "packages": " ".join(packages), "hooks": "\n".join(hooks), "lean": " ".join(LEAN)}
    title = f"making Debian's part of the image {name}"
    return cached(f"rootfs-{name}", inputs, build, progress, title) / "rootfs.tar"


def _lists_debian(source: Path) -> bool:
    """Whether ``source`` names a mirror for our suite: a machine of another release can't build from its own list."""
    return source.is_file() and any(
        SUITE in line for line in source.read_text().splitlines() if line.startswith(("deb ", "Suites:"))
    )
