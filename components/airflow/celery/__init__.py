"""The CeleryExecutor's own parts: the broker, workers by queue, their autoscaling, Flower."""
