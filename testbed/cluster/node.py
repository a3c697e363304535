"""What makes the machine a node: containerd, the pods' network, kubelet, kube-proxy, and their configuration."""

import json
from pathlib import Path

import yaml

from testbed.cluster import node_view, policies
from testbed.cluster.layout import (
    DNS_DOMAIN,
    DNS_SERVICE_IP,
    NODE_IP,
    NODE_NAME,
    POD_RANGE,
    Layout,
)
from testbed.cluster.processes import Component
from testbed.cluster.programs import Programs


def write_config(layout: Layout, pause_image: str) -> None:
    """Write the files that the components below read."""
    layout.config.mkdir(parents=True, exist_ok=True)
    _cni_folder(layout).mkdir(exist_ok=True)
    _containerd_file(layout).write_text(_containerd_config(layout, pause_image))
    (_cni_folder(layout) / "10-pods.conflist").write_text(json.dumps(_cni_config(layout), indent=2))
    _resolver_file(layout).write_text(f"nameserver {DNS_SERVICE_IP}\n")
    _kubelet_file(layout).write_text(yaml.safe_dump(_kubelet_config(layout)))


def containerd(layout: Layout) -> Component:
    return Component(
        "containerd",
        [*node_view.enter(layout), "containerd", f"--config={_containerd_file(layout)}"],
        [_containerd_file(layout), _cni_folder(layout) / "10-pods.conflist"],
    )


def kubelet(layout: Layout, programs: Programs) -> Component:
    return Component(
        "kubelet",
        [
            *node_view.enter(layout),
            programs.kube,
            "kubelet",
            f"--config={_kubelet_file(layout)}",
            f"--kubeconfig={layout.node_kubeconfig}",
            f"--root-dir={layout.kubelet}",
            f"--hostname-override={NODE_NAME}",
            f"--node-ip={NODE_IP}",
        ],
        [_kubelet_file(layout), layout.node_kubeconfig],
    )


def proxy(layout: Layout, programs: Programs) -> Component:
    return Component(
        "kube-proxy",
        [
            programs.kube,
            "kube-proxy",
            f"--kubeconfig={layout.inner_kubeconfig}",
            f"--hostname-override={NODE_NAME}",
            "--proxy-mode=iptables",
            f"--cluster-cidr={POD_RANGE}",
            # The sizes of the connection table belong to the whole machine: leave them alone.
            "--conntrack-max-per-core=0",
            "--conntrack-tcp-timeout-established=0s",
            "--conntrack-tcp-timeout-close-wait=0s",
            "--oom-score-adj=0",
        ],
        [layout.inner_kubeconfig],
    )


def _containerd_file(layout: Layout) -> Path:
    return layout.config / "containerd.toml"


def _kubelet_file(layout: Layout) -> Path:
    return layout.config / "kubelet.yaml"


def _cni_folder(layout: Layout) -> Path:
    return layout.config / "cni"


def _resolver_file(layout: Layout) -> Path:
    """For pods whose dnsPolicy is Default: there is no resolver but the cluster's own."""
    return layout.config / "resolv.conf"


def _containerd_config(layout: Layout, pause_image: str) -> str:
    # Strings in TOML are written as in JSON.
    q = json.dumps
    return f"""\
version = 2
root = {q(str(layout.containerd_root))}
state = {q(str(layout.containerd_state))}
disabled_plugins = [
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.internal.v1.opt",
]
[grpc]
address = {q(str(layout.containerd_socket))}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = {q(pause_image)}
# Some machines' root may not lower a score (CAP_SYS_RESOURCE); without this no pod could start there.
restrict_oom_score_adj = true
# Pods' namespaces are mounted below the state folder instead of in the machine's /run/netns.
netns_mounts_under_state_dir = true
[plugins."io.containerd.grpc.v1.cri".containerd]
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = {q(str(layout.containerd_state / "runc"))}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = {q(str(policies.plugin_folder(layout)))}
conf_dir = {q(str(_cni_folder(layout)))}
"""


def _cni_config(layout: Layout) -> dict[str, object]:
    """Every pod has a cable of its own to the node, which routes between pods and keeps their addresses.

    So that all traffic between pods passes the node's forward hook, where NetworkPolicies are enforced.
    """
    return {
        "cniVersion": "0.4.0",
        "name": layout.cni_network,
        "plugins": [
            {
                "type": "ptp",
                "ipMasq": False,
                "ipam": {
                    "type": "host-local",
                    "dataDir": str(layout.cni_addresses),
                    "ranges": [[{"subnet": POD_RANGE}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            policies.plugin(),
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
        ],
    }


def _kubelet_config(layout: Layout) -> dict[str, object]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{layout.pki}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{layout.pki}/node.crt",
        "tlsPrivateKeyFile": f"{layout.pki}/node.key",
        "clusterDNS": [DNS_SERVICE_IP],
        "clusterDomain": DNS_DOMAIN,
        "resolvConf": str(_resolver_file(layout)),
        "containerRuntimeEndpoint": f"unix://{layout.containerd_socket}",
        "podLogsDir": node_view.POD_LOGS,
        "volumePluginDir": str(layout.kubelet / "volume-plugins"),
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.cgroup}",
        "failCgroupV1": False,
        "failSwapOn": False,
        "oomScoreAdj": 0,
        # The disk and the memory are the machine's: never evict a pod or delete an image because they are scarce.
        "evictionHard": {"imagefs.available": "0%", "nodefs.available": "0%", "nodefs.inodesFree": "0%"},
        "imageGCHighThresholdPercent": 100,
    }
