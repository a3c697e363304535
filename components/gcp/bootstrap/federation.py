"""How GitHub's workflows become service accounts of ours without a key: Workload Identity Federation.

A run says by a signed token which repository, which workflow and which GitHub environment it is. There is no service
account key anywhere: none that could leak, none to rotate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_gcp as gcp

ISSUER: Final = "https://token.actions.githubusercontent.com"
POOL: Final = "github"
IMPERSONATE: Final = "roles/iam.workloadIdentityUser"


def subject(repository: str, environment: str) -> str:
    """Who a run in the GitHub ``environment`` is to us."""
    return f"repo:{repository}:environment:{environment}"


@dataclass(frozen=True)
class FederationArgs:
    """Arguments of ``Federation``: the one repository, by name and by GitHub's numbers, and its trusted branch."""

    project: str
    repository: str
    repository_id: str
    owner_id: str
    branch: str = "main"


class Federation(pulumi.ComponentResource):
    """A pool of identities that takes the tokens of one GitHub repository.

    Refused are the tokens of other repositories (forks, and who takes the name after a rename) and of runs that are not
    on the trusted branch: a pull request's own. What runs there for a pull request (``pull_request_target``) is the
    trusted branch's workflow.
    """

    provider: pulumi.Output[str]
    """``workload_identity_provider`` of google-github-actions/auth."""

    def __init__(self, name: str, args: FederationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Federation", name, None, opts)
        self._repository = args.repository
        self._pool = gcp.iam.WorkloadIdentityPool(
            f"{name}-pool",
            project=args.project,
            workload_identity_pool_id=POOL,
            display_name="GitHub Actions",
            description=f"Workflows of {args.repository}",
            # Its id can't be taken again for 30 days after a deletion.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        provider = gcp.iam.WorkloadIdentityPoolProvider(
            f"{name}-provider",
            project=args.project,
            workload_identity_pool_id=self._pool.workload_identity_pool_id,
            workload_identity_pool_provider_id=POOL,
            display_name="GitHub Actions",
            oidc={"issuer_uri": ISSUER},
            # Put together here and not taken from GitHub's own `sub`, whose form differs between repositories: newer
            # ones carry numbers in it. A run outside of any environment has no such claim and is nobody.
            # https://docs.github.com/en/actions/reference/security/oidc
            attribute_mapping={
                "google.subject": '"repo:" + assertion.repository + ":environment:" + assertion.environment'
            },
            # Names can be given to others, numbers never are.
            # https://cloud.google.com/iam/docs/best-practices-for-using-workload-identity-federation
            attribute_condition=" && ".join(
                [
                    f'assertion.repository_id == "{args.repository_id}"',
                    f'assertion.repository_owner_id == "{args.owner_id}"',
                    f'assertion.ref == "refs/heads/{args.branch}"',
                ]
            ),
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        self.provider = provider.name
        self.register_outputs({"provider": self.provider})

    def runs_in(self, environment: str) -> pulumi.Output[str]:
        """All runs in the GitHub ``environment``, as IAM names them."""
        who = subject(self._repository, environment)
        # The pool's name holds the project's number, as a principal must.
        return self._pool.name.apply(lambda pool: f"principal://iam.googleapis.com/{pool}/subject/{who}")


@dataclass(frozen=True)
class IdentityArgs:
    """Arguments of ``Identity``: ``principal`` may act as it, ``others`` too (by a label each), nobody else."""

    project: str
    account_id: str
    display_name: str
    description: str
    principal: pulumi.Input[str]
    others: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)


class Identity(pulumi.ComponentResource):
    """A service account for CI. It has no key."""

    email: pulumi.Output[str]
    member: pulumi.Output[str]
    """How IAM names it."""

    def __init__(self, name: str, args: IdentityArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:bootstrap:Identity", name, None, opts)
        account = gcp.serviceaccount.Account(
            f"{name}-account",
            project=args.project,
            account_id=args.account_id,
            display_name=args.display_name[:100],
            description=args.description[:256],
            # Made anew it would be somebody else to IAM, under the same name.
            opts=pulumi.ResourceOptions(parent=self, protect=True),
        )
        # Known before the account is there, so that a first preview shows who gets what.
        self.email = account.account_id.apply(lambda known: f"{known}@{args.project}.iam.gserviceaccount.com")
        self.member = self.email.apply(lambda email: f"serviceAccount:{email}")
        who = {f"{name}-workflow": args.principal}
        who |= {f"{name}-workflow-{label}": principal for label, principal in args.others.items()}
        for grant, principal in who.items():
            gcp.serviceaccount.IAMMember(
                grant,
                service_account_id=self.email.apply(lambda email: f"projects/{args.project}/serviceAccounts/{email}"),
                role=IMPERSONATE,
                member=principal,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.register_outputs({"email": self.email, "member": self.member})
