"""A graph of a spec as text: Mermaid, DOT, or a picture (SVG) that needs no other program."""

from __future__ import annotations

from collections.abc import Iterator
from xml.sax.saxutils import escape

from .graph import Edge, Graph, Node

# In which column of a picture a kind stands, and its colour.
_COLUMNS = {"trigger": 0, "schedule": 0, "api": 0, "event": 1, "handler": 2, "effect": 3}
_COLOURS = {
    "trigger": "#fef3c7", "schedule": "#fef3c7", "api": "#e0e7ff", "event": "#dbeafe",
    "handler": "#f3f4f6", "effect": "#dcfce7", "state": "#fae8ff",
}  # fmt: skip
_SHAPES = {
    "event": ("([", "])"), "trigger": ("{{", "}}"), "effect": ("[/", "/]"), "state": ("(", ")"),
}  # fmt: skip
_WIDTH, _HEIGHT, _GAP, _STEP, _EDGE = 250, 26, 90, 36, 20
_LETTERS = 36
_HEAD = (
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="#6b7280"/></marker></defs>'
)


def mermaid(graph: Graph) -> str:
    """A flowchart; each lifecycle is a subgraph."""
    lines = ["flowchart LR"]
    for node in _outside(graph):
        lines.append(f"  {_mermaid_node(node)}")
    for group in _groups(graph):
        lines.append(f'  subgraph "{group}"')
        lines += [f"    {_mermaid_node(node)}" for node in _inside(graph, group)]
        lines.append("  end")
    for edge in graph.edges:
        label = f'|"{_mermaid_text(edge.label)}"|' if edge.label else ""
        lines.append(f"  {edge.source} -->{label} {edge.target}")
    return "\n".join(lines) + "\n"


def _mermaid_node(node: Node) -> str:
    left, right = _SHAPES.get(node.kind, ("[", "]"))
    return f'{node.id}{left}"{_mermaid_text(node.label)}"{right}'


def _mermaid_text(text: str) -> str:
    return text.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;")


def dot(graph: Graph) -> str:
    """For Graphviz; each lifecycle is a cluster."""
    lines = ["digraph {", "  rankdir=LR", '  node [shape=box, style="rounded,filled"]']
    for node in _outside(graph):
        lines.append(f"  {_dot_node(node)}")
    for number, group in enumerate(_groups(graph)):
        lines.append(f"  subgraph cluster_{number} {{")
        lines.append(f"    label={_dot_text(group)}")
        lines += [f"    {_dot_node(node)}" for node in _inside(graph, group)]
        lines.append("  }")
    for edge in graph.edges:
        label = f" [label={_dot_text(edge.label)}]" if edge.label else ""
        lines.append(f"  {edge.source} -> {edge.target}{label}")
    return "\n".join([*lines, "}"]) + "\n"


def _dot_node(node: Node) -> str:
    return f'{node.id} [label={_dot_text(node.label)}, fillcolor="{_COLOURS[node.kind]}"]'


def _dot_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def svg(graph: Graph) -> str:
    """Columns from what happens to what is done; lifecycles as lists below."""
    places: dict[str, tuple[int, int]] = {}
    filled = [0, 0, 0, 0]
    for node in _outside(graph):
        column = _COLUMNS[node.kind]
        places[node.id] = (_EDGE + column * (_WIDTH + _GAP), _EDGE + filled[column] * _STEP)
        filled[column] += 1
    below = _EDGE + max(filled) * _STEP + _EDGE
    lines = list(_lifecycle_lines(graph, below))
    width = 2 * _EDGE + 4 * _WIDTH + 3 * _GAP
    height = below + len(lines) * _EDGE + _EDGE
    drawn = [_arrow(edge, places) for edge in graph.edges if edge.source in places]
    boxes = [_box(node, *places[node.id]) for node in _outside(graph)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="12">\n'
        f'{_HEAD}\n<rect width="100%" height="100%" fill="#fff"/>\n'
        + "\n".join([*drawn, *boxes, *lines])
        + "\n</svg>\n"
    )


def _box(node: Node, x: int, y: int) -> str:
    label = node.label if len(node.label) <= _LETTERS else f"{node.label[: _LETTERS - 1]}…"
    return (
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}" rx="5" '
        f'fill="{_COLOURS[node.kind]}" stroke="#9ca3af"/><text x="{x + 8}" y="{y + 17}">'
        f"{escape(label)}<title>{escape(node.label)}</title></text>"
    )


def _arrow(edge: Edge, places: dict[str, tuple[int, int]]) -> str:
    """A curve from a box's right side to the other's left; backwards where that lies left."""
    (x, y), (to_x, to_y) = places[edge.source], places[edge.target]
    start, end = (x + _WIDTH, to_x) if to_x > x else (x, to_x + _WIDTH)
    middle, top, bottom = (start + end) // 2, y + _HEIGHT // 2, to_y + _HEIGHT // 2
    title = f"<title>{escape(edge.label)}</title>" if edge.label else ""
    dashed = ' stroke-dasharray="4 3"' if edge.label else ""
    return (
        f'<path d="M{start} {top} C{middle} {top} {middle} {bottom} {end} {bottom}" fill="none" '
        f'stroke="#6b7280"{dashed} marker-end="url(#head)">{title}</path>'
    )


def _lifecycle_lines(graph: Graph, top: int) -> Iterator[str]:
    named = {node.id: node for node in graph.nodes.values()}
    rows: list[tuple[str, str]] = []
    for group in _groups(graph):
        rows.append((group, "bold"))
        for edge in graph.edges:
            if named[edge.source].group == group:
                states = f"{named[edge.source].label} → {named[edge.target].label}"
                rows.append((f"{states}   {edge.label}", "normal"))
    for number, (text, weight) in enumerate(rows):
        y = top + number * _EDGE
        yield f'<text x="{_EDGE}" y="{y}" font-weight="{weight}">{escape(text)}</text>'


def _outside(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes.values() if node.group is None]


def _groups(graph: Graph) -> list[str]:
    return list(dict.fromkeys(node.group for node in graph.nodes.values() if node.group))


def _inside(graph: Graph, group: str) -> list[Node]:
    return [node for node in graph.nodes.values() if node.group == group]
