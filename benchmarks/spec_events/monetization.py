"""The years of the businesses in `specs/monetization` that sell by subscription or by use."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

from .telling import BAD_CARDS, YEAR_END, Event, Story, at, later, person

PLANS = ("starter", "professional", "enterprise")


def subscription(rng: Random) -> Iterator[Event]:
    """70 customers: most take a plan, a third a larger one later, seven have a bad card."""
    for number in range(70):
        customer, when = f"c{number:02}", at(rng, 5 * number + rng.randrange(1, 12))
        data = {"id": customer, "email": person(number)}
        if number % 10 == 4:
            data["payment_method"] = rng.choice(BAD_CARDS)
        yield when, "Customer.registered", data
        if number % 9 == 8:
            continue
        plan = rng.choice((0, 0, 0, 1, 1, 2))
        when = later(rng, when, 0, 5)
        yield when, "Customer.subscribes", {"customer": customer, "plan": PLANS[plan]}
        if number % 3 == 0 and number % 10 != 4 and plan < 2:
            more = {"customer": customer, "plan": PLANS[plan + 1]}
            yield later(rng, when, 5, 120), "Subscription.upgraded", more


def usage(rng: Random) -> Iterator[Event]:
    """30 accounts that call, store and send; four of them close."""
    for number in range(30):
        account, when = f"a{number:02}", at(rng, rng.randrange(1, 240))
        yield when, "Account.opened", {"id": account, "email": person(number)}
        until = later(rng, when, 60, 120) if number % 8 == 5 else YEAR_END
        yield until, "Account.closed", {"account": account}
        calls, disk = rng.choice((300, 2_500, 9_000, 60_000)), rng.randrange(5, 200)
        while (when := later(rng, when, 4, 10)) < until:
            yield when, "API.called", {"account": account, "units": rng.randrange(1, calls)}
            if rng.randrange(4) == 0:
                disk = max(disk + rng.randrange(-9, 20), 1)
                held = {"account": account, "bytes": f"{disk} GB"}
                yield when + timedelta(minutes=5), "Storage.snapshot", held
            if rng.randrange(3) == 0:
                sent = {"account": account, "bytes": f"{rng.randrange(100, 90_000)} MB"}
                yield when + timedelta(minutes=9), "Data.sent", sent


def limits(rng: Random) -> Iterator[Event]:
    """80 accounts on the free tier: many run into its limit, a quarter upgrade."""
    for number in range(80):
        account, opened = f"a{number:02}", at(rng, rng.randrange(1, 320))
        yield opened, "Account.opened", {"id": account, "email": person(number)}
        when, units = opened, rng.choice((10, 50, 100, 125))  # a gateway tells them in batches
        for _ in range(14):
            when = later(rng, when, 0, 4)
            yield when, "API.called", {"account": account, "units": units}
        if number % 4 == 1:
            upgrade = {"account": account}
            if number % 8 == 5:
                upgrade["coupon"] = "FIRST20"
            yield later(rng, opened, 8, 60), "Subscription.upgrade", upgrade


def metrics(rng: Random) -> Iterator[Event]:
    """90 customers by the month or the year, every fifth of whom leaves; and what it costs."""
    for number in range(90):
        customer, when = f"c{number:02}", at(rng, 4 * number + rng.randrange(8))
        plan = "yearly" if number % 4 == 3 else "monthly"
        yield when, "Customer.registered", {"id": customer, "email": person(number), "plan": plan}
        if number % 5 == 2:
            yield later(rng, when, 20, 150), "Customer.left", {"customer": customer}
    for month in range(12):
        spent = {"category": "marketing", "amount": f"{rng.randrange(300, 900)} USD"}
        yield at(rng, month * 30 + 5), "Expense.booked", spent
        yield at(rng, month * 30 + 3), "Expense.booked", {"category": "rent", "amount": "1200 USD"}


def analytics(rng: Random) -> Iterator[Event]:
    """80 customers of two plans, some of whom leave after a while."""
    for number in range(80):
        customer, when = f"c{number:02}", at(rng, 4 * number + number // 2 + rng.randrange(8))
        plan = "plus" if number % 5 == 3 else "basic"
        yield when, "Customer.registered", {"id": customer, "email": person(number), "plan": plan}
        if number % 6 == 1:
            yield later(rng, when, 10, 200), "Customer.left", {"customer": customer}


def stripe(rng: Random) -> Iterator[Event]:
    """40 customers, and what Stripe tells of them by its webhooks; some of it twice."""
    for number in range(40):
        when, stripe_id = at(rng, rng.randrange(1, 300)), f"cus_{number:02}"
        data = {"id": f"c{number:02}", "email": person(number), "name": f"Customer {number}"}
        yield when, "Customer.registered", data
        when = later(rng, when, 0, 2)
        mirror = {"id": f"sub_{number:02}", "customer": stripe_id}
        ends = {"current_period_end": int((when + timedelta(days=14)).timestamp())}
        started = {"object": {**mirror, **ends, "status": "trialing"}}
        yield when, "Stripe.customer.subscription.created", started
        when += timedelta(days=14)
        ends = {"current_period_end": int((when + timedelta(days=30)).timestamp())}
        active = {"object": {**mirror, **ends, "status": "active"}}
        yield when, "Stripe.customer.subscription.updated", active
        payment = 0
        while when < YEAR_END:
            paid = {"id": f"pi_{number:02}_{payment}", "customer": stripe_id}
            if rng.randrange(15) == 0:
                failed = {"id": f"in_{number:02}_{payment}", "customer": stripe_id}
                lost = {"object": {**failed, "attempt_count": 1}}
                yield when, "Stripe.invoice.payment_failed", lost
                when += timedelta(days=3)
            told = {"object": {**paid, "amount": rng.choice((2900, 9900)), "currency": "usd"}}
            yield when, "Stripe.payment_intent.succeeded", told
            if rng.randrange(12) == 0:
                yield when + timedelta(minutes=1), "Stripe.payment_intent.succeeded", told
            when, payment = when + timedelta(days=30), payment + 1


def expansion(rng: Random) -> Iterator[Event]:
    """25 teams: they fill their seats, near their limits, ask for features, and some upgrade."""
    for number in range(25):
        account, opened = f"a{number:02}", at(rng, rng.randrange(1, 250))
        seats = rng.randrange(2, 7)
        data = {"id": account, "email": person(number), "seats": seats}
        yield opened, "Account.opened", data
        people, busy = rng.randrange(1, seats + 3), rng.choice((100, 900, 5_500))
        when = opened
        while (when := later(rng, when, 5, 14)) < YEAR_END:
            yield when, "API.called", {"account": account, "units": rng.randrange(1, busy)}
            for who in range(rng.randrange(people)):
                active = {"id": f"{account}-m{who}", "account": account}
                yield when + timedelta(minutes=3 + who), "Member.active", active
            if rng.randrange(6) == 0:
                asked = {"account": account, "feature": rng.choice(("sso", "audit", "dashboards"))}
                yield when + timedelta(hours=1), "Feature.requested", asked
        if number % 5 == 3:
            yield later(rng, opened, 40, 120), "Upgrade.accepted", {"account": account}


def churn_prevention(rng: Random) -> Iterator[Event]:
    """50 accounts: signals of their mood, what was done about it, and who left for what."""
    actions = ("outreach", "discount", "training", "feature")
    for number in range(50):
        account, opened = f"a{number:02}", at(rng, rng.randrange(1, 280))
        data = {"id": account, "email": person(number)}
        if number % 17 == 9:
            data["payment_method"] = rng.choice(BAD_CARDS)
        yield opened, "Account.opened", data
        left = later(rng, opened, 40, 200) if number % 5 == 3 else YEAR_END
        when = opened
        while (when := later(rng, when, 2, 12 + number % 20)) < left:
            yield when, "Account.login", {"account": account}
            if rng.randrange(12) == 0:
                ticket = {"account": account, "negative": rng.randrange(2) == 0}
                yield when + timedelta(hours=1), "Ticket.opened", ticket
            if rng.randrange(20) == 0:
                answer = {"account": account, "nps": rng.choice((2, 5, 7, 8, 9, 9, 10))}
                yield when + timedelta(hours=2), "Survey.answered", answer
        if number % 6 == 4:
            act = {"account": account, "action": rng.choice(actions), "feature": "audit"}
            yield later(rng, opened, 30, 40), "Churn.intervene", act
        yield left, "Account.leaves", {"account": account}
        if number % 10 == 3:
            reason = {"account": account, "reason": rng.choice(("price", "features", "service"))}
            yield left + timedelta(days=2), "Feedback.given", reason


YEARS: dict[str, Story] = {
    "monetization/analytics": analytics,
    "monetization/churn-prevention": churn_prevention,
    "monetization/expansion": expansion,
    "monetization/limits": limits,
    "monetization/metrics": metrics,
    "monetization/stripe": stripe,
    "monetization/subscription": subscription,
    "monetization/usage": usage,
}
