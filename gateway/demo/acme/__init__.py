"""Acme, a small company behind an ordinary JSON API: the system of record of the demo and of many tests.

It runs as its own process and shares no code with the gateway, so that its journal is an independent witness of
what really arrived. Start it with `python -m gateway.demo.acme --help`.
"""
