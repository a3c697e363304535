"""Jobs that tell Elasticsearch and Kibana what they have to know, named after what they tell.

A plan is a text, a line a request (files/bootstrap.sh), so that reading it is knowing what happens.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
import pulumi_kubernetes as kubernetes

from components.logs import objects
from components.logs.elasticsearch import CLUSTER, Superuser
from components.logs.store_args import ELASTICSEARCH, UID, URL, LogStoreArgs
from components.logs.store_certificates import AUTHORITY_FILE
from components.versions import version_label
from components.workload import (
    RETRY_FAILED,
    Container,
    Labels,
    Mount,
    Pod,
    Resources,
    checksum,
    labels,
    metadata,
    pod_template,
    scratch,
    selector,
)

COMPONENT: Final = "bootstrap"
SELECTOR: Final[Labels] = selector(CLUSTER, COMPONENT, ELASTICSEARCH)
FOLDER: Final = "/run/bootstrap"
SCRIPT: Final = "bootstrap.sh"
PLAN: Final = "plan"
_FILES: Final = Path(__file__).parent / "files"
_RESOURCES: Final = Resources(cpu="50m", memory="32Mi", cpu_limit="1", memory_limit="128Mi")


@dataclass(frozen=True)
class Login:
    """A user that is made, with what he may do by ``roles``."""

    user: str
    password: pulumi.Output[str]
    roles: Sequence[str]
    about: str


def store_plan(args: LogStoreArgs, logins: Sequence[Login]) -> dict[str, str]:
    """The plan for Elasticsearch and its files, without the users' own, which hold their passwords.

    Streams come before the users: who may only append would have lines refused for a stream that isn't there.
    """
    bodies: dict[str, objects.Body] = {
        "lifecycle.json": objects.lifecycle(args.retention),
        "template.json": objects.index_template(args.copies),
        "replicas.json": objects.replicas(args.copies),
    }
    roles = {
        objects.SHIPPER_ROLE: objects.SHIPPER_RIGHTS,
        **{objects.reader_role_of(airflow): objects.reader_rights(airflow) for airflow in args.readers},
        **({objects.EXPORTER_ROLE: objects.EXPORTER_RIGHTS} if args.exporter_image else {}),
        **({objects.VIEWER_ROLE: objects.VIEWER_RIGHTS} if args.kibana else {}),
    }
    lines = [
        f"PUT /_ilm/policy/{objects.LIFECYCLE} lifecycle.json",
        f"PUT /_index_template/{objects.TEMPLATE} template.json",
        *(f"MAKE /_data_stream/{stream}" for stream in args.streams),
        f"PUT /{objects.PATTERN}/_settings replicas.json",
    ]
    for role, rights in roles.items():
        bodies[f"role-{role}.json"] = rights
        lines.append(f"PUT /_security/role/{role} role-{role}.json")
    lines += [f"PUT /_security/user/{login.user} {user_file(login.user)}" for login in logins if login.roles]
    lines += [f"DROP /_security/user/{objects.reader_of(airflow)}" for airflow in args.retired]
    # Built-in users are there, with roles of their own: only the password is to be said.
    lines += [f"PUT /_security/user/{one.user}/_password {user_file(one.user)}" for one in logins if not one.roles]
    if args.snapshots:
        bodies["repository.json"] = objects.repository(args.snapshots.bucket)
        bodies["snapshots.json"] = objects.snapshot_policy(args.snapshots.days)
        lines += [
            f"PUT /_snapshot/{objects.REPOSITORY} repository.json",
            f"PUT /_slm/policy/{objects.SNAPSHOTS} snapshots.json",
        ]
    return {PLAN: "".join(f"{line}\n" for line in lines), **{name: json.dumps(body) for name, body in bodies.items()}}


def user_file(user: str) -> str:
    """The file with what a user is told to be."""
    return f"user-{user}.json"


def set_up(
    name: str,
    args: LogStoreArgs,
    logins: Sequence[Login],
    superuser: Superuser,
    authority: pulumi.Output[str],
    namespace: pulumi.Output[str],
    account: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
) -> kubernetes.batch.v1.Job:
    """Tells Elasticsearch all of it; anew when any of it changes."""
    users = {user_file(login.user): _user(login) for login in logins}
    secret = kubernetes.core.v1.Secret(
        f"{name}-users",
        metadata=metadata("elasticsearch-users", namespace),
        string_data=users,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    files: dict[str, pulumi.Input[str]] = {**store_plan(args, logins), AUTHORITY_FILE: authority}
    return run_plan(
        name,
        ELASTICSEARCH,
        {"SERVER": URL, "HEALTH": "/_cluster/health?wait_for_status=yellow&timeout=30s", "AUTHORITY": _AUTHORITY},
        args,
        superuser,
        files,
        namespace,
        account,
        parent,
        [secret, *depends_on],
        secrets={"elasticsearch-users": list(users.values())},
    )


_AUTHORITY: Final = f"{FOLDER}/{AUTHORITY_FILE}"


def run_plan(
    name: str,
    told: str,
    variables: Mapping[str, str],
    args: LogStoreArgs,
    superuser: Superuser,
    files: Mapping[str, pulumi.Input[str]],
    namespace: pulumi.Output[str],
    account: pulumi.Output[str],
    parent: pulumi.Resource,
    depends_on: Sequence[pulumi.Resource],
    secrets: Mapping[str, Sequence[pulumi.Input[str]]] | None = None,
) -> kubernetes.batch.v1.Job:
    """Runs the plan in ``files`` once for each of its contents. ``secrets``: Secrets with more files, and their values.

    ``told`` is who is told, in the names.
    """
    job = f"{told}-bootstrap"
    script = (_FILES / SCRIPT).read_text("utf-8")
    config = kubernetes.core.v1.ConfigMap(
        f"{name}-{job}",
        metadata=metadata(job, namespace),
        data={SCRIPT: script, **files},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    mounted = secrets or {}
    folder = Mount(
        {
            "name": "plan",
            "projected": {
                "default_mode": 0o440,
                "sources": [
                    {"config_map": {"name": job}},
                    *({"secret": {"name": secret}} for secret in mounted),
                ],
            },
        },
        FOLDER,
    )
    pod = Pod(
        labels={**labels(CLUSTER, COMPONENT, version_label(args.image), ELASTICSEARCH)},
        service_account=account,
        user=UID,
        group=UID,
        restart_policy="Never",
        nodes=args.placed,
        priority=args.priority,
        containers=[
            Container(
                name=COMPONENT,
                # It has what it takes, and is there already.
                image=args.image,
                command=["bash", f"{FOLDER}/{SCRIPT}", FOLDER],
                env=[{"name": key, "value": value} for key, value in variables.items()],
                resources=_RESOURCES,
                mounts=[folder, superuser.mount(), scratch("tmp", "/tmp")],
            )
        ],
    )
    # The Job's name says what it has run: changed contents are a new Job, the same ones are nothing to do.
    content = checksum(
        args.checksum_key,
        script,
        *variables.values(),
        *(files[key] for key in sorted(files)),
        *(value for key in sorted(mounted) for value in mounted[key]),
        superuser.password,
        args.image,
    )
    return kubernetes.batch.v1.Job(
        f"{name}-{job}-job",
        metadata=metadata(content.apply(lambda digest: f"{job}-{digest}"), namespace, annotations=RETRY_FAILED),
        spec={"backoff_limit": 4, "template": pod_template(pod)},
        # Old first: after a failed change, going back to the Job of before would find it in the way.
        opts=pulumi.ResourceOptions(
            parent=parent, depends_on=[config, superuser.secret, *depends_on], delete_before_replace=True
        ),
    )


def _user(login: Login) -> pulumi.Output[str]:
    about = {"roles": list(login.roles), "full_name": login.about} if login.roles else {}
    return login.password.apply(lambda text: json.dumps({"password": text, **about}))
