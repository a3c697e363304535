"""Guardrails: what no stack may have, as plain functions over resources (docs/policy.md)."""
