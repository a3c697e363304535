"""What a command works on: a stack, and the cluster it is deployed to.

A stack whose cluster context is the testbed's gets a Kubernetes of this machine's own, and the images that no registry
has to serve; every other stack uses the cluster that it names, untouched.
"""

import copy
from dataclasses import dataclass
from pathlib import Path

from infra.images import images_of
from infra.settings import GkeCluster, KubeconfigCluster, OrganisationStack, Settings
from ops.stack_file import ROOT, STACKS, StackFile, read
from testbed.cluster.cluster import Cluster
from testbed.images import DAGS, build_images, dags_version
from testbed.images.recipes import PREFIX
from testbed.paths import state_dir
from testbed.progress import Failure, Progress

TESTBED_CONTEXT = "airflow-platform-"


@dataclass(frozen=True)
class Target:
    """A stack, checked. ``testbed`` is the machine's own cluster where the stack asks for it."""

    stack: StackFile
    parsed: Settings | OrganisationStack
    testbed: Cluster | None
    base: "Target | None" = None
    """Of a dev stack: what it stands on. Its cluster, and where its state is, are the base's."""

    @property
    def name(self) -> str:
        """The stack's."""
        return self.stack.name

    @property
    def settings(self) -> Settings:
        """The settings of an environment. Refuses the bootstrap's."""
        return self.parsed if isinstance(self.parsed, Settings) else self.stack.settings

    @property
    def on_google(self) -> bool:
        """Whether it has resources on Google Cloud."""
        return isinstance(self.parsed, OrganisationStack) or self.parsed.google is not None

    @property
    def made_here(self) -> bool:
        """Whether the cluster is one that the stack itself makes, not one that was there before."""
        return isinstance(self.parsed, Settings) and isinstance(self.parsed.cluster, GkeCluster)

    @property
    def protected(self) -> bool:
        """Whether it holds what must not be deleted by mistake."""
        return not (isinstance(self.parsed, Settings) and self.parsed.ephemeral)

    @property
    def home(self) -> Path:
        """Where this machine keeps what belongs to the stack: state, passphrase, kubeconfig."""
        return self.base.home if self.base else state_dir() / "stacks" / self.name

    @property
    def kubeconfig(self) -> Path | None:
        """The file to reach the cluster with; None leaves it to ``$KUBECONFIG`` or kubectl's default."""
        if self.base:
            return self.base.kubeconfig
        if self.testbed:
            return self.testbed.kubeconfig
        match self.parsed:
            case Settings(cluster=KubeconfigCluster(path=str(path))):
                return Path(path).expanduser()
            case Settings(cluster=GkeCluster()):
                return self.home / "kubeconfig"
            case _:
                return None

    @property
    def context(self) -> str:
        """The kubeconfig's context."""
        if self.base:
            return self.base.context
        cluster = self.settings.cluster
        return cluster.context if isinstance(cluster, KubeconfigCluster) else self.name

    def airflow_named(self, airflow: str) -> str:
        """The Airflow that a person means: the stack's first one unless named. Refuses one that it does not have."""
        names = [entry.name for entry in self.settings.airflows]
        if airflow and airflow not in names:
            raise Failure(f"stack {self.name} has no Airflow '{airflow}'.\nMend: AIRFLOW= one of {', '.join(names)}.")
        return airflow or names[0]


def target(stack: str, progress: Progress, stacks: Path = STACKS) -> Target:
    """The target ``stack``. Raises Failure with every problem of its file; nothing is started."""
    file = read(stack, stacks)
    settings = file.settings
    match settings.cluster:
        case KubeconfigCluster(context=context, path=None) if context.startswith(TESTBED_CONTEXT):
            return Target(file, settings, Cluster(context.removeprefix(TESTBED_CONTEXT), progress))
        case _:
            return Target(file, settings, None)


def with_images(chosen: Target, progress: Progress, repo: Path = ROOT) -> Target:
    """The target with images that this machine builds and its own cluster has loaded.

    What it can't make (a program that is not on PATH) the cluster has to pull from where the stack says.
    """
    if chosen.testbed is None:
        return chosen
    needed = images_of(chosen.settings)
    made = build_images(progress, dags_version(repo), repo, needed)
    for name in sorted(needed - made.keys()):
        progress.say(f"  the image {name} is not made here (its program is not on PATH): the cluster has to pull it")
    for image in {one.reference: one for one in made.values()}.values():
        chosen.testbed.load_image(image.archive, f"the image {image.name}")
    config = copy.deepcopy(chosen.stack.config)
    for airflow in config["airflows"]:
        dags = airflow["dags"]
        if dags["repository"].startswith(f"{PREFIX}/"):
            dags["repository"], _, dags["version"] = made[DAGS].reference.rpartition(":")
    overrides = config.setdefault("images", {}).setdefault("overrides", {})
    for name, image in made.items():
        if name != DAGS:
            overrides.setdefault(name, image.reference)
    stack = chosen.stack.with_config(config)
    return Target(stack, stack.settings, chosen.testbed)
