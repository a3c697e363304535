"""Whether an image is there, asked before anything is made: a wrong digest shall not stop an update half-way."""

import re
from typing import Final

import pulumi
import pulumi_gcp as gcp

_REFERENCE: Final = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/]+)/(?P<repository>[^/]+)/"
    r"(?P<path>[^@:]+)(?::[^@]+)?@(?P<digest>sha256:[0-9a-f]{64})"
)


class ImageMissingError(Exception):
    """An image can't be deployed. The text says which and what to do."""


def require_images(references: list[str], provider: gcp.Provider) -> None:
    """Raises ``ImageMissingError`` naming every one of ``references`` that Artifact Registry does not have.

    Only in an update: a preview must work without credentials.
    """
    if pulumi.runtime.is_dry_run():
        return
    missing = [problem for reference in dict.fromkeys(references) if (problem := _problem(reference, provider))]
    if missing:
        listed = "\n".join(f"  - {problem}" for problem in missing)
        raise ImageMissingError(f"images are not there; nothing was created:\n{listed}")


def _problem(reference: str, provider: gcp.Provider) -> str | None:
    parts = _REFERENCE.fullmatch(reference)
    if parts is None:
        return f"{reference}: is no image of an Artifact Registry with a digest. Mend: correct it in the stack file"
    try:
        gcp.artifactregistry.get_docker_image(
            image_name=f"{parts['path']}@{parts['digest']}",
            location=parts["location"],
            project=parts["project"],
            repository_id=parts["repository"],
            opts=pulumi.InvokeOptions(provider=provider),
        )
    except Exception as error:
        said = str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
        return f"{reference}: {said}. Mend: push the image, or correct version and digest in the stack file"
    return None
