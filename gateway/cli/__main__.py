"""`python -m gateway.cli`: the same as `holdgate`."""

from gateway.cli import main

main()
