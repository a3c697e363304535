"""Settings of Google Cloud: where an environment is, and what it finds there already."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import DnsLabel, SettingsModel

ProjectId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$")]
"""6 to 30 characters (https://cloud.google.com/resource-manager/docs/creating-managing-projects)."""

Region = Annotated[str, StringConstraints(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
Member = Annotated[str, StringConstraints(pattern=r"^(user|group|serviceAccount|principal|principalSet):[^\s]+$")]
"""Whom IAM gives a role: ``group:data-platform@example.com``."""

Domain = Annotated[str, StringConstraints(pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?\.)+[a-z]{2,}$", max_length=200)]
Cidr = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$")]


class Google(SettingsModel):
    """Where on Google Cloud the environment is, and what all environments of the organisation share."""

    project: ProjectId
    """The environment's own project. Production shares its project with nothing else."""
    region: Region
    """The bootstrap's, too: a cluster's key must be where the cluster is."""
    platform_project: ProjectId
    """The project of the bootstrap stack: images, keys and state of all environments."""
    break_glass: Member
    """Who may read the escrowed keys and passwords when everything else is lost."""
    escrow_regions: tuple[Region, ...] = ()
    """Where the escrow's copies are kept; more than one. None named: wherever Google keeps them, worldwide. Can't be
    changed later."""
    labels: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z][-_a-z0-9]{0,62}$")],
        Annotated[str, StringConstraints(pattern=r"^[-_a-z0-9]{0,63}$")],
    ] = Field(default_factory=dict)
    """On everything that takes labels: for cost reports."""


class OwnNetwork(SettingsModel):
    """A VPC of the environment's own. Ranges can't be changed once the cluster is in them: plan ahead."""

    kind: Literal["vpc"]
    nodes: Cidr = "10.0.0.0/20"
    """One address a node, and four that Google keeps."""
    pods: Cidr = "10.4.0.0/14"
    """Every node takes a block of twice its most pods, rounded up to a power of two."""
    services: Cidr = "10.8.0.0/20"
    managed: Cidr = "10.9.0.0/20"
    """For Cloud SQL, through private services access."""
    nat_addresses: Annotated[int, Field(ge=1, le=16)] = 2
    """Fixed addresses that everything going out comes from: what partners put on their allow lists."""
    flow_logs: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.5
    """Share of connections that is logged; 0 turns flow logs off."""


class ExistingNetwork(SettingsModel):
    """A VPC that is there already, of this project or of a shared VPC's host project."""

    kind: Literal["existing"]
    host_project: ProjectId | None = None
    """The shared VPC's host project. None: the environment's own."""
    network: DnsLabel
    subnetwork: DnsLabel
    """In the environment's region, with private Google access."""
    pods_range: DnsLabel
    """Names of the subnetwork's secondary ranges."""
    services_range: DnsLabel
    private_services_access: bool = True
    """Whether the VPC has the peering that Cloud SQL needs. Shared VPCs must: it's the host project's to make."""


NetworkSettings = Annotated[OwnNetwork | ExistingNetwork, Field(discriminator="kind")]


class Dns(SettingsModel):
    """A Cloud DNS zone that gets the environment's records."""

    zone: DnsLabel
    project: ProjectId | None = None
    """The zone's project. None: the environment's own."""
