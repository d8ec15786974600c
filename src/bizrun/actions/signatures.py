"""What every action takes and gives: the one description that checker, engine and docs read."""

from __future__ import annotations

from ..lang.symbols import ActionField, ActionSignature
from ..lang.types import (
    ANY,
    BOOL,
    COUPON,
    INTEGER,
    JSON,
    METER,
    MONEY,
    NUMBER,
    PLAN,
    TEXT,
    TIME,
    Choice,
    EntityType,
    ListOf,
    MapOf,
    Record,
    Type,
    maybe,
)
from ..model import LINE_KINDS

# Replaced by the entity that the business block names with `bills`.
CUSTOMER = EntityType("Bills")
SUBSCRIPTION = EntityType("Subscription")
INVOICE = EntityType("Invoice")
PAYMENT = EntityType("Payment")
DISPUTE = EntityType("PaymentDispute")
WALLET = EntityType("Wallet")
PROCESSOR = Choice(("stripe", "paypal"))
WHEN = Choice(("now", "period_end"))
# Fields of an email that hold addresses: one, or a list of them.
RECIPIENTS = ("to", "cc", "bcc", "reply_to")
KIND = Choice(LINE_KINDS)
INVOICE_WHEN = Choice(("now", "next"))

REPLY = Record(
    "reply",
    (("ok", BOOL), ("status", INTEGER), ("body", ANY), ("headers", MapOf(TEXT)), ("error", ANY)),
)
SENT = Record("delivery", (("status", TEXT), ("error", maybe(TEXT)), ("reference", maybe(TEXT))))
LINE = Record(
    "invoice line",
    (("description", TEXT), ("amount", MONEY), ("quantity", maybe(NUMBER))),
)


def _action(
    name: str,
    doc: str,
    result: Type,
    *fields: tuple[str, Type],
    optional: tuple[tuple[str, Type], ...] = (),
    open: bool = False,
    target: bool = False,
    waits: bool = False,
    one_of: tuple[tuple[str, ...], ...] = (),
    many: tuple[str, ...] = (),
) -> ActionSignature:
    taken = tuple(ActionField(key, type_, True, many=key in many) for key, type_ in fields)
    taken += tuple(ActionField(key, type_, many=key in many) for key, type_ in optional)
    return ActionSignature(name, taken, result, doc, open, target, waits, one_of)


