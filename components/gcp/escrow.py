"""What an Airflow can't be rebuilt without, kept a second time: in Secret Manager, for the day when all else is lost.

See docs/recovery.md: the database comes back from Google's backups; without these keys nobody can read it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import pulumi
import pulumi_gcp as gcp


@dataclass(frozen=True)
class EscrowArgs:
    """Arguments of ``Escrow``. ``secrets`` by names unique in the environment; ``break_glass`` may read them."""

    environment: str
    break_glass: str
    secrets: Mapping[str, pulumi.Output[str]]
    regions: Sequence[str] = ()
    """Where copies are kept. None named: Google chooses several, and no region's end is the end of the keys."""
    labels: dict[str, str] = field(default_factory=dict)
    protect: bool = True
    released: Collection[str] = ()
    """Names of secrets whose users are leaving: no longer protected, and left where they are when they go from here."""


class Escrow(pulumi.ComponentResource):
    """Secrets that one identity may read and no program of the platform needs.

    A changed value is a new version; earlier ones stay enabled, because data that they encrypted may come back with an
    old backup.
    """

    def __init__(self, name: str, args: EscrowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:Escrow", name, None, opts)
        for key, value in args.secrets.items():
            released = args.protect and key in args.released
            child = pulumi.ResourceOptions(parent=self, retain_on_delete=released)
            secret = gcp.secretmanager.Secret(
                f"{name}-{key}",
                secret_id=f"{args.environment}-{key}",
                labels=args.labels,
                replication=_replication(args.regions),
                deletion_protection=args.protect,
                opts=pulumi.ResourceOptions(
                    parent=self, protect=args.protect and not released, retain_on_delete=released
                ),
            )
            gcp.secretmanager.SecretVersion(
                f"{name}-{key}",
                secret=secret.id,
                secret_data=value,
                deletion_policy="ABANDON",
                opts=child,
            )
            # A binding, not a membership: whoever else was given the role by hand loses it at the next `up`.
            gcp.secretmanager.SecretIamBinding(
                f"{name}-{key}",
                secret_id=secret.id,
                role="roles/secretmanager.secretAccessor",
                members=[args.break_glass],
                opts=child,
            )
            # To find out which versions there are, which reading one does not include.
            gcp.secretmanager.SecretIamMember(
                f"{name}-{key}-list",
                secret_id=secret.id,
                role="roles/secretmanager.viewer",
                member=args.break_glass,
                opts=child,
            )
        self.register_outputs({})


def _replication(regions: Sequence[str]) -> gcp.secretmanager.SecretReplicationArgsDict:
    if not regions:
        return {"auto": {}}
    return {"user_managed": {"replicas": [{"location": region} for region in regions]}}
