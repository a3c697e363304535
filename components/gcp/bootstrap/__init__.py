"""What an organisation makes once, for all of its environments: docs/bootstrap.md."""

from components.gcp.bootstrap.admission import Admission, AdmissionArgs, admitted_patterns, is_admitted
from components.gcp.bootstrap.deployers import Deployers, DeployersArgs
from components.gcp.bootstrap.federation import Federation, FederationArgs, Identity, IdentityArgs
from components.gcp.bootstrap.keys import KeyAccess, Keys, KeysArgs
from components.gcp.bootstrap.projects import Environment, Projects, ProjectsArgs
from components.gcp.bootstrap.registry import Registry, RegistryArgs
from components.gcp.bootstrap.roles import ProjectRoles, ProjectRolesArgs
from components.gcp.bootstrap.state import StackAccess, State, StateArgs

__all__ = [
    "Admission",
    "AdmissionArgs",
    "Deployers",
    "DeployersArgs",
    "Environment",
    "Federation",
    "FederationArgs",
    "Identity",
    "IdentityArgs",
    "KeyAccess",
    "Keys",
    "KeysArgs",
    "ProjectRoles",
    "ProjectRolesArgs",
    "Projects",
    "ProjectsArgs",
    "Registry",
    "RegistryArgs",
    "StackAccess",
    "State",
    "StateArgs",
    "admitted_patterns",
    "is_admitted",
]
