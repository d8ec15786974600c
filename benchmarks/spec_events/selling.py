"""The years of the businesses in `specs/monetization` that sell goods, services and hours."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random

from .telling import BAD_CARDS, Event, Story, at, later, person

WORK = ("Design", "Review", "Workshop", "Development", "Support")
INDUSTRIES = ("steel", "it", "food", "health")


def marketplace(rng: Random) -> Iterator[Event]:
    """Ten sellers, 25 buyers, some 200 services: most are done, some fail, some are not paid."""
    for number in range(10):
        seller = {"id": f"s{number}", "email": f"seller{number}@example.com"}
        yield at(rng, number), "Seller.joined", {**seller, "account": f"acct_{number}"}
    for number in range(25):
        buyer, joined = f"b{number:02}", at(rng, rng.randrange(10, 200))
        data = {"id": buyer, "email": person(number)}
        if number % 12 == 7:
            data["payment_method"] = rng.choice(BAD_CARDS)
        yield joined, "Buyer.joined", data
        for order in range(rng.randrange(2, 15)):
            transaction, when = f"{buyer}-{order}", later(rng, joined, 1, 160)
            cents = rng.choice((36, 4_900, 9_999, 25_000, 120_050)) if order else 5_000
            asked = {"id": transaction, "buyer": buyer, "seller": f"s{rng.randrange(10)}"}
            amount = f"{cents // 100}.{cents % 100:02} USD"
            yield when, "Transaction.initiated", {**asked, "amount": amount}
            if number % 12 != 7 and cents > 36 and order != 5:
                end = "Service.failed" if rng.randrange(12) == 0 else "Service.completed"
                yield later(rng, when, 1, 20), end, {"transaction": transaction}


def invoices(rng: Random) -> Iterator[Event]:
    """A studio with 20 clients: hours, an invoice a month; paid, paid late, or written off."""
    states = ("NY", "NY", "CA", "TX")
    for number in range(20):
        data = {"id": f"c{number:02}", "email": person(number), "state": rng.choice(states)}
        yield at(rng, number), "Client.added", data
    issued = 0
    for month in range(1, 12):
        end = at(rng, month * 30 + 25)
        for number in range(20):
            if rng.randrange(5) < 2:
                continue
            client, when = f"c{number:02}", end + timedelta(minutes=number)
            for _ in range(rng.randrange(1, 4)):
                quarters = rng.randrange(1, 60)
                hours = f"{quarters // 4}.{quarters % 4 * 25:02}"
                done = {"client": client, "description": rng.choice(WORK), "hours": float(hours)}
                rate = {"rate": f"{rng.choice((90, 120, 145))} USD"}
                yield when - timedelta(hours=rng.randrange(20, 500)), "Work.done", {**done, **rate}
            yield when, "Invoice.generate", {"client": client}
            issued += 1
            yield from _settled(rng, when, f"ST-2026-{issued:04}")


def _settled(rng: Random, when: datetime, number: str) -> Iterator[Event]:
    """What becomes of an invoice: most are paid in time, some late, a few never."""
    end = rng.randrange(20)
    if end < 15:
        yield later(rng, when, 3, 28), "Invoice.pay", {"invoice": number}
    elif end < 18:
        yield later(rng, when, 32, 50), "Invoice.pay", {"invoice": number}
    else:
        gone = {"invoice": number, "reason": "the client is bankrupt"}
        yield later(rng, when, 60, 80), "Invoice.write_off", gone


def dynamic_pricing(rng: Random) -> Iterator[Event]:
    """Six products, 40 customers; a test of three prices that ends in autumn with a winner."""
    for number in range(6):
        product = {"sku": f"p{number}", "name": f"Product {number}"}
        price = f"{rng.randrange(20, 150)}.00 USD"
        stock = {"base_price": price, "inventory": rng.randrange(5, 80)}
        yield at(rng, 1), "Product.listed", {**product, **stock}
    for number in range(40):
        data = {"id": f"c{number:02}", "email": person(number)}
        yield at(rng, 2), "Customer.registered", data
    for _ in range(260):
        pair = {"customer": f"c{rng.randrange(40):02}", "product": f"p{rng.randrange(1, 6)}"}
        when = at(rng, rng.randrange(3, 360))
        yield when, "Product.viewed", pair
        if rng.randrange(4) == 0:
            minutes = rng.choice((5, 12, 25, 90))
            yield when + timedelta(minutes=minutes), "Product.bought", pair
    for _ in range(1_020):
        pair = {"customer": f"c{rng.randrange(40):02}", "product": "p0"}
        when = at(rng, rng.randrange(3, 250))
        yield when, "Test.viewed", pair
        if rng.randrange(9) == 0:
            yield when + timedelta(minutes=20), "Product.bought", pair


def value_pricing(rng: Random) -> Iterator[Event]:
    """30 customers of all sizes, four products, 60 quotes, half of which are accepted."""
    for number, price in enumerate((400, 1_000, 2_500, 9_900)):
        product = {"id": f"p{number}", "name": f"Module {number}", "price": f"{price} USD"}
        yield at(rng, 0), "Product.listed", {**product, "features": ["reports", "audit"][:number]}
    quotes = 0
    for number in range(30):
        customer, when = f"c{number:02}", at(rng, rng.randrange(1, 250))
        sales, people = rng.choice(((300_000, 6), (4_000_000, 40), (80_000_000, 700)))
        data = {"id": customer, "email": person(number), "company": f"Company {number}"}
        size = {"revenue": f"{sales} USD", "employees": people}
        industry = {"industry": rng.choice(INDUSTRIES)}
        yield when, "Customer.registered", {**data, **size, **industry}
        for _ in range(rng.randrange(1, 4)):
            quote, quotes = f"q{quotes:02}", quotes + 1
            asked = {"id": quote, "customer": customer}
            picked = sorted(rng.sample(range(4), rng.randrange(1, 4)))
            products = [{"product": f"p{n}", "quantity": rng.randrange(1, 6)} for n in picked]
            when = later(rng, when, 1, 40)
            yield when, "Quote.requested", {**asked, "products": products}
            if rng.randrange(2):
                yield later(rng, when, 1, 36), "Quote.accepted", {"quote": quote}


def psychological(rng: Random) -> Iterator[Event]:
    """30 products with charm prices, some anchored; bundles; 60 customers who buy."""
    for number in range(30):
        sku, when = f"p{number:02}", at(rng, rng.randrange(1, 90))
        yield when, "Product.listed", {"id": sku, "price": f"{rng.randrange(8, 400)} USD"}
        if number % 3 == 0:
            yield later(rng, when, 1, 60), "Product.anchored", {"product": sku}
    for number in range(60):
        customer, when = f"c{number:02}", at(rng, rng.randrange(95, 250))
        yield when, "Customer.joined", {"id": customer}
        for _ in range(rng.randrange(4)):
            bought = {"customer": customer, "product": f"p{rng.randrange(30):02}"}
            yield later(rng, when, 1, 110), "Product.bought", bought
    for _ in range(24):
        products = [f"p{sku:02}" for sku in sorted(rng.sample(range(30), rng.randrange(1, 5)))]
        yield at(rng, rng.randrange(95, 360)), "Bundle.offered", {"products": products}


YEARS: dict[str, Story] = {
    "monetization/dynamic-pricing": dynamic_pricing,
    "monetization/invoices": invoices,
    "monetization/marketplace": marketplace,
    "monetization/psychological": psychological,
    "monetization/value-pricing": value_pricing,
}
