"""etcd and the parts of Kubernetes that decide: API server, controller manager, scheduler."""

from testbed.cluster.layout import API_PORT, DNS_DOMAIN, NODE_IP, SERVICE_RANGE, Layout
from testbed.cluster.pki import FRONT_NAME
from testbed.cluster.processes import Component
from testbed.cluster.programs import Programs

_ETCD = "http://127.0.0.1:2379"


def etcd(layout: Layout) -> Component:
    return Component(
        "etcd",
        [
            "etcd",
            f"--data-dir={layout.etcd}",
            f"--listen-client-urls={_ETCD}",
            f"--advertise-client-urls={_ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",  # a testbed's data survives its processes, not a power cut
            "--logger=zap",
            "--log-level=warn",
        ],
    )


def api_server(layout: Layout, programs: Programs) -> Component:
    pki = layout.pki
    return Component(
        "kube-apiserver",
        [
            programs.kube,
            "kube-apiserver",
            f"--advertise-address={NODE_IP}",
            f"--secure-port={API_PORT}",
            f"--etcd-servers={_ETCD}",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            f"--client-ca-file={pki}/ca.crt",
            f"--tls-cert-file={pki}/apiserver.crt",
            f"--tls-private-key-file={pki}/apiserver.key",
            f"--service-account-key-file={pki}/sa.pub",
            f"--service-account-signing-key-file={pki}/sa.key",
            f"--service-account-issuer=https://kubernetes.default.svc.{DNS_DOMAIN}",
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-certificate-authority={pki}/ca.crt",
            f"--kubelet-client-certificate={pki}/admin.crt",
            f"--kubelet-client-key={pki}/admin.key",
            # How it asks the servers of further APIs (metrics-server) in its users' names.
            f"--requestheader-client-ca-file={pki}/front-ca.crt",
            f"--requestheader-allowed-names={FRONT_NAME}",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={pki}/front.crt",
            f"--proxy-client-key-file={pki}/front.key",
            # The node's name is known to no resolver; logs and exec go to its address.
            "--kubelet-preferred-address-types=InternalIP",
            "--profiling=false",
        ],
    )


def controller_manager(layout: Layout, programs: Programs) -> Component:
    pki = layout.pki
    return Component(
        "kube-controller-manager",
        [
            programs.kube,
            "kube-controller-manager",
            f"--kubeconfig={layout.inner_kubeconfig}",
            f"--root-ca-file={pki}/ca.crt",
            f"--service-account-private-key-file={pki}/sa.key",
            f"--cluster-signing-cert-file={pki}/ca.crt",
            f"--cluster-signing-key-file={pki}/ca.key",
            "--use-service-account-credentials=true",
            # The default of 20 requests a second makes its controllers wait for each other when it starts.
            "--kube-api-qps=300",
            "--kube-api-burst=600",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ],
        [layout.inner_kubeconfig],
    )


def scheduler(layout: Layout, programs: Programs) -> Component:
    return Component(
        "kube-scheduler",
        [
            programs.kube,
            "kube-scheduler",
            f"--kubeconfig={layout.inner_kubeconfig}",
            "--bind-address=127.0.0.1",
            "--leader-elect=false",
            "--profiling=false",
        ],
        [layout.inner_kubeconfig],
    )
