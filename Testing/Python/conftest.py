"""Settings of all tests."""

from hypothesis import settings

# A machine that does something else at the same time is not a failure.
settings.register_profile("house", deadline=None, max_examples=60)
settings.load_profile("house")
