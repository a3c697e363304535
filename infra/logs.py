"""From settings to the shipper of logs."""

import pulumi

from components.logs import Shipper, ShipperArgs
from components.network import ClusterNetwork
from components.versions import ImageSource
from infra.settings import Settings

IMAGE = "fluentd"


def ship_logs(
    settings: Settings,
    images: ImageSource,
    checksum_key: pulumi.Output[str],
    network: ClusterNetwork | None,
    priority: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
) -> Shipper | None:
    """fluentd on every node, where the settings ask for it."""
    logs = settings.logs
    if logs is None:
        return None
    assert settings.logs_password is not None  # the settings see to it
    return Shipper(
        "logs",
        ShipperArgs(
            image=images.reference(IMAGE),
            url=logs.url,
            user=logs.user,
            password=pulumi.Output.secret(settings.logs_password.get_secret_value()),
            checksum_key=checksum_key,
            buffer_mib=logs.buffer_mib,
            components=logs.components,
            priority=priority,
            network=network,
        ),
        opts,
    )
