"""For a look inside:  python -m testbed.cluster (up | down [--delete] | status | kubectl …) <name> […]"""

import argparse
import os
import sys

from testbed.cluster.cluster import Cluster
from testbed.progress import Failure, Progress


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m testbed.cluster", description="A Kubernetes of one node.")
    commands = parser.add_subparsers(dest="command", required=True)
    for command, text in (
        ("up", "bring it up, or what is missing of it"),
        ("down", "end it; it keeps its data"),
        ("status", "whether it is up, what its pods use, and what it has on the machine"),
        ("kubectl", "run kubectl with the words after the name"),
    ):
        commands.add_parser(command, help=text).add_argument("name")
    commands.choices["down"].add_argument("--delete", action="store_true", help="remove its data, too")
    commands.choices["kubectl"].add_argument("words", nargs=argparse.REMAINDER)
    arguments = parser.parse_args(argv)

    cluster = Cluster(arguments.name, Progress())
    if arguments.command == "up":
        cluster.up()
        print(f"export KUBECONFIG={cluster.kubeconfig}")
    elif arguments.command == "down":
        cluster.down(delete=arguments.delete)
    elif arguments.command == "status":
        print("up" if cluster.is_up() else "not up")
        if cluster.is_up():
            for (namespace, pod), memory in sorted(cluster.pod_memory().items()):
                print(f"{memory / 2**20:8.1f} MiB  {namespace}/{pod}")
        print("\n".join(cluster.leftovers()))
    else:
        os.execv(cluster.kubectl, ["kubectl", f"--kubeconfig={cluster.kubeconfig}", *arguments.words])
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"✗ {failure}")
    except KeyboardInterrupt:
        sys.exit("✗ interrupted; the same command goes on where it stopped")
