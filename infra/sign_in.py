"""From settings to how people and programs sign in to one Airflow."""

import pulumi

from components.airflow.sign_in import ApiClient, OpenIdProvider, SignIn
from infra.settings import AirflowSettings, ProvidedSecrets
from infra.settings.sign_in import GOOGLE_ISSUER, GoogleSignIn, OidcSignIn


def sign_in_of(airflow: AirflowSettings, secrets: ProvidedSecrets) -> SignIn:
    """The component's arguments."""
    clients = tuple(ApiClient(one.name, one.role, one.rotation) for one in airflow.api_clients)
    return SignIn(_provider(airflow, secrets), clients)


def _provider(airflow: AirflowSettings, secrets: ProvidedSecrets) -> OpenIdProvider | None:
    asked = airflow.sign_in
    if not isinstance(asked, OidcSignIn | GoogleSignIn):
        return None
    assert secrets.oidc_client_secret is not None  # the settings see to it
    secret = pulumi.Output.secret(secrets.oidc_client_secret.get_secret_value())
    if isinstance(asked, GoogleSignIn):
        return OpenIdProvider(
            GOOGLE_ISSUER, asked.client_id, secret, asked.domains, asked.roles, asked.default_role, google=True
        )
    return OpenIdProvider(
        asked.issuer,
        asked.client_id,
        secret,
        asked.domains,
        asked.roles,
        asked.default_role,
        asked.groups_claim,
        asked.scopes,
    )
