"""Who may prove that a domain is ours, and who may read a certificate. Both are Kubernetes service accounts, as
themselves: nothing acts as them, and there is no key."""

import pulumi
import pulumi_gcp as gcp


def allow_challenges(
    name: str, zone: str, project: str, member: str, opts: pulumi.ResourceOptions
) -> gcp.dns.DnsManagedZoneIamMember:
    """Lets ``member`` write records into one zone, and into no other of the project.

    https://cert-manager.io/docs/configuration/acme/dns01/google/
    """
    return gcp.dns.DnsManagedZoneIamMember(
        name, managed_zone=zone, project=project, role="roles/dns.admin", member=member, opts=opts
    )


def allow_reading(
    name: str, secret: str, project: str, member: str, opts: pulumi.ResourceOptions
) -> gcp.secretmanager.SecretIamMember:
    """Lets ``member`` read one secret, in all its versions."""
    return gcp.secretmanager.SecretIamMember(
        name,
        secret_id=secret,
        project=project,
        role="roles/secretmanager.secretAccessor",
        member=member,
        opts=opts,
    )
