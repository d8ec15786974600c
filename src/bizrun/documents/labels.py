"""The words of an invoice in the customer's language, and how dates, numbers and money look there.

Babel knows the formats; the digits of a currency's minor unit come from our own table.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from ..currencies import EXPONENTS
from ..values import Money, Number, number_text

DEFAULT = "en"
_CODE = re.compile(r"([A-Z])(?=[\d-])")  # a currency without a sign of its own
_UP = ("api", "apis", "sms", "gb", "mb", "tb", "kb", "cpu", "gpu", "http", "url", "ai", "id", "vm")


@dataclass(frozen=True, slots=True)
class Labels:
    """A language's words, with Babel's locale for all that is counted or dated; `titles` are what
    the author calls meters, coupons and taxes."""

    locale: Any
    words: Mapping[str, str]
    titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """The code of ISO 639, as typst wants it for hyphenation."""
        return str(self.locale.language)

    def __getitem__(self, word: str) -> str:
        return self.words[word]

    def money(self, amount: Money) -> str:
        """`$1,234.50`, `1.234,50 €`; below the minor unit as many digits as the price has."""
        return _money(self.locale, amount.amount, amount.currency)

    def number(self, value: Number) -> str:
        """A quantity with its thousands apart, all of its digits."""
        return _number(self.locale, value)

    def quantity(self, value: Number) -> str:
        """How much of something, to six decimals: an average over a month has many more."""
        exact = Decimal(value)
        if _exponent(exact) < -6 and (short := round(exact, 6)):
            exact = short.normalize()
        return self.number(exact)

    def percent(self, text: str) -> str:
        """A rate such as `8.25%` in the language's own digits and signs."""
        rate = Decimal(text.removesuffix("%"))
        space = "\u00a0" if "\u00a0" in self.locale.percent_formats[None].pattern else ""
        return f"{self.number(rate)}{space}%"

    def day(self, instant: datetime | None, zone: tzinfo) -> str:
        """`31 January 2026` as the language writes it; nothing for no instant."""
        if instant is None:
            return ""
        local = instant.astimezone(zone)
        return _day(self.locale, local.year, local.month, local.day)

    def calendar_day(self, day: date) -> str:
        """`day` of a day of the calendar."""
        return _day(self.locale, day.year, day.month, day.day)

    def days(self, first: datetime, last: datetime, zone: tzinfo) -> str:
        """From one day to another: `Jan 1 – 31, 2026`."""
        start, end = first.astimezone(zone).date(), last.astimezone(zone).date()
        return _days(self.locale, start, end)

    def called(self, kind: str, name: str) -> str:
        """What the author calls it, else its name."""
        return self.titles.get(kind, {}).get(name, name)

    def title(self, meter: str, description: str) -> str:
        """A meter's name as a reader would write it: `api_calls eu` is `API calls · eu`."""
        rest = description.removeprefix(meter).strip()
        if (called := self.called("meter", meter)) != meter:
            return called + (f" · {rest}" if rest else "")
        words = [w.upper() if w in _UP else w for w in meter.replace(".", "_").split("_") if w]
        name = " ".join(words)
        return f"{name[:1].upper()}{name[1:]}" + (f" · {rest}" if rest else "")


def labels(language: Any) -> Labels:
    """The labels for a customer's `locale` or `language`; English where we have no words for it."""
    return _labels(language[:35] if isinstance(language, str) else DEFAULT)


@lru_cache(maxsize=256)
def _labels(language: str) -> Labels:
    from babel import Locale, UnknownLocaleError

    parts = re.findall(r"[A-Za-z0-9]+", language.split(".")[0])
    code = _NAMES.get(parts[0].lower(), parts[0].lower()) if parts else DEFAULT
    if code not in WORDS:
        return _labels(DEFAULT)
    try:
        locale = Locale.parse("_".join([code, *parts[1:]]))
    except (UnknownLocaleError, ValueError):
        locale = Locale.parse(code)
    return Labels(locale, WORDS[code])


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _minus(text: str) -> str:
    return text.replace("-", "\u2212")


@lru_cache(maxsize=4096)
def _money(locale: Any, amount: Decimal, currency: str) -> str:
    places = max(EXPONENTS.get(currency, 2), -_exponent(amount.normalize()))
    pattern = _money_pattern(locale, places)
    text = pattern.apply(amount, locale, currency=currency, currency_digits=False)
    return _minus(_CODE.sub("\\1\u00a0", text))


