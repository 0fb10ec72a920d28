# shellcheck shell=bash
# Starts, finds and stops the programs of one cluster. Each has a file in $state/pids with its process id and the moment
# it was started (field 22 of /proc/PID/stat), so that a reused id is never taken for ours, and a log in $state/log.

# born PID: the process's start time in clock ticks; fails when there is no such process.
born() {
  sed -n 's/^.*) //p' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20 | grep .
}

# start NAME COMMAND...: runs the command detached, unless it runs already.
start() {
  local name=$1 pid
  shift
  ! alive "$name" || return 0
  mkdir -p "$state/pids" "$state/log"
  setsid nohup "$@" >>"$state/log/$name.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(born "$pid")" >"$state/pids/$name"
}

# alive NAME: succeeds while the process that `start` made under this name is there.
alive() {
  local pid since
  read -r pid since 2>/dev/null <"$state/pids/$1" || return 1
  [ "$(born "$pid")" = "$since" ] && [ "$(sed -n 's/^State:\t\(.\).*/\1/p' "/proc/$pid/status" 2>/dev/null)" != Z ]
}

# stop NAME...: asks all to end, gives them five seconds together, then kills.
stop() {
  local name pid tries=50
  for name in "$@"; do signal TERM "$name"; done
  for name in "$@"; do
    while alive "$name" && [ "$tries" -gt 0 ]; do
      sleep 0.1
      tries=$((tries - 1))
    done
    signal KILL "$name"
    rm -f "$state/pids/$name"
  done
}

signal() {
  local pid
  if alive "$2" && read -r pid _ <"$state/pids/$2"; then kill "-$1" "$pid" 2>/dev/null || true; fi
}

# wait_for SECONDS WHAT COMMAND...: polls the command until it succeeds; says WHAT and the time, or fails saying so.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2 answer
  shift 2
  until answer=$("$@" 2>&1); do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "gave up waiting for: $what; last answer: $answer (logs: $state/log)" >&2
      return 1
    fi
    sleep 0.1
  done
  say "$what"
}
