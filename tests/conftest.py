"""For all tests."""

from hypothesis import settings

# A busy machine is no defect: how long one example takes says nothing.
settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
