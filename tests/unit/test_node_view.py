"""What the testbed's node has for itself."""

from components.logs.shipper import LOGS_FOLDER, STATE_FOLDER
from testbed.cluster.node_view import OWN


def test_what_the_log_shipper_mounts_of_a_node_is_each_clusters_own() -> None:
    assert OWN.keys() == {LOGS_FOLDER, STATE_FOLDER}
