"""The two identities of an environment in CI: one that changes it, one that only looks.

Both are in the organisation's project, out of reach of every deployer: within an environment's project a deployer may
act as any service account.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
import pulumi_gcp as gcp

from components.gcp.bootstrap.federation import Federation, Identity, IdentityArgs
from components.gcp.bootstrap.projects import Environment
from components.gcp.bootstrap.roles import (
    DEPLOYER_ROLES,
    PREVIEWER_ROLES,
    PROJECT_IAM_ROLE,
    ProjectRoles,
    grantable_roles,
    may_only_grant,
)
from components.gcp.naming import account_id


@dataclass(frozen=True)
class DeployersArgs:
    """Arguments of ``Deployers``. ``project`` is the organisation's; ``roles`` those of the environment's project."""

    project: str
    environment: Environment
    federation: Federation
    roles: ProjectRoles


class Deployers(pulumi.ComponentResource):
    """One environment's deployer and previewer, with their roles in its project."""

    deployer: Identity
    """Changes the environment. Runs in the GitHub environment of the same name act as it."""
    previewer: Identity
    """Reads the environment. Runs in the GitHub environment ``<name>-preview`` act as it, after an approval; and those
    in ``<name>-drift``, which need none: they run the trusted branch's own code.
    """

    def __init__(self, name: str, args: DeployersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Deployers", name, None, opts)
        environment = args.environment
        self._project = environment.project
        self.deployer = self._identity(
            args, "deployer", environment.name, f"pulumi up of {environment.name}, run by GitHub"
        )
        self.previewer = self._identity(
            args,
            "previewer",
            f"{environment.name}-preview",
            f"pulumi preview of {environment.name}, run by GitHub",
            {"drift": args.federation.runs_in(f"{environment.name}-drift")},
        )
        for role in DEPLOYER_ROLES:
            self._grant(f"{name}-deployer-{role.rpartition('/')[2]}", role, self.deployer)
        self._grant(f"{name}-deployer-own", args.roles.deployer, self.deployer)
        if environment.ephemeral_stacks:
            self._grant(f"{name}-deployer-cleaner", args.roles.cleaner, self.deployer)
        only = may_only_grant(grantable_roles(environment.project))
        self._grant(f"{name}-deployer-project-iam", PROJECT_IAM_ROLE, self.deployer, only)
        for role in PREVIEWER_ROLES:
            self._grant(f"{name}-previewer-{role.rpartition('/')[2]}", role, self.previewer)
        self._grant(f"{name}-previewer-own", args.roles.previewer, self.previewer)
        self.register_outputs({"deployer": self.deployer.email, "previewer": self.previewer.email})

    def _identity(
        self,
        args: DeployersArgs,
        kind: str,
        github_environment: str,
        description: str,
        others: Mapping[str, pulumi.Input[str]] | None = None,
    ) -> Identity:
        name = f"{args.environment.name}-{kind}"
        return Identity(
            name,
            IdentityArgs(
                project=args.project,
                account_id=account_id(kind, args.environment.name),
                display_name=f"{kind.capitalize()} of {args.environment.name}",
                description=description,
                principal=args.federation.runs_in(github_environment),
                others=others or {},
            ),
            pulumi.ResourceOptions(parent=self),
        )

    def _grant(self, name: str, role: pulumi.Input[str], identity: Identity, condition: str | None = None) -> None:
        gcp.projects.IAMMember(
            name,
            project=self._project,
            role=role,
            member=identity.member,
            condition={"title": "grants-of-the-platform", "expression": condition} if condition else None,
            opts=pulumi.ResourceOptions(parent=self),
        )
