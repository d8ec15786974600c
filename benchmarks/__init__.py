"""The workloads of PERFORMANCE.md, each beside its limit and a peer."""
