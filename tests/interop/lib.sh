# Sourced by `run`, `kill-load`, `mqadmin`, `overload`, `flood`, `java-opens-ours` and `upgrade`: jars and flags of the Java clients, and a cuemq server to run them against.
#   CUEMQ_INTEROP_CACHE   where the jars and other clients stay (default: ${XDG_CACHE_HOME:-~/.cache}/cuemq-interop)
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=${CUEMQ_INTEROP_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/cuemq-interop}
server_pid=
# Where clients ask that are given no name server, as host:port; a server with --http is one.
address_server=

die() {
    echo "$*" >&2
    exit 1
}

# usage SCRIPT: prints its opening comment.
usage() {
    sed -n "2,/^[^#]/s/^# \{0,1\}//p" "$1" >&2
    rm -rf "$work"
    trap - EXIT
    exit 2
}

# maven_jars NAME VERSION: prints the folder of the artifact NAME, RocketMQ's mostly, and all it needs, which Maven fetches the
# first time.
maven_jars() {
    local jars=$cache/$1-$2 group=org.apache.rocketmq
    case $1-$2 in rocketmq-client-3.*) group=com.alibaba.rocketmq ;; logback-*) group=ch.qos.logback ;; esac
    mkdir -p "$cache"
    (
        flock 9
        [ ! -e "$jars/complete" ] || exit 0
        echo "fetching $1 $2 into $jars" >&2
        rm -rf "$jars"
        mvn -q -B -ntp -f "$here/pom.xml" -Drocketmq.group=$group -Drocketmq.artifact="$1" -Drocketmq.version="$2" dependency:copy-dependencies \
            -DoutputDirectory="$jars" >"$jars.log" 2>&1 || { cat "$jars.log" >&2; exit 1; }
        touch "$jars/complete"
    ) 9>"$jars.lock" || die "Maven cannot fetch $1 $2; is its repository reachable?"
    echo "$jars"
}

# The netty and fastjson of these old clients must be let into the JDK's packages.
java_flags() {
    local package
    echo -Xmx512m
    echo -XX:TieredStopAtLevel=1
    for package in java.lang java.lang.reflect java.net java.nio java.util jdk.internal.misc jdk.internal.ref sun.nio.ch; do
        echo "--add-opens=java.base/$package=ALL-UNNAMED"
    done
}

# java_sources VERSION: prints the folder of the sources for that client. They are written for 4.x, so what 3.x and 5.x call
# otherwise is renamed, and what uses a part of the interface that a release does not have is left out. 3.5.8 writes the
# local offsets of a broadcasting consumer to offsets.json/UTF-8 and reads them from offsets.json, so it never finds them. A
# consumer of 5.3.3 traces those messages alone that have MSG_REGION, which a broker of 5.x stores and none of 4.x.
java_sources() {
    local sources=$work/sources-$1 renaming='' absent='' file
    case $1 in
        3.*) renaming='s/org\.apache\.rocketmq/com.alibaba.rocketmq/'
             absent='Assigned Batches Broadcasts ExtrasSince43 Filters KillLoad KillOrders KillWaits LitePulling OpenHalves Ordered Overload Requests Resets StoreContents Timers Traces Transactions' ;;
        4.3.*) absent='Assigned LitePulling Requests Timers Traces' ;;
        4.*) absent='Assigned Timers' ;;
        5.*)
            absent=Traces
            renaming='s/org\.apache\.rocketmq\.common\.protocol\./org.apache.rocketmq.remoting.protocol./
                s/org\.apache\.rocketmq\.common\.subscription\./org.apache.rocketmq.remoting.protocol.subscription./' ;;
    esac
    mkdir -p "$sources"
    for file in "$here"/java/*.java; do sed "$renaming" "$file" >"$sources/${file##*/}"; done
    for file in $absent; do rm "$sources/$file.java"; done
    echo "$sources"
}

