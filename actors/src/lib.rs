//! The CueMQ broker and name server as actors, and the program `cuemq`.
//!
//! Logic lives in plain structs; actors are shells around them that own a mailbox and files. [`broker::start`] makes and
//! wires them all; [`supervise`] catches their panics and builds them anew; [`testing`] lets anyone test one of them alone.
//!
//! # The tree
//!
//! As a broker on two cores draws it, with the thread that each child lives on and what happens when it fails:
//!
//! ```text
//! broker
//! |- listener of the name server io-0           restart 3 in 60 s  running
//! |- listener of the broker      io-0           restart 3 in 60 s  running
//! |- name server                 files          restart 3 in 60 s  running
//! |- topics                      files          restart 3 in 60 s  running
//! |- groups                      files          restart 3 in 60 s  running
//! |- offsets                     files          restart 3 in 60 s  running
//! |- filters                     files          restart 3 in 60 s  running
//! |- settings                    files          restart 3 in 60 s  running
//! |- statistics                  upkeep         restart 3 in 60 s  running
//! |- retention                   upkeep         restart 3 in 60 s  running
//! |- flusher                     flusher        fail-stop          running
//! |- allocator                   upkeep         fail-stop          running
//! |- queue flusher               upkeep         restart 3 in 60 s  running
//! |- cold reads                  cold-reads     restart 3 in 60 s  running
//! |- commit log                  log            restart 3 in 60 s  running
//! |- index                       index          restart 3 in 60 s  running
//! |- schedule                    waiting        restart 3 in 60 s  running
//! |- timer index                 upkeep         restart 3 in 60 s  running
//! |- timers                      waiting        restart 3 in 60 s  running
//! |- transactions                waiting        restart 3 in 60 s  running
//! |- lock file                   files          restart 3 in 60 s  running
//! |- rebalance                   io-0           restart 3 in 60 s  running
//! |- registrar                   files          restart 3 in 60 s  running
//! |- hold 0                      io-0           restart 3 in 60 s  running
//! |- hold 1                      io-1           restart 3 in 60 s  running
//! |- egress 0                    io-0           restart 3 in 60 s  running
//! |- egress 1                    io-1           restart 3 in 60 s  running
//! ```
//!
//! Consume queues are started on their first message, under the commit log, and `tls files` where TLS has files. Children are stopped in the reverse of this
//! order. A connection is a task of its I/O thread and stands in no tree.
//!
//! # The messages
//!
//! "Bounded by" is what keeps a mailbox short: actix ignores the mailbox's own bound in `do_send`. A connection has a bounded
//! number of requests and of pulls under way, and all connections together a bounded number of bytes of each class; see
//! [`io::budget`].
//!
//! | message | from | to | bounded by |
//! |---|---|---|---|
//! | `ChildReport` | each child | `BrokerSystem` | a few for each restart in a child's budget |
//! | `Draw`, `HealthOf`, `Summary` | tests and tools | `BrokerSystem` | who asks waits |
//! | `GuardStore` | the start | `BrokerSystem` | once |
//! | `Serve` | `Listener` | `Egress` | the listener's limit of connections |
//! | `AppendBatch` | connections | `CommitLog` | its mailbox, by `try_send`: what finds no room waits with its connection; the budget of bytes |
//! | `Flush` | `CommitLog` | `Flusher` | two under way |
//! | `Flushed` | `Flusher` | `CommitLog` | two under way |
//! | `Allocate` | `CommitLog` | `Allocator` | one under way |
//! | `Pave` | `CommitLog` | `Allocator` | one under way for each file that is written to |
//! | `Reappend` | `Schedule`, `Timers`, `TransactionChecker`, connections | `CommitLog` | one batch under way of each; a connection's requests |
//! | `AddUnits` | `CommitLog` | `ConsumeQueue` | one for each tick; the bytes in flight |
//! | `AddKeys` | `CommitLog` | `Index` | the count of waiting keys; what is beyond is read from the log later |
//! | `Confirmed` | `ConsumeQueue`, `Index` | `CommitLog` | one for each of their syncs |
//! | `Poison` | `ConsumeQueue`, `Index`, `Retention`, `BrokerSystem` | `CommitLog` | once each |
//! | `ForgetTopics` | connections | `CommitLog` | one of a connection at a time |
//! | `Clear` | `CommitLog` | `ConsumeQueue` | one for each queue of a topic that is deleted |
//! | `QueueIdle` | `ConsumeQueue` | `CommitLog` | once for each idle time |
//! | `DropBefore`, `TrimQueues` | `Retention` | `CommitLog` | one under way |
//! | `TrimQueue` | `CommitLog` | `ConsumeQueue` | one for each queue and deletion |
//! | `RemoveFiles` | `ConsumeQueue` | `QueueFlusher` | one for each queue |
//! | `DropKeys` | `Retention` | `Index` | one under way |
//! | `DeleteExpired`, `FollowLog` | connections | `Retention` | one of a connection at a time |
//! | `SyncQueue` | `ConsumeQueue` | `QueueFlusher` | one for each queue |
//! | `Arrived` | `ConsumeQueue` | `Hold` | one for each tick while somebody waits |
//! | `Completed` | `CommitLog` | `Egress` | one for each tick; the budget of bytes |
//! | `Lost` | a dropped batch | `Egress` | the budget of bytes |
//! | `Park` | connections | `Hold` | a connection's pulls that wait |
//! | `Forget` | connections | `Hold` | once for each connection |
//! | `Resume` | `Hold` | `Egress` | what is parked |
//! | `LookUp` | connections | `ColdReads` | a connection's requests under way |
//! | `LookedUp` | `ColdReads` | `Egress` | pulls under way |
//! | `FindByTime`, `FindEarliest`, `FindFirst` | connections | `ColdReads` | a connection's requests under way |
//! | `ReadRecords`, `ReadUnits`, `FindStoreTimes` | connections | `ColdReads` | one of a connection at a time |
//! | `Look` | `Schedule` | itself | one under way |
//! | `Look` (for what waits for its time) | `ConsumeQueue`, `Timers` | `Timers` | one under way of each |
//! | `WriteIndex` | `Timers` | `TimerWriter` | one under way |
//! | `MakeWay` | `Retention` | `Timers` | one under way |
//! | `ExportDelays` | connections | `Schedule` | one of a connection at a time |
//! | `Query` | connections | `Index` | one of a connection at a time |
//! | `Heartbeat`, `Unregister` (of a client) | connections | `Rebalance` | a connection's requests under way |
//! | `PeerClosed` (of a member) | connections | `Rebalance` | once for each connection, and for each request that was under way |
//! | `LockQueues`, `UnlockQueues` | connections | `Rebalance` | a connection's requests under way |
//! | `KeepLocks` | `Rebalance` | `LockFile` | one under way |
//! | `ExportProducers` | connections | `Rebalance` | one of a connection at a time |
//! | `RecallPeers` | `Rebalance` | `Egress` | once in a life of `Rebalance` |
//! | `AskClient` | connections | `Egress` | their requests under way; 1,024 questions wait on a thread |
//! | `TellClients` | connections, `TransactionChecker` | `Egress` | one for each of their requests under way |
//! | `NotifyMembers` | `Rebalance` | `Egress` | one for each changed group and turn |
//! | `ClosePeers` | `Rebalance` | `Egress` | one for each expiry |
//! | `Notify` | `Rebalance` | itself | one under way |
//! | `CommitOffsets`, `FindOffset` | connections | `Offsets` | a connection's requests under way; one of all pulls' commits for each I/O thread |
//! | `FindOffsets`, `FindTopicsOfGroup`, `FindGroupsOfTopic`, `CopyOffsets`, `ForgetOffsets`, `ExportOffsets` | connections, `Retention` | `Offsets` | one of each at a time |
//! | `CreateTopicOnSend`, `CreateDeadLetterTopic` | connections | `Topics` | a connection's requests under way |
//! | `CreateRetryTopic` | `Rebalance`, connections | `Topics` | heartbeats and messages that come back under way |
//! | `CreateOwnTopic` | `TransactionChecker` | `Topics` | three in a life |
//! | `RegisterFilters` | `Rebalance` | `Filters` | heartbeats under way |
//! | `LeaveFilters` | `Rebalance` | `Filters` | one for each look at who is silent |
//! | `FindOrCreateGroup` | `Rebalance`, connections | `Groups` | a connection's requests under way; 1,024 groups of pulls for each I/O thread |
//! | `Save` (of topics, of groups) | `Topics`, `Groups` | itself | one under way |
//! | `TopicsChanged` | `Topics` | `Registrar` | one for each write of the file |
//! | `UpdateTopic`, `UpdateTopics`, `DeleteTopic` | connections | `Topics` | one of a connection at a time |
//! | `UpdateGroup`, `UpdateGroups`, `DeleteGroup`, `ExportGroups` | connections | `Groups` | one of a connection at a time |
//! | `ExportTopics` | `Registrar`, connections | `Topics` | registrations under way; one of a connection at a time |
//! | `MarkOrderTopics` | `Registrar` | `Topics` | one for each registration |
//! | `RegisterNow` | the start; the factories of `NameServer` and `Registrar` | `Registrar` | once for each of their lives |
//! | `RenewTopics` | `Settings` | `Topics` | one for each change of the broker's permission |
//! | `FollowFile` | the program, at a SIGHUP | `Settings` | one at a time |
//! | `TakeNow` | the program, at a SIGHUP | `Watch` | one at a time |
//! | `ChangeSettings`, `TellSettings` | connections | `Settings` | one of a connection at a time |
//! | `FindFigure`, `TellStore` | connections | `Statistics` | one of a connection at a time |
//! | `FindRoute` | connections | `Registrar` | one of a connection at a time |
//! | `Unregister` (of the broker) | the stop | `Registrar` | once |
//! | `NameServerRequest` | connections | `NameServer` | one of a connection at a time |
//! | `PeerClosed` (of a broker) | connections | `NameServer` | once for each connection, and for each request that was under way |
//! | `ClosePeer` | `NameServer` | `Egress` | the number of connections, by `try_send` |
//! | `Settle` | the stop | `CommitLog` | once |
//! | `CloseAll` | the stop | `Egress` | once |
//! | `SaveOffsets` | the stop | `Offsets` | once |
//! | `SaveDelays` | the stop | `Schedule` | once |
//! | `SaveTimers` | the stop | `Timers` | once |
//!
//! [`testing`] has a message of its own: the `Settle` of a probe.

pub mod address_server;
pub mod allocator;
pub mod bench;
pub mod broker;
pub mod cli;
pub mod cold_reads;
pub mod commit_log;
pub mod config;
pub mod config_table;
pub mod consume_queue;
pub mod filter;
pub mod flusher;
pub mod group;
pub mod hold;
pub mod http;
pub mod index;
pub mod io;
pub mod links;
pub mod listener;
pub mod local_time;
pub mod metrics;
pub mod namesrv;
pub mod net;
pub mod offset;
pub mod peer;
pub mod pending;
pub mod placement;
pub mod pulled;
pub mod queue_flusher;
pub mod reappend;
pub mod rebalance;
pub mod registrar;
pub mod retention;
pub mod router;
pub mod rpc_times;
pub mod schedule;
pub mod send_gate;
pub mod set_aside;
pub mod settings;
pub mod slow;
pub mod statistics;
pub mod supervise;
pub mod table_file;
pub mod testing;
pub mod timer;
pub mod tls;
pub mod topic;
pub mod traffic;
pub mod transaction;
pub mod under_way;
