"""Who an Airflow is on Google Cloud: identities for its parts and for its tasks, and no key for either.

Workload Identity lets a Kubernetes service account act as one of Google's; nothing is stored anywhere.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import BACKUP_READER, account_id, project_role

IMPERSONATE: Final = "roles/iam.workloadIdentityUser"


@dataclass(frozen=True)
class WorkloadIdentityArgs:
    """Arguments of ``WorkloadIdentity``. ``accounts`` are the service accounts in ``namespace`` that act as it.

    ``id_parts`` make the account's id, unique within the project. ``depends_on``: the cluster, whose pool of identities
    comes with it.
    """

    id_parts: tuple[str, ...]
    display_name: str
    workload_pool: str
    namespace: str
    accounts: tuple[str, ...]
    depends_on: tuple[pulumi.Resource, ...] = ()


def kubernetes_member(pool: str, namespace: str, account: str) -> str:
    """How IAM names a Kubernetes service account, of the workload ``pool`` of its cluster's project."""
    return f"serviceAccount:{pool}[{namespace}/{account}]"


class WorkloadIdentity(pulumi.ComponentResource):
    """One of Google's service accounts that pods act as."""

    email: pulumi.Output[str]
    member: pulumi.Output[str]
    """How IAM names it."""

    def __init__(self, name: str, args: WorkloadIdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:gcp:WorkloadIdentity", name, None, opts)
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            account_id=account_id(*args.id_parts),
            display_name=args.display_name[:100],
            opts=pulumi.ResourceOptions(parent=self),
        )
        bindings = [
            gcp.serviceaccount.IAMMember(
                f"{name}-{kubernetes_account}",
                service_account_id=account.name,
                role=IMPERSONATE,
                member=kubernetes_member(args.workload_pool, args.namespace, kubernetes_account),
                opts=pulumi.ResourceOptions(parent=self, depends_on=list(args.depends_on)),
            )
            for kubernetes_account in args.accounts
        ]
        # Known when pods may act as it.
        self.email = pulumi.Output.all(account.email, *(binding.id for binding in bindings)).apply(
            lambda known: str(known[0])
        )
        self.member = account.member
        self.register_outputs({"email": self.email})


def allow_database(
    name: str,
    project: pulumi.Input[str],
    instance: pulumi.Input[str],
    member: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> gcp.projects.IAMMember:
    """Lets ``member`` connect to one Cloud SQL instance, and to no other of the project.

    https://cloud.google.com/sql/docs/postgres/iam-conditions
    """
    expression = pulumi.Output.all(project, instance).apply(
        lambda known: (
            f'resource.name == "projects/{known[0]}/instances/{known[1]}" && '
            'resource.service == "sqladmin.googleapis.com"'
        )
    )
    return gcp.projects.IAMMember(
        name,
        project=project,
        role="roles/cloudsql.client",
        member=member,
        condition={"title": "one-instance", "expression": expression},
        opts=opts,
    )


def allow_backup_list(
    name: str,
    project: str,
    instance: pulumi.Input[str],
    member: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> gcp.projects.IAMMember:
    """Lets ``member`` list the backups of one Cloud SQL instance, by the role that the bootstrap stack has defined.

    Google's documentation does not say whether the list is asked of the instance or of the backups below it, whose
    names begin with its own: both are meant. https://cloud.google.com/sql/docs/postgres/iam-conditions
    """
    expression = pulumi.Output.from_input(instance).apply(
        lambda known: (
            f'(resource.name == "projects/{project}/instances/{known}" || '
            f'resource.name.startsWith("projects/{project}/instances/{known}/")) && '
            'resource.service == "sqladmin.googleapis.com"'
        )
    )
    return gcp.projects.IAMMember(
        name,
        project=project,
        role=project_role(project, BACKUP_READER),
        member=member,
        condition={"title": "one-instance", "expression": expression},
        opts=opts,
    )
