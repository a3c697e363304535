"""Settings of who may see what has no sign-in of its own."""

from typing import Annotated

from pydantic import Field, StringConstraints

from infra.settings.base import SettingsModel
from infra.settings.google import Domain
from infra.settings.sign_in import Issuer

GATED = ("alertmanager", "prometheus")
"""What stands behind the gate, each at ``<name>.<domain>``."""


class Gate(SettingsModel):
    """Has an OpenID provider asked who somebody is before he sees Prometheus and Alertmanager."""

    issuer: Issuer
    """Below it the provider's own description is found, at ``/.well-known/openid-configuration``."""
    client_id: Annotated[str, StringConstraints(pattern=r"^\S{1,255}$")]
    """What the provider knows this environment as. Its secret is ``gateSecret``."""
    domains: Annotated[tuple[Domain, ...], Field(min_length=1)]
    """Who has an address of another one does not pass."""
    groups: tuple[Annotated[str, StringConstraints(pattern=r"^\S(.{0,198}\S)?$")], ...] = ()
    """Who is in none of these does not pass. None named: who is of the domains does."""
    groups_claim: Annotated[str, StringConstraints(pattern=r"^\S{1,200}$")] = "groups"
    """The claim of the ID token that lists the groups that somebody is in."""
    scopes: tuple[Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")], ...] = ("openid", "email", "profile")
    hours: Annotated[int, Field(ge=1, le=168)] = 8
    """How long who has passed is not asked again, whatever becomes of his groups meanwhile."""
    rotation: Annotated[int, Field(ge=0)] = 0
    """Raised by one: everybody is asked again."""
