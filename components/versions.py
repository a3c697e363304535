"""Every image that is pinned by the platform, in one place. The DAG image is data in the stack file instead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

AIRFLOW: Final = "3.3.2"
"""The Airflow that this platform is written for and tested with. The DAG image's base carries it."""


@dataclass(frozen=True)
class PublicImage:
    """An image of a public registry."""

    registry: str
    repository: str
    tag: str
    digest: str
    """Of the index, which is the same on every architecture."""


IMAGES: Final = {
    # renovate: datasource=docker depName=postgres
    "postgres": PublicImage(
        "docker.io",
        "library/postgres",
        "17.6",
        "sha256:00bc86618629af00d2937fdc5a5d63db3ff8450acf52f0636ec813c7f4902929",
    ),
    # renovate: datasource=docker depName=gcr.io/cloud-sql-connectors/cloud-sql-proxy
    "cloud-sql-proxy": PublicImage(
        "gcr.io/cloud-sql-connectors",
        "cloud-sql-proxy",
        "2.18.2",
        "sha256:fc224915ef435afeb5b2a9421260a0d31986d5c8b7c7f5783c7f5d5885700cd2",
    ),
    # 7.2 is the last series under the BSD licence. Digests of Docker's own images are listed in
    # github.com/docker-library/repo-info, repos/<image>/remote/<tag>.md.
    # renovate: datasource=docker depName=redis
    "redis": PublicImage(
        "docker.io",
        "library/redis",
        "7.2.16-bookworm",
        "sha256:0637954999d01b7c9ce9167db2da50656e2590d3b884f1c600c5f63bb6e6773c",
    ),
    # renovate: datasource=docker depName=rabbitmq
    "rabbitmq": PublicImage(
        "docker.io",
        "library/rabbitmq",
        "4.1.8",
        "sha256:13b585c6d193b7539c72b69a3b284635011e187b952e43e92d771535baff5d87",
    ),
    # The digest is the one that the registry's owners promoted under this tag (kubernetes/k8s.io,
    # registry.k8s.io/images/k8s-staging-git-sync/images.yaml).
    # renovate: datasource=docker depName=registry.k8s.io/git-sync/git-sync
    "git-sync": PublicImage(
        "registry.k8s.io",
        "git-sync/git-sync",
        "v4.5.0",
        "sha256:0e64aedb0d0ae0a3bab880349a5109b2a31891d646dd61e433ca36ed220dff1f",
    ),
    # The digest as natrontech/container-images pins it beside this tag (nginx-ingress-coraza/Dockerfile).
    # renovate: datasource=docker depName=nginx/nginx-ingress
    "nginx-ingress": PublicImage(
        "docker.io",
        "nginx/nginx-ingress",
        "5.5.3",
        "sha256:b3089f2e10238c4ef8d0462c6793fd2593b25219aa2bc27f62f16cf8c73ac8b6",
    ),
    # Its Elasticsearch 8 variant, which speaks to servers of the versions 8 and 9. The digest as two repositories pin
    # it beside this tag, independently of one another.
    # renovate: datasource=docker depName=fluent/fluentd-kubernetes-daemonset
    "fluentd": PublicImage(
        "docker.io",
        "fluent/fluentd-kubernetes-daemonset",
        "v1.19.3-debian-elasticsearch8-1.1",
        "sha256:88da01d42636bb6f659f4116d66cafe44f7ee2436ddbd5c3b8bd595449f2a639",
    ),
    # The digest as three repositories pin it beside this tag, independently of one another.
    # renovate: datasource=docker depName=docker.elastic.co/elasticsearch/elasticsearch
    "elasticsearch": PublicImage(
        "docker.elastic.co",
        "elasticsearch/elasticsearch",
        "9.5.3",
        "sha256:f456578fc2a620a8a4f4c21d070fff1f6070345adb2be5e5626b65be72aea350",
    ),
    # Of Elasticsearch's own version, always. The digest as one repository pins it beside this tag.
    # renovate: datasource=docker depName=docker.elastic.co/kibana/kibana
    "kibana": PublicImage(
        "docker.elastic.co",
        "kibana/kibana",
        "9.5.3",
        "sha256:4530cd98c529bc913ae364067f0233ab6cfb9a560644480b365b45f74a18dbf3",
    ),
    # The digest as one repository pins it beside this tag.
    # renovate: datasource=docker depName=quay.io/prometheuscommunity/elasticsearch-exporter
    "elasticsearch-exporter": PublicImage(
        "quay.io",
        "prometheuscommunity/elasticsearch-exporter",
        "v1.11.0",
        "sha256:a056739b095df4baaa076f0b31321394233da9a240eeada2623d1b028b7ee7a6",
    ),
    # The digest as several repositories pin it beside this tag (ollygarden/grafts, pgbouncerreceiver, among them).
    # renovate: datasource=docker depName=edoburu/pgbouncer
    "pgbouncer": PublicImage(
        "docker.io",
        "edoburu/pgbouncer",
        "v1.25.2-p0",
        "sha256:7d7a27d9e90985cab5cf42256f5c13a3120baa4b055b69df37beb272b89b2340",
    ),
    # The digest as ollygarden/grafts pins it beside this tag (pgbouncerreceiver's integration test).
    # renovate: datasource=docker depName=quay.io/prometheuscommunity/pgbouncer-exporter
    "pgbouncer-exporter": PublicImage(
        "quay.io",
        "prometheuscommunity/pgbouncer-exporter",
        "v0.12.1",
        "sha256:30f31b6c2efdad3647f8182cc7c1a3a19e42bae5d17387694989f969371c230d",
    ),
    # The digest as one repository pins it beside this tag, and gitpod-io/gitpod's installer without it.
    # renovate: datasource=docker depName=quay.io/oliver006/redis_exporter
    "redis-exporter": PublicImage(
        "quay.io",
        "oliver006/redis_exporter",
        "v1.67.0",
        "sha256:120f7ec77293459ccfdad66bb1db75ab72e8bfeab99f58b1cc2564cadcd7a9e7",
    ),
    # Digests of the four of docker.io as several unrelated repositories pin them beside these tags.
    # renovate: datasource=docker depName=prom/statsd-exporter
    "statsd-exporter": PublicImage(
        "docker.io",
        "prom/statsd-exporter",
        "v0.29.0",
        "sha256:632f705804922d50c1c95ba8ff9c8c0cc18d4bbb0cc265dc4f9ae708271c95b3",
    ),
    # renovate: datasource=docker depName=prom/prometheus
    "prometheus": PublicImage(
        "docker.io",
        "prom/prometheus",
        "v3.5.0",
        "sha256:63805ebb8d2b3920190daf1cb14a60871b16fd38bed42b857a3182bc621f4996",
    ),
    # renovate: datasource=docker depName=prom/alertmanager
    "alertmanager": PublicImage(
        "docker.io",
        "prom/alertmanager",
        "v0.28.1",
        "sha256:27c475db5fb156cab31d5c18a4251ac7ed567746a2483ff264516437a39b15ba",
    ),
    # renovate: datasource=docker depName=grafana/grafana
    "grafana": PublicImage(
        "docker.io",
        "grafana/grafana",
        "12.0.2",
        "sha256:b5b59bfc7561634c2d7b136c4543d702ebcc94a3da477f21ff26f89ffd4214fa",
    ),
    # As a cluster reports it that runs this tag, and as another repository pins it.
    # renovate: datasource=docker depName=registry.k8s.io/kube-state-metrics/kube-state-metrics
    "kube-state-metrics": PublicImage(
        "registry.k8s.io",
        "kube-state-metrics/kube-state-metrics",
        "v2.18.0",
        "sha256:1545919b72e3ae035454fc054131e8d0f14b42ef6fc5b2ad5c751cafa6b2130e",
    ),
    # The digest of the index, as several repositories pin it beside this tag, independently of one another.
    # renovate: datasource=docker depName=quay.io/oauth2-proxy/oauth2-proxy
    "oauth2-proxy": PublicImage(
        "quay.io",
        "oauth2-proxy/oauth2-proxy",
        "v7.15.5",
        "sha256:8498b0d0ef0a7b29686414000a08aee467f02d0299c9ed1e006a8f33fc017916",
    ),
}


@dataclass(frozen=True)
class ImageSource:
    """Where the images of an environment come from.

    ``mirror`` is a prefix that takes the place of every public registry. ``pull_through`` is an address with a
    repository for each public registry, named in ``repositories``. ``overrides`` are whole references by name.
    """

    mirror: str | None = None
    pull_through: str | None = None
    repositories: Mapping[str, str] = field(default_factory=dict)
    overrides: Mapping[str, str] = field(default_factory=dict)

    def reference(self, name: str) -> str:
        """The image ``name``: an override as it is, else pinned by digest. The tag is there for people to read."""
        if name in self.overrides:
            return self.overrides[name]
        pinned = IMAGES[name]
        registry = self.mirror or pinned.registry
        if self.pull_through and not self.mirror:
            registry = f"{self.pull_through}/{self.repositories[pinned.registry]}"
        return f"{registry}/{pinned.repository}:{pinned.tag}@{pinned.digest}"


def version_label(reference: str) -> str:
    """What an image's reference says of its version, as a label may hold it: the tag, else the digest's beginning."""
    name, _, digest = reference.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    return (tag or digest.partition(":")[2] or "latest")[:63]
