"""Every code that a diagnostic can have, whichever stage of the language gives it."""

from __future__ import annotations

from ...codes import Code
from ..codes_syntax import CODES as SYNTAX
from .codes_declarations import CODES as DECLARATIONS
from .codes_expressions import CODES as EXPRESSIONS

CODES: dict[str, Code] = dict(sorted((SYNTAX | EXPRESSIONS | DECLARATIONS).items()))
