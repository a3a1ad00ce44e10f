"""Print the oldest versions that pyproject.toml allows: ``python -m tools.oldest``.

They are requirements for pip, a line each, for ``make test-oldest``. It takes everything that is
needed to build dlfs and to run its tests, chapters and extras; of the extra "dev" and of PyTorch,
which is large, no version is tested.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]

NOT_TESTED = ("dev", "docs", "torch")


def requirements(project: dict[str, Any], extra: str = "") -> list[str]:
    """Return the requirements of an extra, or of dlfs without extras, as they are written."""
    if not extra:
        return list(project["project"]["dependencies"])
    return list(project["project"]["optional-dependencies"][extra])


def floor(requirement: str) -> tuple[str, str]:
    """Return name and oldest version of a requirement.

    Examples
    --------
    >>> floor("numpy>=2.0.0,<3")
    ('numpy', '2.0.0')
    """
    found = re.fullmatch(r"([a-z0-9-]+)>=([0-9.]+)(,<[0-9.]+)?(; sys_platform .*)?", requirement)
    if found is None:
        raise ValueError(f"a requirement must be like 'name>=1.2.3', got {requirement!r}")
    return found[1], found[2]


def oldest(project: dict[str, Any]) -> dict[str, str]:
    """Return the oldest version of each package; it must be one version everywhere."""
    extras = [
        name for name in project["project"]["optional-dependencies"] if name not in NOT_TESTED
    ]
    lines = list(project["build-system"]["requires"])
    for extra in ("", *extras):
        lines += [line for line in requirements(project, extra) if not line.startswith("dlfs[")]
    versions: dict[str, str] = {}
    for name, version in map(floor, lines):
        if versions.setdefault(name, version) != version:
            raise ValueError(
                f"{name} must have one oldest version, got {versions[name]}, {version}"
            )
    return versions


def main() -> None:
    """Print the requirements, if this is the oldest Python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    running = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if project["project"]["requires-python"] != f">={running}":
        sys.exit(f"oldest: Python must be the oldest of pyproject.toml, got {running}")
    for name, version in oldest(project).items():
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
