"""Settings of who previews changes in the cluster."""

from typing import Annotated

from pydantic import StringConstraints

from infra.settings.base import SettingsModel


class PreviewSettings(SettingsModel):
    """Who may send dry runs to the cluster, for server-side previews, and nothing else."""

    enabled: bool = True
    """False: nobody may."""
    user: Annotated[str, StringConstraints(pattern=r'^[^\s"\\]{1,253}$')] | None = None
    """The previewer as the cluster knows it. None: on a GKE cluster that is made here the environment's previewer, whom
    the bootstrap made; elsewhere nobody."""
