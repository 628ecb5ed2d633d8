"""The connectors that are compiled in. They load through the same door as anyone's (`holdgate.yaml`, `connectors:`)."""

BUILT_IN: tuple[str, ...] = (
    "connectors.billing",
    "connectors.crm",
    "connectors.tickets",
)
"""Modules, in the order they are loaded."""
