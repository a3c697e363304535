"""Which kinds of resources hold something, or are what something outside depends on by name or address.

To replace or delete one of these is to lose what it holds; everything else can be made again from the program.
"""

from collections.abc import Mapping
from typing import Any, Final

STATEFUL: Final = frozenset(
    {
        "gcp:artifactregistry/repository:Repository",
        "gcp:compute/address:Address",
        "gcp:compute/globalAddress:GlobalAddress",
        "gcp:compute/network:Network",
        "gcp:compute/subnetwork:Subnetwork",
        "gcp:container/cluster:Cluster",
        "gcp:gkebackup/backupPlan:BackupPlan",
        "gcp:iam/workloadIdentityPool:WorkloadIdentityPool",
        "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider",
        "gcp:kms/cryptoKey:CryptoKey",
        "gcp:kms/keyRing:KeyRing",
        "gcp:secretmanager/secret:Secret",
        "gcp:sql/database:Database",
        "gcp:sql/databaseInstance:DatabaseInstance",
        "gcp:storage/bucket:Bucket",
        "kubernetes:apps/v1:StatefulSet",
        "kubernetes:core/v1:Namespace",
        "kubernetes:core/v1:PersistentVolume",
        "kubernetes:core/v1:PersistentVolumeClaim",
        "random:index/randomBytes:RandomBytes",
    }
)
"""Type tokens. Fernet keys are random bytes: without them no stored connection can be read again."""


def holds_something(kind: str, inputs: Mapping[str, Any]) -> bool:
    """Whether a resource of the type token ``kind`` with these ``inputs`` is one of these."""
    if kind == "kubernetes:apps/v1:StatefulSet":
        return bool((inputs.get("spec") or {}).get("volumeClaimTemplates"))
    return kind in STATEFUL
