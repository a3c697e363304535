"""The bucket with the DAGs of one Airflow, apart from the one that its tasks write to.

Who can write here decides what the dag-processor runs, beside the keys of the metadata database. So no pod can.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import bucket_name
from components.gcp.storage import private_bucket


def dag_bucket_name(project: str, environment: str, airflow: str) -> str:
    """The name of an Airflow's own bucket for DAGs, known before it is made."""
    return bucket_name(project, environment, airflow, "dags")


@dataclass(frozen=True)
class DagBucketArgs:
    """Arguments of ``DagBucket``. ``readers`` are the pods' identities; ``publishers`` may also write, by IAM's names.

    ``protect``: a bucket with something in it is not deleted.
    """

    project: str
    environment: str
    airflow: str
    location: str
    readers: Mapping[str, pulumi.Input[str]]
    publishers: Sequence[str] = ()
    labels: dict[str, str] = field(default_factory=dict)
    protect: bool = True


class DagBucket(pulumi.ComponentResource):
    """A private bucket whose objects stay: a run may ask for its version however old it is."""

    bucket: str
    grants: tuple[gcp.storage.BucketIAMMember, ...]
    """What must be there before its readers can use it."""

    def __init__(self, name: str, args: DagBucketArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:DagBucket", name, None, opts)
        self.bucket = dag_bucket_name(args.project, args.environment, args.airflow)
        bucket = private_bucket(
            f"{name}-bucket",
            self.bucket,
            args.location,
            args.labels,
            [],
            not args.protect,
            pulumi.ResourceOptions(parent=self, protect=args.protect),
        )

        def allow(who: str, role: str, member: pulumi.Input[str]) -> gcp.storage.BucketIAMMember:
            return gcp.storage.BucketIAMMember(
                f"{name}-{who}-bucket",
                bucket=bucket.name,
                role=role,
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )

        self.grants = tuple(allow(who, "roles/storage.objectViewer", member) for who, member in args.readers.items())
        for member in args.publishers:
            allow(member, "roles/storage.objectUser", member)
        self.register_outputs({"bucket": self.bucket})
