"""The drawing is SVG, shows every node once, and no two boxes overlap."""

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given

from dlfs.autograd import ArrayWithGrad, NumberWithGrad
from tests.autograd.test_number import evaluate, programs

SVG = "{http://www.w3.org/2000/svg}"


def boxes(svg: str) -> list[tuple[float, ...]]:
    names = ("x", "y", "width", "height")
    found = ET.fromstring(svg).findall(f".//{SVG}rect[@rx]")
    return [tuple(float(box.get(name)) for name in names) for box in found]


@given(programs)
def test_boxes_do_not_overlap_and_lie_inside(program) -> None:
    result = evaluate(program, [NumberWithGrad(0.5), NumberWithGrad(-0.3)])
    svg = result.draw()
    root = ET.fromstring(svg)
    seen = boxes(svg)
    for i, (x, y, width, height) in enumerate(seen):
        assert x >= 0
        assert y >= 0
        assert x + width <= float(root.get("width"))
        assert y + height <= float(root.get("height"))
        for a, b, wide, high in seen[:i]:
            assert x >= a + wide or a >= x + width or y >= b + high or b >= y + height


def test_every_node_once_with_its_name_and_numbers() -> None:
    a = NumberWithGrad(3)
    b = a * a + 4
    b.backward()
    svg = b.draw(names={"a & co": a})
    assert len(boxes(svg)) == 4
    texts = [text.text for text in ET.fromstring(svg).iter(f"{SVG}text")]
    assert "a & co: variable" in texts
    assert {"num = 13", "grad = 6", "mul ×", "constant"} <= set(texts)
    assert len(re.findall("marker-end", svg)) == 4


def test_notebooks_see_text_where_a_drawing_would_be_too_large() -> None:
    x = ArrayWithGrad([1.0, 2.0])
    assert x._repr_svg_() is None
    y = x.sum()
    assert y._repr_svg_().startswith("<svg")
    for _ in range(200):
        y = y + x.sum()
    assert y._repr_svg_() is None


def test_file(tmp_path) -> None:
    a = NumberWithGrad(10**1000)
    b = a + 1
    assert b.draw(tmp_path / "b.svg") == (tmp_path / "b.svg").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match=r"path must end in \.svg"):
        b.draw("b.png")
    with pytest.raises(TypeError, match="path"):
        b.draw(3)
    with pytest.raises(TypeError, match="names"):
        b.draw(names=[a])
    with pytest.raises(ValueError, match="names"):
        b.draw(names={"c": NumberWithGrad(1)})
