"""An extension of Sphinx: a public name in a page's text leads to its page in the reference.

``Conv2D``, ``dlfs.save(net, path)`` and ``gradcheck.check_gradients`` become links, in all pages
and docstrings, except in headings, in other links, and on the name's own page.
"""

import posixpath
import re
from collections import defaultdict
from typing import Any, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PythonDomain
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from tools.site import gather
from tools.site.names import public_names

NAME = re.compile(r"((?:\w+\.)*\w+)(\(.*\))?")


def _known() -> dict[str, str]:
    """Return the pages by every way to write a name that has one meaning."""
    ways: dict[str, set[str]] = defaultdict(set)
    names = public_names()
    for public in names:
        parts = public.path.split(".")
        for start in range(len(parts)):
            ways[".".join(parts[start:])].add(public.path)
    found = {way: paths.copy().pop() for way, paths in ways.items() if len(paths) == 1}
    for public in names:  # what is in dlfs itself comes before names of the same form elsewhere
        if public.module == "dlfs":
            found[public.name] = public.path
    # a short word in small letters is more often an argument or an everyday word: "load", "plain"
    return {way: path for way, path in found.items() if not re.fullmatch("[a-z0-9]+", way)}


def _is_inside_link(node: nodes.Node) -> bool:
    inside = node.parent
    while inside is not None and not isinstance(inside, nodes.document):
        if isinstance(inside, nodes.reference | nodes.title) or "sig" in inside.get("classes", ()):
            return True
        inside = inside.parent
    return False


class LinkNames(SphinxPostTransform):
    """Make links of public names."""

    default_priority = 5
    known: dict[str, str] | None = None

    def run(self, **kwargs: Any) -> None:
        """Look at every literal of a page."""
        if LinkNames.known is None:
            LinkNames.known = _known()
        objects = cast("PythonDomain", self.env.get_domain("py")).objects
        for node in list(self.document.findall(nodes.literal)):
            if self._is_page(node):
                continue
            path = self._path(node)
            if path is None or path not in objects:
                continue
            entry = objects[path]
            if entry.docname == self.env.docname:
                continue
            builder = self.app.builder
            link = make_refnode(
                builder, self.env.docname, entry.docname, entry.node_id, node.deepcopy(), path
            )
            node.replace_self(link)

    def _is_page(self, node: nodes.literal) -> bool:
        """Make a link of the name of a file that is a page, such as ``docs/mutants.md``."""
        name = node.astext()
        if not name.endswith((".md", ".ipynb")) or _is_inside_link(node):
            return False
        docname = self.env.docname
        beside = posixpath.join(posixpath.dirname(docname), posixpath.splitext(name)[0])
        found = gather.pages().get(name)
        target = posixpath.splitext(found)[0] if found else beside
        if target == docname or target not in self.env.found_docs:
            return False
        builder = self.app.builder
        node.replace_self(make_refnode(builder, docname, target, None, node.deepcopy(), name))
        return True

    def _path(self, node: nodes.literal) -> str | None:
        if _is_inside_link(node):
            return None
        match = NAME.fullmatch(node.astext())
        return LinkNames.known.get(match[1]) if match and LinkNames.known else None


BACK = re.compile(r'(href="(?:\.\./)+(api/[^"#]+)\.html#)([^"]+)"')


def lead_back(app: Sphinx, pagename: str, template: str, context: dict[str, Any], *_: Any) -> None:
    """Mend the links from a listing to the reference.

    Sphinx takes one path for all names of a module, but ``dlfs.save`` and
    ``dlfs.saving.network_config`` are defined in the same one.
    """
    if not pagename.startswith("_modules/dlfs"):
        return
    paths = {public.page: public.path for public in public_names()}

    def mended(link: re.Match[str]) -> str:
        path = paths.get(link[2], link[3])
        name = path.rpartition(".")[2]
        tail = re.search(rf"(?:^|\.){re.escape(name)}((?:\.\w+)*)$", link[3])
        return f'{link[1]}{path}{tail[1] if tail else ""}"'

    context["body"] = BACK.sub(mended, context["body"])


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension."""
    app.add_post_transform(LinkNames)
    app.connect("html-page-context", lead_back)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
