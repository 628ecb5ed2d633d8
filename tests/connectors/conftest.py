"""Acme as a real process, on its first day in every test."""

from tests.acme import acme, shared_acme

__all__ = ["acme", "shared_acme"]
