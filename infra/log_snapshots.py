"""Where snapshots of an environment's own Elasticsearch go on Google Cloud, and who takes them there."""

import pulumi

from components.gcp.identities import WorkloadIdentity, WorkloadIdentityArgs
from components.gcp.storage import SnapshotBucket, SnapshotBucketArgs
from components.logs import Snapshots
from components.logs.store_args import ELASTICSEARCH, NAMESPACE
from infra.foundations import Kubernetes
from infra.google_cloud import GoogleCloud, known_after


def log_snapshots(google: GoogleCloud, cluster: Kubernetes, days: int) -> Snapshots:
    """A bucket, and the identity that may use it and nothing else. Snapshots are kept for ``days``."""
    opts = pulumi.ResourceOptions(provider=google.provider)
    identity = WorkloadIdentity(
        "log-store",
        WorkloadIdentityArgs(
            id_parts=(google.environment, "log-store"),
            display_name=f"Elasticsearch of {google.environment}",
            workload_pool=cluster.workload_pool,
            namespace=NAMESPACE,
            accounts=(ELASTICSEARCH,),
            depends_on=cluster.ready,
        ),
        opts,
    )
    bucket = SnapshotBucket(
        "log-snapshots",
        SnapshotBucketArgs(
            project=google.google.project,
            environment=google.environment,
            location=google.google.region,
            member=identity.member,
            labels=google.labels,
            protect=google.protect,
        ),
        opts,
    )
    return Snapshots(bucket.bucket, known_after(identity.email, bucket.grant), days)
