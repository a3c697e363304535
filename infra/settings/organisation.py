"""Settings of the bootstrap: what all environments of one organisation share, made once."""

from collections import Counter
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from infra.settings.base import DnsLabel, SettingsModel
from infra.settings.google import Member, ProjectId, Region

BOOTSTRAP = "bootstrap"
"""The bootstrap's own stack, whose key is named after it: no environment may have this name."""
SUBJECT_LIMIT = 127
"""Bytes of ``google.subject`` (https://cloud.google.com/iam/docs/workload-identity-federation#mapping)."""


def _digits(value: object) -> object:
    """A number as YAML reads it is as good as the same digits between quotes."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Digits = Annotated[str, BeforeValidator(_digits), StringConstraints(pattern=r"^[0-9]{1,20}$")]


class Github(SettingsModel):
    """The one repository whose workflows may act for the organisation."""

    repository: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,38}/[A-Za-z0-9._-]{1,100}$")]
    """``owner/name``, in upper and lower case as GitHub shows it."""
    repository_id: Digits
    """The number that GitHub never gives to another repository, whatever becomes of the name."""
    owner_id: Digits
    """The same for the repository's owner."""
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$")] = "main"
    """Workflows count only as they stand on this branch: a pull request cannot bring its own."""


class OrganisationEnvironment(SettingsModel):
    """One environment and where it is. Its deployer may change its stack and no other environment's."""

    name: DnsLabel
    project: ProjectId
    """Several environments may share a project. None may share the organisation's."""
    project_number: Digits
    """Google's number of ``project``: service agents are named after it."""
    ephemeral_stacks: bool = False
    """Whether CI may make stacks named ``<name>-…`` beside this one, and throw away what holds data in the project:
    objects in buckets, and secrets. Never where data matters."""


class StateRetention(SettingsModel):
    """How long earlier versions of the stacks' state can be brought back."""

    versions_kept: Annotated[int, Field(ge=10, le=1000)] = 100
    """Of each stack's state, however old."""
    days_kept: Annotated[int, Field(ge=30, le=3650)] = 90
    """Every version is kept at least this long, however many there are."""
    soft_delete_days: Annotated[int, Field(ge=7, le=90)] = 30
    """For this long even a deleted version, or the deleted bucket, can be restored. 7 to 90: what Google allows."""


class ImageRetention(SettingsModel):
    """What the registry clears away. An image with a tag never is."""

    untagged_days: Annotated[int, Field(ge=7, le=365)] = 30
    """An image without a tag is deleted when it is older."""
    newest_kept: Annotated[int, Field(ge=5, le=1000)] = 20
    """Of each image's versions, with or without a tag."""
    scan: bool = True
    """Whether Google looks for known vulnerabilities in our own images, for a price by image."""


class OrganisationSettings(SettingsModel):
    """Everything that the bootstrap makes."""

    project: ProjectId
    """Images, keys, state and CI's identities are in it, and nothing else."""
    region: Region
    github: Github
    administrators: Member
    """Who runs the bootstrap and recovers state. Members also need rights of their own: docs/bootstrap.md."""
    break_glass: Member
    """Who may read every stack's state and its secrets when everything else is lost."""
    environments: Annotated[tuple[OrganisationEnvironment, ...], Field(min_length=1)]
    state: StateRetention = StateRetention()
    images: ImageRetention = ImageRetention()

    @property
    def problems(self) -> list[str]:
        """What is wrong between settings that are right each by itself."""
        return [*self._name_problems(), *self._project_problems(), *self._subject_problems()]

    def _name_problems(self) -> list[str]:
        counts = Counter(environment.name for environment in self.environments)
        problems = [
            f"organisation.environments: the name '{name}' is used {count} times. Rename all but one"
            for name, count in counts.items()
            if count > 1
        ]
        if BOOTSTRAP in counts:
            problems.append(
                f"organisation.environments.{BOOTSTRAP}: is the name of the organisation's own stack. Take another"
            )
        problems += [
            f"organisation.environments.{name}: begins with '{other.name}-', and such stacks are the ephemeral ones of "
            f"'{other.name}'. Rename it, or leave ephemeralStacks out of '{other.name}'"
            for name in counts
            for other in self.environments
            if other.ephemeral_stacks and name.startswith(f"{other.name}-")
        ]
        problems += [
            f"organisation.environments.{name}: is what GitHub calls the previews of '{other}'. Rename it"
            for name in counts
            for other in counts
            if name == f"{other}-preview"
        ]
        return problems

    def _project_problems(self) -> list[str]:
        problems: list[str] = []
        numbers: dict[str, str] = {}
        projects: dict[str, str] = {}
        for environment in self.environments:
            where = f"organisation.environments.{environment.name}"
            if environment.project == self.project:
                problems.append(
                    f"{where}.project: is the organisation's own. A deployer may act as every service account of its "
                    "project, and the deployers of all environments are in the organisation's: give it another"
                )
            known = numbers.setdefault(environment.project, environment.project_number)
            if known != environment.project_number:
                problems.append(
                    f"{where}.projectNumber: project {environment.project} has two numbers, {known} and "
                    f"{environment.project_number}. See: gcloud projects describe {environment.project} "
                    "--format='value(projectNumber)'"
                )
            owner = projects.setdefault(environment.project_number, environment.project)
            if owner != environment.project:
                problems.append(
                    f"{where}.projectNumber: {environment.project_number} is also given for project {owner}. See: "
                    f"gcloud projects describe {environment.project} --format='value(projectNumber)'"
                )
        return problems

    def _subject_problems(self) -> list[str]:
        # The longest that a workflow of this environment is known by; the form is the federation's.
        subjects = {e.name: f"repo:{self.github.repository}:environment:{e.name}-preview" for e in self.environments}
        return [
            f"organisation.environments.{name}: '{subject}' has {len(subject)} characters and Google takes "
            f"{SUBJECT_LIMIT}. Shorten the environment's name or the repository's"
            for name, subject in subjects.items()
            if len(subject) > SUBJECT_LIMIT
        ]


class OrganisationStack(SettingsModel):
    """A stack file that describes an organisation instead of an environment."""

    organisation: OrganisationSettings

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        if self.organisation.problems:
            raise ValueError("\n".join(self.organisation.problems))
        return self