_BILLING = (
    _action(
        "subscribe",
        "Begins a subscription of a customer to a plan, with its trial and first invoice.",
        SUBSCRIPTION,
        ("customer", CUSTOMER),
        ("plan", PLAN),
        optional=(
            ("quantity", INTEGER),
            ("coupon", COUPON),
            ("anchor_day", INTEGER),
            ("start", TIME),
            ("interval", TEXT),
            ("currency", TEXT),
            ("trial", ANY),
            ("price", MONEY),
        ),
    ),
    _action(
        "change_plan",
        "Moves a subscription to another plan, now with proration or at the period's end.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        ("plan", PLAN),
        optional=(
            ("when", WHEN),
            ("prorate", BOOL),
            ("invoice", INVOICE_WHEN),
            ("coupon", COUPON),
            ("reset", BOOL),
            ("refund", BOOL),
            ("quantity", INTEGER),
            ("interval", TEXT),
            ("anchor_day", INTEGER),
            ("price", MONEY),
        ),
    ),
    _action(
        "set_quantity",
        "Changes how many seats a subscription has.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        ("quantity", INTEGER),
        optional=(("when", WHEN), ("prorate", BOOL), ("invoice", INVOICE_WHEN)),
    ),
    _action(
        "set_trial",
        "Has a running trial end at another time, or `now`.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        ("ends", TIME),
    ),
    _action(
        "pause",
        "Stops billing a subscription and credits the unused part of its period.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
    ),
    _action(
        "resume",
        "Bills a paused subscription again, or takes back a scheduled cancellation.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
    ),
    _action(
        "cancel",
        "Ends a subscription, now or at the period's end.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        optional=(("when", WHEN), ("prorate", BOOL), ("refund", BOOL), ("reason", TEXT)),
    ),
    _action(
        "apply_coupon",
        "Attaches a coupon to all subscriptions of a customer, or to the first one to come.",
        CUSTOMER,
        ("customer", CUSTOMER),
        ("coupon", COUPON),
    ),
    _action(
        "remove_coupon",
        "Takes a coupon from a customer: it discounts nothing that is invoiced from now on.",
        CUSTOMER,
        ("customer", CUSTOMER),
        ("coupon", COUPON),
    ),
    _action(
        "add_addon",
        "Attaches an add-on to a subscription.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        ("addon", PLAN),
        optional=(("quantity", INTEGER),),
    ),
    _action(
        "remove_addon",
        "Ends an add-on of a subscription.",
        SUBSCRIPTION,
        ("subscription", SUBSCRIPTION),
        ("addon", PLAN),
    ),
    _action(
        "bill_usage",
        "Invoices what a subscription has used so far and was not billed for; none where nothing.",
        maybe(INVOICE),
        ("subscription", SUBSCRIPTION),
    ),
    _action(
        "invoice",
        "Makes an invoice of one-off lines and collects it, or puts them on the next one.",
        INVOICE,
        ("customer", CUSTOMER),
        ("lines", ListOf(LINE)),
        optional=(
            ("due", TIME),
            ("collect", BOOL),
            ("when", INVOICE_WHEN),
            ("subscription", SUBSCRIPTION),
        ),
    ),
    _action(
        "finalize_invoice",
        "Makes a draft final before its grace is over.",
        INVOICE,
        ("invoice", INVOICE),
    ),
    _action("send_invoice", "Sends an invoice to its customer.", INVOICE, ("invoice", INVOICE)),
    _action(
        "pay_invoice",
        "Collects what is open on an invoice or a part of it, or pays it from account credit.",
        PAYMENT,
        ("invoice", INVOICE),
        optional=(("amount", MONEY), ("from_credit", BOOL)),
        waits=True,
    ),
    _action(
        "record_payment",
        "Notes a payment of an invoice that came in without a processor, by bank transfer say.",
        PAYMENT,
        ("invoice", INVOICE),
        optional=(("amount", MONEY), ("reference", TEXT), ("description", TEXT)),
    ),
    _action(
        "void_invoice",
        "Voids an invoice; it keeps its number.",
        INVOICE,
        ("invoice", INVOICE),
        optional=(("reason", TEXT),),
    ),
    _action(
        "mark_uncollectible",
        "Writes off what is open on an invoice; it may still be paid.",
        INVOICE,
        ("invoice", INVOICE),
    ),
    _action(
        "credit_note",
        "Corrects a final invoice, as account credit or refunded.",
        EntityType("CreditNote"),
        ("invoice", INVOICE),
        optional=(
            ("line", EntityType("InvoiceLine")),
            ("amount", MONEY),
            ("refund", BOOL),
            ("reason", TEXT),
        ),
    ),
    _action(
        "credit",
        "Gives a customer account credit, or sells it for a price.",
        WALLET,
        ("customer", CUSTOMER),
        ("amount", MONEY),
        optional=(
            ("expires", TIME),
            ("reason", TEXT),
            ("price", MONEY),
            ("priority", INTEGER),
            ("meters", ListOf(METER)),
            ("kinds", ListOf(KIND)),
        ),
    ),
    _action(
        "expire_credit",
        "Lets what is left of a grant of credit expire now, or at another time.",
        WALLET,
        ("wallet", WALLET),
        optional=(("at", TIME),),
    ),
    _action(
        "charge",
        "Collects an amount from a customer.",
        PAYMENT,
        ("customer", CUSTOMER),
        ("amount", MONEY),
        optional=(
            ("description", TEXT),
            ("split", JSON),
            ("hold", BOOL),
            ("card", TEXT),
            ("via", PROCESSOR),
        ),
        waits=True,
    ),
    _action(
        "refund",
        "Gives a payment back, whole or in part.",
        EntityType("Refund"),
        ("payment", PAYMENT),
        optional=(("amount", MONEY), ("reason", TEXT)),
        waits=True,
    ),
    _action(
        "open_dispute",
        "Notes that a customer's bank wants a payment back: a chargeback.",
        DISPUTE,
        ("payment", PAYMENT),
        optional=(
            ("amount", MONEY),
            ("reason", TEXT),
            ("fee", MONEY),
            ("reference", TEXT),
            ("respond_by", TIME),
        ),
    ),
    _action(
        "close_dispute",
        "Notes how a dispute ended; one that was lost may still be won.",
        DISPUTE,
        ("dispute", DISPUTE),
        ("outcome", Choice(("won", "lost"))),
        optional=(("fee", MONEY),),
    ),
    _action(
        "transfer",
        "Pays an amount out to a seller or account.",
        SENT,
        ("to", ANY),
        ("amount", MONEY),
        optional=(("description", TEXT), ("via", PROCESSOR)),
        waits=True,
    ),
    _action(
        "hold",
        "Holds back what a payment's split owes to sellers and was not paid out.",
        PAYMENT,
        ("payment", PAYMENT),
        optional=(("to", ANY), ("amount", MONEY)),
    ),
    _action(
        "release",
        "Makes held parts of a payment payable; `to` says whose.",
        PAYMENT,
        ("payment", PAYMENT),
        optional=(("to", ANY), ("amount", MONEY)),
    ),
    _action(
        "record_usage",
        "Counts a quantity on a meter without an event of your own; `Usage.recorded` tells of it.",
        NUMBER,
        ("customer", CUSTOMER),
        ("meter", METER),
        ("quantity", NUMBER),
        optional=(("at", TIME), ("by", JSON)),
    ),
)

