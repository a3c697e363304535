"""Where DAGs come from, as settings: what is refused, that it says how to mend it, and that no login is shown."""

from collections.abc import Callable

import pytest

from infra.settings import SettingsError
from tests.unit.stack_files import Tree, changed, settings, stack_config
from tests.unit.test_dag_bundles import artifact, git_bundle
from tests.unit.test_dag_delivery import CERTIFICATE, HOST_KEY, SSH, TOKEN, first, git, given, openssh_key, over_ssh


def problems(change: Callable[[Tree], object], stack: str = "dev") -> str:
    with pytest.raises(SettingsError) as refused:
        settings(changed(stack_config(stack), change))
    return str(refused.value)


def but(change: Callable[[Tree], object]) -> Callable[[Tree], object]:
    """A repository over ssh in which something is wrong."""

    def both(tree: Tree) -> None:
        over_ssh(tree)
        change(tree)

    return both


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: git(t).update(repository="http://a.example/b"), "git.repository: is no address that is encrypted."),
        (lambda t: git(t).update(repository="git://a.example/b"), "git.repository: is no address that is encrypted."),
        (lambda t: git(t).update(repository="https://a.example"), "git.repository: is no address that is encrypted."),
        (lambda t: git(t).update(repository="-oProxyCommand=x@h:p"), "git.repository: is no address that is encrypted"),
        (lambda t: git(t).pop("repository"), "airflows.main.dags.git.repository: is missing"),
        (lambda t: git(t).update(ref="-x"), 'airflows.main.dags.git.ref: "-x" does not have the form'),
        (lambda t: git(t).update(ref="a//b"), "git.ref: a//b has a part that is empty or only dots"),
        (lambda t: git(t).update(subpath="/dags"), 'airflows.main.dags.git.subpath: "/dags" does not have the form'),
        (lambda t: git(t).update(subpath="a/../.."), "git.subpath: a/../.. has a part that is empty or only dots"),
        (lambda t: git(t).update(branch="x"), "airflows.main.dags.git.branch: unknown key."),
        (lambda t: git(t).update(knownHosts=["github.com"]), "airflows.main.dags.git.knownHosts.0: "),
        (lambda t: git(t).update(knownHosts=[HOST_KEY]), "git.knownHosts: is for ssh, and the repository's address is"),
        (lambda t: git(t).update(username="me"), "git.username: goes with a token, and there is none. Remove it, or"),
        (lambda t: first(t)["dags"].update(periodSeconds=1), "dags.periodSeconds: 1 must be greater than or equal"),
        (lambda t: first(t)["dags"].pop("git"), "airflows.main.dags.git: is missing"),
        (lambda t: first(t)["dags"].pop("digest"), "airflows.main.dags.digest: is missing"),
        (
            lambda t: first(t)["dags"].update(caCertificates="ca"),
            "dags.caCertificates: is no list of certificates, each",
        ),
        (lambda t: first(t)["dags"].update(caCertificates=openssh_key()), "caCertificates: holds a private key."),
        (but(lambda t: first(t)["dags"].update(caCertificates=CERTIFICATE)), "caCertificates: is for https. Over ssh,"),
        (
            lambda t: first(t)["dags"].update(plugins="plugins", maxFailures=20),
            "dags.maxFailures: with plugins git-sync is in the api-servers' pods, too",
        ),
        (
            lambda t: (first(t).update(executor="CeleryExecutor"), first(t)["dags"].update(staleWorktreeSeconds=600)),
            "airflows.main.dags.staleWorktreeSeconds: 600 is less than the longest task of a worker, 21600",
        ),
        (given(gitToken="two lines\n"), "secrets.main.gitToken: has a space or a line break in it"),
        (
            given(gitSshKey=openssh_key()),
            "secrets.main.gitSshKey: is for ssh, and airflows.main.dags.git.repository is",
        ),
        (but(lambda t: t.pop("secrets")), "secrets.main.gitSshKey: is missing, and airflows.main.dags.git.repository"),
        (
            but(lambda t: t.pop("secrets")),
            "pulumi config set --secret --path 'airflow-platform:secrets.main.gitSshKey'",
        ),
        (but(given(gitToken=TOKEN)), "secrets.main.gitToken: is for https, and airflows.main.dags.git.repository is"),
        (but(lambda t: git(t).pop("knownHosts")), "Add the lines that `ssh-keyscan git.acme.example` prints"),
        (but(lambda t: git(t).update(username="me")), "git.username: goes with a token, over https"),
        (
            but(lambda t: git(t).update(repository="git@other.example:a")),
            "git.knownHosts: has no key of other.example, where the repository is",
        ),
        (
            but(lambda t: git(t).update(repository="ssh://git@git.acme.example:2222/a")),
            "git.knownHosts: has no key of [git.acme.example]:2222",
        ),
        (
            but(lambda t: git(t).update(knownHosts=[f"@revoked {HOST_KEY}"])),
            "git.knownHosts: has no key of git.acme.example",
        ),
        (but(given(gitSshKey="ssh-ed25519 AAAA me@here")), "secrets.main.gitSshKey: is no private key"),
        (but(given(gitSshKey=openssh_key(b"aes256-ctr"))), "secrets.main.gitSshKey: is protected by a passphrase"),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


