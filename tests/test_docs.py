"""The pages of the site: each public name has one, each has an example, and all examples run.

Building the site needs Sphinx, so ``make test-docs`` tests the built site (docs/tests).
"""

import doctest
import importlib
import re
from pathlib import Path

import numpy as np
import pytest

import dlfs

pytestmark = pytest.mark.source_tree

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDE = sorted((DOCS / "guide").glob("*.md"))
BLOCK = re.compile(r"^```pycon\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NEEDS = {"pytorch.md": "torch", "onnx.md": "onnx", "sklearn.md": "sklearn"}


def examples(path: Path) -> list[str]:
    return BLOCK.findall(path.read_text("utf-8"))


@pytest.mark.parametrize("path", [DOCS / "start.md", *GUIDE], ids=lambda path: path.name)
def test_a_page_of_the_guide_has_examples_that_run(path: Path) -> None:
    if path.name == "index.md":
        return
    if path.name in NEEDS:
        pytest.importorskip(NEEDS[path.name])
    assert examples(path), "a page of the guide must have an example"
    test = doctest.DocTestParser().get_doctest(
        "\n".join(examples(path)), {"np": np, "__name__": "guide"}, path.name, str(path), 0
    )
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def test_the_guide_lists_its_pages() -> None:
    index = (DOCS / "guide" / "index.md").read_text("utf-8")
    for path in GUIDE:
        if path.name != "index.md":
            assert f"]({path.name})" in index, (
                f"docs/guide/index.md must have a row for {path.name}"
            )
            assert re.search(rf"<{path.stem}>$", index, re.MULTILINE), f"toctree: {path.stem}"


# --- the reference ---


def names_module():
    for package in ("torch", "onnx", "sklearn", "matplotlib"):
        pytest.importorskip(package)
    from tools.site import names

    return names


def test_every_public_module_is_in_a_group_and_no_other() -> None:
    names = names_module()
    public = [module for group in names.GROUPS for module in group.modules]
    assert len(public) == len(set(public))
    unknown = [
        module
        for module in names.modules()
        if module != "dlfs" and module not in public and not names.is_internal(module)
    ]
    assert unknown == [], "name new modules in GROUPS or INTERNAL of tools/site/names.py"
    assert set(public) <= set(names.modules())


def test_every_exported_name_has_a_page() -> None:
    names = names_module()
    pages = {id(public.value) for public in names.public_names()}
    for module in names.doors():
        found = importlib.import_module(module)
        for name in getattr(found, "__all__", ()):
            assert id(getattr(found, name)) in pages, f"{module}.{name} has no page"


def test_every_page_of_the_reference_has_an_example() -> None:
    names = names_module()
    without = [
        public.path
        for public in names.public_names()
        if public.kind != "data" and ">>>" not in (public.value.__doc__ or "")
    ]
    assert without == [], "the docstring must have an example"


def test_addresses_differ_where_file_systems_ignore_case() -> None:
    names = names_module()
    pages = [public.page.casefold() for public in names.public_names()]
    assert len(pages) == len(set(pages))


def test_a_new_name_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    names = names_module()

    class Added:
        """A class without an example."""

    Added.__module__ = "dlfs.layers.base"
    monkeypatch.setattr(dlfs.layers, "Added", Added, raising=False)
    monkeypatch.setattr(dlfs.layers, "__all__", [*dlfs.layers.__all__, "Added"])
    names.public_names.cache_clear()
    try:
        (found,) = [p for p in names.public_names() if p.value is Added]
        assert (found.path, found.group.slug) == ("dlfs.layers.Added", "layers")
        with pytest.raises(AssertionError, match=r"dlfs\.layers\.Added"):
            test_every_page_of_the_reference_has_an_example()
    finally:
        monkeypatch.undo()
        names.public_names.cache_clear()


def test_the_table_of_conversions_has_every_layer() -> None:
    names_module()
    from tools.site import conversions

    for public in conversions.layers():
        assert conversions.network(public).built, public.name
    assert set(conversions.MADE) <= {public.name for public in conversions.layers()}


# --- the chapters ---


def test_every_notebook_has_its_row_in_the_tables() -> None:
    tables = {
        "notebooks/README.md": (ROOT / "notebooks" / "README.md").read_text("utf-8"),
        "README.md": (ROOT / "README.md").read_text("utf-8"),
    }
    for path in sorted((ROOT / "notebooks").glob("*/*.ipynb")):
        inside = path.relative_to(ROOT / "notebooks").as_posix()
        assert f"]({inside})" in tables["notebooks/README.md"], inside
        if path.stem != "Math":
            assert f"](notebooks/{inside})" in tables["README.md"], inside


def test_a_chapter_without_a_row_cannot_be_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names_module()
    from tools.site import gather

    notebook = ROOT / "notebooks" / "99_unknown" / "Code.ipynb"
    assert gather.chapter_name(ROOT / "notebooks" / "05_convolutions" / "Code.ipynb") == (
        "5 Convolutions"
    )
    with pytest.raises(LookupError, match="must have a row for chapter 99"):
        gather.chapter_name(notebook)


def test_links_between_files_become_links_of_the_site() -> None:
    names_module()
    from tools.site import gather

    known = {"docs/a.md": "a.md", "notebooks/05_x/Code.ipynb": "chapters/05_x/Code.ipynb"}

    def made(text: str, source: str) -> str:
        return gather.with_links(text, source, "page.md", known)

    assert made("[a](docs/a.md#b)", "README.md") == "[a](/a.md#b)"
    assert made("[c](Code.ipynb)", "notebooks/05_x/Math.ipynb") == "[c](/chapters/05_x/Code.ipynb)"
    assert made("[home](../README.md)", "docs/x.md") == "[home](/index.md)"
    assert made("![f](docs/filters.png)", "README.md") == "![f](/filters.png)"
    assert made("[code](../dlfs/base.py)", "docs/x.md") == "code"
    for text in ("[web](https://example.org)", "[here](#part)", "[kept](/api/index.md)"):
        assert made(text, "docs/x.md") == text
