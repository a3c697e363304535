"""What deployers and previewers may do in an environment's project, role by role, with the reason.

Checked against Google's published lists of permissions (https://cloud.google.com/iam/docs/roles-permissions). Where a
predefined role would open data that nobody needs for a deployment, a role of our own takes its place.
"""

from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_gcp as gcp

from components.gcp.naming import BACKUP_READER, project_role

DEPLOYER_ROLES: Final = {
    "roles/compute.networkAdmin": "VPC, subnetwork, router, NAT, addresses, and the peering for Cloud SQL",
    "roles/container.admin": "the cluster, its node pools, and every object in it",
    "roles/cloudsql.admin": "the instance and its administrator",
    "roles/dns.admin": "the records of the ingress",
    "roles/gkebackup.backupAdmin": "backup plans; to restore is for people",
    "roles/iam.serviceAccountAdmin": "the identities of nodes and Airflows, and which pods act as them",
    "roles/iam.serviceAccountUser": "node pools that run as the nodes' identity",
    "roles/monitoring.dashboardEditor": "dashboards, where Google collects the metrics",
}
PROJECT_IAM_ROLE: Final = "roles/resourcemanager.projectIamAdmin"
_GRANTABLE_ROLES: Final = (
    "roles/cloudsql.client",
    "roles/cloudsql.instanceUser",
    "roles/container.defaultNodeServiceAccount",
    "roles/logging.logWriter",
    "roles/monitoring.metricWriter",
    # To Airflows, for secrets of their own. It opens nothing to a deployer that secrets.setIamPolicy below does not.
    "roles/secretmanager.secretAccessor",
    "roles/stackdriver.resourceMetadata.writer",
)

PREVIEWER_ROLES: Final = {
    "roles/compute.networkViewer": "the network and the peering",
    "roles/container.viewer": "the cluster and the objects in it, but no Kubernetes Secret",
    "roles/dns.reader": "records",
    "roles/gkebackup.viewer": "backup plans",
    "roles/monitoring.dashboardViewer": "dashboards",
    "roles/secretmanager.viewer": "that secrets exist, not what they say",
}

# roles/secretmanager.admin reads secrets and roles/storage.admin reads task logs: neither is needed to make them.
_DEPLOYER_PERMISSIONS: Final = (
    "secretmanager.secrets.create",
    "secretmanager.secrets.get",
    "secretmanager.secrets.getIamPolicy",
    "secretmanager.secrets.list",
    "secretmanager.secrets.setIamPolicy",
    "secretmanager.secrets.update",
    "secretmanager.versions.add",
    "secretmanager.versions.enable",
    "secretmanager.versions.get",
    "secretmanager.versions.list",
    "storage.buckets.create",
    "storage.buckets.delete",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
    "storage.buckets.list",
    "storage.buckets.setIamPolicy",
    "storage.buckets.update",
)
# What can't be had back, and so is left out above: escrowed keys, and what Airflow has written.
_CLEANER_PERMISSIONS: Final = (
    "secretmanager.secrets.delete",
    "storage.objects.delete",
    "storage.objects.list",
)
# roles/cloudsql.viewer may export a whole database into a bucket, roles/iam.securityReviewer reads every log.
_PREVIEWER_PERMISSIONS: Final = (
    "cloudsql.databases.get",
    "cloudsql.databases.list",
    "cloudsql.instances.get",
    "cloudsql.instances.list",
    "cloudsql.users.get",
    "cloudsql.users.list",
    "dns.managedZones.getIamPolicy",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "resourcemanager.projects.getIamPolicy",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
)
# For what looks whether backups are taken. roles/cloudsql.viewer may export databases, too.
_BACKUP_READER_PERMISSIONS: Final = ("cloudsql.backupRuns.list",)


def grantable_roles(project: str) -> tuple[str, ...]:
    """All that a deployer may grant or take away on ``project``. Google allows ten in such a condition."""
    return (*_GRANTABLE_ROLES, project_role(project, BACKUP_READER))


def may_only_grant(roles: tuple[str, ...]) -> str:
    """An IAM condition: of all roles, only ``roles`` are granted or taken away.

    https://cloud.google.com/iam/docs/setting-limits-on-granting-roles
    """
    listed = ", ".join(f"'{role}'" for role in roles)
    return f"api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly([{listed}])"


@dataclass(frozen=True)
class ProjectRolesArgs:
    """Arguments of ``ProjectRoles``: the project that they are defined in and valid for."""

    project: str


class ProjectRoles(pulumi.ComponentResource):
    """The roles of our own in one project, made once however many environments are in it."""

    deployer: pulumi.Output[str]
    cleaner: pulumi.Output[str]
    """For environments with ephemeral stacks: deletes secrets and what is in buckets."""
    previewer: pulumi.Output[str]
    backup_reader: pulumi.Output[str]
    """For an environment's own look at its backups; its deployer may grant it."""

    def __init__(self, name: str, args: ProjectRolesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:ProjectRoles", name, None, opts)
        self._project = args.project
        self.deployer = self._role(
            f"{name}-deployer", "airflowPlatformDeployer", "Airflow platform: deployer", _DEPLOYER_PERMISSIONS
        )
        self.cleaner = self._role(
            f"{name}-cleaner", "airflowPlatformCleaner", "Airflow platform: ephemeral stacks", _CLEANER_PERMISSIONS
        )
        self.previewer = self._role(
            f"{name}-previewer", "airflowPlatformPreviewer", "Airflow platform: previewer", _PREVIEWER_PERMISSIONS
        )
        self.backup_reader = self._role(
            f"{name}-backup-reader", BACKUP_READER, "Airflow platform: backup check", _BACKUP_READER_PERMISSIONS
        )
        self.register_outputs(
            {
                "deployer": self.deployer,
                "cleaner": self.cleaner,
                "previewer": self.previewer,
                "backupReader": self.backup_reader,
            }
        )

    def _role(self, name: str, role_id: str, title: str, permissions: tuple[str, ...]) -> pulumi.Output[str]:
        role = gcp.projects.IAMCustomRole(
            name,
            project=self._project,
            role_id=role_id,
            title=title,
            permissions=list(permissions),
            stage="GA",
            opts=pulumi.ResourceOptions(parent=self),
        )
        return role.role_id.apply(lambda known: project_role(self._project, known))
