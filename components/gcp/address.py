"""The address that people come to: fixed, whatever listens there, and found by name where a zone is given."""

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp


@dataclass(frozen=True)
class AddressArgs:
    """Arguments of ``IngressAddress``. ``zone`` is a Cloud DNS zone of ``zone_project``, or None for no records.

    With a ``subnetwork`` the address is one of that network's own, which nobody outside reaches.
    """

    environment: str
    region: str
    domain: str
    subnetwork: pulumi.Input[str] | None = None
    zone: str | None = None
    zone_project: str | None = None
    protect: bool = True


class IngressAddress(pulumi.ComponentResource):
    """A static regional address, and records that lead ``domain`` and everything below it there."""

    address: pulumi.Output[str]

    def __init__(self, name: str, args: AddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:IngressAddress", name, None, opts)
        reserved = gcp.compute.Address(
            f"{name}-address",
            name=f"{args.environment}-ingress",
            region=args.region,
            address_type="INTERNAL" if args.subnetwork is not None else "EXTERNAL",
            network_tier=None if args.subnetwork is not None else "PREMIUM",
            subnetwork=args.subnetwork,
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        )
        self.address = reserved.address
        if args.zone:
            for record, host in (("domain", args.domain), ("below", f"*.{args.domain}")):
                gcp.dns.RecordSet(
                    f"{name}-{record}",
                    managed_zone=args.zone,
                    project=args.zone_project,
                    name=f"{host}.",
                    type="A",
                    ttl=300,
                    rrdatas=[reserved.address],
                    opts=pulumi.ResourceOptions(parent=self),
                )
        self.register_outputs({"address": self.address})
