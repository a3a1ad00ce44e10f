"""The command line: ``python -m tools.site``, run by ``make docs``."""

import argparse
import shutil
import subprocess
import sys

from tools.site import gather


def main() -> int:
    """Gather the sources of the site, and let Sphinx build it. Warnings are errors."""
    parser = argparse.ArgumentParser(prog="python -m tools.site", description=__doc__)
    parser.add_argument("--jobs", default="auto", help="processes that read and write pages (auto)")
    arguments = parser.parse_args()
    build = gather.ROOT / "build"
    sources, site = build / "docs-source", build / "docs"
    gather.gather(sources)
    shutil.rmtree(site, ignore_errors=True)  # Sphinx would keep listings that have not changed
    command = [sys.executable, "-m", "sphinx", "-b", "html", "-c", gather.ROOT / "docs"]
    command += ["--fail-on-warning", "--keep-going", "--fresh-env", "--quiet"]
    command += ["--jobs", arguments.jobs, "-d", build / "docs-trees", sources, site]
    code = subprocess.run(command, cwd=gather.ROOT, check=False).returncode
    if code == 0:
        print(f"The site: {site / 'index.html'}")
    return code


if __name__ == "__main__":
    sys.exit(main())
