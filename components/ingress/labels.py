"""Labels of namespaces by which the way in and what lies behind it know each other."""

from typing import Final

INGRESS_NAMESPACE: Final = {"airflow-platform/ingress": "true"}
"""On the namespace whose pods bring people to the user interfaces."""
REACHED: Final = {"airflow-platform/reached-by-ingress": "true"}
"""On every namespace whose Ingress objects the controller looks at, and whose pods it may connect to."""
METRICS_READERS: Final = {"airflow-platform/metrics": "true"}
"""On the namespace whose pods may read the metrics of the controller, the shipper and the proxies."""
