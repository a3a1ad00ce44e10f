from dlfs.reference import *  # noqa: F403
