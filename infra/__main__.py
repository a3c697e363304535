"""`pulumi up`: read the stack's settings, then compose the environment."""

import sys
from pathlib import Path

import pulumi

# Pulumi puts only this folder on the module path; the components lie beside it.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from infra.program import run
from infra.settings import SettingsError, load

# What Pulumi's language host takes for "said what is wrong": with any other code it adds a line of its own that says
# nothing (sdk/python/cmd/pulumi-language-python-exec).
SAID = 32

try:
    run(load(), pulumi.get_stack())
except (SettingsError, pulumi.RunError) as error:
    pulumi.log.error(str(error))
    sys.exit(SAID)
