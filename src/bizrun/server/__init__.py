"""The server: events, webhooks and the spec's routes over HTTP. Protocol only, no rules."""
