"""What stands below the options of `bizrun COMMAND --help`: examples, and what exit codes say."""

from __future__ import annotations


def epilog(command: str) -> str | None:
    """Examples and exit codes of a command, as click sets them; None for one without."""
    found = EXAMPLES.get(command)
    if found is None:
        return None
    lines, codes = found
    examples = "\n".join(f"  {line}" for line in lines)
    return f"\b\nExamples:\n{examples}\n\n\b\nExit code:\n" + "\n".join(
        f"  {code.strip()}" for code in codes.split(";")
    )


EXAMPLES: dict[str, tuple[tuple[str, ...], str]] = {
    "run": (
        (
            "bizrun specs/saas.biz",
            "bizrun specs/saas.biz --fresh --until 2027-02-01",
            "tail -n +1 events.jsonl | bizrun specs/saas.biz --events - --json",
        ),
        "0 the run is done; 1 the spec is wrong, or --strict and an event was rejected; "
        "2 the call is wrong; 3 the state, the disk or a provider failed",
    ),
    "check": (
        ("bizrun check specs", "bizrun check --strict --format github specs",
         "bizrun check --explain E0203"),
        "0 fine; 1 something is wrong; 2 the call is wrong",
    ),
    "test": (
        ("bizrun test specs", "bizrun test specs/saas.biz -k trial",
         "bizrun test specs --coverage --cover-min 90"),
        "0 all pass; 1 one failed, or the spec is wrong; 2 the call is wrong",
    ),
    "query": (
        (
            "bizrun query 'Account where .status == \"active\" order by .created_at limit 5'",
            "bizrun query 'sum(Invoice.amount_open where .status == \"sent\")'",
            "bizrun query 'group Payment by .status count' --json",
        ),
        "0 fine; 1 the expression is wrong; 2 the call is wrong; 3 the state can't be read",
    ),
    "events": (
        ("bizrun events --status rejected", "bizrun events retry evt_17"),
        "0 fine; 2 the call is wrong, or there is no such event; 3 the state can't be read",
    ),
    "outbox": (
        ("bizrun outbox --status unknown", "bizrun outbox resolve 4f1d9a succeeded",
         "bizrun outbox stop stripe --reason 'wrong account'"),
        "0 fine; 2 the call is wrong, or there is no such effect; 3 the state can't be read",
    ),
    "preview": (
        ("bizrun preview c017", "bizrun preview c017 --at 2026-05-01 --json"),
        "0 fine; 2 the call is wrong; 3 the state can't be read",
    ),
    "report": (
        ("bizrun report mrr --plot mrr.svg", "bizrun report revenue --from 2026-01 --csv",
         "bizrun report ledger --format beancount --out books.beancount"),
        "0 fine; 2 the call is wrong; 3 the state can't be read",
    ),
    "verify": (
        ("bizrun verify", "bizrun verify --state .bizrun/saas.db --json"),
        "0 the state is sound; 1 it is not, and what is wrong is said; 2 the call is wrong; "
        "3 the state can't be read",
    ),
    "forecast": (
        ("bizrun forecast --months 6", "bizrun forecast --plot ahead.svg --json"),
        "0 fine; 2 the call is wrong; 3 the state can't be read",
    ),
    "backtest": (
        ("bizrun backtest new-prices.biz", "bizrun backtest new-prices.biz --state shop.db --json"),
        "0 fine, whatever differs; 1 the spec is wrong; 2 the call is wrong; "
        "3 the state can't be read",
    ),
    "diff": (
        ("bizrun diff main/shop.biz shop.biz", "bizrun diff old.biz new.biz.yaml --json"),
        "0 fine, whatever differs; 1 a spec is wrong; 2 the call is wrong",
    ),
    "graph": (
        ("bizrun graph specs/saas.biz", "bizrun graph specs/saas.biz --format svg --out saas.svg"),
        "0 fine; 1 the spec is wrong; 2 the call is wrong",
    ),
    "why": (
        ("bizrun why ACME-2026-00013", "bizrun why 4f1d9a --state .bizrun/saas.db --json",
         "bizrun why 'Account c017 status'",
         "bizrun why --not 'email to ada@example.com template welcome'"),
        "0 fine; 2 nothing has that id, or several have; 3 the state can't be read",
    ),
    "backup": (
        ("bizrun backup shop-2026-03-01.db", "bizrun backup /backups/today.db --state shop.db"),
        "0 the copy is there and checked; 2 the call is wrong; 3 the state or the disk fails",
    ),
    "erase": (
        ("bizrun erase c017 --yes", "bizrun erase ada@example.com --state shop.db --json",
         "bizrun erase 'User u9' --yes"),
        "0 it is erased; 2 the call is wrong, or there is nobody like that; "
        "3 the state is in use, or the disk fails",
    ),
    "new": (
        ("bizrun new my-business", "bizrun new shop --template shop"),
        "0 it is there; 2 the folder has something in it, or the call is wrong",
    ),
    "fmt": (
        ("bizrun fmt shop.biz", "bizrun fmt --check specs", "cat shop.biz | bizrun fmt -"),
        "0 fine; 1 --check and something would change, or a file has mistakes; "
        "2 the call is wrong",
    ),
    "convert": (
        ("bizrun convert shop.biz --to yaml -o shop.biz.yaml",
         "bizrun convert shop.biz.yaml --to biz"),
        "0 fine; 1 the spec is wrong; 2 the call is wrong",
    ),
    "schema": (("bizrun schema",), "0 fine; 2 the call is wrong"),
    "serve": (
        ("bizrun serve shop.biz --no-auth", "bizrun serve shop.biz --state shop.db --live",
         "bizrun serve shop.biz --host 0.0.0.0 --port 80 --state postgresql://db/shop"),
        "0 it was told to end; 1 the spec is wrong; 2 the call is wrong; "
        "3 the state, the disk or the address can't be had",
    ),
    "token": (
        ("bizrun token new --scope ingest --state shop.db",
         "bizrun token new --scope read --customer c017", "bizrun token list"),
        "0 fine; 2 the call is wrong; 3 the state can't be read",
    ),
    "push": (
        ("bizrun push stripe shop.biz", "bizrun push stripe shop.biz --apply"),
        "0 fine; 1 the spec is wrong; 2 the call is wrong; 3 Stripe can't be reached",
    ),
    "pull": (
        ("bizrun pull stripe --title 'Bean Street' --out beans.biz",),
        "0 fine; 2 the call is wrong; 3 Stripe can't be reached",
    ),
    "state-hash": (
        ("bizrun state-hash", "bizrun state-hash --state .bizrun/saas.db"),
        "0 fine; 2 the call is wrong; 3 the state can't be read",
    ),
}  # fmt: skip
