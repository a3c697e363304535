"""What a machine without a cloud uses: the real Pulumi engine, a real Kubernetes, locally built images.

The program (``infra/``, ``components/``) never imports from here and never knows that it exists.
"""
