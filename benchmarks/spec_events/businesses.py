"""The years of the businesses in `specs/` itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

from .telling import DAYS, YEAR, Event, Story, at, person


def shop(rng: Random) -> Iterator[Event]:
    """Two suppliers with a dozen products, 60 customers, about 300 orders, some returned."""
    for supplier in ("s1", "s2"):
        yield (
            at(rng, 0),
            "Supplier.added",
            {"id": supplier, "email": f"{supplier}@supplier.example"},
        )
    for number in range(12):
        product = {
            "sku": f"p{number:02}",
            "name": f"Product {number}",
            "price": f"{rng.randrange(5, 90)}.{rng.randrange(100):02} USD",
            "stock": rng.randrange(60, 400),
            "supplier": rng.choice(("s1", "s2")),
        }
        yield at(rng, 1), "Supply.offered", product
    for number in range(60):
        joined = rng.randrange(2, 300)
        customer = f"c{number:03}"
        card = "pm_card_visa_chargeDeclined" if number % 15 == 7 else "pm_card_visa"
        data = {"id": customer, "email": person(number), "address": f"{number} Elm Street"}
        yield at(rng, joined), "Customer.registered", {**data, "payment_method": card}
        for order in range(rng.randrange(1, 9)):
            yield from shopping(rng, customer, f"{customer}-{order}", joined)


def shopping(rng: Random, customer: str, order: str, joined: int) -> Iterator[Event]:
    """An order, and perhaps its way back."""
    day = rng.randrange(joined + 1, DAYS - 40)
    skus = rng.sample(range(12), rng.randrange(1, 4))
    items = [{"sku": f"p{sku:02}", "quantity": rng.randrange(1, 5)} for sku in sorted(skus)]
    when = at(rng, day)
    yield when, "Cart.checkout", {"id": order, "customer": customer, "items": items}
    if rng.randrange(10) == 0:
        asked = when + timedelta(days=rng.randrange(3, 12))
        yield asked, "Return.requested", {"order": order, "reason": rng.choice(("broken", "late"))}
        if rng.randrange(4):
            back = asked + timedelta(days=rng.randrange(2, 20))
            yield back, "Return.received", {"order": order}


def content_marketplace(rng: Random) -> Iterator[Event]:
    """Eight creators, 40 buyers, 60 pieces of content, searches and sales."""
    for number in range(8):
        data = {"email": person(number), "portfolio": f"https://portfolio.example/{number}"}
        yield at(rng, number), "Creator.applies", data
    for number in range(40):
        buyer = f"b{number:02}"
        data = {"id": buyer, "email": f"buyer{number:02}@example.com"}
        yield at(rng, rng.randrange(5, 20)), "Buyer.joined", data
    for number in range(60):
        content, day = f"c{number:02}", rng.randrange(20, 300)
        data = {"id": content, "creator": person(rng.randrange(8)), "text": f"Text {number}"}
        price = f"{rng.randrange(3, 60)}.99 USD"
        when = at(rng, day)
        yield when, "Content.uploaded", {**data, "price": price}
        yield when + timedelta(days=2), "Content.published", {"content": content}
        for _ in range(rng.randrange(3)):
            later = when + timedelta(days=rng.randrange(3, 60))
            yield later, "Content.viewed", {"content": content}
            buyer, license = f"b{rng.randrange(40):02}", rng.choice(("once", "subscription"))
            sale = {"buyer": buyer, "content": content, "license": license}
            yield later + timedelta(hours=1), "Purchase.initiated", sale


def viral_loop(rng: Random) -> Iterator[Event]:
    """120 users, most of whom came through another."""
    for number in range(120):
        user, day = f"u{number:03}", number * 2 + 1
        when = at(rng, day)
        yield when, "User.joined", {"id": user, "email": person(number)}
        if number and rng.randrange(5):
            referrer = f"u{rng.randrange(min(number, 8)):03}"
            data = {"referrer": referrer, "referred": user}
            yield when + timedelta(minutes=5), "User.referred", data


def freemium(rng: Random) -> Iterator[Event]:
    """70 accounts: some export more than they may, some use it much, some upgrade."""
    for number in range(70):
        account, day = f"a{number:02}", rng.randrange(1, 280)
        when = at(rng, day)
        yield when, "Account.opened", {"id": account, "email": person(number)}
        for _ in range(rng.choice((3, 10, 25))):
            later = when + timedelta(minutes=rng.randrange(1, 40_000))
            yield later, "Export.made", {"account": account}
        for _ in range(rng.choice((0, 20, 60))):
            later = when + timedelta(minutes=rng.randrange(1, 20_000))
            yield later, "Feature.used", {"account": account, "feature": "charts"}
        for project in range(rng.randrange(6)):
            later = when + timedelta(days=project + 1)
            yield later, "Project.created", {"account": account, "name": f"p{project}"}
        if rng.randrange(3) == 0:
            yield (
                when + timedelta(days=rng.randrange(15, 60)),
                "Account.upgraded",
                {"account": account},
            )


def retention(rng: Random) -> Iterator[Event]:
    """60 accounts: busy, quiet, in trouble, gone, and back."""
    for number in range(4):
        yield at(rng, number * 60), "Feature.released", {"name": f"feature-{number}"}
    for number in range(60):
        account, day = f"a{number:02}", rng.randrange(1, 250)
        when = at(rng, day)
        yield when, "Account.opened", {"id": account, "email": person(number)}
        for _ in range(rng.randrange(12)):
            later = when + timedelta(hours=rng.randrange(1, 2000))
            yield later, "Account.active", {"account": account}
        if number % 4 == 1:
            left = when + timedelta(days=rng.randrange(20, 60))
            yield left, "Account.closed", {"account": account}
            if number % 8 == 1:
                back = left + timedelta(days=rng.randrange(1, 50))
                yield back, "Account.reactivated", {"account": account}


def newsletter(rng: Random) -> Iterator[Event]:
    """100 readers, a third of whom pay for a while; an edition in most weeks."""
    for number in range(100):
        reader, day = f"r{number:02}", rng.randrange(1, 300)
        when = at(rng, day)
        yield when, "Reader.joined", {"id": reader, "email": person(number)}
        if number % 3 == 0:
            paid = when + timedelta(days=rng.randrange(1, 20))
            yield paid, "Reader.upgraded", {"reader": reader}
            if number % 6 == 0:
                left = paid + timedelta(days=rng.randrange(20, 60))
                yield left, "Reader.left", {"reader": reader}
    for week in range(51):
        monday = YEAR + timedelta(days=4 + 7 * week)
        article = {"article": monday.strftime("%Y-%m-%d")}
        if week % 12 == 7:
            dull = {**article, "reason": "nothing new"}
            yield monday + timedelta(hours=20), "Article.rejected", dull
        elif week % 12 != 9:  # on holiday
            hours = rng.choice((17, 30, 44, 70))
            yield monday + timedelta(hours=hours), "Article.approved", article


def api_first(rng: Random) -> Iterator[Event]:
    """30 accounts and what their gateway counted, in batches."""
    for number in range(30):
        account, plan = f"a{number:02}", "scale" if number % 6 == 0 else "developer"
        day = rng.randrange(1, 60)
        when = at(rng, day)
        data = {"id": account, "email": person(number), "plan": plan}
        yield when, "Account.opened", data
        for _ in range(40):
            later = when + timedelta(minutes=rng.randrange(10, 420_000))
            units = rng.randrange(1, 20_000 if plan == "scale" else 300)
            called = {"account": account, "endpoint": "query", "units": units}
            yield later, "API.called", called


YEARS: dict[str, Story] = {
    "api-first": api_first,
    "content-marketplace": content_marketplace,
    "freemium": freemium,
    "newsletter": newsletter,
    "retention": retention,
    "shop": shop,
    "viral-loop": viral_loop,
}