@lru_cache(maxsize=4096)
def _number(locale: Any, value: Number) -> str:
    text = number_text(value)
    if not text.lstrip("-")[:1].isdigit():
        return text
    places = max(0, -_exponent(Decimal(text)))
    return _minus(_number_pattern(locale, places).apply(Decimal(text), locale))


@cache
def _money_pattern(locale: Any, places: int) -> Any:
    return _with_places(locale.currency_formats["standard"].pattern, places)


@cache
def _number_pattern(locale: Any, places: int) -> Any:
    return _with_places(locale.decimal_formats[None].pattern, places)


def _with_places(pattern: str, places: int) -> Any:
    from babel.numbers import parse_pattern

    found = parse_pattern(pattern)
    found.frac_prec = (places, places)
    return found


@lru_cache(maxsize=4096)
def _day(locale: Any, year: int, month: int, day: int) -> str:
    from babel.dates import format_date

    return format_date(date(year, month, day), "long", locale=locale)


@lru_cache(maxsize=4096)
def _days(locale: Any, start: date, end: date) -> str:
    from babel.dates import format_interval

    return str(format_interval(start, end, "yMMMd", locale=locale))


# What people call their language where a code was meant.
_NAMES = {
    "english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr",
    "fran": "fr", "spanish": "es", "español": "es", "espa": "es", "italian": "it",
    "italiano": "it", "dutch": "nl", "nederlands": "nl", "portuguese": "pt",
}  # fmt: skip

_KEYS = (
    "invoice", "bill_to", "from", "number", "date", "due", "paid_date", "period", "description",
    "quantity", "price", "amount", "subtotal", "discount", "tax", "total", "credit", "paid",
    "amount_due", "page", "to", "free", "flat", "unlimited", "packages", "tax_id", "unused",
    "remaining", "minimum", "maximum", "per", "due_on", "paid_on", "nothing_due", "by_credit",
    "voided", "draft", "uncollectible", "stamp_paid", "stamp_void", "stamp_draft", "pay", "thanks",
    "credited", "reference", "above", "correction", "vat", "credit_note", "note_number",
    "for_invoice", "note_headline", "note_total", "receipt", "payment", "reverse_charge", "seat",
    "user", "carried", "carried_over", "included", "prices_with_tax", "billed", "wallet",
)  # fmt: skip

