"""Which images the clusters run: those of our registry, and Google's own system images.

Signatures (attestations) are deliberately not asked for: who may push to the registry decides, and that is CI alone.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import IMAGES_REPOSITORY, PULL_THROUGH, Organisation


def admitted_patterns(organisation: Organisation) -> list[str]:
    """The images that may run, as Binary Authorization writes them: everything in the registry's own repositories."""
    repositories = [IMAGES_REPOSITORY, *PULL_THROUGH.values()]
    return [f"{organisation.registry}/{repository}/**" for repository in repositories]


def is_admitted(image: str, patterns: Sequence[str]) -> bool:
    """Whether one of ``patterns`` admits ``image``, a whole reference with tag, digest or both.

    A trailing ``*`` stands for any characters but ``/``, a trailing ``**`` for any at all; elsewhere neither is special
    (binaryauthorization v1, AdmissionWhitelistPattern). Google's own system images are not looked at here.
    """
    return any(_expression(pattern).fullmatch(image) for pattern in patterns)


def _expression(pattern: str) -> re.Pattern[str]:
    for wildcard, meaning in (("**", ".*"), ("*", "[^/]*")):
        if pattern.endswith(wildcard):
            return re.compile(re.escape(pattern.removesuffix(wildcard)) + meaning)
    return re.compile(re.escape(pattern))


@dataclass(frozen=True)
class AdmissionArgs:
    """Arguments of ``Admission``: the projects whose clusters it is for, and what it admits."""

    projects: tuple[str, ...]
    patterns: tuple[str, ...]


class Admission(pulumi.ComponentResource):
    """The Binary Authorization policy of each project, which all of its clusters follow."""

    def __init__(self, name: str, args: AdmissionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Admission", name, None, opts)
        for project in args.projects:
            gcp.binaryauthorization.Policy(
                f"{name}-{project}",
                project=project,
                description="Images of our own registry only",
                # Google keeps this list: what GKE itself runs in a cluster.
                # https://cloud.google.com/binary-authorization/docs/key-concepts
                global_policy_evaluation_mode="ENABLE",
                default_admission_rule={
                    "evaluation_mode": "ALWAYS_DENY",
                    "enforcement_mode": "ENFORCED_BLOCK_AND_AUDIT_LOG",
                },
                admission_whitelist_patterns=[{"name_pattern": pattern} for pattern in args.patterns],
                # To delete the policy is to admit everything.
                opts=pulumi.ResourceOptions(parent=self, protect=True),
            )
        self.register_outputs({})
