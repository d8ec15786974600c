"""Writes a random world as .biz text, and what happens in it as events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from .world import EXPONENTS, TAXES, Act, Buyer, Coupon, Plan, Rules, Tier, Usage

ENTITIES = """
entity Account { id text key, timezone text, country text, payment_method text }
entity Deal { id text key, account Account, sub Subscription }
event A.new { id text, timezone text, country text, card text = "pm_card_visa" }
event A.moved { account Account, country text }
event A.subscribe {
  account Account, deal text, plan plan, quantity integer, coupon coupon?, anchor_day integer?
}
event A.change {
  deal Deal, plan plan, when "now" | "period_end", prorate bool, invoice "now" | "next"
  reset bool = false, refund bool = false
}
event A.addon { deal Deal, addon plan, quantity integer }
event A.noted { account Account, part number, refund bool = false }
event A.refund { account Account, part number }
event A.sell {
  account Account, amount money, price money, expires time?, priority integer?
  kind text = "", meter text = ""
}
event A.quantity {
  deal Deal, quantity integer, when "now" | "period_end", prorate bool, invoice "now" | "next"
}
event A.pause { deal Deal }
event A.resume { deal Deal }
event A.cancel { deal Deal, when "now" | "period_end", prorate bool, refund bool = false }
event A.coupon { account Account, coupon coupon }
event A.grant {
  account Account, amount money, expires time?, priority integer?, kind text = "", meter text = ""
}
event A.oneoff { account Account, lines [money] }
event A.withdraw { account Account }
event A.ask { deal Deal }
event A.tick { account Account }
event U.calls key account { account Account, units number }
event U.hits key account { account Account }
event U.peak key account { account Account, units number }
event U.newest key account { account Account, units number }
event U.level key account { account Account, units number }
event U.people key account { account Account, who text }
event U.payments key account { account Account, amount money }
event U.chat key account { account Account, units number, kind text }
meter calls { sum units of U.calls per account }
meter hits { count U.hits per account }
meter peak { max units of U.peak per account }
meter newest { last units of U.newest per account }
meter level { average units of U.level per account }
meter people { unique who of U.people per account }
meter payments { sum amount of U.payments per account }
meter chat { sum units of U.chat per account by kind }
on A.new as e {
  create Account {
    id: e.id, timezone: e.timezone, country: e.country, payment_method: e.card
  }
}
on A.moved as e { update e.account { country: e.country } }
on A.subscribe as e {
  let s = subscribe {
    customer: e.account, plan: e.plan, quantity: e.quantity, coupon: e.coupon,
    anchor_day: e.anchor_day
  }
  create Deal { id: e.deal, account: e.account, sub: s }
}
on A.change as e {
  change_plan {
    subscription: e.deal.sub, plan: e.plan, when: e.when, prorate: e.prorate, invoice: e.invoice
    reset: e.reset, refund: e.refund
  }
}
on A.addon as e {
  if e.quantity == 0 { remove_addon { subscription: e.deal.sub, addon: e.addon } }
  else { add_addon { subscription: e.deal.sub, addon: e.addon, quantity: e.quantity } }
}
on A.noted as e {
  let i = first Invoice where .customer == e.account and .total > ZERO order by .number desc
  if i != none {
    let amount = round((i.subtotal - i.discount) * e.part, STEP)
    if amount > ZERO { credit_note { invoice: i, amount: amount, refund: e.refund } }
  }
}
on A.refund as e {
  let p = first Payment where .customer == e.account and .status == "succeeded" and .invoice != none
    order by .created_at desc
  if p != none {
    let amount = round(p.amount * e.part, STEP)
    if amount > ZERO { refund { payment: p, amount: amount } }
  }
}
on A.quantity as e {
  set_quantity {
    subscription: e.deal.sub, quantity: e.quantity, when: e.when, prorate: e.prorate,
    invoice: e.invoice
  }
}
on A.pause as e { pause { subscription: e.deal.sub } }
on A.resume as e { resume { subscription: e.deal.sub } }
on A.cancel as e {
  cancel { subscription: e.deal.sub, when: e.when, prorate: e.prorate, refund: e.refund }
}
on A.withdraw as e {
  let i = first Invoice where .customer == e.account and .amount_open > ZERO order by .number desc
  if i != none { void_invoice { invoice: i } }
}
on A.ask as e { bill_usage { subscription: e.deal.sub } }
on A.coupon as e { apply_coupon { customer: e.account, coupon: e.coupon } }
fn listed(what: text) -> [text] = if what == "" then [] else [what]
on A.grant as e {
  credit {
    customer: e.account, amount: e.amount, expires: e.expires, priority: e.priority
    kinds: listed(e.kind), meters: listed(e.meter)
  }
}
on A.sell as e {
  credit {
    customer: e.account, amount: e.amount, price: e.price, expires: e.expires
    priority: e.priority, kinds: listed(e.kind), meters: listed(e.meter)
  }
}
on A.oneoff as e {
  invoice { customer: e.account, lines: [for l in e.lines: { description: "one-off", amount: l }] }
}
"""


@dataclass(frozen=True)
class World:
    """A business with all its customers."""

    rules: Rules
    plans: tuple[Plan, ...]
    coupons: tuple[Coupon, ...]
    buyers: tuple[Buyer, ...]
    addons: tuple[Plan, ...] = ()


def decimal(value: Fraction) -> str:
    """A fraction as the literal that it exactly is."""
    text = f"{Decimal(value.numerator) / Decimal(value.denominator):f}"
    assert Fraction(text) == value, value
    return text


def biz(world: World) -> str:
    """The world as one .biz file."""
    rules = world.rules
    parts = [
        f'business "Oracle" {{\n  language 1\n  currency {rules.currency}\n'
        f'  timezone "{rules.zone}"\n  bills Account\n  rounding {rules.rounding}\n'
        f"  proration {'by ' if rules.proration != 'none' else ''}{rules.proration}\n"
        f"  billing {'calendar' if rules.calendar else 'anniversary'}\n"
        f"  credit {rules.credit}\n}}\n",
        ENTITIES.replace("ZERO", f"0 {rules.currency}").replace("STEP", _step(rules)),
    ]
    mode = "inclusive" if rules.inclusive else "exclusive"
    for country, rates in TAXES.items():
        for i, percent in enumerate(rates):
            shown = decimal(percent * 100)
            name = f"tax_{country.lower()}_{i}"
            parts.append(f'tax {name} {{ {shown}% {mode} when customer.country == "{country}" }}')
    parts += [coupon_text(coupon, rules) for coupon in world.coupons]
    parts += [plan_text(plan, rules) for plan in world.plans]
    parts += [plan_text(addon, rules, "addon") for addon in world.addons]
    return "\n".join(parts) + "\n"


def _step(rules: Rules) -> str:
    """The minor unit as a literal."""
    return f"{Decimal(1).scaleb(-EXPONENTS[rules.currency])} {rules.currency}"


def coupon_text(coupon: Coupon, rules: Rules) -> str:
    """`coupon NAME { 10% off for 3 months }`."""
    off = (
        f"{decimal(coupon.percent * 100)}%"
        if coupon.percent is not None
        else f"{decimal(coupon.amount)} {rules.currency}"
    )
    tail = " once" if coupon.once else f" for {coupon.months} months" if coupon.months else ""
    only = f", only [{', '.join(coupon.meters)}]" if coupon.meters else ""
    return f"coupon {coupon.name} {{ {off} off{tail}{only} }}"


def plan_text(plan: Plan, rules: Rules, word: str = "plan") -> str:
    """A plan with its price, usage prices and bounds."""
    cur = rules.currency
    count, unit = plan.interval
    per = f"per {unit}" if count == 1 else f"per {count} {unit}s"
    tail = " in arrears" if plan.arrears else ""
    lines = [f"{word} {plan.name} {{"]
    if word == "addon" and not plan.price:
        pass  # it has usage alone
    elif plan.seat_model in ("", "each", "itself"):
        seat = "per seat " if plan.seat_model == "each" else ""
        lines.append(f"  price {decimal(plan.price)} {cur} {seat}{per}{tail}")
    else:
        tiers = tiers_text(plan.seats, cur)
        lines.append(f"  price per seat {per} {plan.seat_model} {{\n{tiers}  }}{tail}")
    for months, price in plan.phases:
        lines.append(
            f'  phase "p" for {months} months {{ price {decimal(price)} {cur} {per}{tail} }}'
        )
    for day, price, how in plan.versions:
        word = f", migrate {'on ' if how == 'renewal' else ''}{how}" if how else ""
        lines.append(f"  from {day} {{ price {decimal(price)} {cur} {per}{tail}{word} }}")
    if plan.trial:
        lines.append(f"  trial {plan.trial} days")
    for usage in plan.usages:
        lines += usage_text(usage, cur)
    if plan.threshold is not None:
        lines.append(f"  bill usage at {decimal(plan.threshold)} {cur}")
    if plan.minimum is not None:
        lines.append(f"  minimum {decimal(plan.minimum)} {cur}")
    if plan.maximum is not None:
        lines.append(f"  maximum {decimal(plan.maximum)} {cur}")
    return "\n".join([*lines, "}"])


def tiers_text(tiers: tuple[Tier, ...], cur: str) -> str:
    """The rows of a tier table."""
    rows = []
    for tier in tiers:
        unit = f"{decimal(tier.unit)} {cur}" if tier.unit else "free"
        word = "always" if tier.always else ""
        flat = f" + {decimal(tier.flat)} {cur} flat {word}" if tier.flat else ""
        head = f"up to {tier.up_to}" if tier.up_to is not None else "above"
        rows.append(f"    {head}: {unit}{flat}\n")
    return "".join(rows)


def usage_text(usage: Usage, cur: str) -> list[str]:
    """A usage price, and what is included."""
    lines = []
    if usage.includes:
        lines.append(
            f"  includes {usage.includes} {usage.meter}{' prorated' if usage.prorated else ''}"
            f"{carried_text(usage)}"
        )
    if usage.first:
        lines.append(f"  includes {usage.first} events of {usage.meter}")
    head = f"  usage {usage.meter}{' per month' if usage.monthly else ''}"
    match usage.model:
        case "each" if usage.by:
            prices = ", ".join(
                f"{key if key == 'else' else chr(34) + key + chr(34)}: {decimal(p)} {cur}"
                for key, p in usage.by
            )
            lines.append(f"{head} per kind {{ {prices} }}")
        case "each":
            lines.append(f"{head}: {decimal(usage.unit)} {cur}")
        case "share":
            percent = decimal(usage.unit * 100)
            lines.append(f"{head}: {percent}% + {decimal(usage.fixed)} {cur} per payment")
        case "package":
            lines.append(f"{head} package of {usage.package}: {decimal(usage.unit)} {cur}")
        case model:
            lines.append(f"{head} {model} {{\n{tiers_text(usage.tiers, cur)}  }}")
    return lines


def carried_text(usage: Usage) -> str:
    """How long, and up to how much, an allowance is carried over."""
    if usage.carried is None:
        return ""
    periods, most = usage.carried
    lasting = f" for {periods} period{'s' * (periods > 1)}" if periods else ""
    return f" carried over{lasting}{f' up to {most}' if most else ''}"


def events(world: World) -> list[dict[str, Any]]:
    """All that happens, in order of time; ties in the order of the customer's own acts."""
    found: list[tuple[Any, str, int, dict[str, Any]]] = []
    for buyer in world.buyers:
        first = buyer.acts[0].at
        new = {"id": buyer.key, "timezone": buyer.zone, "country": buyer.country}
        if buyer.poor:
            new["card"] = "pm_card_chargeDeclined"
        found.append((first, buyer.key, -1, {"type": "A.new", "data": new}))
        for i, act in enumerate(buyer.acts):
            sent = act.data.get("sent", act.at)
            if sent != act.at:
                # Moves the clock on: the late event itself is in the past.
                tick = {"type": "A.tick", "data": {"account": buyer.key}}
                found.append((sent, buyer.key, 2 * i, tick))
            body = event(act, buyer, world.rules.currency)
            found.append((sent, buyer.key, 2 * i + 1, {**body, "time": stamp(act.at)}))
    found.sort(key=lambda x: x[:3])
    # Ids in their order: what comes later of an instant counts behind.
    ids = {
        (key, body["id"]): f"e{i:07}" for i, (_, key, _, body) in enumerate(found) if "id" in body
    }
    made = []
    for i, (at, key, _, body) in enumerate(found):
        event_ = {"time": stamp(at), **body, "id": f"e{i:07}"}
        if "corrects" in body:
            event_["corrects"] = ids[key, body["corrects"]]
        made.append(event_)
    return made


