#!/bin/sh
# Start Ray on this node and stay: as the head, or as a worker of the head that is named.
#
#   head$    examples/ray/node.sh
#   worker$  examples/ray/node.sh <head>:6379
#   head$    make run RECIPE=camreasoner_7b ARGS="cluster.address=<head>:6379 cluster.nodes=2"
#
# Every node has this directory, its environments (make setup RECIPE=...) and the runs directory at
# the same path: a shared file system. Further arguments go to `ray start`, e.g.
# --resources '{"trainer": 1}' for cluster.pin=trainer. RAY_PORT is the head's port. Ray asks for
# the token in ~/.ray/auth_token where there is one: have the same on all nodes, or on none.
set -eu
cd "$(dirname "$0")/../.."
export RAY_USAGE_STATS_ENABLED=0
# verl's driver reserves no GPU; Ray must not hide them from it by an empty CUDA_VISIBLE_DEVICES.
export RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO=0
case "${1:-}" in
    "" | -*) where="--head --port=${RAY_PORT:-6379} --include-dashboard=false" ;;
    *) where="--address=$1" && shift ;;
esac
# shellcheck disable=SC2086  # $where is several arguments
exec .venv/bin/ray start $where --block "$@"
