"""What an environment is made of: Pulumi ComponentResources, a file a concern."""