_MESSAGES = (
    _action(
        "email",
        "Sends an email from a template, or from a subject and a body.",
        SENT,
        ("to", TEXT),
        optional=(
            ("template", TEXT),
            ("data", ANY),
            ("subject", TEXT),
            ("body", TEXT),
            ("attachments", ListOf(ANY)),
            ("from", TEXT),
            ("reply_to", TEXT),
            ("cc", TEXT),
            ("bcc", TEXT),
        ),
        waits=True,
        one_of=(("template", "body"),),
        many=RECIPIENTS,
    ),
    _action(
        "notify",
        "Tells a person or channel something.",
        SENT,
        ("to", ANY),
        ("message", TEXT),
        optional=(("data", ANY),),
        waits=True,
    ),
    _action(
        "slack",
        "Posts a text to a Slack channel.",
        SENT,
        ("channel", TEXT),
        ("text", TEXT),
        waits=True,
    ),
    _action(
        "webhook",
        "Posts data to an address, signed.",
        REPLY,
        ("url", TEXT),
        optional=(("data", ANY), ("event", TEXT)),
        waits=True,
    ),
)

_WORLD = (
    _action(
        "http",
        "Calls an address over HTTP.",
        REPLY,
        ("url", TEXT),
        optional=(("method", TEXT), ("body", ANY), ("headers", MapOf(TEXT)), ("query", ANY)),
        waits=True,
    ),
)

_AI = tuple(
    _action(
        f"ai.{verb}",
        doc,
        maybe(ANY),
        optional=(
            ("prompt", TEXT),
            ("schema", ANY),
            ("context", ANY),
            ("fallback", ANY),
            ("model", TEXT),
            ("options", ListOf(ANY)),
            ("input", ANY),
            ("budget", MONEY),
            ("timeout", ANY),
        ),
        waits=True,
    )
    for verb, doc in (
        ("generate", "Writes something of a given schema."),
        ("decide", "Chooses by a prompt; the schema bounds the answer."),
        ("analyze", "Reads a context and answers in a given schema."),
    )
)

_EMBED = (
    _action(
        "ai.embed",
        "Turns a text into a vector.",
        maybe(ListOf(NUMBER)),
        ("text", TEXT),
        optional=(("model", TEXT),),
        waits=True,
    ),
    _action(
        "forecast",
        "Continues a series of figures by so many months.",
        ListOf(NUMBER),
        ("series", ANY),
        ("months", INTEGER),
    ),
)

# `stripe.<resource>.<method>`, `paypal.<…>` and `<connection>.get/post/…` take anything.
CONNECTION = _action(
    "connection", "Calls a connected service.", REPLY, open=True, target=True, waits=True
)
METHODS = ("get", "post", "put", "patch", "delete")
OPEN_ROOTS = ("stripe", "paypal")

SIGNATURES: dict[str, ActionSignature] = {
    action.name: action for action in _BILLING + _MESSAGES + _WORLD + _AI + _EMBED
}
