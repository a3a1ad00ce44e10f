"""Settings of the site. ``make docs`` builds it: `tools/site` gathers the pages first."""

import importlib.util
import shutil
from pathlib import Path

import dlfs

project = "dlfs"
author = "The dlfs developers"
copyright = f"2026, {author}"
version = release = dlfs.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "tools.site.links",
]
templates_path = ["_templates"]
nitpicky = True
# without PyTorch the pages of dlfs.pytorch are made from its source alone
autodoc_mock_imports = [] if importlib.util.find_spec("torch") else ["torch"]

# The docstrings name the types of all parameters; the signatures need not repeat them.
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autosummary_generate = False
numpydoc_show_class_members = False
viewcode_line_numbers = True

myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
# `$` stands for formulas, but not in listings such as `pip install dlfs  # costs $5`
myst_dmath_double_inline = True

# The outputs that are stored in the notebooks are shown. Nothing is run.
nb_execution_mode = "off"
nb_merge_streams = True
nb_ipywidgets_js = {}
nb_render_markdown_format = "myst"

html_theme = "pydata_sphinx_theme"
html_title = "dlfs"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_search_scorer = str(Path(__file__).parent / "_static" / "scorer.js")
html_js_files = [("offline.js", {"priority": 300})]
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "dlfs"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
html_sidebars = {page: [] for page in ("index", "start", "gallery", "errata", "gradient_checking")}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

# MathJax from a package, as one file that needs neither fonts nor a network. It draws with SVG,
# because browsers load no fonts for a page that is opened as a file.
mathjax_path = "mathjax.js"
mathjax3_config = {
    "options": {"processHtmlClass": "tex2jax_process|mathjax_process|math|output_area"},
    "svg": {"fontCache": "local"},
}


def _copy_mathjax(app, error):
    if error is None and app.builder.format == "html":
        package = importlib.util.find_spec("sphinx-mathjax-offline").submodule_search_locations[0]
        source = Path(package, "static", "mathjax", "tex-svg-full.js")
        shutil.copy(source, app.outdir / "_static" / "mathjax.js")


def setup(app):
    """Add the last step of a build."""
    app.connect("build-finished", _copy_mathjax)
