"""The operator's commands: bring an environment up and down, look at it, ask it for a DAG run."""