def stamp(at: datetime) -> str:
    """An instant as events write it."""
    return at.isoformat().replace("+00:00", "Z")


def event(act: Act, buyer: Buyer, cur: str) -> dict[str, Any]:
    """One act as an event."""
    if act.kind == "usage":
        said = usage_data(act.data["meter"], act.data.get("says", act.data), buyer, cur)
        marks = {name: act.data[name] for name in ("id", "corrects") if name in act.data}
        return {"type": f"U.{act.data['meter']}", "data": said, **marks}
    data: dict[str, Any] = dict(act.data)
    for name in ("amount", "price"):
        if name in data:
            data[name] = f"{decimal(data[name])} {cur}"
    if "kind" in data:
        data["kind"] = KINDS.get(data["kind"], data["kind"])
    if "amounts" in data:
        data["lines"] = [f"{decimal(a)} {cur}" for a in data.pop("amounts")]
    data.pop("taxes", None)
    if "part" in data:
        data["part"] = decimal(data["part"])
    if data.get("expires"):
        data["expires"] = stamp(data["expires"])
    if "deal" not in data or act.kind == "subscribe":
        data["account"] = buyer.key
    return {"type": f"A.{act.kind}", "data": data}


# What the calculation calls a kind of line, in the words of the language.
KINDS = {"fixed": "base"}


def usage_data(meter: str, said: dict[str, Any], buyer: Buyer, cur: str) -> dict[str, Any]:
    """The payload of a usage event."""
    match meter:
        case "hits":
            rest = {}
        case "people":
            rest = {"who": said["who"]}
        case "payments":
            rest = {"amount": f"{decimal(said['units'])} {cur}"}
        case "chat":
            rest = {"units": decimal(said["units"]), "kind": said["by"]}
        case _:
            rest = {"units": decimal(said["units"])}
    return {"account": buyer.key, **rest}
