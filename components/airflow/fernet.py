"""The keys that connections and variables are encrypted with. None is ever thrown away."""

import base64

import pulumi
import pulumi_random as random

from components.airflow.args import Rotations


def fernet_keys(name: str, rotations: Rotations, protect: bool, parent: pulumi.Resource) -> pulumi.Output[str]:
    """The generated keys of the Airflow ``name`` as Airflow wants them: by commas, the first encrypts, each can read.

    First the one in use, then the others, the newest first. A new one is added one `up` before it is used
    (``rotations.fernet_key``, ``rotations.fernet_key_in_use``): while pods roll, old ones read what new ones wrote.
    """
    opts = pulumi.ResourceOptions(parent=parent, protect=protect)

    def key(number: int) -> pulumi.Output[str]:
        # Protected: without it no stored connection or variable can be read again, be it from an old dump.
        resource = f"{name}-fernet-key-{number}" if number else f"{name}-fernet-key"
        made = random.RandomBytes(resource, length=32, opts=opts)
        # Fernet wants the url-safe alphabet, RandomBytes gives the plain one.
        return made.base64.apply(lambda text: base64.urlsafe_b64encode(base64.b64decode(text)).decode())

    keys = [key(number) for number in range(rotations.fernet_key + 1)]
    in_use = keys.pop(rotations.fernet_key_in_use)
    return pulumi.Output.all(in_use, *reversed(keys)).apply(",".join)
