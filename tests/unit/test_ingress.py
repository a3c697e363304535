"""The way in: what is registered for it, and where it leads."""

import json
from typing import Any

import pytest

from infra.settings.ingress_addresses import address_of, beside
from tests.certificates import GOOD
from tests.unit.policy_world import Pod, World
from tests.unit.recorder import Recording
from tests.unit.stack_files import Tree, changed, deployed, settings, stack_config
from tests.unit.test_environment import airflow_cfg
from tests.unit.way_in import given, two_teams, way_in


@pytest.fixture(scope="module")
def local() -> Recording:
    return deployed()


def routes(recording: Recording) -> dict[str, dict[str, str]]:
    """Every host with the Service of every path, by its kind: ``{host: {"= /x": "namespace/service"}}``."""
    found: dict[str, dict[str, str]] = {}
    for one in recording.of("Ingress").values():
        for rule in one.inputs["spec"]["rules"]:
            for path in rule.get("http", {}).get("paths", []):
                where = ("= " if path["pathType"] == "Exact" else "") + path["path"]
                service = path["backend"]["service"]
                to = f"{one.inputs['metadata']['namespace']}/{service['name']}:{service['port']['number']}"
                assert where not in found.setdefault(rule["host"], {}), "a path that two objects claim"
                found[rule["host"]][where] = to
    return found


def annotations(recording: Recording, name: str) -> dict[str, str]:
    return dict(recording.one("Ingress", name).inputs["metadata"]["annotations"])


def test_each_airflow_has_a_host_of_its_own(local: Recording) -> None:
    recorded = deployed(change=two_teams())
    assert {host: paths["/"] for host, paths in routes(recorded).items()} == {
        "main.airflow.localhost": "airflow-main/api-server:8080",
        "team-b.airflow.localhost": "airflow-team-b/api-server:8080",
    }
    assert airflow_cfg(local)["api"]["base_url"] == "https://main.airflow.localhost:8443"


def test_on_paths_no_team_answers_for_a_path_that_begins_like_its_own() -> None:
    recorded = deployed(change=two_teams(routing="paths"))
    (host,) = routes(recorded).values()
    assert {path: to for path, to in host.items() if "auth" not in path} == {
        "= /main": "airflow-main/api-server:8080",
        "/main/": "airflow-main/api-server:8080",
        "= /team-b": "airflow-team-b/api-server:8080",
        "/team-b/": "airflow-team-b/api-server:8080",
    }
    cfg = airflow_cfg(recorded, "team-b")
    assert cfg["api"]["base_url"] == "https://airflow.localhost:8443/team-b"
    assert cfg["core"]["execution_api_server_url"].endswith(":8080/team-b/execution/")


def test_paths_that_take_a_password_are_limited_and_no_others(local: Recording) -> None:
    login = annotations(local, "route-main-login")
    assert login["nginx.org/limit-req-rate"] == "60r/m"
    assert login["nginx.org/limit-req-reject-code"] == "429"
    (rule,) = local.one("Ingress", "route-main-login").inputs["spec"]["rules"]
    own = "/auth/api/v1/security/login"
    assert [path["path"] for path in rule["http"]["paths"]] == ["/auth/login", "/auth/token", own]
    assert not [key for key in annotations(local, "route-main") if "limit" in key]


def test_a_host_is_one_master_and_its_paths_are_minions(local: Recording) -> None:
    kinds = {name: annotations(local, name)["nginx.org/mergeable-ingress-type"] for name in local.of("Ingress")}
    assert kinds == {"host-main.airflow.localhost": "master", "route-main": "minion", "route-main-login": "minion"}
    master = local.one("Ingress", "host-main.airflow.localhost").inputs
    assert master["metadata"]["namespace"] == "ingress"
    assert master["spec"]["tls"] == [{"hosts": ["main.airflow.localhost"]}]


def test_a_retired_airflow_is_led_to_no_more() -> None:
    assert routes(deployed(change=lambda t: t["airflows"][0].update(state="retired"))) == {}


def test_flower_has_a_host_beside_its_airflow() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0].update(executor="CeleryExecutor", celery={"flower": True})

    recorded = deployed(change=change)
    assert routes(recorded)["flower-main.airflow.localhost"] == {"/": "airflow-main/flower:5555"}
    world = World(recorded)
    flower = Pod("airflow-main", {"app.kubernetes.io/component": "flower"})
    assert world.arrives(flower, Pod("ingress"), 5555)
    assert not world.arrives(flower, Pod("airflow-main", {"app.kubernetes.io/component": "task"}), 5555)


