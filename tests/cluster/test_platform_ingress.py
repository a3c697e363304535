"""People and programs come in by the way in, and by no other."""

import json
import re
import ssl

import pytest
from kubernetes import client

from tests.cluster.looks import pods_of, run_pod, wait_until
from tests.cluster.platform import Platform
from tests.cluster.way_in import access_log, ask, door_of, handshake, plain_http, stranger

pytestmark = pytest.mark.cluster


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
    body = json.dumps({"username": login["username"], "password": login["password"]}).encode()
    answer = ask(door, "/auth/token", "POST", body, **{"Content-Type": "application/json"})
    token = json.loads(answer.text)["access_token"]
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
