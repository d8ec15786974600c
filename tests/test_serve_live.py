"""`bizrun serve --live` against the fake Stripe: calls fail, the server is killed, all adds up."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

from .fakes.stripe import KEY, SECRET, FakeStripe
from .serving import COMMAND, Served, serving, until

SPEC = """
business "Shop" { currency USD, bills Account }
entity Account { id text key, payment_method text = "pm_card_visa", paid number = 0 }
connect stripe {
  key: env("STRIPE_API_KEY"), webhook_secret: env("STRIPE_WEBHOOK_SECRET"), retries: 30
  pause: 0.001 seconds, rest: 0.01 seconds, timeout: 5 seconds
}
event Customer.signup { id text }
event Thing.bought key account { account Account, price number }
on Customer.signup as signup { create Account { id: signup.id } }
on Thing.bought(account, price) {
  let payment = charge { customer: account, amount: price * 1 USD }
  if payment.status == "succeeded" { update account { paid: .paid + price } }
}
api GET "/accounts/{id}" (id: Account) { return { paid: id.paid } }
"""
# A stored 500 is searched for after a minute, as Stripe's search lags: tests/test_live.py waits.
KINDS = ("429", "503", "lost before", "lost after")
CUSTOMERS, ROUNDS = 5, 4
ACCOUNTS = [f"a{number}" for number in range(CUSTOMERS)]


def paid(served: Served, account: str) -> int:
    found = served.http.get(f"/accounts/{account}", headers=served.headers).json()
    return int(found["paid"])


def environment(fake: FakeStripe) -> dict[str, str]:
    return {
        "STRIPE_API_KEY": KEY, "STRIPE_API_BASE": fake.url, "STRIPE_WEBHOOK_SECRET": SECRET
    }  # fmt: skip


def buy(served: Served, number: int) -> None:
    """Each customer buys something; each event is sent twice, as who got no answer would."""
    for price, account in enumerate(ACCOUNTS, 1):
        signup = {"id": f"s-{account}", "type": "Customer.signup", "data": {"id": account}}
        data = {"account": account, "price": price}
        bought = {"id": f"b-{account}-{number}", "type": "Thing.bought", "data": data}
        served.post(signup)
        statuses = [served.results(bought)[0]["status"] for _ in range(2)]
        assert statuses == ["handled", "duplicate"]


def test_charges_over_kills_and_faults(tmp_path: Path) -> None:
    chance, share = random.Random(5), 0.3

    def faults(method: str, path: str, number: int) -> str | None:
        fails = chance.random() < share
        return chance.choice(KINDS) if fails else None

    with FakeStripe(faults) as fake:
        for number in range(ROUNDS):
            with serving(
                tmp_path, SPEC, "--live", scope="admin", environment=environment(fake)
            ) as served:
                buy(served, number)
                if number < ROUNDS - 1:
                    until(lambda least=number * CUSTOMERS: len(fake.charged()) > least)
                    served.process.kill()
                    served.process.wait()
                else:
                    share = 0  # else the pauses between tries grow beyond a test's patience
                    until(lambda: [paid(served, a) for a in ACCOUNTS] == [4, 8, 12, 16, 20])
                    assert served.stop() == 0
        charged = fake.charged()
    assert fake.failed, "void: no fault fired"
    assert len(charged) == CUSTOMERS * ROUNDS
    assert all(len(amounts) == 1 for amounts in charged.values())
    wanted = sorted(100 * (customer + 1) for customer in range(CUSTOMERS) for _ in range(ROUNDS))
    assert sorted(amount for amounts in charged.values() for amount in amounts) == wanted
    verified = subprocess.run([COMMAND, "verify", "--state", served.state], capture_output=True)
    assert verified.returncode == 0, verified.stdout
    assert KEY not in (tmp_path / "stderr.txt").read_text()