_TEXTS = {
    "en": """Invoice|Bill to|From|Invoice number|Date of issue|Date due|Date paid|Period|Description
        |Quantity|Unit price|Amount|Subtotal|Discount|Tax|Total|Account credit|Paid|Amount due
        |Page {page} of {pages}|{start} – {end}|free|flat|∞|packages|Tax ID|Unused time on {name}
        |Remaining time on {name}|Top-up to the minimum|Reduction to the maximum|{name} per {unit}
        |{amount} due {day}|{amount} paid on {day}|Nothing is due|Settled by account credit
        |This invoice was voided. Nothing is due.|This is a draft, not a request for payment.
        |This invoice was written off.|Paid|Void|Draft|Pay online|Thank you for your business.
        |{amount} was added to your account credit.|Please give the reference {number}
        |over {bound}|Correction: {name}|VAT
        |Credit note|Credit note number|For invoice|{amount} credited|Total credited|Receipt
        |Payment reference
        |Reverse charge: VAT is due from the customer.|seat|user
        |Carried over|Due with a later invoice|Included
        |Unit prices include tax.
        |Already invoiced|Credit of {amount}""",
    "de": """Rechnung|Rechnung an|Von|Rechnungsnummer|Rechnungsdatum|Fällig am|Bezahlt am
        |Leistungszeitraum|Beschreibung|Menge|Einzelpreis|Betrag|Zwischensumme|Rabatt|Steuer
        |Gesamtbetrag|Guthaben|Bezahlt|Zu zahlen|Seite {page} von {pages}|{start} – {end}|frei
        |pauschal|∞|Pakete|USt-IdNr.|Nicht genutzte Zeit: {name}|Verbleibende Zeit: {name}
        |Aufschlag zum Mindestbetrag|Abzug zum Höchstbetrag|{name} je {unit}
        |{amount} fällig am {day}|{amount} bezahlt am {day}|Es ist nichts zu zahlen
        |Mit Guthaben beglichen|Diese Rechnung wurde storniert. Es ist nichts zu zahlen.
        |Dies ist ein Entwurf, keine Zahlungsaufforderung.|Diese Rechnung wurde ausgebucht.
        |Bezahlt|Storniert|Entwurf|Online bezahlen|Vielen Dank für Ihren Auftrag.
        |{amount} wurden Ihrem Guthaben gutgeschrieben.|Bitte geben Sie {number} als Zweck an
        |über {bound}|Korrektur: {name}|USt.
        |Rechnungskorrektur|Korrekturnummer|Zu Rechnung|{amount} gutgeschrieben
        |Gutgeschrieben|Zahlungsbeleg|Zahlungsreferenz
        |Steuerschuldnerschaft des Leistungsempfängers (Reverse Charge).|Lizenz|Nutzer
        |Übertrag|Wird mit einer späteren Rechnung fällig|Inbegriffen
        |Die Einzelpreise enthalten die Steuer.
        |Bereits berechnet|Guthaben über {amount}""",
    "fr": """Facture|Facturé à|De|Numéro de facture|Date d’émission|Date d’échéance
        |Date de paiement|Période|Description|Quantité|Prix unitaire|Montant|Sous-total|Remise|Taxe
        |Total|Avoir|Payé|Montant dû|Page {page} sur {pages}|{start} – {end}|gratuit|forfait|∞
        |lots|N° de TVA|Temps non utilisé : {name}|Temps restant : {name}
        |Complément au minimum|Réduction au maximum|{name} par {unit}|{amount} à payer le {day}
        |{amount} payés le {day}|Rien à payer|Réglé par avoir
        |Cette facture a été annulée. Rien à payer.
        |Ceci est un brouillon et non une demande de paiement.|Cette facture a été passée en perte.
        |Payée|Annulée|Brouillon|Payer en ligne|Merci de votre confiance.
        |{amount} ont été ajoutés à votre avoir.|Merci d’indiquer la référence {number}
        |plus de {bound}|Correction : {name}|TVA
        |Facture d’avoir|Numéro d’avoir|Sur la facture|{amount} crédités|Total crédité
        |Reçu|Référence du paiement
        |Autoliquidation : la TVA est due par le preneur.|licence|utilisateur
        |Report|À payer avec une prochaine facture|Inclus
        |Les prix unitaires sont TTC.
        |Déjà facturé|Crédit de {amount}""",
    "es": """Factura|Facturar a|De|Número de factura|Fecha de emisión|Vencimiento|Fecha de pago
        |Período|Descripción|Cantidad|Precio unitario|Importe|Subtotal|Descuento|Impuesto|Total
        |Saldo a favor|Pagado|Importe a pagar|Página {page} de {pages}|{start} – {end}|gratis|fijo
        |∞|paquetes|NIF/IVA|Tiempo no utilizado: {name}|Tiempo restante: {name}
        |Complemento hasta el mínimo|Reducción hasta el máximo|{name} por {unit}
        |{amount} a pagar el {day}|{amount} pagado el {day}|No hay nada que pagar
        |Saldada con saldo a favor|Esta factura fue anulada. No hay nada que pagar.
        |Esto es un borrador, no una solicitud de pago.|Esta factura se dio por incobrable.
        |Pagada|Anulada|Borrador|Pagar en línea|Gracias por su confianza.
        |Se han añadido {amount} a su saldo a favor.|Indique la referencia {number}
        |más de {bound}|Corrección: {name}|IVA
        |Factura rectificativa|Número de rectificativa|De la factura|{amount} abonados
        |Total abonado|Recibo|Referencia del pago
        |Inversión del sujeto pasivo.|licencia|usuario
        |Saldo trasladado|Se cobrará con una factura posterior|Incluido
        |Los precios unitarios incluyen impuestos.
        |Ya facturado|Saldo de {amount}""",
    "it": """Fattura|Intestata a|Da|Numero fattura|Data di emissione|Scadenza|Data di pagamento
        |Periodo|Descrizione|Quantità|Prezzo unitario|Importo|Subtotale|Sconto|Imposta|Totale
        |Credito|Pagato|Importo dovuto|Pagina {page} di {pages}|{start} – {end}|gratis|forfait|∞
        |pacchetti|Partita IVA|Tempo non utilizzato: {name}|Tempo rimanente: {name}
        |Integrazione al minimo|Riduzione al massimo|{name} per {unit}|{amount} entro il {day}
        |{amount} pagati il {day}|Nulla da pagare|Saldata con il credito
        |Questa fattura è stata annullata. Nulla da pagare.
        |Questa è una bozza, non una richiesta di pagamento.|Questa fattura è stata stralciata.
        |Pagata|Annullata|Bozza|Paga online|Grazie per la fiducia.
        |{amount} sono stati aggiunti al credito.|Indicare il riferimento {number}
        |oltre {bound}|Correzione: {name}|IVA
        |Nota di credito|Numero della nota|Per la fattura|{amount} accreditati
        |Totale accreditato|Ricevuta|Riferimento del pagamento
        |Inversione contabile (reverse charge).|licenza|utente
        |Riporto|Da pagare con una fattura successiva|Incluso
        |I prezzi unitari comprendono l’imposta.
        |Già fatturato|Credito di {amount}""",
    "nl": """Factuur|Factuur aan|Van|Factuurnummer|Factuurdatum|Vervaldatum|Betaald op|Periode
        |Omschrijving|Aantal|Prijs|Bedrag|Subtotaal|Korting|Btw|Totaal|Tegoed|Betaald|Te betalen
        |Pagina {page} van {pages}|{start} – {end}|gratis|vast|∞|pakketten|Btw-nummer
        |Ongebruikte tijd: {name}|Resterende tijd: {name}|Aanvulling tot het minimum
        |Verlaging tot het maximum|{name} per {unit}|{amount} te betalen op {day}
        |{amount} betaald op {day}|Er is niets te betalen|Met tegoed voldaan
        |Deze factuur is vervallen. Er is niets te betalen.|Dit is een concept, geen betaalverzoek.
        |Deze factuur is afgeschreven.|Betaald|Vervallen|Concept|Online betalen
        |Dank u voor uw vertrouwen.|{amount} is aan uw tegoed toegevoegd.
        |Vermeld de referentie {number}|boven {bound}|Correctie: {name}|Btw
        |Creditnota|Creditnotanummer|Bij factuur|{amount} gecrediteerd
        |Totaal gecrediteerd|Betalingsbewijs|Betalingskenmerk
        |Btw verlegd.|licentie|gebruiker
        |Overdracht|Te betalen met een latere factuur|Inbegrepen
        |De prijzen zijn inclusief btw.
        |Al gefactureerd|Tegoed van {amount}""",
    "pt": """Fatura|Faturar a|De|Número da fatura|Data de emissão|Vencimento|Data de pagamento
        |Período|Descrição|Quantidade|Preço unitário|Valor|Subtotal|Desconto|Imposto|Total|Crédito
        |Pago|Valor a pagar|Página {page} de {pages}|{start} – {end}|grátis|fixo|∞|pacotes|NIF
        |Tempo não utilizado: {name}|Tempo restante: {name}|Complemento até ao mínimo
        |Redução até ao máximo|{name} por {unit}|{amount} a pagar até {day}|{amount} pago em {day}
        |Nada a pagar|Liquidada com crédito|Esta fatura foi anulada. Nada a pagar.
        |Isto é um rascunho, não um pedido de pagamento.|Esta fatura foi dada como incobrável.
        |Paga|Anulada|Rascunho|Pagar online|Obrigado pela confiança.
        |{amount} foram adicionados ao seu crédito.|Indique a referência {number}
        |mais de {bound}|Correção: {name}|IVA
        |Nota de crédito|Número da nota|Da fatura|{amount} creditados|Total creditado
        |Recibo|Referência do pagamento
        |IVA – autoliquidação.|licença|utilizador
        |Transporte|A pagar com uma fatura posterior|Incluído
        |Os preços unitários incluem imposto.
        |Já faturado|Crédito de {amount}""",
}

WORDS: dict[str, dict[str, str]] = {
    code: dict(zip(_KEYS, (" ".join(word.split()) for word in text.split("|")), strict=True))
    for code, text in _TEXTS.items()
}
