#!/bin/sh
# A node of the stack's Ray cluster: `ray.sh head` or `ray.sh worker`; further words go to `ray start`.
# Environment: RAY_AUTH_TOKEN (the cluster's password), RAY_HEAD (host:port, of a worker).
set -eu
: "${RAY_AUTH_TOKEN:?set RAY_AUTH_TOKEN: whoever reaches an open cluster runs code on it}"
export RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0
role=$1
shift
case $role in
head) exec ray start --head --block --port="${RAY_PORT:-6379}" --include-dashboard=false --disable-usage-stats "$@" ;;
worker) exec ray start --block --address="$RAY_HEAD" "$@" ;;
*) echo "ray.sh head or ray.sh worker, not $role" >&2; exit 2 ;;
esac
