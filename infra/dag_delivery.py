"""From the settings of where DAGs come from to the arguments of what delivers them."""

from components.airflow.args import BakedDags, DagSource
from components.airflow.dag_bundles import ArtifactStore, GitBundle
from components.airflow.git_sync import GithubApp, GitSync
from components.versions import ImageSource
from infra.settings.airflow import AirflowSettings
from infra.settings.celery import CelerySettings
from infra.settings.dags import ArtifactDags, GitBundleDags, GitSyncDags
from infra.settings.executors import Executor

LOCAL_TASK_SECONDS = 6 * 3600
"""How long a task of the LocalExecutor may go on with the files that it began with."""


def dag_source(airflow: AirflowSettings, images: ImageSource, own_bucket: str | None) -> DagSource:
    """Where the DAGs of ``airflow`` come from. ``own_bucket`` is the one that was made for them."""
    match airflow.dags:
        case GitSyncDags() as dags:
            app = dags.github_app
            return GitSync(
                image=images.reference("git-sync"),
                repository=dags.git.repository,
                ref=dags.git.ref,
                subpath=dags.git.subpath,
                depth=dags.git.depth,
                username=dags.git.username or GitSync.username,
                known_hosts=dags.git.known_hosts,
                github_app=GithubApp(app.client_id, app.installation_id, app.base_url) if app else None,
                ca_certificates=dags.ca_certificates,
                plugins=dags.plugins,
                period_seconds=dags.period_seconds,
                stale_worktree_seconds=_stale_seconds(airflow, dags),
                max_failures=dags.max_failures,
                volume_size=dags.volume_size,
            )
        case GitBundleDags() as dags:
            return GitBundle(
                repository=dags.git.repository,
                ref=dags.git.ref,
                subpath=dags.git.subpath,
                username=dags.git.username or GitBundle.username,
                known_hosts=dags.git.known_hosts,
                period_seconds=dags.period_seconds,
                volume_size=dags.volume_size,
            )
        case ArtifactDags() as dags:
            bucket = dags.bucket or own_bucket
            assert bucket is not None  # the settings see to it
            return ArtifactStore(bucket, dags.prefix, dags.endpoint, dags.period_seconds, dags.volume_size)
        case _:
            return BakedDags()


def _stale_seconds(airflow: AirflowSettings, dags: GitSyncDags) -> int:
    """How long an earlier commit's files stay: a task must not lose them while it runs."""
    if dags.stale_worktree_seconds is not None:
        return dags.stale_worktree_seconds
    longest = [GitSync.stale_worktree_seconds]
    if Executor.CELERY in airflow.executor:
        longest.append((airflow.celery or CelerySettings()).longest_of_all)
    if Executor.LOCAL in airflow.executor:
        longest.append(LOCAL_TASK_SECONDS)
    return max(longest)
