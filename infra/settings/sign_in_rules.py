"""Rules between sign-in and the rest of an Airflow's settings."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.settings.airflow import AirflowSettings, ProvidedSecrets
from infra.settings.ingress_addresses import base_url
from infra.settings.sign_in import GoogleSignIn, OidcSignIn

if TYPE_CHECKING:
    from infra.settings.environment import Settings


def sign_in_problems(settings: "Settings") -> list[str]:
    """Everything about sign-in that can't work."""
    return [problem for airflow in settings.airflows for problem in _problems(settings, airflow)]


def _problems(settings: "Settings", airflow: AirflowSettings) -> Iterator[str]:
    where, asked = f"airflows.{airflow.name}", airflow.sign_in
    secret = settings.secrets.get(airflow.name, ProvidedSecrets()).oidc_client_secret
    names = Counter(client.name for client in airflow.api_clients)
    for name, count in names.items():
        if count > 1:
            yield f"{where}.apiClients: the name '{name}' is used {count} times. Rename all but one"
    if not isinstance(asked, OidcSignIn | GoogleSignIn):
        if secret is not None:
            yield f"secrets.{airflow.name}.oidcClientSecret: is for signIn of kind 'oidc' or 'google'. Leave it out"
        return
    if secret is None:
        yield (
            f"secrets.{airflow.name}.oidcClientSecret: is missing; the provider shows it beside the client's id. Set "
            f"it with: pulumi config set --secret --path 'airflow-platform:secrets.{airflow.name}.oidcClientSecret'"
        )
    if base_url(airflow, settings) is None:
        yield (
            f"{where}.signIn: the provider sends people back to this Airflow's address, and it has none. Add "
            "ingress.tls, or baseUrl"
        )
    if not asked.roles and asked.default_role is None:
        yield f"{where}.signIn: nobody would have a role, so nobody could come in. Add roles, or defaultRole"
    if isinstance(asked, GoogleSignIn):
        for key in asked.roles:
            if "@" not in key:
                yield f"{where}.signIn.roles.{key}: Google names no groups. Name e-mail addresses, or use kind 'oidc'"
    elif asked.issuer.startswith("http://") and not settings.ephemeral:
        yield f"{where}.signIn.issuer: without TLS everybody on the way can sign in as anybody. Begin it with https://"
    if isinstance(asked, OidcSignIn) and "openid" not in asked.scopes:
        yield f"{where}.signIn.scopes: without 'openid' the provider says nothing of who somebody is. Add it"
