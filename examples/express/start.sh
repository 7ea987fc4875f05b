#!/usr/bin/env bash
# The app with the sidecar beside it. AGENT_APP_URL says where the agent is; the app finds the sidecar there instead,
# behind a key that only it is given. The app starts when the sidecar listens; when one of them ends, so does the other.
set -euo pipefail
cd "$(dirname "$0")"

port=${SIDECAR_EGRESS_PORT:-9800}
key=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')

trap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT
trap 'exit 0' TERM INT

# The front door is not used here. Errors are brief because the handler passes them on to browsers.
SIDECAR_HOST=127.0.0.1 SIDECAR_PORT=0 SIDECAR_EGRESS_PORT=$port SIDECAR_EGRESS_SECRET=$key SIDECAR_EGRESS_KEY=required \
  SIDECAR_ERRORS=brief SIDECAR_AGENTS__DEFAULT__STREAM_DEFAULT=sse sidecar serve &
until (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do
  kill -0 $! 2>/dev/null || wait $!
  sleep 0.1
done

AGENT_APP_URL=http://127.0.0.1:$port/~$key/agents/default node server.js &
wait -n
