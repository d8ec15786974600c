"""Pure arithmetic of billing: values in, values out; no clock, no store, no events."""
