"""What an operator can see: log lines, traces and metrics (docs/metrics.md).

No argument, no result and no name that a caller made up is in any of them. Off, they cost a comparison.
"""
