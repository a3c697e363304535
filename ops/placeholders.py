"""Values for the placeholders in the project's stack files: what an organisation called Acme would write there.

The offline diff and the tests put them in, so that a stack file that nobody has filled in yet can be looked at.
"""

import re
from typing import Any, Final

VALUES: Final = {
    "YOUR-PLATFORM-PROJECT": "acme-platform",
    "YOUR-DEV-PROJECT": "acme-airflow-dev",
    "YOUR-STAGING-PROJECT": "acme-airflow-staging",
    "YOUR-PROD-PROJECT": "acme-airflow-prod",
    "YOUR-BREAK-GLASS": "break-glass@acme.example",
    "YOUR-ADMINISTRATORS": "platform@acme.example",
    "YOUR-ORGANISATION": "acme",
    "YOUR-REPOSITORY": "airflow",
    "YOUR-DAGS-REPOSITORY": "airflow-dags",
    "YOUR-REPOSITORY-ID": "123456789",
    "YOUR-OWNER-ID": "987654321",
    "YOUR-DEV-PROJECT-NUMBER": "100000000001",
    "YOUR-STAGING-PROJECT-NUMBER": "100000000002",
    "YOUR-PROD-PROJECT-NUMBER": "100000000003",
    "YOUR-DOMAIN": "acme.example",
    "YOUR-DAGS-VERSION": "v1.4.0",
    "YOUR-DAGS-DIGEST": "sha256:" + "a1" * 32,
}
_PLACEHOLDER: Final = re.compile(r"YOUR(-[A-Z0-9]+)+")


def filled(node: Any) -> Any:
    """``node`` with every placeholder replaced; one that has no value here becomes its own name in lower case."""
    if isinstance(node, dict):
        return {key: filled(value) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value) for value in node]
    if isinstance(node, str):
        return _PLACEHOLDER.sub(lambda found: VALUES.get(found[0], found[0].removeprefix("YOUR-").lower()), node)
    return node
