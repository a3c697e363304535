"""The real Pulumi engine on any machine: its CLI built from source, and stand-in providers that attach to it."""
