"""Settings of what an Airflow has in its database from the start: connections, variables, pools."""

from typing import Annotated

from pydantic import Field, JsonValue, SecretStr, StringConstraints

from infra.settings.base import SettingsModel

Text = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Secret = Annotated[SecretStr, Field(min_length=1)]


class ConnectionSettings(SettingsModel):
    """A connection. Its password, and whatever else of it is secret, stands under ``secrets.<airflow>.connections``."""

    type: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_]{1,100}$")]
    """As Airflow's providers name it: ``postgres``, ``http``, ``google_cloud_platform``."""
    host: Text | None = None
    port: Annotated[int, Field(ge=1, le=65535)] | None = None
    schema_name: Annotated[Text | None, Field(alias="schema")] = None
    login: Text | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    description: Annotated[str, StringConstraints(max_length=1000)] = ""


class PoolSettings(SettingsModel):
    """A pool: how many tasks of it may run at once."""

    slots: Annotated[int, Field(ge=-1, le=1_000_000)]
    """-1: any number."""
    include_deferred: bool = False
    """Whether deferred tasks count."""
    description: Annotated[str, StringConstraints(max_length=1000)] = ""


class ContentSettings(SettingsModel):
    """What is kept in an Airflow's database as the stack file says it."""

    connections: dict[str, ConnectionSettings] = Field(default_factory=dict)
    """By connection id."""
    variables: dict[str, str] = Field(default_factory=dict)
    """By key. A value that is JSON is written as a text; one that is secret belongs under ``secrets``."""
    pools: dict[str, PoolSettings] = Field(default_factory=dict)
    """By name; ``default_pool`` may be one of them."""
    take_over: bool = False
    """Whether what people have made by hand under one of these names becomes the stack file's. Otherwise it stays as it
    is, and `up` fails and names it."""


class ConnectionSecrets(SettingsModel):
    """The secret parts of a connection; the others stand in the Airflow's ``connections``."""

    login: Secret | None = None
    password: Secret | None = None
    extra: dict[str, Secret] = Field(default_factory=dict)
    """Joins the connection's ``extra``, key by key."""


class ContentSecrets(SettingsModel):
    """The secret parts of what is in an Airflow's database."""

    connections: dict[str, ConnectionSecrets] = Field(default_factory=dict)
    variables: dict[str, Secret] = Field(default_factory=dict)
