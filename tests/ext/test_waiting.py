"""Waiting threads keep a processor busy only briefly, and the user's setting is kept."""

import os
import subprocess
import sys

import pytest

from dlfs_ext.waiting import SPINS

CODE = """
import os
before = dict(os.environ)
import dlfs_ext
assert dict(os.environ) == before, "the environment was changed"
"""


def displayed(**variables):
    """The settings that libgomp prints when it is loaded."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_"))}
    result = subprocess.run(
        [sys.executable, "-c", CODE],
        env={**clean, "OMP_DISPLAY_ENV": "verbose", **variables},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    if "GOMP_SPINCOUNT" not in result.stderr:
        pytest.skip("another OpenMP library than gcc's")
    return result.stderr


def test_waiting_is_short():
    assert f"GOMP_SPINCOUNT = '{SPINS}'" in displayed()


def test_the_users_choice_stands():
    assert "GOMP_SPINCOUNT = '77'" in displayed(GOMP_SPINCOUNT="77")
    assert "OMP_WAIT_POLICY = 'ACTIVE'" in displayed(OMP_WAIT_POLICY="active")
