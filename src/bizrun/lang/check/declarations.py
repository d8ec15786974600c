"""Checks what a file declares beyond names and types: each group of rules is a module."""

from __future__ import annotations

from ..symbols import Checked
from .ai_bounds import check_ai_bounds
from .business import check_business
from .cycles import check_cycles
from .event_use import check_event_use
from .facts import gather
from .identity import check_identity
from .lifecycles import check_lifecycles
from .meters import check_meters
from .money import check_money
from .plans import check_plans
from .report import Report
from .schedules import check_schedules
from .services import check_services
from .templates import check_templates
from .triggers import check_triggers


def check_declarations(checked: Checked, report: Report) -> None:
    """Reports every mistake of the declarations; names and types have been found out before."""
    facts = gather(checked, report)
    for part in PARTS:
        part(facts)


PARTS = (
    check_business,
    check_plans,
    check_meters,
    check_money,
    check_lifecycles,
    check_triggers,
    check_event_use,
    check_cycles,
    check_schedules,
    check_services,
    check_identity,
    check_ai_bounds,
    check_templates,
)
