"""What recorded NetworkPolicies let pass, as Kubernetes documents them, for an enforcer that knows pods from outside.

``ip_block`` is read both ways that enforcers read it (components/network.py): ``blocks_match_pods`` says which.
"""

import ipaddress
from dataclasses import dataclass, field
from typing import Any

from tests.unit.recorder import Recording

Labels = dict[str, str]
POD_ADDRESS = "10.4.7.7"
"""Of every pod here: inside each stack's own ranges."""


@dataclass(frozen=True)
class Pod:
    """A pod of a namespace."""

    namespace: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class World:
    """The policies of a recording, and the namespaces that they select."""

    recording: Recording
    blocks_match_pods: bool = True
    more_namespaces: dict[str, Labels] = field(default_factory=dict)

    def passes(self, source: Pod, target: Pod | str, port: int, protocol: str = "TCP") -> bool:
        """Whether a connection from a pod to another one, or to an address, comes through on both sides."""
        leaves = self._allowed(source, "Egress", target, port, protocol)
        return leaves and (isinstance(target, str) or self.arrives(target, source, port, protocol))

    def arrives(self, target: Pod, source: Pod | str, port: int, protocol: str = "TCP") -> bool:
        """Whether the target's side lets a connection in."""
        return self._allowed(target, "Ingress", source, port, protocol)

    def _allowed(self, pod: Pod, direction: str, peer: Pod | str, port: int, protocol: str) -> bool:
        specs = [
            one.inputs["spec"]
            for one in self.recording.of("NetworkPolicy").values()
            if one.inputs["metadata"]["namespace"] == pod.namespace
            and direction in one.inputs["spec"]["policyTypes"]
            and selects(one.inputs["spec"]["podSelector"], pod.labels)
        ]
        if not specs:
            return True
        side = "to" if direction == "Egress" else "from"
        return any(
            (side not in rule or any(self._is(choice, pod.namespace, peer) for choice in rule[side]))
            and any(
                one["port"] == port and one["protocol"] == protocol for one in rule.get("ports", [_any(port, protocol)])
            )
            for spec in specs
            for rule in spec.get(direction.lower(), [])
        )

    def _is(self, choice: dict[str, Any], namespace: str, peer: Pod | str) -> bool:
        if block := choice.get("ipBlock"):
            if isinstance(peer, Pod) and not self.blocks_match_pods:
                return False
            address = ipaddress.ip_address(POD_ADDRESS if isinstance(peer, Pod) else peer)
            inside = [address in ipaddress.ip_network(cidr) for cidr in (block["cidr"], *block.get("except", []))]
            return inside[0] and not any(inside[1:])
        if isinstance(peer, str):
            return False
        chosen = choice.get("namespaceSelector")
        right_place = peer.namespace == namespace if chosen is None else selects(chosen, self._labels(peer.namespace))
        return right_place and selects(choice.get("podSelector", {}), peer.labels)

    def _labels(self, namespace: str) -> Labels:
        own = self.more_namespaces.get(namespace, {})
        for one in self.recording.of("Namespace").values():
            if one.inputs["metadata"]["name"] == namespace:
                own = {**own, **one.inputs["metadata"]["labels"]}
        return {"kubernetes.io/metadata.name": namespace, **own}


def selects(selector: dict[str, Any], labels: Labels) -> bool:
    """Whether a label selector takes something with ``labels``."""
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for wanted in selector.get("matchExpressions", []):
        value = labels.get(wanted["key"])
        match wanted["operator"]:
            case "In":
                fits = value in wanted["values"]
            case "NotIn":
                fits = value not in wanted["values"]
            case operator:
                assert operator == "Exists", operator
                fits = value is not None
        if not fits:
            return False
    return True


def _any(port: int, protocol: str) -> dict[str, Any]:
    return {"port": port, "protocol": protocol}
