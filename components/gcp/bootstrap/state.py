"""The bucket that holds the state of all stacks, and who may touch which stack's part of it.

Pulumi's own layout decides the paths (pkg/backend/diy in pulumi/pulumi, version 1 of the layout): a stack has objects
below ``stacks``, ``history``, ``backups`` and ``locks``. A preview reads and writes nothing; it takes no lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

DAY_SECONDS: Final = 24 * 3600
LIST: Final = "roles/storage.legacyBucketReader"
READ: Final = "roles/storage.objectViewer"
WRITE: Final = "roles/storage.objectUser"


@dataclass(frozen=True)
class StackAccess:
    """Who writes (``pulumi up``) and who reads (``pulumi preview``) one stack's state, by a label each.

    ``ephemeral_stacks``: and that of every stack whose name begins with this one's and a dash.
    """

    writers: Mapping[str, pulumi.Input[str]]
    readers: Mapping[str, pulumi.Input[str]]
    ephemeral_stacks: bool = False


@dataclass(frozen=True)
class StateArgs:
    """Arguments of ``State``. ``administrators`` write and ``break_glass`` reads everything.

    An earlier version of an object goes when it is older than ``days_kept`` and has ``versions_kept`` newer ones. What
    is deleted can be restored for ``soft_delete_days`` (7 to 90).
    """

    project: str
    region: str
    bucket: str
    administrators: str
    break_glass: str
    stacks: Mapping[str, StackAccess]
    versions_kept: int = 100
    days_kept: int = 90
    soft_delete_days: int = 30


class State(pulumi.ComponentResource):
    """A private, versioned bucket for Pulumi's state."""

    url: pulumi.Output[str]
    """For ``pulumi login``."""

    def __init__(self, name: str, args: StateArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:State", name, None, opts)
        self._bucket = gcp.storage.Bucket(
            f"{name}-bucket",
            name=args.bucket,
            project=args.project,
            location=args.region,
            # IAM alone decides, also by an object's name, which needs uniform access; and never the public.
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            # No retention policy: it forbids to replace or delete an object before its time
            # (https://cloud.google.com/storage/docs/bucket-lock), and Pulumi replaces a stack's state at every step and
            # deletes its locks. Versions and soft delete keep what was there instead.
            versioning={"enabled": True},
            # What nobody can undo, not even who may delete versions.
            soft_delete_policy={"retention_duration_seconds": args.soft_delete_days * DAY_SECONDS},
            lifecycle_rules=[
                {
                    "action": {"type": "Delete"},
                    # All of a rule's conditions must hold: https://cloud.google.com/storage/docs/lifecycle
                    "condition": {
                        "num_newer_versions": args.versions_kept,
                        "days_since_noncurrent_time": args.days_kept,
                    },
                },
                {
                    "action": {"type": "Delete"},
                    # Each lock is an object of its own, which never has a newer version.
                    "condition": {"matches_prefixes": [".pulumi/locks/"], "days_since_noncurrent_time": args.days_kept},
                },
            ],
            force_destroy=False,
            deletion_policy="PREVENT",
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self._grant(f"{name}-administrators-write", WRITE, args.administrators)
        self._grant(f"{name}-administrators-list", LIST, args.administrators)
        self._grant(f"{name}-break-glass-read", READ, args.break_glass)
        self._grant(f"{name}-break-glass-list", LIST, args.break_glass)
        for stack, access in args.stacks.items():
            self._allow(f"{name}-{stack}", args.bucket, stack, access)
        self.url = self._bucket.name.apply(lambda bucket: f"gs://{bucket}")
        self.register_outputs({"url": self.url})

    def _allow(self, name: str, bucket: str, stack: str, access: StackAccess) -> None:
        own = within(bucket, stack_prefixes(pulumi.get_project(), stack, access.ephemeral_stacks))
        shared = within(bucket, [".pulumi/meta.yaml"])
        for label, member in access.writers.items():
            self._grant(f"{name}-{label}-list", LIST, member)
            self._grant(f"{name}-{label}-write", WRITE, member, ("own-stacks", own))
            self._grant(f"{name}-{label}-read", READ, member, ("layout", shared))
        for label, member in access.readers.items():
            self._grant(f"{name}-{label}-list", LIST, member)
            self._grant(f"{name}-{label}-read", READ, member, ("own-stacks-and-layout", f"{own} || {shared}"))

    def _grant(
        self, name: str, role: str, member: pulumi.Input[str], condition: tuple[str, str] | None = None
    ) -> gcp.storage.BucketIAMMember:
        return gcp.storage.BucketIAMMember(
            name,
            bucket=self._bucket.name,
            role=role,
            member=member,
            condition={"title": condition[0], "expression": condition[1]} if condition else None,
            opts=pulumi.ResourceOptions(parent=self),
        )


def stack_prefixes(project: str, stack: str, ephemeral_stacks: bool) -> list[str]:
    """What the names of a stack's objects begin with, and with ``ephemeral_stacks`` those of stacks ``<stack>-…``."""
    folders = {
        f".pulumi/stacks/{project}/": ".",  # a file and its relatives: .json, .json.bak, .json.gz, .pulumi-tags
        f".pulumi/history/{project}/": "/",
        f".pulumi/backups/{project}/": "/",
        f".pulumi/locks/organization/{project}/": "/",
    }
    prefixes = [f"{folder}{stack}{end}" for folder, end in folders.items()]
    if ephemeral_stacks:
        prefixes += [f"{folder}{stack}-" for folder in folders]
    return prefixes


def within(bucket: str, prefixes: list[str]) -> str:
    """An IAM condition: the object's name begins with one of ``prefixes``.

    Google allows 12 logical operators in a condition (https://cloud.google.com/iam/docs/conditions-overview); the most
    that is made here are 8.
    """
    return " || ".join(
        f"resource.name.startsWith('projects/_/buckets/{bucket}/objects/{prefix}')" for prefix in prefixes
    )
