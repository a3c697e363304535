"""The program: settings on the left, the composed environment on the right."""
