"""The network of an environment: a VPC of its own with everything that private nodes and a private database need."""

from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

PODS_RANGE = "pods"
SERVICES_RANGE = "services"
MANAGED_SERVICES = "servicenetworking.googleapis.com"


@dataclass(frozen=True)
class NetworkArgs:
    """Arguments of ``Network``. Ranges in CIDR notation, checked by whoever sets them; ``flow_logs`` from 0 to 1."""

    environment: str
    region: str
    nodes: str
    pods: str
    services: str
    managed: str
    """For the managed services that are reached by private services access: Cloud SQL."""
    nat_addresses: int = 2
    flow_logs: float = 0.5
    protect: bool = True


@dataclass(frozen=True)
class Placement:
    """Where a cluster and a database find their network, whoever made it. Names or full ids of Google's."""

    network: pulumi.Input[str]
    subnetwork: pulumi.Input[str]
    pods_range: pulumi.Input[str]
    services_range: pulumi.Input[str]
    private_access: tuple[pulumi.Resource, ...] = ()
    """What must be there before a database can have a private address."""
    way_out: tuple[pulumi.Resource, ...] = ()
    """What must be there before nodes can pull images from outside."""


class Network(pulumi.ComponentResource):
    """A VPC with one subnetwork in ``region``; nothing in it has an address of its own on the internet.

    Nodes and pods go out through Cloud NAT from fixed addresses, reach Google's APIs privately, and reach Cloud SQL by
    a peering. Nothing comes in: no firewall rule allows it but those that GKE makes for its own load balancers.
    """

    placement: Placement
    nat_addresses: pulumi.Output[list[str]]
    """The addresses that everything going out comes from."""

    def __init__(self, name: str, args: NetworkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:Network", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        lasting = pulumi.ResourceOptions(parent=self, protect=args.protect)
        environment = args.environment

        vpc = gcp.compute.Network(
            f"{name}-vpc",
            name=environment,
            description=f"Airflow environment {environment}",
            auto_create_subnetworks=False,
            routing_mode="REGIONAL",
            opts=lasting,
        )
        subnetwork = gcp.compute.Subnetwork(
            f"{name}-subnetwork",
            name=environment,
            network=vpc.id,
            region=args.region,
            ip_cidr_range=args.nodes,
            secondary_ip_ranges=[
                {"range_name": PODS_RANGE, "ip_cidr_range": args.pods},
                {"range_name": SERVICES_RANGE, "ip_cidr_range": args.services},
            ],
            # Nodes without public addresses reach Artifact Registry, Storage and the other APIs inside Google.
            private_ip_google_access=True,
            log_config=_flow_logs(args.flow_logs),
            opts=lasting,
        )
        nat = self._nat(name, args, vpc, subnetwork)
        managed = gcp.compute.GlobalAddress(
            f"{name}-managed-services",
            name=f"{environment}-managed-services",
            network=vpc.id,
            purpose="VPC_PEERING",
            address_type="INTERNAL",
            address=args.managed.partition("/")[0],
            prefix_length=int(args.managed.partition("/")[2]),
            # A new range would be a new peering, and no database reachable meanwhile.
            opts=lasting,
        )
        peering = gcp.servicenetworking.Connection(
            f"{name}-managed-services",
            network=vpc.id,
            service=MANAGED_SERVICES,
            reserved_peering_ranges=[managed.name],
            # For days after an instance's deletion Google refuses to take the peering down. It goes with the VPC.
            deletion_policy="ABANDON",
            opts=child,
        )
        self.placement = Placement(
            network=vpc.id,
            subnetwork=subnetwork.id,
            pods_range=PODS_RANGE,
            services_range=SERVICES_RANGE,
            private_access=(peering,),
            way_out=(nat,),
        )
        self.register_outputs({"network": vpc.id, "natAddresses": self.nat_addresses})

    def _nat(
        self, name: str, args: NetworkArgs, vpc: gcp.compute.Network, subnetwork: gcp.compute.Subnetwork
    ) -> gcp.compute.RouterNat:
        child = pulumi.ResourceOptions(parent=self)
        router = gcp.compute.Router(
            f"{name}-router", name=args.environment, network=vpc.id, region=args.region, opts=child
        )
        addresses = [
            gcp.compute.Address(
                f"{name}-nat-{number}",
                name=f"{args.environment}-nat-{number}",
                region=args.region,
                # On other people's allow lists: a lost one is weeks of e-mail.
                opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
            )
            for number in range(args.nat_addresses)
        ]
        self.nat_addresses = pulumi.Output.all(*(address.address for address in addresses)).apply(list)
        return gcp.compute.RouterNat(
            f"{name}-nat",
            name=args.environment,
            router=router.name,
            region=args.region,
            nat_ip_allocate_option="MANUAL_ONLY",
            nat_ips=[address.self_link for address in addresses],
            source_subnetwork_ip_ranges_to_nat="LIST_OF_SUBNETWORKS",
            subnetworks=[{"name": subnetwork.id, "source_ip_ranges_to_nats": ["ALL_IP_RANGES"]}],
            # Many tasks of one node call the same few APIs: a node may take more ports while it needs them. Google does
            # not allow endpoint-independent mapping together with it.
            enable_dynamic_port_allocation=True,
            enable_endpoint_independent_mapping=False,
            min_ports_per_vm=64,
            max_ports_per_vm=4096,
            log_config={"enable": True, "filter": "ERRORS_ONLY"},
            opts=child,
        )


def _flow_logs(share: float) -> gcp.compute.SubnetworkLogConfigArgsDict | None:
    if share == 0:
        return None
    return {"aggregation_interval": "INTERVAL_5_MIN", "flow_sampling": share, "metadata": "INCLUDE_ALL_METADATA"}
