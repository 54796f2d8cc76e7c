#!/bin/sh
# `reno-sweep …` as a driver within the stack: it joins the cluster as a node without cores, since a driver needs a
# raylet beside it, and leaves it at the end.
set -eu
: "${RAY_AUTH_TOKEN:?set RAY_AUTH_TOKEN}" "${RAY_HEAD:?set RAY_HEAD}"
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
ray start --address="$RAY_HEAD" --num-cpus=0 --num-gpus=0 >&2
status=0
trap 'kill -TERM "$driver" 2>/dev/null' INT TERM
reno-sweep "$@" &
driver=$!
while :; do
    wait "$driver" && status=0 || status=$?
    kill -0 "$driver" 2>/dev/null || break  # a signal ended only the waiting
done
ray stop >&2 || true
exit "$status"
