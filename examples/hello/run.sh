#!/bin/sh
# Start the door signs and the gateway before them. Ctrl-C stops both and keeps the data.
set -eu
cd "$(dirname "$0")"
export HOLDGATE_CONFIG="$PWD/holdgate.yaml" # a shell in which the demo was tried names another one

python3 upstream.py 8450 &
trap 'kill $! 2>/dev/null' EXIT INT TERM

if [ ! -d holdgate-data ]; then
    holdgate init # the settings are here already, so it makes their data folder only
    holdgate keys create office-bot --group office --keep
    holdgate keys create frida --kind human --group facility --role approver --keep
fi

holdgate serve
