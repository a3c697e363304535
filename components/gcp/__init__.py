"""What an environment uses of Google Cloud, a file a concern."""
