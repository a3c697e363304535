"""Guardrails for what is on Google Cloud. Each yields what is wrong with one resource, and how to mend it."""

from collections.abc import Iterator
from typing import Final

from policy.resource import Resource, is_unknown
from policy.stateful import holds_something

PRIMITIVE: Final = frozenset({"roles/owner", "roles/editor", "roles/viewer", "roles/browser"})
"""Roles that reach everything in a project (https://cloud.google.com/iam/docs/roles-overview#basic)."""


def database_without_public_address(resource: Resource) -> Iterator[str]:
    """Nobody on the internet can try a password, whoever leaks one."""
    if resource.type != "gcp:sql/databaseInstance:DatabaseInstance":
        return
    # Google's default is a public address.
    public = resource.at("settings.ipConfiguration.ipv4Enabled", default=True)
    if public is not False and not is_unknown(public):
        yield "the database has a public address. Mend: settings.ipConfiguration.ipv4Enabled: false"
    if resource.at("settings.ipConfiguration.authorizedNetworks"):
        yield "networks are let in by address. Mend: remove settings.ipConfiguration.authorizedNetworks"


def nodes_without_public_address(resource: Resource) -> Iterator[str]:
    """What a pod opens on its node is not on the internet."""
    if resource.type == "gcp:container/cluster:Cluster":
        private = resource.at("privateClusterConfig.enablePrivateNodes", default=False)
        where = "privateClusterConfig.enablePrivateNodes"
    elif resource.type == "gcp:container/nodePool:NodePool":
        # A pool that says nothing follows its cluster.
        private = resource.at("networkConfig.enablePrivateNodes", default=True)
        where = "networkConfig.enablePrivateNodes"
    elif resource.type == "gcp:compute/instance:Instance":
        interfaces = resource.at("networkInterfaces", [])
        if isinstance(interfaces, list) and any(one.get("accessConfigs") for one in interfaces):
            yield "the machine has a public address. Mend: remove accessConfigs from its networkInterfaces"
        return
    else:
        return
    if private is not True and not is_unknown(private):
        yield f"nodes have public addresses. Mend: {where}: true"


def no_primitive_roles(resource: Resource) -> Iterator[str]:
    """A role names what it is for."""
    if not resource.type.startswith("gcp:"):
        return
    role = resource.at("role")
    if role in PRIMITIVE:
        yield f"{role} reaches everything. Mend: grant the roles that are needed, one by one"
    for member in [resource.at("member"), *(resource.at("members") or [])]:
        if member in ("allUsers", "allAuthenticatedUsers"):
            yield f"{member} is everybody on the internet. Mend: name who it is for"


def encryption_on(resource: Resource) -> Iterator[str]:
    """What is kept, and what is on its way, is read by nobody in between. Google encrypts disks and buckets itself."""
    match resource.type:
        case "gcp:container/cluster:Cluster":
            state = resource.at("databaseEncryption.state")
            if state != "ENCRYPTED" and not is_unknown(state):
                yield "Kubernetes secrets are not encrypted by a key of ours. Mend: databaseEncryption.state: ENCRYPTED"
        case "gcp:sql/databaseInstance:DatabaseInstance":
            mode = resource.at("settings.ipConfiguration.sslMode")
            if mode not in ("ENCRYPTED_ONLY", "TRUSTED_CLIENT_CERTIFICATE_REQUIRED") and not is_unknown(mode):
                yield "connections need no TLS. Mend: settings.ipConfiguration.sslMode: ENCRYPTED_ONLY"
        case "gcp:storage/bucket:Bucket":
            if resource.at("uniformBucketLevelAccess") is not True:
                yield "single objects can be made public. Mend: uniformBucketLevelAccess: true"
            if resource.at("publicAccessPrevention") != "enforced":
                yield "it can be made public. Mend: publicAccessPrevention: enforced"
        case _:
            return


def stateful_is_protected(resource: Resource) -> Iterator[str]:
    """What holds something is not deleted by a slip of the hand. Not asked of environments to throw away."""
    if holds_something(resource.type, resource.inputs) and not resource.protect:
        yield "it holds something and is not protected. Mend: protect=True, unless settings.ephemeral"
