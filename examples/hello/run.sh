#!/bin/sh
# Start the door signs and the gateway before them. Ctrl-C stops both and keeps the data.
set -eu
cd "$(dirname "$0")"
export HOLDGATE_CONFIG="$PWD/holdgate.yaml" # a shell in which the demo was tried names another one

python3 upstream.py 8450 &
trap 'kill $! 2>/dev/null' EXIT INT TERM

if [ ! -d holdgate-data ]; then
    # The settings are here already, so there is nothing to `holdgate init` but the data folder.
    python3 -c 'from pathlib import Path; from gateway.settings import Home; from gateway.setup import prepare
prepare(Home(Path("holdgate.yaml")))'
    holdgate keys create office-bot --group office --keep
    holdgate keys create frida --kind human --group facility --role approver --keep
fi

holdgate serve
