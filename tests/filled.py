"""The project's stack files with their placeholders filled in."""

from typing import Any

from ops import placeholders
from ops.placeholders import VALUES


def filled(node: Any) -> Any:
    """``node`` with every placeholder replaced; fails on one that has no value in ops/placeholders.py."""
    if isinstance(node, dict):
        return {key: filled(value) for key, value in node.items()}
    if isinstance(node, list):
        return [filled(value) for value in node]
    if isinstance(node, str):
        rest = node
        for placeholder in sorted(VALUES, key=len, reverse=True):
            rest = rest.replace(placeholder, "")
        assert "YOUR-" not in rest, f"ops/placeholders.py has no value for {node}"
    return placeholders.filled(node)
