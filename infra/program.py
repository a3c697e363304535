"""Runs what a stack's settings are for: an environment, or the bootstrap of an organisation."""

from infra.environment import deploy
from infra.organisation import deploy_organisation
from infra.settings import OrganisationStack, Settings


def run(settings: Settings | OrganisationStack, stack: str) -> None:
    """Registers every resource that ``settings`` describe."""
    if isinstance(settings, OrganisationStack):
        deploy_organisation(settings)
    else:
        deploy(settings, stack)
