"""What all settings models share: frozen, strict, camelCase in stack files, unknown keys refused."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel


class SettingsModel(BaseModel):
    """Base of every settings model. ``hide_input_in_errors`` keeps a mistyped secret out of error texts."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        alias_generator=to_camel,
        hide_input_in_errors=True,
    )


ENCRYPTED = "(encrypted)"
"""Stands for a secret that only Pulumi can read, where a stack file is looked into without it: it is there, and what is
in it will be seen when the program runs."""

DnsLabel = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$", max_length=40)]
"""A DNS label that leaves room for prefixes and suffixes: Kubernetes allows 63 characters (RFC 1123, and RFC 1035 for
Services, hence the letter in front)."""

Cpu = Annotated[str, StringConstraints(pattern=r"^([1-9][0-9]*m|[1-9][0-9]*(\.[0-9]{1,3})?|0\.[0-9]{0,2}[1-9])$")]
"""CPUs as Kubernetes writes them: ``250m``, ``2``, ``1.5``."""

Quantity = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]*(Ki|Mi|Gi|Ti)$")]
"""A storage size with a binary unit, as Kubernetes writes it: ``5Gi``."""

MOUNTABLE_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
