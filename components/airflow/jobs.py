"""What must have run before an Airflow's components may, or once after they do: Jobs named after what they run.

No hooks, no init container that waits: what needs them depends on them. The first is the migration (migration.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi_kubernetes.batch.v1 import JobSpecArgsDict, PodFailurePolicyRuleArgsDict
from pulumi_kubernetes.core.v1 import EnvVarArgsDict

from components.airflow.configuration import FILES_FOLDER, script
from components.airflow.pods import Blueprint
from components.airflow.secrets import ADMIN_SECRET
from components.airflow.sign_in import CLIENTS_FOLDER, SignInParts
from components.workload import RETRY_FAILED, Container, Mount, Pod, checksum, metadata, pod_template, secret_volume

ADMIN_FOLDER = "/run/secrets/admin"


@dataclass(frozen=True)
class Jobs:
    """Makes the Jobs of one Airflow in ``namespace``."""

    blueprint: Blueprint
    namespace: pulumi.Output[str]
    service_account: pulumi.Output[str]
    parent: pulumi.Resource

    def await_database(self, depends_on: Sequence[pulumi.Resource]) -> kubernetes.batch.v1.Job:
        """Waits, two minutes at most, for a database that somebody else makes."""
        return self.run("await-database", ["airflow", "db", "check", "--retry", "60", "--retry-delay", "2"], depends_on)

    def create_admin(self, depends_on: Sequence[pulumi.Resource], sign_in: SignInParts) -> kubernetes.batch.v1.Job:
        """Makes the administrator and the API clients, or sets rotated passwords."""
        args = self.blueprint.args
        clients = [sign_in.client_roles, CLIENTS_FOLDER]
        return self.run(
            "create-admin",
            ["python", f"{FILES_FOLDER}/create_admin.py", ADMIN_FOLDER, args.admin_email, *clients],
            depends_on,
            mounts=[Mount(secret_volume("admin", ADMIN_SECRET), ADMIN_FOLDER), *sign_in.client_mounts],
            contents=[
                args.admin_user,
                script("create_admin.py"),
                self.blueprint.secrets.admin_checksum,
                *sign_in.client_checksums,
            ],
        )

    def make_pool(self, pool: str, slots: int, depends_on: Sequence[pulumi.Resource]) -> kubernetes.batch.v1.Job:
        """Makes a pool for tasks, or gives an existing one its number of slots."""
        about = f"Runs of type {pool}; kept by the platform"
        return self.run(f"{pool}-pool", ["airflow", "pools", "set", pool, str(slots), about], depends_on)

    def run(
        self,
        job: str,
        command: Sequence[str],
        depends_on: Sequence[pulumi.Resource],
        mounts: Sequence[Mount] = (),
        contents: Sequence[pulumi.Input[str]] = (),
    ) -> kubernetes.batch.v1.Job:
        """Runs ``command`` once for each of its contents: what it says, what it mounts, and ``contents``."""
        pod = job_pod(self.blueprint, job, command, self.service_account, mounts)
        return self.make(job, pod, depends_on, [*command, *contents])

    def make(
        self,
        job: str,
        pod: Pod,
        depends_on: Sequence[pulumi.Resource],
        contents: Sequence[pulumi.Input[str]],
        final_codes: Sequence[int] = (),
    ) -> kubernetes.batch.v1.Job:
        """Runs ``pod`` once for each of its ``contents``. An exit code of ``final_codes`` ends it for good."""
        args = self.blueprint.args
        spec: JobSpecArgsDict = {"backoff_limit": 2, "template": pod_template(pod)}
        if final_codes:
            failed: PodFailurePolicyRuleArgsDict = {
                "action": "FailJob",
                "on_exit_codes": {"container_name": job, "operator": "In", "values": list(final_codes)},
            }
            spec["pod_failure_policy"] = {"rules": [failed]}
        # A Job's template can't be changed, and a fixed name would be in the way: the name follows the contents.
        digest = checksum(
            args.checksum_key,
            args.image.reference,
            *contents,
            self.blueprint.config_checksum,
            self.blueprint.secrets.components_checksum,
        )
        return kubernetes.batch.v1.Job(
            f"{self.blueprint.name}-{job}",
            metadata=metadata(digest.apply(lambda text: f"{job}-{text}"), self.namespace, annotations=RETRY_FAILED),
            spec=spec,
            # Old first: after a failed change, going back to the Job of before would find it in the way.
            opts=pulumi.ResourceOptions(parent=self.parent, depends_on=list(depends_on), delete_before_replace=True),
        )


def job_pod(
    blueprint: Blueprint,
    job: str,
    command: Sequence[str],
    service_account: pulumi.Input[str],
    mounts: Sequence[Mount] = (),
    api_access: bool = False,
    before: Sequence[Container] = (),
    env: Sequence[EnvVarArgsDict] = (),
) -> Pod:
    """The pod of what runs a ``command`` of Airflow to its end, by a Job or a CronJob."""
    return blueprint.component_pod(
        job,
        command,
        blueprint.args.sizing.job,
        service_account=service_account,
        api_access=api_access,
        # Migrations hold locks of their session, which PgBouncer would share out.
        direct=True,
        mounts=mounts,
        restart_policy="Never",
        before=before,
        env=[{"name": "AIRFLOW__LOGGING__LOGGING_LEVEL", "value": "WARNING"}, *env],
    )
