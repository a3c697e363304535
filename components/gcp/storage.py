"""The bucket of one Airflow: its task logs, and results of tasks that are too large for its database."""

from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import bucket_name

SOFT_DELETE_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class AirflowBucketArgs:
    """Arguments of ``AirflowBucket``. ``members`` may read and write; objects go after ``kept_days``.

    ``protect``: a bucket with something in it is not deleted.
    """

    project: str
    environment: str
    location: str
    members: dict[str, pulumi.Input[str]]
    kept_days: int = 90
    labels: dict[str, str] = field(default_factory=dict)
    protect: bool = True
    leaving: bool = False
    """Nothing in it is deleted for its age any more, and it stays when its Airflow goes."""


class AirflowBucket(pulumi.ComponentResource):
    """A private bucket that one Airflow and nobody else's tasks can reach."""

    bucket: str
    """Its name, which is known before it is made."""
    grants: tuple[gcp.storage.BucketIAMMember, ...]
    """What must be there before its members can use it."""

    def __init__(self, name: str, args: AirflowBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:AirflowBucket", name, None, opts)
        self.bucket = bucket_name(args.project, args.environment, name)
        bucket = private_bucket(
            f"{name}-bucket",
            self.bucket,
            args.location,
            args.labels,
            [] if args.leaving else [_expiry(args.kept_days)],
            not args.protect,
            pulumi.ResourceOptions(
                parent=self, protect=args.protect and not args.leaving, retain_on_delete=args.protect and args.leaving
            ),
        )
        self.grants = tuple(
            gcp.storage.BucketIAMMember(
                f"{name}-{who}-bucket",
                bucket=bucket.name,
                role="roles/storage.objectUser",
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for who, member in args.members.items()
        )
        self.register_outputs({"bucket": self.bucket})


@dataclass(frozen=True)
class SnapshotBucketArgs:
    """Arguments of ``SnapshotBucket``. ``member`` may write, read and delete; nothing goes by its age: a snapshot is
    many objects, which only Elasticsearch knows the use of."""

    project: str
    environment: str
    location: str
    member: pulumi.Input[str]
    labels: dict[str, str] = field(default_factory=dict)
    protect: bool = True


class SnapshotBucket(pulumi.ComponentResource):
    """A private bucket for snapshots of logs."""

    bucket: str
    """Its name, which is known before it is made."""
    grant: gcp.storage.BucketIAMMember
    """What must be there before its member can use it."""

    def __init__(self, name: str, args: SnapshotBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:SnapshotBucket", name, None, opts)
        self.bucket = bucket_name(args.project, args.environment, name)
        bucket = private_bucket(
            f"{name}-bucket",
            self.bucket,
            args.location,
            args.labels,
            [],
            not args.protect,
            pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.grant = gcp.storage.BucketIAMMember(
            f"{name}-bucket-member",
            bucket=bucket.name,
            role="roles/storage.objectUser",
            member=args.member,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.register_outputs({"bucket": self.bucket})


def private_bucket(
    resource: str,
    name: str,
    location: str,
    labels: dict[str, str],
    expiries: list[gcp.storage.BucketLifecycleRuleArgsDict],
    force_destroy: bool,
    opts: pulumi.ResourceOptions,
) -> gcp.storage.Bucket:
    """A bucket that nobody has rights on yet. Objects stay unless ``expiries`` say otherwise."""
    return gcp.storage.Bucket(
        resource,
        name=name,
        location=location,
        labels=labels,
        # One place that says who may: IAM, never object by object, and never the public.
        uniform_bucket_level_access=True,
        public_access_prevention="enforced",
        # What a task or a person deletes by mistake can be had back for a week.
        soft_delete_policy={"retention_duration_seconds": SOFT_DELETE_SECONDS},
        lifecycle_rules=[*expiries, {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 1}}],
        force_destroy=force_destroy,
        opts=opts,
    )


def _expiry(days: int) -> gcp.storage.BucketLifecycleRuleArgsDict:
    return {"action": {"type": "Delete"}, "condition": {"age": days}}
