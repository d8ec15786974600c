"""A spec as a graph: events lead to handlers, these to effects and other events; lifecycles."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct, field

from . import ast
from .printer import Printer
from .symbols import Checked
from .walk import children

# Fields of an action that tell one from another of its kind.
_TELLING = ("template", "subject", "plan", "to", "channel")


class Node(Struct, frozen=True):
    """kind: event, handler, schedule, api, trigger, effect, state; `group`: its lifecycle."""

    id: str
    kind: str
    label: str
    group: str | None = None


class Edge(Struct, frozen=True):
    """From one node to another, with what stands on the arrow."""

    source: str
    target: str
    label: str = ""


class Graph(Struct):
    """Nodes by kind and label, edges in the order of the spec, each once."""

    nodes: dict[tuple[str, str, str | None], Node] = field(default_factory=dict)
    edges: dict[Edge, None] = field(default_factory=dict)

    def node(self, kind: str, label: str, group: str | None = None) -> Node:
        """The node of that kind and label, made where it is new."""
        found = self.nodes.get((kind, label, group))
        if found is None:
            found = Node(f"n{len(self.nodes) + 1}", kind, label, group)
            self.nodes[kind, label, group] = found
        return found

    def edge(self, source: Node, target: Node, label: str = "") -> None:
        """An arrow; a second one that is the same is none."""
        self.edges[Edge(source.id, target.id, label)] = None


def graph(checked: Checked) -> Graph:
    """The graph of a spec and of the modules that it uses."""
    builder = _Builder(checked)
    symbols = checked.symbols
    for trigger in symbols.triggers.values():
        label = f"{trigger.entity}: {builder.text(trigger.condition)}"
        builder.graph.edge(
            builder.graph.node("trigger", label), builder.graph.node("event", trigger.event)
        )
    for on in symbols.handlers:
        handler = builder.graph.node("handler", builder.place(on))
        for name, _ in on.pattern.types:
            builder.graph.edge(builder.graph.node("event", name), handler)
        builder.body(on, handler, "")
    for schedule in symbols.schedules:
        builder.body(schedule, builder.graph.node("schedule", builder.head(schedule)), "")
    for api in symbols.apis:
        builder.body(api, builder.graph.node("api", f"{api.method} {api.path}"), "")
    for lifecycle in symbols.lifecycles.values():
        builder.lifecycle(lifecycle)
    return builder.graph


class _Builder:
    def __init__(self, checked: Checked) -> None:
        self.sources = checked.loaded.sources
        self.graph = Graph()

    def text(self, node: ast.Node) -> str:
        """A piece of the spec as it stands there, on one line."""
        return " ".join(Printer(self.sources[node.span.file].text).verbatim(node).split())

    def place(self, node: ast.Node) -> str:
        source = self.sources[node.span.file]
        return f"{source.name.rpartition('/')[2]}:{source.position(node.span.start)[0]}"

    def head(self, node: ast.Node) -> str:
        return self.text(node).partition("{")[0].strip()

    def body(self, node: ast.Node, handler: Node, when: str) -> None:
        """Edges to what a handler does, with the time that it waits for it."""
        for child in children(node):
            match child:
                case ast.After():
                    self.body(child, handler, f"after {self.text(child.delay)}")
                    continue
                case ast.At():
                    self.body(child, handler, f"at {self.text(child.time)}")
                    continue
                case ast.WaitFor():
                    for name, _ in child.pattern.types:
                        self.graph.edge(self.graph.node("event", name), handler, "waited for")
                case ast.Emit():
                    self.graph.edge(handler, self.graph.node("event", child.event), when)
                case ast.Action():
                    self.graph.edge(handler, self.graph.node("effect", self.effect(child)), when)
            self.body(child, handler, when)

    def effect(self, action: ast.Action) -> str:
        """`email welcome`, `change_plan`, `shippo.post "/labels"`."""
        if action.target is not None:
            return f"{action.name} {self.text(action.target)}"
        for entry in _entries(action):
            known = isinstance(entry.value, ast.Text) or entry.name == "plan"
            if entry.name in _TELLING and known and not entry.short:
                return f"{action.name} {self.text(entry.value).strip(chr(34))}"
        return action.name

    def lifecycle(self, lifecycle: ast.Lifecycle) -> None:
        """Its states as nodes of a group of their own."""
        group = f"{lifecycle.entity}.{lifecycle.field}"

        def state(name: str | None) -> Node:
            return self.graph.node("state", name or "any", group)

        for arrow in lifecycle.arrows:
            label = f"after {self.text(arrow.after)}" if arrow.after is not None else ""
            if arrow.on is not None:
                label = " or ".join(name for name, _ in arrow.on.types)
            self.graph.edge(state(arrow.source), state(arrow.target), label)


def _entries(action: ast.Action) -> Iterator[ast.Entry]:
    for entry in action.data.entries:
        if isinstance(entry, ast.Entry):
            yield entry
