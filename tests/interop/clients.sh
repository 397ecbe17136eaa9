# Sourced by `run`, after lib.sh: the clients that are no Java client of RocketMQ's own, each fetched once into the cache by
# the package tool of its language, and the commands that start them as agents/desk.py wants it.

# Nothing is compiled into the source tree.
export PYTHONDONTWRITEBYTECODE=1

# fetched FOLDER COMMAND...: runs the command, which fills the folder of the cache, unless it is complete.
fetched() {
    local folder=$cache/$1
    shift
    mkdir -p "$cache"
    (
        flock 9
        [ ! -e "$folder/complete" ] || exit 0
        echo "fetching into $folder" >&2
        rm -rf "$folder"
        mkdir -p "$folder"
        "$@" "$folder" >"$folder.log" 2>&1 || { tail -n 5 "$folder.log" >&2; exit 1; }
        touch "$folder/complete"
    ) 9>"$folder.lock"
}

fetch_cpp() { python3 -m pip install --quiet --no-deps --target "$1" rocketmq==0.4.4; }
fetch_node() { cp "$here"/agents/node/package*.json "$1" && npm ci --silent --no-audit --no-fund --prefix "$1"; }

# Its modules and what it compiles stay in the cache; go.sum says what they must be.
build_go() {
    export GOMODCACHE=$cache/go-modules GOCACHE=$cache/go-build GOFLAGS='-mod=readonly -modcacherw' GOTOOLCHAIN=local
    mkdir -p "$cache"
    go build -C "$here/agents/go" -o "$work/agent-go" . >"$work/go.log" 2>&1
}

# Our own, whose crates need no folder of the cache.
build_rust() {
    rust_target=${CARGO_TARGET_DIR:-$here/../../target}
    cargo build --quiet --locked -p cuemq-client --features tls --example interop_agent >"$work/rust.log" 2>&1
}

# java_agent VERSION [JSON|ROCKETMQ]: sets `agent` to the Java client of that release with that form of headers.
java_agent() {
    local jars flags
    jars=$(maven_jars rocketmq-client "$1") || exit 1
    [ -d "$work/classes-$1" ] || compile "$1"
    mapfile -t flags < <(java_flags)
    agent=(java "${flags[@]}" -Djava.net.preferIPv4Stack=true -Duser.home="$work/home-$1" -Drocketmq.client.logRoot="$work/logs-$1"
        -Drocketmq.client.logLevel=WARN -Dfile.encoding=UTF-8 -Drocketmq.serialize.type="${2:-JSON}"
        -cp "$work/classes-$1:$jars/*" Agent "$namesrv")
}

