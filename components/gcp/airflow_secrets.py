"""Which secrets in Secret Manager are an Airflow's own: those whose names begin as it does."""

import pulumi
import pulumi_gcp as gcp


def secrets_prefix(environment: str, airflow: str) -> str:
    """How the names of an Airflow's secrets begin.

    Underscores end each part: names of Airflows have none, so no Airflow's prefix is the beginning of another's, nor of
    an escrowed key's name.
    """
    return f"airflow_{environment}_{airflow}_"


def allow_secrets(
    name: str, project: str, prefix: str, member: pulumi.Input[str], opts: pulumi.ResourceOptions
) -> gcp.projects.IAMMember:
    """Lets ``member`` read the secrets of ``project`` whose names begin with ``prefix``, and no other.

    A secret's full name begins with the project's number, which is not known here: hence ``extract``. Where it finds
    nothing, it is empty, and nothing is allowed
    (https://cloud.google.com/iam/docs/conditions-attribute-reference#extract).
    """
    return gcp.projects.IAMMember(
        name,
        project=project,
        role="roles/secretmanager.secretAccessor",
        member=member,
        condition={
            "title": "own-secrets",
            "expression": f'resource.name.extract("secrets/{{name}}/versions/").startsWith("{prefix}")',
        },
        opts=opts,
    )
