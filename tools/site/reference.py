"""The pages of the reference: one for each public name, one for each group."""

import inspect
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from tools.site.names import GROUPS, Group, Public, public_names


def write(folder: Path) -> None:
    """Write all pages of the reference into a folder of the site's sources."""
    (folder / "api").mkdir(parents=True)
    names = public_names()
    for public in names:
        (folder / f"{public.page}.rst").write_text(page(public), "utf-8")
    for group in GROUPS:
        members = [public for public in names if public.group is group]
        (folder / "api" / f"{group.slug}.md").write_text(group_page(group, members), "utf-8")
    (folder / "api" / "index.md").write_text(index_page(), "utf-8")


def page(public: Public) -> str:
    """Return the page of a name."""
    lines = [public.path, "=" * len(public.path), ""]
    if public.kind == "data":
        lines += [f".. py:data:: {public.path}", f"   :value: {public.value!r}", ""]
        lines += [f"   {constant_text(public)}", ""]
        return "\n".join(lines)
    shown = f".. auto{public.kind}:: {public.path}"
    lines += [*inherited(public), shown]
    if inspect.isclass(public.value) and (found := members(public.value)):
        lines += [f"   :members: {', '.join(found)}"]
    return "\n".join([*lines, ""])


def members(cls: type) -> list[str]:
    """Return the documented methods of a class, with those of bases that are on no other page."""
    known = {other.value for other in public_names() if inspect.isclass(other.value)}
    elsewhere = [base for base in cls.__mro__[1:] if base in known]
    found: dict[str, None] = {}
    for base in cls.__mro__:
        if not base.__module__.startswith("dlfs.") or any(issubclass(k, base) for k in elsewhere):
            continue
        for name, value in vars(base).items():
            described = inspect.isroutine(value) or isinstance(value, property)
            if described and not name.startswith("_") and _is_documented(value):
                found[name] = None
    return list(found)


def _is_documented(value: Any) -> bool:
    function = getattr(value, "fget", None) or getattr(value, "__func__", value)
    return bool(function.__doc__) and str(function.__module__).startswith("dlfs.")


def constant_text(public: Public) -> str:
    """Return the words below a constant in the source of its module, or nothing."""
    return f"A constant of the module ``{public.module}``."


def inherited(public: Public) -> Iterator[str]:
    """Yield a line that names the nearest public base class, whose methods this class has too."""
    if not inspect.isclass(public.value):
        return
    known = {other.value: other for other in public_names() if inspect.isclass(other.value)}
    for base in public.value.__mro__[1:]:
        if base in known:
            yield from (f"A subclass of :class:`~{known[base].path}`, with all its methods.", "")
            return


def group_page(group: Group, members: list[Public]) -> str:
    """Return the page of a group: a table for each section, and the list for the navigation."""
    lines = [f"# {group.title}", "", group.text, ""]
    for section, found in groupby(members, key=lambda public: public.section):
        if section:
            lines += [f"## {section}", ""]
        lines += ["| | |", "|---|---|"]
        lines += [f"| [{p.path}](/{p.page}.rst) | {summary(p)} |" for p in found]
        lines += [""]
    lines += ["```{toctree}", ":hidden:", ""]
    lines += [f"{public.name} </{public.page}>" for public in members]
    return "\n".join([*lines, "```", ""])


def summary(public: Public) -> str:
    """Return the first sentence of the docstring, as Markdown."""
    if public.kind == "data":
        return "A constant."
    text = (inspect.getdoc(public.value) or "").split("\n\n")[0]
    return " ".join(text.split()).replace("``", "`").replace("|", "\\|")


def index_page() -> str:
    """Return the first page of the reference."""
    lines = [
        "# Reference",
        "",
        "Every public name has a page with its parameters, its errors and an example that runs.",
        "The names of the first pages are in `dlfs` itself: `from dlfs import Conv2D`.",
        "The examples assume `import numpy as np`.",
        "",
        "| | |",
        "|---|---|",
    ]
    lines += [f"| [{group.title}]({group.slug}.md) | {group.text} |" for group in GROUPS]
    lines += ["", "```{toctree}", ":hidden:", ""]
    lines += [group.slug for group in GROUPS]
    return "\n".join([*lines, "```", ""])
