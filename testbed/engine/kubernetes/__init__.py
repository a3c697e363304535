"""The stand-in for ``kubernetes``: applies to a real cluster, waits for readiness, says why something is stuck."""
