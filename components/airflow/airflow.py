"""One isolated Airflow: its namespace, secrets, database, configuration and running parts.

Deliberately not here: the database server, the cluster and the way in, which several Airflows share.
"""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes

from components.airflow.access import ServiceAccounts, grant_access
from components.airflow.args import AirflowArgs, SharedServer
from components.airflow.backfill import POOL, policy_files
from components.airflow.celery.broker import make_broker
from components.airflow.celery.flower import make_flower
from components.airflow.celery.workers import Workers
from components.airflow.configuration import API_PORT, FILES_FOLDER, airflow_cfg, api_host, script
from components.airflow.customisation import make_env_secret
from components.airflow.dags import DagParts, dag_parts
from components.airflow.database import database_for
from components.airflow.export import export_database
from components.airflow.jobs import Jobs
from components.airflow.migration import migrate_schema
from components.airflow.network_policies import restrict_network
from components.airflow.notifications import make_notification_secret, notification_files
from components.airflow.operations import operate
from components.airflow.pgbouncer import run_pgbouncer
from components.airflow.pod_operator import grant_launches
from components.airflow.pods import CONFIG_MAP, Blueprint
from components.airflow.pooled import MODULE
from components.airflow.quota import limit_resources
from components.airflow.secrets import ADMIN_SECRET, make_secrets
from components.airflow.services import Services, grace_seconds
from components.airflow.sign_in import make_sign_in, sign_in_files
from components.airflow.statsd import run_statsd
from components.airflow.task_logs import LogStoreParts, log_store
from components.airflow.task_pod import pod_templates
from components.airflow.task_pods_only import leave_task_pods
from components.availability import until_done
from components.ingress.labels import REACHED
from components.workload import RESTRICTED, checksum, metadata, selector


class Airflow(pulumi.ComponentResource):
    """An Airflow in a namespace of its own, ``airflow-<name>``.

    Everything that needs the schema waits for the migration Job; the returned outputs are known when all parts run.
    """

    namespace: pulumi.Output[str]
    url: pulumi.Output[str]
    """The api-server's address inside the cluster."""
    admin_user: str
    admin_secret: str = ADMIN_SECRET
    """The Secret in ``namespace`` with the keys ``username`` and ``password``."""
    version: str
    """What the DAGs are: the image's version, or the branch or tag that is followed."""
    fernet_key: pulumi.Output[str]
    """Secret: all there are, the one in use first. Without them no stored connection or variable can be read again."""

    def __init__(self, name: str, args: AirflowArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:airflow:Airflow", name, None, opts)
        namespace_name = f"airflow-{name}"
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(namespace_name, own_labels={**RESTRICTED, **REACHED}),
            # Deleting a namespace deletes all that is in it, volumes too.
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        self.namespace = namespace.metadata.name
        self.admin_user = args.admin_user

        restricted = restrict_network(name, args, self.namespace, self)
        restricted += limit_resources(name, args.quota, self.namespace, self)
        secrets = make_secrets(name, args, self.namespace, self)
        sign_in = make_sign_in(name, args.sign_in, args.checksum_key, self.namespace, self)
        self.fernet_key = secrets.fernet_key
        logs = log_store(args.task_logs, name, self.namespace, args.protected, self)
        dags = dag_parts(name, args, self.namespace, self, FILES_FOLDER)
        self.version = dags.version
        accounts = grant_access(name, self.namespace, self, args.launches_pods, args.celery is not None, args.identity)
        _let_launch(name, args, accounts, self.namespace, self)
        broker = make_broker(name, args, self.namespace, self)

        templates = pod_templates(name, args, dags, logs)
        files = _files(name, namespace_name, args, dags, logs, templates)
        config = kubernetes.core.v1.ConfigMap(
            f"{name}-config",
            metadata=metadata(CONFIG_MAP, self.namespace),
            data=files,
            opts=pulumi.ResourceOptions(parent=self),
        )
        blueprint = Blueprint(name, args, secrets, logs, dags, checksum(args.checksum_key, *files.values()))

        measured = run_statsd(blueprint, self.namespace, accounts.components, self)
        bootstrapped = database_for(name, args, secrets, self)
        given = [
            *make_notification_secret(name, args.operation.notifications, self.namespace, self),
            *make_env_secret(name, args.customisation, self.namespace, self),
        ]
        mounted = [
            *restricted,
            *leave_task_pods(name, namespace_name, args, templates, accounts.scheduler, self),
            *measured,
            config,
            *given,
            *secrets.resources,
            *sign_in.resources,
            *logs.depends_on,
            *dags.depends_on,
        ]
        jobs = Jobs(blueprint, self.namespace, accounts.components, self)
        database = [bootstrapped, *mounted]
        if isinstance(args.database, SharedServer):
            database.append(jobs.await_database(database))
        migrated = migrate_schema(blueprint, jobs, accounts.migration, grace_seconds(args), database)
        administered = jobs.create_admin([migrated], sign_in)
        if args.backfill:
            jobs.make_pool(POOL, args.backfill.slots, [migrated])

        pooled = run_pgbouncer(blueprint, self.namespace, accounts.components, self, [bootstrapped, *mounted])
        services = Services(blueprint, self.namespace, accounts, self, [migrated, *pooled], broker)
        api = services.api_server([administered], sign_in)
        parts = [services.scheduler(), services.dag_processor(), services.triggerer()]
        if args.celery and broker and not args.retired:
            ready = (migrated, *logs.depends_on, *dags.depends_on)
            Workers(blueprint, self.namespace, broker, self, ready).make()
            if args.celery.flower:
                make_flower(blueprint, self.namespace, broker, self, [config])
        if not args.retired:
            operate(blueprint, self.namespace, accounts, jobs, self, migrated, [api, *parts])
        elif args.export_bucket:
            export_database(blueprint, args.export_bucket, self.namespace, accounts.components, self, [api, *parts])

        self.url = api.id.apply(lambda _: f"http://{api_host(namespace_name)}:{API_PORT}")
        self.register_outputs({"namespace": self.namespace, "url": self.url, "version": self.version})


def _let_launch(
    name: str, args: AirflowArgs, accounts: ServiceAccounts, namespace: pulumi.Output[str], parent: pulumi.Resource
) -> None:
    """Lets what may launch pods do so, and has drains wait for tasks' own."""
    if args.pod_operator:
        # The triggerer, one of the components, waits for the pods of tasks that are deferred.
        launchers = [accounts.tasks, accounts.scheduler if args.runs_tasks_in_scheduler else None, accounts.components]
        grant_launches(name, namespace, [one for one in launchers if one is not None], parent)
    if args.launches_pods:
        until_done(f"{name}-task-budget", "task", namespace, selector(name, "task"), parent)


def _files(
    name: str, namespace: str, args: AirflowArgs, dags: DagParts, logs: LogStoreParts, templates: Mapping[str, str]
) -> dict[str, str]:
    """What all pods see in one folder."""
    files = {
        "airflow.cfg": airflow_cfg(name, namespace, args, dags, logs.sections),
        "webserver_config.py": script("webserver_config.py"),
        "heartbeat.py": script("heartbeat.py"),
        "create_admin.py": script("create_admin.py"),
        **sign_in_files(args.sign_in, args.admin_user),
        **dags.files,
    }
    if args.sizing.pooler:
        files[MODULE] = script(MODULE)
    if args.launches_pods:
        files |= templates
    if args.backfill:
        files |= policy_files()
    if args.operation.notifications:
        files |= notification_files()
    if args.celery:
        files |= {file: script(file) for file in ("celery_results.py", "worker_alive.py", "worker_logs.py")}
    return files
