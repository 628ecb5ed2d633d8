"""What a governed call costs, beside the same call ungoverned. `make bench`, or `python -m bench --help`."""
