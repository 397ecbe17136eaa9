# Sourced by `java-opens-ours`, `mqadmin` and `rust-on-java`, after lib.sh: a real Java broker on a store, with `cuemq namesrv` as its name
# server unless a Java one was started before.
java_broker_pid=''
java_namesrv_pid=''
# What brokers and name servers get beside their flags. TLS needs classes that new JDKs do not have, unless it is given a certificate.
java_server_options=(-Dtls.server.mode=disabled)
# The folder of `cuemq tls init` to ask the name server with, where that speaks TLS alone.
java_namesrv_tls=''

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A port P that is free, with P - 2 for old clients and P + 1 for slaves.
free_port() {
    local port
    for _ in $(seq 50); do
        port=$((20000 + RANDOM % 10000))
        if ! taken $port && ! taken $((port - 2)) && ! taken $((port + 1)); then echo $port; return; fi
    done
    die "no free port"
}

# start_own_namesrv: a name server of ours on any port; sets namesrv.
start_own_namesrv() {
    local line=''
    rm -f "$work/namesrv-ready"
    mkfifo "$work/namesrv-ready"
    "$server" namesrv --data "$work/namesrv-data" --namesrv-port 0 >"$work/namesrv-ready" 2>>"$work/namesrv.log" &
    java_namesrv_pid=$!
    read -r -t 30 line <"$work/namesrv-ready" || true
    [[ $line =~ name\ server\ ([^ ,]+:[0-9]+) ]] || die "cuemq namesrv did not say that it is ready, but: ${line:-nothing}"
    namesrv=${BASH_REMATCH[1]}
}

# boot PID HOME WHAT: waits until a Java server whose output is HOME/out says that it serves.
boot() {
    for _ in $(seq 600); do
        if grep -qs 'boot success' "$2/out"; then return; fi
        kill -0 "$1" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$2/out" "$work"/java-*.log >&2 || true
    die "$3 does not start"
}

# start_java_namesrv VERSION PORT: a real name server; sets namesrv.
start_java_namesrv() {
    local home=$work/java-namesrv-$1 jars flags
    jars=$(maven_jars rocketmq-namesrv "$1")
    mapfile -t flags < <(java_flags)
    mkdir -p "$home/conf"
    printf '%s\n' "listenPort=$2" "kvConfigPath=$home/kvConfig.json" "configStorePath=$home/namesrv.properties" >"$home/namesrv.conf"
    sed "s|FILE|$work/java-namesrv.log|" "$here/logback.xml" >"$home/conf/logback_namesrv.xml"
    (
        cd "$home"
        ROCKETMQ_HOME=$home exec java "${flags[@]}" -Xmx128m -Djava.net.preferIPv4Stack=true \
            "${java_server_options[@]}" -Duser.home="$home" -cp "$home/conf:$jars/*" org.apache.rocketmq.namesrv.NamesrvStartup -c "$home/namesrv.conf"
    ) >"$home/out" 2>&1 </dev/null &
    java_namesrv_pid=$!
    boot "$java_namesrv_pid" "$home" "the Java name server $1"
    namesrv=127.0.0.1:$2
}

# start_java_broker VERSION STORE SETTINGS [PORT]: waits until it serves, and sets namesrv.
start_java_broker() {
    local version=$1 store=$2 settings=$3 port=${4:-} home=$work/java-broker-$1 jars flags
    jars=$(maven_jars rocketmq-broker "$version")
    mapfile -t flags < <(java_flags)
    mkdir -p "$home/conf"
    [ -n "$port" ] || port=$(free_port)
    [ -n "$java_namesrv_pid" ] || start_own_namesrv
    # The last of several lines counts. Its synchronous flush times out where the log goes on in a new file.
    cat >"$home/broker.conf" <<CONF
$settings
brokerName=broker-a
listenPort=$port
namesrvAddr=$namesrv
brokerIP2=127.0.0.1
storePathRootDir=$store
storePathCommitLog=$store/commitlog
fileReservedTime=9999
flushDiskType=ASYNC_FLUSH
brokerFastFailureEnable=false
CONF
    sed "s|FILE|$work/java-broker.log|" "$here/logback.xml" >"$home/conf/logback_broker.xml"
    # A disk that is nearly full must not make it delete or refuse.
    (
        cd "$home"
        ROCKETMQ_HOME=$home exec java "${flags[@]}" -Xms256m -XX:MaxDirectMemorySize=256m -Djava.net.preferIPv4Stack=true \
            "${java_server_options[@]}" -Drocketmq.broker.diskSpaceWarningLevelRatio=0.99 \
            -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98 -Duser.home="$home" -Drocketmq.client.logRoot="$home/logs" \
            -cp "$home/conf:$jars/*" org.apache.rocketmq.broker.BrokerStartup -c "$home/broker.conf"
    ) >"$home/out" 2>&1 </dev/null &
    java_broker_pid=$!
    boot "$java_broker_pid" "$home" "the Java broker $version"
    python3 "$here/agents/registered.py" "$namesrv" "127.0.0.1:$port" ${java_namesrv_tls:+"$java_namesrv_tls"} ||
        die "the Java broker $version does not register"
}

# stop_java_broker SIGNAL: gone, with its name server, when this returns.
stop_java_broker() {
    leave_java_namesrv "$1"
    kill -TERM "$java_namesrv_pid" 2>/dev/null || true
    wait "$java_namesrv_pid" 2>/dev/null || true
    java_namesrv_pid=''
}

# leave_java_namesrv SIGNAL: the broker is gone when this returns, and its name server stays.
leave_java_namesrv() {
    kill "-$1" "$java_broker_pid" 2>/dev/null || true
    ended "$java_broker_pid" || die "the Java broker did not end within a minute after SIG$1"
    wait "$java_broker_pid" 2>/dev/null || true
    java_broker_pid=''
}
