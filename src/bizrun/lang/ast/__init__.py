"""The tree of a .biz file: plain frozen data, one class a construct, each with its span.

Nodes hold what the author wrote, names unresolved. What the checker finds out stands in side
tables keyed by `id(node)` (see `lang.check`), so that there is one tree only.
"""

from __future__ import annotations

from .declarations import *  # noqa: F403
from .expressions import *  # noqa: F403
from .statements import *  # noqa: F403