# compile VERSION: the programs of java/ against that client, into $work/classes-VERSION, with nothing newer than Java 9.
compile() {
    local jars sources
    jars=$(maven_jars rocketmq-client "$1") || exit 1
    sources=$(java_sources "$1")
    javac --release 9 -nowarn -Xlint:none -encoding UTF-8 -cp "$jars/*" -d "$work/classes-$1" "$sources"/*.java 2>"$work/javac.log" ||
        { cat "$work/javac.log" >&2; die "the programs do not compile against $1"; }
}

# run_java VERSION CLASS ARGUMENTS...: the clients log below $work.
run_java() {
    local version=$1 jars flags
    shift
    jars=$(maven_jars rocketmq-client "$version") || exit 1
    mapfile -t flags < <(java_flags)
    exec java "${flags[@]}" -Djava.net.preferIPv4Stack=true -Duser.home="$work/home-$version" \
        -Drocketmq.client.logRoot="$work/logs-$version" -Drocketmq.client.logLevel=WARN -Dfile.encoding=UTF-8 \
        ${address_server:+-Drocketmq.namesrv.domain="$address_server"} \
        -Dclient.version="$version" -cp "$work/classes-$version:$jars/*" "$@"
}

# build_server: prints the path of a release build.
build_server() {
    (cd "$root" && cargo build --locked --release >&2 && realpath "${CARGO_TARGET_DIR:-target}/release/cuemq") ||
        die "the server does not build"
}

# start_server: $server on the data folder $work/data; waits for its line and sets namesrv, broker and server_pid. The
# first start takes any free ports, later ones the same again. Arguments are further flags of the server.
start_server() {
    local line='' stdout=$work/ready ports=(--port "${broker_port:-0}" --namesrv-port "${namesrv_port:-0}")
    [ -p "$stdout" ] || mkfifo "$stdout"
    "$server" server --data "$work/data" "${ports[@]}" "$@" >"$stdout" 2>>"$work/server.log" &
    server_pid=$!
    [ -z "${ready_fd:-}" ] || exec {ready_fd}<&-
    exec {ready_fd}<"$stdout"
    read -r -t 30 -u "$ready_fd" line || true
    if ! [[ $line =~ ^cuemq\ is\ ready:\ name\ server\ ([^ ,]+:([0-9]+)),\ broker\ ([^ ,]+:([0-9]+)), ]]; then
        tail -n 30 "$work/server.log" >&2
        die "the server did not say that it is ready, but: ${line:-nothing}"
    fi
    namesrv=${BASH_REMATCH[1]} namesrv_port=${BASH_REMATCH[2]} broker=${BASH_REMATCH[3]} broker_port=${BASH_REMATCH[4]}
}

# ended PID: waits until a child has ended, for a minute at most; bash says nothing about one that was killed.
ended() {
    timeout 60 tail -s 0.1 --pid="$1" -f /dev/null
} 2>/dev/null

# stop_server: in order; anything but status 0 and no `abort` file left is a failure.
stop_server() {
    local status=0 abort
    kill -TERM "$server_pid"
    ended "$server_pid" || die "the server did not end within a minute when it was told to stop; see $work/server.log"
    wait "$server_pid" || status=$?
    server_pid=
    [ $status -eq 0 ] || die "the server ended with status $status when it was told to stop; see $work/server.log"
    abort=$(find "$work/data" -name abort)
    [ -z "$abort" ] || die "the server stopped in order and left $abort"
}

# kill_server: SIGKILL, and gone when this returns.
kill_server() {
    kill -KILL "$server_pid"
    wait "$server_pid" 2>/dev/null || true
    server_pid=
}

# On exit: no process of ours stays. What was written stays only after a failure.
clean_up() {
    local status=$? pid
    [ -z "$server_pid" ] || kill -KILL "$server_pid" 2>/dev/null || true
    for pid in "${java_pid:-}" "${java_broker_pid:-}" "${java_namesrv_pid:-}"; do
        [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    done
    if [ $status -eq 0 ]; then rm -rf "$work"; else echo "logs and data are kept in $work" >&2; fi
}

work=$(mktemp -d "${TMPDIR:-/tmp}/cuemq-interop.XXXXXX")
trap clean_up EXIT
