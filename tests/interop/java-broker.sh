# Sourced by `java-opens-ours`, after lib.sh: a real Java broker on a store, with `cuemq namesrv` as its name server.
java_broker_pid=''
java_namesrv_pid=''

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

# start_java_broker VERSION STORE SETTINGS: waits until it serves, and sets namesrv.
start_java_broker() {
    local version=$1 store=$2 settings=$3 home=$work/java-broker-$1 jars flags line='' port
    jars=$(maven_jars rocketmq-broker "$version")
    mapfile -t flags < <(java_flags)
    mkdir -p "$home/conf"
    port=$(free_port)
    rm -f "$work/namesrv-ready"
    mkfifo "$work/namesrv-ready"
    "$server" namesrv --data "$work/namesrv-data" --namesrv-port 0 >"$work/namesrv-ready" 2>>"$work/namesrv.log" &
    java_namesrv_pid=$!
    read -r -t 30 line <"$work/namesrv-ready" || true
    [[ $line =~ name\ server\ ([^ ,]+:[0-9]+) ]] || die "cuemq namesrv did not say that it is ready, but: ${line:-nothing}"
    namesrv=${BASH_REMATCH[1]}
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
    # A disk that is nearly full must not make it delete or refuse; TLS needs classes that new JDKs do not have.
    (
        cd "$home"
        ROCKETMQ_HOME=$home exec java "${flags[@]}" -Xms256m -XX:MaxDirectMemorySize=256m -Djava.net.preferIPv4Stack=true \
            -Dtls.server.mode=disabled -Drocketmq.broker.diskSpaceWarningLevelRatio=0.99 \
            -Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98 -Duser.home="$home" -Drocketmq.client.logRoot="$home/logs" \
            -cp "$home/conf:$jars/*" org.apache.rocketmq.broker.BrokerStartup -c "$home/broker.conf"
    ) >"$home/out" 2>&1 </dev/null &
    java_broker_pid=$!
    for _ in $(seq 600); do
        if grep -q 'boot success' "$home/out"; then return; fi
        kill -0 "$java_broker_pid" 2>/dev/null || break
        sleep 0.1
    done
    tail -n 20 "$home/out" "$work/java-broker.log" >&2 || true
    die "the Java broker $version does not start on the store"
}

# stop_java_broker SIGNAL: gone, with its name server, when this returns.
stop_java_broker() {
    kill "-$1" "$java_broker_pid" 2>/dev/null || true
    ended "$java_broker_pid" || die "the Java broker did not end within a minute after SIG$1"
    wait "$java_broker_pid" 2>/dev/null || true
    java_broker_pid=''
    kill -TERM "$java_namesrv_pid" 2>/dev/null || true
    wait "$java_namesrv_pid" 2>/dev/null || true
    java_namesrv_pid=''
}
