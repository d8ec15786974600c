"""A second calculation of billing, written from the billing rules alone.

Fractions, dates and zones of the standard library; nothing of `bizrun` is imported here, so that a
mistake of the engine is not made twice. `world` holds what is sold, `calendars` when periods end,
`rates` what usage costs, `books` what an invoice says, `sub` what one subscription remembers,
`metered` what they use, `payments` what is about money alone, `life` what happens to one customer;
`scenarios` makes random worlds, `lives` and `usage_lives` what their customers do, and `spec` has
them as .biz and events.
"""
