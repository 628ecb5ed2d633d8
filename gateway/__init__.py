"""Holdgate: the tool gateway between agents and systems of record."""

__version__ = "0.1.0"
