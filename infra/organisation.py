"""Composes what an organisation makes once: APIs, CI's identities, keys, state, registry, admission, outputs."""

import pulumi

from components.gcp.bootstrap import (
    Admission,
    AdmissionArgs,
    Deployers,
    DeployersArgs,
    Environment,
    Federation,
    FederationArgs,
    Identity,
    IdentityArgs,
    KeyAccess,
    Keys,
    KeysArgs,
    ProjectRoles,
    ProjectRolesArgs,
    Projects,
    ProjectsArgs,
    Registry,
    RegistryArgs,
    StackAccess,
    State,
    StateArgs,
    admitted_patterns,
)
from components.gcp.bootstrap.projects import numbers
from components.gcp.bootstrap.registry import all_service_accounts
from components.gcp.naming import Organisation
from infra.settings.organisation import BOOTSTRAP, OrganisationStack

PUBLISHER_ENVIRONMENT = "images"
"""The GitHub environment whose runs push images."""


def deploy_organisation(settings: OrganisationStack) -> None:
    """Registers everything that the organisation's ``settings`` describe, and exports what CI and new stacks need."""
    chosen = settings.organisation
    organisation = Organisation(chosen.project, chosen.region)
    environments = tuple(
        Environment(one.name, one.project, one.project_number, one.ephemeral_stacks) for one in chosen.environments
    )

    projects = Projects("projects", ProjectsArgs(chosen.project, environments, chosen.images.scan))
    ready = pulumi.ResourceOptions(depends_on=[projects])
    federation = Federation(
        "federation",
        FederationArgs(
            project=chosen.project,
            repository=chosen.github.repository,
            repository_id=chosen.github.repository_id,
            owner_id=chosen.github.owner_id,
            branch=chosen.github.branch,
        ),
        ready,
    )
    roles = {project: ProjectRoles(project, ProjectRolesArgs(project), ready) for project in numbers(environments)}
    deployers = {
        environment.name: Deployers(
            environment.name,
            DeployersArgs(chosen.project, environment, federation, roles[environment.project]),
            ready,
        )
        for environment in environments
    }
    publisher = Identity(
        "image-publisher",
        IdentityArgs(
            project=chosen.project,
            account_id="image-publisher",
            display_name="Publisher of images",
            description="Pushes images that GitHub built",
            principal=federation.runs_in(PUBLISHER_ENVIRONMENT),
        ),
        ready,
    )
    keys = Keys(
        "keys",
        KeysArgs(
            project=chosen.project,
            region=chosen.region,
            stacks={
                BOOTSTRAP: KeyAccess({"administrators": chosen.administrators}, {"break-glass": chosen.break_glass}),
                **{
                    name: KeyAccess(
                        {"administrators": chosen.administrators, "deployer": of.deployer.member},
                        {"break-glass": chosen.break_glass, "previewer": of.previewer.member},
                    )
                    for name, of in deployers.items()
                },
            },
            clusters=projects.gke_agents,
        ),
        ready,
    )
    state = State(
        "state",
        StateArgs(
            project=chosen.project,
            region=chosen.region,
            bucket=organisation.state_bucket,
            administrators=chosen.administrators,
            break_glass=chosen.break_glass,
            stacks={
                environment.name: StackAccess(
                    {"deployer": deployers[environment.name].deployer.member},
                    {"previewer": deployers[environment.name].previewer.member},
                    environment.ephemeral_stacks,
                )
                for environment in environments
            },
            versions_kept=chosen.state.versions_kept,
            days_kept=chosen.state.days_kept,
            soft_delete_days=chosen.state.soft_delete_days,
        ),
        ready,
    )
    Registry(
        "registry",
        RegistryArgs(
            project=chosen.project,
            region=chosen.region,
            readers={
                **{
                    f"project-{project}": all_service_accounts(number)
                    for project, number in numbers(environments).items()
                },
                # Before anything is made, `up` asks whether the image is there.
                **{f"deployer-{name}": of.deployer.member for name, of in deployers.items()},
            },
            writers={"publisher": publisher.member},
            untagged_days=chosen.images.untagged_days,
            newest_kept=chosen.images.newest_kept,
            scan=chosen.images.scan,
        ),
        ready,
    )
    Admission("admission", AdmissionArgs(tuple(numbers(environments)), tuple(admitted_patterns(organisation))), ready)

    pulumi.export("stateBucket", state.url)
    pulumi.export("registry", organisation.registry)
    pulumi.export("workloadIdentityProvider", federation.provider)
    pulumi.export("imagePublisher", publisher.email)
    pulumi.export("secretsProvider", keys.secrets_providers[BOOTSTRAP])
    pulumi.export(
        "environments",
        {
            environment.name: {
                "deployer": deployers[environment.name].deployer.email,
                "previewer": deployers[environment.name].previewer.email,
                "secretsProvider": keys.secrets_providers[environment.name],
                "clusterKey": keys.cluster_keys[environment.project],
            }
            for environment in environments
        },
    )
