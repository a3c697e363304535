"""Settings of how people sign in to one Airflow, and what they may do there."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from infra.settings.base import DnsLabel, SettingsModel
from infra.settings.google import Domain

RoleName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
"""A role of this Airflow: ``Admin``, ``Op``, ``User``, ``Viewer``, ``Public``, or one that was made there."""
GOOGLE_ISSUER = "https://accounts.google.com"
Issuer = Annotated[str, StringConstraints(pattern=r"^https?://[^\s/?#@]+(/[^\s?#]*[^/\s?#])?$")]


class PasswordSignIn(SettingsModel):
    """Users and passwords in this Airflow's own database. The administrator is the first."""

    kind: Literal["password"]


class _Provider(SettingsModel):
    client_id: Annotated[str, StringConstraints(pattern=r"^\S{1,255}$")]
    """What the provider knows this Airflow as. Its secret is ``secrets.<airflow>.oidcClientSecret``."""
    domains: Annotated[tuple[Domain, ...], Field(min_length=1)]
    """Who has an address of another one does not come in, whatever the provider says."""
    roles: dict[Annotated[str, StringConstraints(pattern=r"^\S(.{0,198}\S)?$")], tuple[RoleName, ...]] = Field(
        default_factory=dict
    )
    """Roles by group, or by e-mail address, taken anew at every sign-in."""
    default_role: RoleName | None = None
    """Of who has none by ``roles``. None: does not come in."""


class OidcSignIn(_Provider):
    """Any OpenID provider (Keycloak, Okta, Entra ID, …)."""

    kind: Literal["oidc"]
    issuer: Issuer
    """Below it the provider's own description is found, at ``/.well-known/openid-configuration``."""
    groups_claim: Annotated[str, StringConstraints(pattern=r"^\S{1,200}$")] = "groups"
    """The claim of the ID token that lists the groups that somebody is in."""
    scopes: tuple[Annotated[str, StringConstraints(pattern=r"^\S{1,100}$")], ...] = ("openid", "email", "profile")


class GoogleSignIn(_Provider):
    """Google accounts of an organisation. Google names no groups: ``roles`` go by e-mail address."""

    kind: Literal["google"]


SignIn = Annotated[PasswordSignIn | OidcSignIn | GoogleSignIn, Field(discriminator="kind")]


class ApiClient(SettingsModel):
    """A program that uses the REST API: a user with a generated password, which gets it a token at ``/auth/token``."""

    name: DnsLabel
    """Its user is ``client-<name>``, and so is the Secret with its password."""
    role: RoleName = "User"
    rotation: Annotated[int, Field(ge=0)] = 0
    """Raised by one: a new password."""
