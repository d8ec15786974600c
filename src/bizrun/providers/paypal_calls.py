"""What can be called at PayPal: `paypal.<resource>.<method>`, its HTTP method and path.

A `{name}` in a path is a field of the action; the others are the body, or the query of a GET.
Source: PayPal's REST reference (Orders v2, Payments v2, Vault v3, Subscriptions v1, Catalog v1,
Payouts v1, Invoicing v2, Disputes v1, Webhooks v1, Transaction Search v1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


class PayPalCall(NamedTuple):
    """One method of the API."""

    method: str
    path: str

    @property
    def places(self) -> tuple[str, ...]:
        """The fields that stand in the path: they must be given."""
        return tuple(re.findall(r"\{(\w+)\}", self.path))


_ORDERS, _PAYMENTS, _BILLING = "/v2/checkout/orders", "/v2/payments", "/v1/billing"
_INVOICES, _DISPUTES = "/v2/invoicing/invoices", "/v1/customer/disputes"
_TEXT = f"""
orders.create            POST  {_ORDERS}
orders.get               GET   {_ORDERS}/{{id}}
orders.capture           POST  {_ORDERS}/{{id}}/capture
orders.authorize         POST  {_ORDERS}/{{id}}/authorize
authorizations.get       GET   {_PAYMENTS}/authorizations/{{id}}
authorizations.capture   POST  {_PAYMENTS}/authorizations/{{id}}/capture
authorizations.void      POST  {_PAYMENTS}/authorizations/{{id}}/void
captures.get             GET   {_PAYMENTS}/captures/{{id}}
captures.refund          POST  {_PAYMENTS}/captures/{{id}}/refund
refunds.get              GET   {_PAYMENTS}/refunds/{{id}}
setup_tokens.create      POST  /v3/vault/setup-tokens
setup_tokens.get         GET   /v3/vault/setup-tokens/{{id}}
payment_tokens.create    POST  /v3/vault/payment-tokens
payment_tokens.get       GET   /v3/vault/payment-tokens/{{id}}
payment_tokens.list      GET   /v3/vault/payment-tokens
payment_tokens.delete    DELETE /v3/vault/payment-tokens/{{id}}
products.create          POST  /v1/catalogs/products
products.get             GET   /v1/catalogs/products/{{id}}
products.list            GET   /v1/catalogs/products
plans.create             POST  {_BILLING}/plans
plans.get                GET   {_BILLING}/plans/{{id}}
plans.list               GET   {_BILLING}/plans
plans.activate           POST  {_BILLING}/plans/{{id}}/activate
plans.deactivate         POST  {_BILLING}/plans/{{id}}/deactivate
subscriptions.create     POST  {_BILLING}/subscriptions
subscriptions.get        GET   {_BILLING}/subscriptions/{{id}}
subscriptions.revise     POST  {_BILLING}/subscriptions/{{id}}/revise
subscriptions.activate   POST  {_BILLING}/subscriptions/{{id}}/activate
subscriptions.suspend    POST  {_BILLING}/subscriptions/{{id}}/suspend
subscriptions.cancel     POST  {_BILLING}/subscriptions/{{id}}/cancel
subscriptions.capture    POST  {_BILLING}/subscriptions/{{id}}/capture
subscriptions.transactions GET {_BILLING}/subscriptions/{{id}}/transactions
payouts.create           POST  /v1/payments/payouts
payouts.get              GET   /v1/payments/payouts/{{id}}
payout_items.get         GET   /v1/payments/payouts-item/{{id}}
payout_items.cancel      POST  /v1/payments/payouts-item/{{id}}/cancel
invoices.create          POST  {_INVOICES}
invoices.get             GET   {_INVOICES}/{{id}}
invoices.list            GET   {_INVOICES}
invoices.send            POST  {_INVOICES}/{{id}}/send
invoices.remind          POST  {_INVOICES}/{{id}}/remind
invoices.cancel          POST  {_INVOICES}/{{id}}/cancel
disputes.get             GET   {_DISPUTES}/{{id}}
disputes.list            GET   {_DISPUTES}
disputes.accept_claim    POST  {_DISPUTES}/{{id}}/accept-claim
disputes.send_message    POST  {_DISPUTES}/{{id}}/send-message
webhooks.create          POST  /v1/notifications/webhooks
webhooks.get             GET   /v1/notifications/webhooks/{{id}}
webhooks.list            GET   /v1/notifications/webhooks
webhooks.delete          DELETE /v1/notifications/webhooks/{{id}}
transactions.list        GET   /v1/reporting/transactions
"""

CALLS: Mapping[str, PayPalCall] = {
    name: PayPalCall(method, path)
    for name, method, path in (line.split() for line in _TEXT.strip().splitlines())
}
