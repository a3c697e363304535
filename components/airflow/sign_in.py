"""How people and programs sign in to one Airflow: what its web server is told, and the Secrets for it.

Passwords and roles are in Airflow's own database (Flask-AppBuilder); with an identity provider, roles come from it at
every sign-in. Each Airflow has a database of its own: who is somebody in one is nobody in the others.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.workload import Mount, checksum, metadata, secret_volume

SECRET: Final = "sign-in"  # noqa: S105 (a name)
FOLDER: Final = "/run/secrets/sign-in"
FILE: Final = "sign_in.json"
CLIENTS_SECRET: Final = "api-clients"  # noqa: S105 (a name)
CLIENTS_FOLDER: Final = "/run/secrets/api-clients"


@dataclass(frozen=True)
class OpenIdProvider:
    """Who says who somebody is. ``roles`` are by group or e-mail address; ``default_role`` None lets in nobody else.

    With ``google``, the domain is Google's own word (the claim ``hd``) and not read from the e-mail address.
    """

    issuer: str
    client_id: str
    client_secret: pulumi.Output[str]
    domains: Sequence[str]
    roles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    default_role: str | None = None
    groups_claim: str = "groups"
    scopes: Sequence[str] = ("openid", "email", "profile")
    google: bool = False


@dataclass(frozen=True)
class ApiClient:
    """A program's user: its ``role``, and how often its password has been made anew."""

    name: str
    role: str
    rotation: int = 0

    @property
    def user(self) -> str:
        """The name that it signs in with."""
        return f"client-{self.name}"


@dataclass(frozen=True)
class SignIn:
    """Who comes in. ``provider`` None: by password only."""

    provider: OpenIdProvider | None = None
    clients: Sequence[ApiClient] = ()


@dataclass(frozen=True)
class SignInParts:
    """What the api-server mounts, and the Job that makes users; checksums of both."""

    mounts: tuple[Mount, ...] = ()
    checksums: Mapping[str, pulumi.Output[str]] = field(default_factory=dict)
    client_roles: str = "{}"
    """JSON: roles by user. Who is no longer in it is locked out."""
    client_mounts: tuple[Mount, ...] = ()
    client_checksums: tuple[pulumi.Output[str], ...] = ()
    resources: tuple[pulumi.Resource, ...] = ()


def sign_in_files(asked: SignIn, administrator: str) -> dict[str, str]:
    """What all pods of the Airflow see of it; no secret. The user ``administrator`` comes in by password only."""
    files: dict[str, str] = {}
    if asked.provider:
        provider = asked.provider
        files[FILE] = json.dumps(
            {
                "issuer": provider.issuer,
                "client_id": provider.client_id,
                "client_secret_file": f"{FOLDER}/client-secret",
                "domains": [domain.lower() for domain in provider.domains],
                # Addresses go by small letters, whatever the provider or the stack file has.
                "roles": {key.lower() if "@" in key else key: list(roles) for key, roles in provider.roles.items()},
                "default_role": provider.default_role,
                "groups_claim": provider.groups_claim,
                "scopes": list(provider.scopes),
                "google": provider.google,
                "administrator": administrator,
            },
            indent=1,
        )
    return files


def make_sign_in(
    name: str,
    asked: SignIn,
    checksum_key: pulumi.Output[str],
    namespace: pulumi.Output[str],
    parent: pulumi.Resource,
) -> SignInParts:
    """Makes the Secrets: the client's of the provider, and one of each API client (``username``, ``password``)."""
    opts = pulumi.ResourceOptions(parent=parent)
    made: list[pulumi.Resource] = []
    mounts: tuple[Mount, ...] = ()
    checksums: dict[str, pulumi.Output[str]] = {}
    if asked.provider:
        secret = asked.provider.client_secret
        made.append(
            kubernetes.core.v1.Secret(
                f"{name}-sign-in",
                metadata=metadata(SECRET, namespace),
                string_data={"client-secret": secret},
                opts=opts,
            )
        )
        mounts = (Mount(secret_volume("sign-in", SECRET), FOLDER),)
        checksums["sign-in"] = checksum(checksum_key, secret)
    if not asked.clients:
        return SignInParts(mounts, checksums, resources=tuple(made))
    passwords = {
        client.user: random.RandomPassword(
            f"{name}-{client.user}-password",
            length=40,
            special=False,
            keepers={"rotation": str(client.rotation)},
            opts=opts,
        ).result
        for client in asked.clients
    }
    for user, password in passwords.items():
        made.append(
            kubernetes.core.v1.Secret(
                f"{name}-{user}",
                metadata=metadata(user, namespace),
                string_data={"username": user, "password": password},
                opts=opts,
            )
        )
    made.append(
        kubernetes.core.v1.Secret(
            f"{name}-api-clients", metadata=metadata(CLIENTS_SECRET, namespace), string_data={**passwords}, opts=opts
        )
    )
    return SignInParts(
        mounts,
        checksums,
        json.dumps({client.user: client.role for client in asked.clients}),
        (Mount(secret_volume("api-clients", CLIENTS_SECRET), CLIENTS_FOLDER),),
        (checksum(checksum_key, *passwords.values()),),
        tuple(made),
    )