@pytest.mark.parametrize("secret", ["gitToken", "gitSshKey"])
def test_a_login_that_nothing_reads_is_refused(secret: str) -> None:
    said = problems(given(**{secret: "x"}), "prod")
    assert f"secrets.main.{secret}: nothing reads it, the DAGs of this Airflow come with its image. Remove it" in said


@pytest.mark.parametrize("login", ["ghp_0123", "me:ghp_0123", "ghp/0123", "me:"])
def test_a_token_in_the_address_is_refused_and_not_shown(login: str) -> None:
    said = problems(lambda t: git(t).update(repository=f"https://{login}@github.com/acme/dags"))
    assert "git.repository: holds a user name or password" in said
    assert login not in said


def test_a_mistake_beside_it_does_not_show_a_token_in_the_address_either() -> None:
    def change(tree: Tree) -> None:
        git(tree).update(repository=f"https://me:{TOKEN}@github.com/acme/dags", ref="-x", depth="1")

    assert TOKEN not in problems(change)


@pytest.mark.parametrize("secrets", [{"gitToken": f"{TOKEN} "}, {"gitSshKey": TOKEN}, {"gitToken": [TOKEN]}])
def test_a_wrong_login_is_not_shown(secrets: dict[str, object]) -> None:
    assert TOKEN not in problems(but(given(**secrets)))


@pytest.mark.parametrize(
    ("repository", "known"),
    [
        (SSH, HOST_KEY),
        (SSH, HOST_KEY.replace("git.acme.example", "*.acme.example,10.0.0.1")),
        (SSH, HOST_KEY.replace("git.acme.example", "|1|c2FsdA==|aGFzaA==")),
        (SSH, f"@cert-authority {HOST_KEY}"),
        ("ssh://git@git.acme.example/data/dags.git", HOST_KEY),
        (
            "ssh://git@git.acme.example:2222/data/dags.git",
            HOST_KEY.replace("git.acme.example", "[git.acme.example]:2222"),
        ),
    ],
)
def test_a_known_host_is_found_however_it_is_written(repository: str, known: str) -> None:
    read = settings(
        changed(stack_config("dev"), but(lambda t: git(t).update(repository=repository, knownHosts=[known])))
    )
    assert read.airflows[0].dags.kind == "git-sync"


APP = {"clientId": "Iv1.0123", "installationId": "42"}


def app(change: Callable[[Tree], object] = lambda _: None) -> Callable[[Tree], object]:
    """A repository that a GitHub App signs in to, in which something is wrong."""

    def both(tree: Tree) -> None:
        first(tree)["dags"]["githubApp"] = APP
        tree["secrets"] = {"main": {"githubAppKey": openssh_key()}}
        change(tree)

    return both


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (git_bundle(lambda t: git(t).update(depth=1)), "dags.git.depth: runs of kind 'git-bundle' go back to the"),
        (git_bundle(lambda t: git(t).update(repository="http://a.example/b")), "git.repository: is no address that is"),
        (git_bundle(lambda t: git(t).update(repository=SSH)), "secrets.main.gitSshKey: is missing"),
        (git_bundle(given(githubAppKey=openssh_key())), "secrets.main.githubAppKey: nothing reads it, a GitHub App"),
        (git_bundle(lambda t: first(t)["dags"].update(maxFailures=3)), "airflows.main.dags.maxFailures: unknown key"),
        (artifact(prefix="a/../b"), "airflows.main.dags.prefix: a/../b has a part that is empty or only dots"),
        (artifact(endpoint="http://x:1"), "airflows.main.dags.endpoint: is for a bucket that is there"),
        (artifact(bucket="ours", publishers=["group:a@b.c"]), "airflows.main.dags.publishers: are given rights on the"),
        (artifact(publishers=["allUsers"]), 'airflows.main.dags.publishers.0: "allUsers" does not have the form'),
        (
            lambda t: (artifact()(t), given(gitToken="x")(t)),
            "secrets.main.gitToken: nothing reads it, the DAGs of this Airflow come from a bucket",
        ),
        (app(given()), "secrets.main.githubAppKey: is missing, and airflows.main.dags.githubApp signs in with it"),
        (app(given(githubAppKey="x")), "secrets.main.githubAppKey: is no private key"),
        (
            app(given(githubAppKey=openssh_key(), gitToken="x")),
            "secrets.main.gitToken: the app of airflows.main.dags.githubApp signs in",
        ),
        (
            app(lambda t: git(t).update(repository=SSH)),
            "airflows.main.dags.githubApp: signs in over https. Write the repository's address as https://host/path",
        ),
        (given(githubAppKey=openssh_key()), "there is no airflows.main.dags.githubApp. Add it with clientId and"),
        (lambda t: first(t)["dags"].update(plugins="a/.."), "airflows.main.dags.plugins: a/.. has a part that is"),
    ],
)
def test_a_mistake_in_another_delivery_is_named_with_the_mend(change: Callable[[Tree], object], expected: str) -> None:
    assert expected in problems(change)


def test_off_google_a_bucket_must_be_named() -> None:
    assert "airflows.main.dags.bucket: is missing. Name one, or add 'google'" in problems(artifact(), "local")