def test_the_controller_reads_no_secret_of_a_team(local: Recording) -> None:
    rules = local.one("ClusterRole", "ingress-cluster-role").inputs["rules"]
    assert not [rule for rule in rules if "secrets" in rule["resources"]]
    assert not [rule for rule in rules if set(rule["verbs"]) & {"create", "update"} - set(_own(rule))]
    args = _container(local)["args"]
    assert "-watch-secret-namespace=ingress" in args
    assert "-enable-custom-resources=false" in args
    assert "-enable-telemetry-reporting=false" in args


def _own(rule: dict[str, Any]) -> list[str]:
    return {"ingresses/status": ["update"], "events": ["create"]}.get(rule["resources"][0], [])


def _container(recording: Recording) -> dict[str, Any]:
    spec = recording.one("Deployment", "ingress-controller").inputs["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    return dict(container)


def test_the_port_that_people_use_is_the_one_that_the_controller_listens_on(local: Recording) -> None:
    assert {port["name"]: port["containerPort"] for port in _container(local)["ports"]}["https"] == 8443
    assert "-default-https-listener-port=8443" in _container(local)["args"]
    ports = local.one("Service", "ingress-service").inputs["spec"]["ports"]
    assert {port["name"]: port["port"] for port in ports} == {"https": 8443, "http": 8080}


def test_the_access_log_is_json_and_shows_nothing_after_the_question_mark(local: Recording) -> None:
    data = local.one("ConfigMap", "ingress-config").inputs["data"]
    line = data["log-format"]
    for variable in ("$status", "$body_bytes_sent", "$request_time"):
        line = line.replace(variable, "1") if f'"{variable}"' not in line else line
    assert json.loads(line)["path"] == "$uri"
    assert not {"$request_uri", "$request", "$args"} & set(json.loads(line).values())
    assert data["ssl-protocols"] == "TLSv1.2 TLSv1.3"


def test_a_browser_keeps_to_https_for_as_long_as_the_setting_says() -> None:
    data = deployed(change=way_in(hstsDays=2)).one("ConfigMap", "ingress-config").inputs["data"]
    assert (data["hsts"], data["hsts-max-age"]) == ("true", "172800")


def test_a_request_may_be_as_large_as_the_setting_says_and_an_answer_as_slow_as_a_large_log_is() -> None:
    data = deployed(change=way_in(requestMib=3)).one("ConfigMap", "ingress-config").inputs["data"]
    assert data["client-max-body-size"] == "3m"
    assert {data[f"proxy-{step}-timeout"] for step in ("read", "send")} == {"300s"}
    assert data["proxy-connect-timeout"] == "10s"


def test_several_controllers_lie_apart_and_go_one_by_one() -> None:
    recorded = deployed(change=way_in(replicas=2, mostReplicas=5))
    assert recorded.one("PodDisruptionBudget", "ingress-budget")
    scaled = recorded.one("HorizontalPodAutoscaler", "ingress-autoscaler").inputs["spec"]
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (2, 5)
    spec = recorded.one("Deployment", "ingress-controller").inputs["spec"]
    assert "replicas" not in spec
    assert len(spec["template"]["spec"]["topologySpreadConstraints"]) == 2


def cloud(**what: object) -> Recording:
    return deployed("prod", lambda t: t["ingress"].update(tls={"kind": "self-signed"}, **what))


def test_google_s_load_balancer_has_the_reserved_address_and_lets_in_whom_the_settings_name() -> None:
    recorded = cloud(sourceRanges=["198.51.100.0/24"])
    service = recorded.one("Service", "ingress-service").inputs
    assert service["metadata"]["annotations"] == {"cloud.google.com/l4-rbs": "enabled"}
    assert service["spec"]["type"] == "LoadBalancer"
    assert service["spec"]["loadBalancerIP"] == "203.0.113.7"
    assert service["spec"]["loadBalancerSourceRanges"] == ["198.51.100.0/24"]
    assert service["spec"]["externalTrafficPolicy"] == "Local"
    data = recorded.one("ConfigMap", "ingress-config").inputs["data"]
    assert data["external-status-address"] == "203.0.113.7"
    pod = recorded.one("Deployment", "ingress-controller").inputs["spec"]["template"]["spec"]
    # Three failed checks, 8 s apart, until the load balancer leaves a node alone.
    assert pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"] > 24
    assert pod["terminationGracePeriodSeconds"] > 30 + 60


def test_an_internal_load_balancer_has_an_address_of_the_network() -> None:
    recorded = cloud(exposure="internal")
    service = recorded.one("Service", "ingress-service").inputs
    assert service["metadata"]["annotations"] == {"networking.gke.io/load-balancer-type": "Internal"}
    address = recorded.one("Address", "ingress-address").inputs
    assert address["addressType"] == "INTERNAL"
    assert "subnetwork" in address
    assert "networkTier" not in address or address["networkTier"] is None


def test_without_a_certificate_there_is_an_address_and_nothing_listens() -> None:
    recorded = deployed("prod", lambda t: t["ingress"].pop("tls", None))
    assert recorded.one("Address", "ingress-address")
    assert not recorded.of("Ingress")
    assert "base_url" not in airflow_cfg(recorded)["api"]


def test_one_more_airflow_needs_no_other_certificate(local: Recording) -> None:
    before = local.one("CertRequest", "ingress-certificate-request").inputs["dnsNames"]
    after = deployed(change=two_teams()).one("CertRequest", "ingress-certificate-request").inputs["dnsNames"]
    assert before == after == ["airflow.localhost", "*.airflow.localhost"]


def test_the_way_in_connects_to_what_it_leads_to_and_nothing_else_connects_there(local: Recording) -> None:
    world = World(local)
    controller = Pod("ingress", {"app.kubernetes.io/component": "controller", **_labels(local)})
    api_server = Pod("airflow-main", {"app.kubernetes.io/component": "api-server"})
    assert world.passes(controller, api_server, 8080)
    assert world.arrives(controller, "198.51.100.1", 8443)
    assert not world.arrives(controller, "198.51.100.1", 9113)
    assert not world.passes(controller, Pod("postgresql"), 5432)
    assert not world.arrives(api_server, Pod("default"), 8080)


def _labels(recording: Recording) -> dict[str, str]:
    return dict(recording.one("Deployment", "ingress-controller").inputs["spec"]["selector"]["matchLabels"])


def test_a_host_of_something_else_is_below_the_domain() -> None:
    found = beside("grafana", settings(stack_config("local")))
    assert found
    assert found.url == "https://grafana.airflow.localhost:8443"


def test_an_airflow_with_an_address_of_its_own_is_found_there() -> None:
    def change(tree: Tree) -> None:
        tree["airflows"][0]["baseUrl"] = "https://etl.example.com:8443/flow"

    parsed = settings(changed(stack_config("local"), change))
    address = address_of(parsed.airflows[0], parsed)
    assert address
    assert (address.host, address.path) == ("etl.example.com", "/flow")
    recorded = deployed(change=change)
    assert set(routes(recorded)) == {"etl.example.com"}
    request = recorded.one("CertRequest", "ingress-certificate-request").inputs
    assert "etl.example.com" in request["dnsNames"]


def test_a_certificate_of_ones_own_is_what_is_served(local: Recording) -> None:
    recorded = deployed(change=given(GOOD))
    secret = recorded.one("Secret", "ingress-tls")
    assert secret.inputs["stringData"] == {"tls.crt": GOOD[0], "tls.key": GOOD[1]}
    assert any("stringData" in path for path in secret.secret_paths)
    assert not recorded.of("PrivateKey")


def test_a_secret_that_something_else_keeps_is_only_named() -> None:
    recorded = deployed(change=way_in(tls={"kind": "secret", "name": "wildcard"}))
    assert "-wildcard-tls-secret=ingress/wildcard" in _container(recorded)["args"]
    assert "ingress-tls" not in recorded.of("Secret")


def test_cert_manager_is_asked_for_a_certificate_and_the_controller_waits_for_it() -> None:
    recorded = deployed(change=way_in(tls={"kind": "cert-manager", "issuer": "letsencrypt"}))
    asked = recorded.one("Certificate", "ingress-issued-certificate").inputs
    assert asked["metadata"]["namespace"] == "ingress"
    assert asked["metadata"]["annotations"] == {"pulumi.com/waitFor": "condition=Ready"}
    assert asked["spec"]["issuerRef"] == {"group": "cert-manager.io", "kind": "ClusterIssuer", "name": "letsencrypt"}
    assert asked["spec"]["dnsNames"] == ["airflow.localhost", "*.airflow.localhost"]
    assert f"-wildcard-tls-secret=ingress/{asked['spec']['secretName']}" in _container(recorded)["args"]
    # Else a change from a certificate of ours would delete cert-manager's Secret.
    assert asked["spec"]["secretName"] != "tls"
    assert not recorded.of("PrivateKey")


def test_an_issuer_may_be_one_of_the_controllers_namespace() -> None:
    tls = {"kind": "cert-manager", "issuer": "own", "issuerKind": "Issuer"}
    asked = deployed(change=way_in(tls=tls)).one("Certificate", "ingress-issued-certificate").inputs
    assert asked["spec"]["issuerRef"]["kind"] == "Issuer"