# module_agent NAME CLASS FOLDER...: sets `agent` to the class in agents/NAME with the jars of those folders.
module_agent() {
    local name=$1 class=$2 flags path
    shift 2
    # Without the last colon, which would put the working folder on it.
    path=$(printf '%s/*:' "$@") && path=${path%:}
    mapfile -t flags < <(java_flags)
    javac --release 9 -nowarn -Xlint:none -encoding UTF-8 -cp "$path" -d "$work/classes-$name" \
        "$here/java/Desk.java" "$here/agents/$name"/*.java 2>"$work/javac.log" || { cat "$work/javac.log" >&2; die "agents/$name does not compile"; }
    agent=(env OMS_RMQ_DIRECT_NAME_SRV=true java "${flags[@]}" -Djava.net.preferIPv4Stack=true -Duser.home="$work/home-$name"
        -Drocketmq.client.logRoot="$work/logs-$name" -Dfile.encoding=UTF-8 -cp "$work/classes-$name:$path" "$class" "$namesrv")
}

# agent_of CLIENT: sets `agent` to the command of that client, or `reason` to why there is none here.
agent_of() {
    agent=() reason=''
    case $1 in
        *-bin) java_agent "${1%-bin}" ROCKETMQ ;;
        [0-9]*) java_agent "$1" ;;
        go)
            command -v go >/dev/null || { reason='there is no Go here'; return; }
            build_go || { reason="it does not build: $(tail -n 1 "$work/go.log")"; return; }
            mkdir -p "$work/home-go"
            agent=(env HOME="$work/home-go" "$work/agent-go" "$namesrv")
            ;;
        rust)
            build_rust || { reason="it does not build: $(tail -n 1 "$work/rust.log")"; return; }
            mkdir -p "$work/home-rust"
            agent=(env HOME="$work/home-rust" "$rust_target/debug/examples/interop_agent" "$namesrv")
            ;;
        cpp)
            local wheel=$cache/python-rocketmq-0.4.4
            fetched python-rocketmq-0.4.4 fetch_cpp || { reason='pip cannot fetch rocketmq 0.4.4'; return; }
            PYTHONPATH=$wheel python3 -c 'import rocketmq.ffi' 2>"$work/cpp.log" || { reason="its library does not load: $(tail -n 1 "$work/cpp.log")"; return; }
            mkdir -p "$work/home-cpp"
            agent=(env PYTHONPATH="$wheel" HOME="$work/home-cpp" python3 "$here/agents/cpp/agent.py" "$namesrv")
            ;;
        node)
            command -v npm >/dev/null || { reason='there is no npm here'; return; }
            fetched node-ali-ons-3.12.0 fetch_node || { reason='npm cannot fetch ali-ons 3.12.0'; return; }
            agent=(env NODE_PATH="$cache/node-ali-ons-3.12.0/node_modules" node "$here/agents/node/agent.js" "$namesrv")
            ;;
        oms) module_agent oms OmsAgent "$(maven_jars rocketmq-openmessaging 4.3.0)" ;;
        appender) module_agent appender AppenderAgent "$(maven_jars rocketmq-logappender 4.3.0)" "$(maven_jars logback-classic 1.2.13)" ;;
        *) die "there is no client $1; there are ${all_clients[*]}" ;;
    esac
}

# play CLIENT SCENARIO...: the scenarios of agents/ with that client.
play() {
    local client=$1 agent reason command
    shift
    agent_of "$client"
    [ -z "$reason" ] || { echo "SKIP client-$client $reason"; return; }
    command=("${agent[@]}")
    java_agent 4.9.8
    python3 "$here/agents/play.py" "$client" "$work/agent-$client.err" "${command[@]}" -- "${agent[@]}" -- "$@"
}

# mix: each client's producer with each other's consumer, the Java clients with both forms of headers.
mix() {
    local client agent reason groups=()
    for client in 3.5.8 4.3.0 4.9.8 5.3.3 3.5.8-bin 4.3.0-bin 4.9.8-bin 5.3.3-bin rust go cpp node oms appender; do
        agent_of "$client"
        if [ -n "$reason" ]; then echo "SKIP mixed-$client $reason"; else groups+=("$client" "${agent[@]}" --); fi
    done
    python3 "$here/agents/mixed.py" "$work" "${groups[@]}"
}

# build_go_with_tls: the Go client with TLS, which came behind release 2.1.2: CUEMQ_GO_CLIENT is a checkout of its sources.
build_go_with_tls() {
    local mod=$work/go-tls.mod
    cp "$here/agents/go/go.mod" "$mod" && cp "$here/agents/go/go.sum" "$work/go-tls.sum"
    export GOMODCACHE=$cache/go-modules GOCACHE=$cache/go-build GOFLAGS='-mod=mod -modcacherw' GOTOOLCHAIN=local
    go mod edit -replace "github.com/apache/rocketmq-client-go/v2=$CUEMQ_GO_CLIENT" "$mod" &&
        go build -C "$here/agents/go" -modfile "$mod" -tags tls -o "$work/agent-go-tls" . >"$work/go.log" 2>&1
}

# over_tls: clients that have TLS, against servers of their own; the program that is tested must be ours.
over_tls() {
    local client agent reason groups=() namesrv=@namesrv
    [ -n "$server" ] || { echo 'SKIP tls needs a server of its own: give --server'; return; }
    for client in 4.3.0 4.9.8 5.3.3; do
        java_agent "$client"
        groups+=("$client" "${agent[@]}" --)
    done
    agent_of rust
    if [ -n "$reason" ]; then echo "FAIL tls-rust $reason"; else groups+=(rust "${agent[@]}" --); fi
    if [ -z "${CUEMQ_GO_CLIENT:-}" ]; then
        echo 'SKIP tls-go release 2.1.2 has no TLS: CUEMQ_GO_CLIENT may name newer sources'
    elif build_go_with_tls; then
        groups+=(go "$work/agent-go-tls" @namesrv --)
    else
        echo "FAIL tls-go it does not build: $(tail -n 1 "$work/go.log")"
    fi
    python3 "$here/agents/tls.py" "$work" "$server" "${groups[@]}"
}

# in_groups VERSION SCENARIO...: what needs a server of its own, whose queue locks end after 3 s: order, and consumers that are
# sent elsewhere. The Java client of that release renews its locks as often as that takes.
in_groups() {
    local version=$1 classes=$work/classes-$1
    shift
    local scenarios=("$@")
    [ -n "$server" ] || { echo 'SKIP groups needs a server of its own: give --server'; return; }
    [ $# -gt 0 ] || scenarios=(order-holds-in-one-queue order-holds-while-queues-move order-holds-when-the-holder-is-killed reset-by-time-while-consuming)
    [ -d "$classes" ] || compile "$version"
    local work=$work/groups-$version broker_port='' namesrv_port='' ready_fd='' server_pid='' status=0
    mkdir -p "$work"
    ln -s "$classes" "$work/classes-$version"
    printf '[store]\nsegment_bytes = "64 MiB"\n[groups]\nlock_time = "3s"\n' >"$work/cuemq.toml"
    # This runs in a shell of its own, which has no other child.
    trap 'kill -KILL $(jobs -p) 2>/dev/null || true' EXIT
    start_server -c "$work/cuemq.toml"
    (run_java "$version" -Dlock.millis=3000 -Drocketmq.client.rebalance.lockInterval=500 \
        -Drocketmq.client.rebalance.lockMaxLiveTime=1500 -Drocketmq.client.rebalance.waitInterval=1000 Interop "$namesrv" "${scenarios[@]}") || status=$?
    stop_server
    trap - EXIT
    return $status
}
