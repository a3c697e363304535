"""People and programs come in by the way in, and by no other."""

import json
import re
import ssl

import pytest
from kubernetes import client

from components.ingress.configuration import CLASS
from components.ingress.labels import REACHED
from components.ingress.routes import MERGEABLE
from ops.routes import route_problems
from ops.target import target
from ops.way_in import way_in_problems
from testbed.images.recipes import NGINX_INGRESS, recipe_of
from tests.certificates import EXPIRED, GOOD
from tests.cluster.looks import pods_of, run_in, run_pod, wait_until
from tests.cluster.platform import STACK, Platform
from tests.cluster.way_in import access_log, ask, door_of, handshake, plain_http, stranger, token_of

pytestmark = pytest.mark.cluster

BACKEND = {"service": {"name": "claim", "port": {"number": 80}}}


@pytest.mark.skipif(
    recipe_of("nginx-ingress") is NGINX_INGRESS,
    reason="no registry here serves F5's controller, and its program is not on PATH: Debian's NGINX stood in for it",
)
def test_it_is_the_vendors_controller_that_these_tests_meet(platform: Platform) -> None:
    assert "NGINX Ingress Controller" in run_in(platform, "nginx-ingress", ["/nginx-ingress", "-version"], "ingress")


def test_a_program_comes_in_with_its_password_runs_a_dag_and_reads_its_log(platform: Platform) -> None:
    with platform.airflow() as api:
        assert api.url.startswith("https://main.airflow.localhost:")
        api.wait_for_dag("says_much")
        run_id = api.trigger("says_much")
        assert api.wait_for_run("says_much", run_id)["state"] == "success"
        (task,) = api.tasks("says_much", run_id)
        assert any(line.startswith("line ") for line in api.log("says_much", run_id, task))
    lines = [json.loads(line) for line in access_log(platform).splitlines() if '"log": "access"' in line]
    mine = [line for line in lines if run_id in line["path"]]
    assert {line["status"] for line in mine} == {200}
    assert {(line["namespace"], line["service"]) for line in mine} == {("airflow-main", "api-server")}


def test_who_has_no_token_or_a_forged_one_gets_nothing(platform: Platform) -> None:
    door = door_of(platform)
    login = platform.view().secret("airflow-main", "admin")
    token = token_of(door, login)
    assert ask(door, "/api/v2/dags", Authorization=f"Bearer {token}").status == 200
    head, claims, signature = token.split(".")
    turned = signature[::-1] if signature[::-1] != signature else "x" + signature
    for forged in (f"{head}.{claims}.{turned}", f"{head}.{claims}.", "x"):
        assert ask(door, "/api/v2/dags", Authorization=f"Bearer {forged}").status in {401, 403}, forged
    assert ask(door, "/api/v2/dags").status == 401
    wrong = json.dumps({"username": login["username"], "password": "wrong"}).encode()
    assert ask(door, "/auth/token", "POST", wrong, **{"Content-Type": "application/json"}).status == 401


def test_what_is_not_https_for_a_host_of_ours_is_refused(platform: Platform) -> None:
    door = door_of(platform)
    host = re.sub(r"https://([^:]+):.*", r"\1", door.url)
    assert handshake(door, host, door.tls) in {"TLSv1.2", "TLSv1.3"}
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        handshake(door, "nobody.airflow.localhost", door.tls)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer certificate"):
        handshake(door, host, ssl.create_default_context())
    old = ssl.create_default_context(cafile=str(door.authority))
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError, match=r"(?i)protocol.version"):
        handshake(door, host, old)
    assert plain_http(platform, host, "/home") == (301, f"{door.url}/home")
    assert plain_http(platform, "nobody.airflow.localhost", "/")[0] == 404
    assert ask(door, "/api/v2/nothing").status == 404


CONNECT = """
import socket, sys
for place in sys.argv[1:]:
    host, _, port = place.partition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3)
        print("connected")
    except OSError as error:
        print("refused:", error)
"""


def test_nobody_comes_past_the_way_in(platform: Platform) -> None:
    """The pod also looks at the way in, which shows that it reaches anything at all."""
    (server,) = pods_of(platform, "api-server")
    core = client.CoreV1Api(platform.api_client())
    controller = core.read_namespaced_service("nginx-ingress", "ingress").spec
    https = platform.target().settings.ingress.port
    places = [f"{server.status.pod_ip}:8080", f"{controller.cluster_ip}:{https}"]
    with stranger(platform) as namespace:
        said = run_pod(platform, namespace, "looks", {}, ["python", "-c", CONNECT, *places])
    direct, by_the_way_in = said.splitlines()
    assert direct.startswith("refused")
    assert by_the_way_in == "connected"


def test_a_host_that_somebody_else_claims_stays_ours_and_is_named_by_status(platform: Platform) -> None:
    chosen, door = target(STACK, platform.progress, platform.stacks), door_of(platform)
    assert route_problems(chosen, platform.view()) == []
    host = f"main.{chosen.settings.ingress.domain}"
    rule = {"host": host, "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}
    with stranger(platform) as namespace:
        client.CoreV1Api(platform.api_client()).patch_namespace(namespace, {"metadata": {"labels": REACHED}})
        claim = {
            "metadata": {"name": "claim", "annotations": {MERGEABLE: "minion"}},
            "spec": {"ingressClassName": CLASS, "rules": [rule]},
        }
        client.NetworkingV1Api(platform.api_client()).create_namespaced_ingress(namespace, claim)
        (line,) = route_problems(chosen, platform.view())
        assert line.startswith(f"Ingress {namespace}/claim: {host}/ belongs to airflow-main/main, which came first")
        assert ask(door, "/api/v2/version").status == 200


def test_a_certificate_that_somebody_keeps_badly_is_named_by_status(platform: Platform) -> None:
    core = client.CoreV1Api(platform.api_client())
    kept = {"metadata": {"name": "kept"}, "type": "kubernetes.io/tls"}

    def said(pair: tuple[str, str]) -> list[str]:
        core.create_namespaced_secret("ingress", {**kept, "stringData": {"tls.crt": pair[0], "tls.key": pair[1]}})
        try:
            return way_in_problems(target(STACK, platform.progress, platform.stacks), platform.view())
        finally:
            core.delete_namespaced_secret("kept", "ingress")

    with platform.changed(lambda tree: tree["ingress"].update(tls={"kind": "secret", "name": "kept"})):
        assert said(GOOD) == []
        (line,) = said((GOOD[0], EXPIRED[1]))
        assert line.startswith("Secret ingress/kept: its tls.key is not the key of its tls.crt")
        (line,) = said(EXPIRED)
        assert line.startswith("Secret ingress/kept: has expired on ")


@pytest.mark.long
def test_a_password_is_tried_only_so_often(platform: Platform) -> None:
    door = door_of(platform)
    body = b'{"username": "nobody", "password": "wrong"}'
    seen: list[int] = []

    def refused() -> bool:
        seen.append(ask(door, "/auth/token", "POST", body, **{"Content-Type": "application/json"}).status)
        return seen[-1] == 429

    with platform.changed(lambda tree: tree["ingress"].update(loginsPerMinute=6)):
        platform.up()
        wait_until(refused, 120, f"too many tries are refused, not {seen[-5:]}")
        # Flask-AppBuilder's own, under another path.
        body = b'{"username": "nobody", "password": "wrong", "provider": "db"}'
        own = ask(door, "/auth/api/v1/security/login", "POST", body, **{"Content-Type": "application/json"})
        assert own.status == 429
        assert ask(door, "/api/v2/version").status == 200
    platform.up()
