"""Who may preview changes in an environment's cluster."""

import pulumi

from components.gcp.naming import account_id
from components.preview_access import PreviewAccess, PreviewAccessArgs
from infra.settings import GkeCluster, Settings


def preview_access(settings: Settings, environment: str, opts: pulumi.ResourceOptions) -> None:
    """Let the ``environment``'s previewer send dry runs, where there is one."""
    user = settings.previews.user
    if user is None and settings.google and isinstance(settings.cluster, GkeCluster):
        user = f"{account_id('previewer', environment)}@{settings.google.platform_project}.iam.gserviceaccount.com"
    if user is not None and settings.previews.enabled:
        PreviewAccess("previewer", PreviewAccessArgs(user), opts)
