"""What makes the databases of dev stacks on an environment's server."""

from components.desk.desk import DESK_ACCOUNT, REQUESTS_NAMESPACE, STATUS, DatabaseDesk, DatabaseDeskArgs

__all__ = ["DESK_ACCOUNT", "REQUESTS_NAMESPACE", "STATUS", "DatabaseDesk", "DatabaseDeskArgs"]
