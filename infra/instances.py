"""Cloud SQL instances, whoever made them."""

from dataclasses import dataclass

import pulumi


@dataclass(frozen=True)
class Instance:
    """A Cloud SQL instance, whoever made it."""

    project: str
    name: pulumi.Input[str]
    connection_name: pulumi.Input[str]


@dataclass(frozen=True)
class AdministeredInstance(Instance):
    """One whose administrator makes the Airflows' databases."""

    administrator: str
    administrator_password: pulumi.Output[str]


def instance_named(connection_name: str) -> Instance:
    """The instance of a connection name, ``project:region:instance``."""
    project, _, name = connection_name.rsplit(":", 2)
    return Instance(project, name, connection_name)
