"""A log store of the platform's own: Elasticsearch, what it is told, what shows it, and who may reach it."""

from collections.abc import Mapping

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.airflow.access import account_metadata
from components.ingress.labels import REACHED
from components.logs import objects
from components.logs.bootstrap import Login, set_up
from components.logs.elasticsearch import SUPERUSER, keep_superuser, run_elasticsearch
from components.logs.exporter import run_exporter
from components.logs.kibana import SYSTEM_USER, run_kibana
from components.logs.store_access import restrict_store
from components.logs.store_args import ELASTICSEARCH, NAMESPACE, URL, LogStoreArgs
from components.logs.store_certificates import AUTHORITY_FILE, make_store_certificate
from components.workload import RESTRICTED, metadata

PASSWORD_LENGTH = 32


class LogStore(pulumi.ComponentResource):
    """A namespace ``log-store`` for all Airflows of an environment.

    Deliberately not here: what ships the lines, which runs on every node with rights that nothing here has
    (components/logs/shipper.py).
    """

    namespace: pulumi.Output[str]
    url: str = URL
    authority: pulumi.Output[str]
    """Of its certificate, PEM."""
    passwords: Mapping[str, pulumi.Output[str]]
    """By user: ``fluentd``, and ``airflow-<name>`` for each Airflow."""
    ready: pulumi.Resource
    """Streams, roles and users are there when it is."""
    kibana: pulumi.Resource | None
    """The Service ``kibana``, where there is one."""

    def __init__(self, name: str, args: LogStoreArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("airflow-platform:logs:LogStore", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(NAMESPACE, own_labels={**RESTRICTED, **REACHED}),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protect),
        ).metadata.name
        certificate = make_store_certificate(name, self.namespace, self)
        self.authority = certificate.authority
        authority = kubernetes.core.v1.ConfigMap(
            f"{name}-authority-file",
            metadata=metadata("elasticsearch-authority", self.namespace),
            data={AUTHORITY_FILE: certificate.authority},
            opts=child,
        )
        restricted = restrict_store(name, args, self.namespace, self)
        superuser = keep_superuser(name, self._password(name, SUPERUSER, args), self.namespace, self)
        acts_as = args.snapshots.identity if args.snapshots else None
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata=account_metadata(ELASTICSEARCH, self.namespace, acts_as),
            automount_service_account_token=False,
            opts=child,
        )
        service = run_elasticsearch(
            name,
            args,
            superuser,
            account.metadata.name,
            self.namespace,
            self,
            [certificate.secret, *restricted],
        )
        logins = self._logins(name, args)
        self.passwords = {login.user: login.password for login in logins}
        teller = kubernetes.core.v1.ServiceAccount(
            f"{name}-bootstrap-service-account",
            metadata=metadata("bootstrap", self.namespace),
            automount_service_account_token=False,
            opts=child,
        ).metadata.name
        self.ready = set_up(
            name, args, logins, superuser, self.authority, self.namespace, teller, self, [service, *restricted]
        )
        if args.exporter_image:
            password = self.passwords[objects.EXPORTER]
            run_exporter(
                name,
                args.exporter_image,
                args,
                objects.EXPORTER,
                password,
                authority,
                self.namespace,
                self,
                [self.ready, *restricted],
            )
        self.kibana = None
        if args.kibana:
            self.kibana = run_kibana(
                name,
                args.kibana,
                args,
                self.passwords,
                superuser,
                authority,
                self.namespace,
                teller,
                self,
                [self.ready, *restricted],
            )
        self.register_outputs({"namespace": self.namespace, "url": self.url})

    def _logins(self, name: str, args: LogStoreArgs) -> list[Login]:
        """Everybody that signs in, each with a password of its own."""
        asked: list[tuple[str, tuple[str, ...], str]] = [
            (objects.SHIPPER, (objects.SHIPPER_ROLE,), "Appends the lines of containers"),
            *(
                (objects.reader_of(airflow), (objects.reader_role_of(airflow),), f"Airflow {airflow}")
                for airflow in args.readers
            ),
        ]
        if args.exporter_image:
            asked.append((objects.EXPORTER, (objects.EXPORTER_ROLE,), "Shows metrics"))
        if args.kibana:
            asked.append((objects.VIEWER, (objects.VIEWER_ROLE, "kibana_admin"), "People, in Kibana"))
            asked.append((SYSTEM_USER, (), "Kibana itself"))
        return [Login(user, self._password(name, user, args), roles, about) for user, roles, about in asked]

    def _password(self, name: str, user: str, args: LogStoreArgs) -> pulumi.Output[str]:
        # Letters and digits: it stands in files of several kinds.
        return random.RandomPassword(
            f"{name}-{user.replace('_', '-')}-password",
            length=PASSWORD_LENGTH,
            special=False,
            keepers={"rotation": str(args.rotation)},
            opts=pulumi.ResourceOptions(parent=self),
        ).result
