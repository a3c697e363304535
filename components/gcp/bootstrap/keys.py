"""The keys: for the secrets in Pulumi's stack files and state, and for the Kubernetes secrets of clusters.

A key's versions are never destroyed here: what an old version encrypted could not be read any more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import KEY_RING, cluster_key, secrets_key

DESTROY_DELAY: Final = "2592000s"
"""30 days in which a destroyed version can be restored. Fixed when a key is made
(https://cloud.google.com/kms/docs/destroy-restore)."""
ROTATION: Final = "7776000s"
"""A new version every 90 days; earlier ones go on decrypting what they encrypted."""
ENCRYPT: Final = "roles/cloudkms.cryptoKeyEncrypterDecrypter"
DECRYPT: Final = "roles/cloudkms.cryptoKeyDecrypter"


@dataclass(frozen=True)
class KeyAccess:
    """Who may encrypt and decrypt, and who only decrypt, by a label each."""

    encrypters: Mapping[str, pulumi.Input[str]]
    decrypters: Mapping[str, pulumi.Input[str]]


@dataclass(frozen=True)
class KeysArgs:
    """Arguments of ``Keys``: ``stacks`` by a stack's name, ``clusters`` by project, with GKE's agent there.

    Keys stay where they are made: a cluster takes only a key of its own region.
    """

    project: str
    region: str
    stacks: Mapping[str, KeyAccess]
    clusters: Mapping[str, pulumi.Input[str]]


class Keys(pulumi.ComponentResource):
    """One key ring, one key for each stack and one for each environment's project."""

    secrets_providers: Mapping[str, pulumi.Output[str]]
    """By stack: what ``pulumi stack init --secrets-provider`` takes."""
    cluster_keys: Mapping[str, pulumi.Output[str]]
    """By project: the full name of the key for its clusters."""

    def __init__(self, name: str, args: KeysArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Keys", name, None, opts)
        self._ring = gcp.kms.KeyRing(
            f"{name}-ring",
            name=KEY_RING,
            project=args.project,
            location=args.region,
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.secrets_providers = {
            stack: self._key(secrets_key(stack), access).apply(lambda key: f"gcpkms://{key}")
            for stack, access in args.stacks.items()
        }
        self.cluster_keys = {
            project: self._key(cluster_key(project), KeyAccess({"gke": agent}, {}))
            for project, agent in args.clusters.items()
        }
        self.register_outputs(
            {"secretsProviders": dict(self.secrets_providers), "clusterKeys": dict(self.cluster_keys)}
        )

    def _key(self, name: str, access: KeyAccess) -> pulumi.Output[str]:
        key = gcp.kms.CryptoKey(
            name,
            name=name,
            key_ring=self._ring.id,
            purpose="ENCRYPT_DECRYPT",
            rotation_period=ROTATION,
            destroy_scheduled_duration=DESTROY_DELAY,
            # Google never deletes a key; to delete one here means to destroy all of its versions.
            deletion_policy="PREVENT",
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        granted = [
            gcp.kms.CryptoKeyIAMMember(
                f"{name}-{label}",
                crypto_key_id=key.id,
                role=role,
                member=member,
                opts=pulumi.ResourceOptions(parent=self),
            )
            for role, members in ((ENCRYPT, access.encrypters), (DECRYPT, access.decrypters))
            for label, member in members.items()
        ]
        # Known when it may be used.
        return pulumi.Output.all(key.id, *(grant.id for grant in granted)).apply(lambda known: str(known[0]))
