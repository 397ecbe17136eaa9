//! The generator against a small server on loopback.
//!
//! Where latencies matter the clock is moved by hand, by the server: what the generator measures is then what the server
//! says has passed, however busy the machine is.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use bytes::Bytes;
use cuemq_net::code::ResponseCode;
use cuemq_net::command::Command;
use cuemq_net::frame::{self, HeaderCodec};
use cuemq_storage::clock::{Clock, ManualClock, RealClock};

use super::ask::Caller;
use super::engine::{Engine, Live, Window, Work, now_ns};
use super::floor::Floor;
use super::pull::Pulls;
use super::send::{Message, Sends};
use super::tally::Tally;

const MILLISECOND: u64 = 1_000_000;

fn message(codec: HeaderCodec) -> Message {
    Message {
        codec,
        body_bytes: 10,
        wait: true,
        tag: None,
        keys: false,
        stamped: false,
    }
}

fn sends(codec: HeaderCodec) -> Sends {
    Sends::new(&message(codec), &["T".to_owned()], 4, 1).unwrap()
}

fn window(clock: &dyn Clock, length: Duration) -> Window {
    let start_ns = now_ns(clock);
    Window {
        start_ns,
        from_ns: start_ns,
        until_ns: start_ns + length.as_nanos() as u64,
    }
}

/// Makes a load on one connection with one request in flight.
fn drive<W: Work>(clock: &dyn Clock, address: SocketAddr, rate: Option<u64>, length: Duration, work: W) -> Tally {
    let sockets = vec![TcpStream::connect(address).unwrap()];
    let engine = Engine::new(clock, sockets, 1, rate, window(clock, length), work).unwrap();
    engine.run(&Live::default()).unwrap().0
}

/// Serves one connection until its end: `answer` makes an answer of each request, or `None` to close.
fn serve<'scope>(
    scope: &'scope thread::Scope<'scope, '_>,
    mut answer: impl FnMut(Command) -> Option<Command> + Send + 'scope,
) -> (SocketAddr, ScopedJoinHandle<'scope, u64>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let handle = scope.spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut served = 0;
        loop {
            let mut request = vec![0; frame::PREFIX_BYTES];
            if socket.read_exact(&mut request).is_err() {
                return served;
            }
            request.resize(frame::needed(&request).unwrap(), 0);
            socket.read_exact(&mut request[frame::PREFIX_BYTES..]).unwrap();
            let Some(answer) = answer(Command::decode(&Bytes::from(request)).unwrap()) else {
                return served;
            };
            served += 1;
            let mut out = Vec::new();
            answer.encode(&mut out).unwrap();
            socket.write_all(&out).unwrap();
        }
    });
    (address, handle)
}

#[test]
fn a_server_that_stands_still_shows_in_the_latencies_of_all_that_were_due() {
    // Each answer takes a millisecond of the clock, the 50th takes 500; one request is due each millisecond.
    let clock = Arc::new(ManualClock::new(0));
    thread::scope(|scope| {
        let passing = clock.clone();
        let mut count = 0;
        let (address, server) = serve(scope, move |request| {
            count += 1;
            passing.advance(Duration::from_millis(if count == 50 { 500 } else { 1 }));
            Some(Command::response_to(&request, ResponseCode::SUCCESS))
        });
        let tally = drive(
            &*clock,
            address,
            Some(1000),
            Duration::from_secs(1),
            sends(HeaderCodec::Json),
        );
        assert_eq!(
            tally.latencies.len(),
            1000,
            "every request that was due counts, sent or not"
        );
        let slow = |quantile| tally.latencies.value_at_quantile(quantile) / MILLISECOND;
        assert!(slow(0.04) <= 1, "before the stall: {} ms", slow(0.04));
        assert!(
            (490..=510).contains(&slow(0.5)),
            "most were due behind the stall: {} ms",
            slow(0.5)
        );
        // one less if the generator was not looking between the clock's step and the answer
        assert!(
            (499..=500).contains(&tally.longest_backlog),
            "{} waited",
            tally.longest_backlog
        );
        assert!(
            (490..=510).contains(&tally.messages),
            "{} came within the second",
            tally.messages
        );
        assert_eq!(
            (server.join().unwrap(), tally.never_sent, tally.unanswered),
            (1000, 0, 0)
        );
    });
}

#[test]
fn what_a_standing_server_never_took_counts_with_the_time_it_has_waited() {
    let clock = Arc::new(ManualClock::new(0));
    thread::scope(|scope| {
        let passing = clock.clone();
        let (address, server) = serve(scope, move |request| {
            passing.advance(Duration::from_secs(100));
            Some(Command::response_to(&request, ResponseCode::SUCCESS))
        });
        let tally = drive(
            &*clock,
            address,
            Some(1000),
            Duration::from_secs(1),
            sends(HeaderCodec::Binary),
        );
        let sent = server.join().unwrap();
        assert_eq!(tally.latencies.len(), 1000);
        assert_eq!(tally.never_sent + tally.unanswered + tally.answers, 1000);
        assert!(
            sent <= 2 && tally.messages == 0,
            "{sent} sent, {} within the second",
            tally.messages
        );
        let least = tally.latencies.min() / MILLISECOND;
        assert!(least > 98_900, "each waited for nearly 100 s, the least {least} ms");
    });
}

#[test]
fn answers_are_counted_by_code_with_an_example() {
    let clock = Arc::new(ManualClock::new(0));
    thread::scope(|scope| {
        let passing = clock.clone();
        let mut count = 0;
        let (address, server) = serve(scope, move |request| {
            count += 1;
            passing.advance(Duration::from_millis(1));
            Some(match count % 4 {
                0 => Command::response_to(&request, ResponseCode::SYSTEM_BUSY).with_remark(format!("busy {count}")),
                1 => Command::response_to(&request, ResponseCode::FLUSH_DISK_TIMEOUT),
                _ => Command::response_to(&request, ResponseCode::SUCCESS),
            })
        });
        let length = Duration::from_millis(101);
        let tally = drive(&*clock, address, None, length, sends(HeaderCodec::Binary));
        assert_eq!(server.join().unwrap(), 101);
        // the last answer came when the time was over
        assert_eq!((tally.answers, tally.messages, tally.bytes), (100, 50, 500));
        let found: Vec<_> = tally
            .others
            .iter()
            .map(|(code, answers)| (*code, answers.count, answers.example.clone()))
            .collect();
        assert_eq!(found, [(2, 25, Some("busy 4".to_owned())), (10, 25, None)]);
        assert_eq!(
            (tally.broken.count, tally.unanswered, tally.lost_connections.count),
            (0, 0, 0)
        );
    });
}

#[test]
fn a_lost_connection_ends_the_run_and_is_counted() {
    thread::scope(|scope| {
        let mut count = 0;
        let (address, server) = serve(scope, move |request| {
            count += 1;
            (count <= 3).then(|| Command::response_to(&request, ResponseCode::SUCCESS))
        });
        let tally = drive(
            &RealClock::new(),
            address,
            None,
            Duration::from_secs(60),
            sends(HeaderCodec::Json),
        );
        assert_eq!(server.join().unwrap(), 3);
        assert_eq!(
            (tally.messages, tally.unanswered, tally.lost_connections.count),
            (3, 1, 1)
        );
    });
}

#[test]
fn an_answer_to_no_request_is_broken() {
    let clock = Arc::new(ManualClock::new(0));
    thread::scope(|scope| {
        let passing = clock.clone();
        let (address, _) = serve(scope, move |request| {
            passing.advance(Duration::from_secs(10));
            let mut answer = Command::response_to(&request, ResponseCode::SUCCESS);
            answer.opaque += 1;
            Some(answer)
        });
        let tally = drive(&*clock, address, None, Duration::from_secs(1), sends(HeaderCodec::Json));
        assert_eq!((tally.broken.count, tally.unanswered, tally.messages), (1, 1, 0));
    });
}

/// Ends the floor, also when the test fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// Runs the floor beside a test.
fn beside_the_floor(test: impl FnOnce(SocketAddr)) {
    let is_over = AtomicBool::new(false);
    let (sender, address) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut floor = Floor::bind(([127, 0, 0, 1], 0).into()).unwrap();
            sender.send(floor.address()).unwrap();
            while !is_over.load(Ordering::Acquire) {
                floor.turn(Some(Duration::from_millis(20))).unwrap();
            }
        });
        let _over = Over(&is_over);
        test(address.recv().unwrap());
    });
}

#[test]
fn the_floor_answers_sends_in_either_encoding() {
    beside_the_floor(|address| {
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let topics = ["T-0".to_owned(), "T-1".to_owned()];
            Caller::connect(address)
                .unwrap()
                .make_topics(&message(codec), &topics, 4, 1)
                .unwrap();
            let tally = drive(
                &RealClock::new(),
                address,
                None,
                Duration::from_millis(50),
                sends(codec),
            );
            assert!(tally.messages > 0);
            assert_eq!(
                (tally.messages, tally.others.len(), tally.broken.count),
                (tally.answers, 0, 0)
            );
            assert_eq!(tally.latencies.len(), tally.answers);
        }
    });
}

#[test]
fn the_floor_has_records_to_pull() {
    beside_the_floor(|address| {
        let mut caller = Caller::connect(address).unwrap();
        let queues = caller.queues("T", 2).unwrap();
        for codec in [HeaderCodec::Json, HeaderCodec::Binary] {
            let pulls = Pulls::new(codec, 32, &queues, 1, 0, true).unwrap();
            let tally = drive(&RealClock::new(), address, None, Duration::from_millis(50), pulls);
            assert_eq!(
                (tally.messages, tally.broken.count),
                (tally.answers * 32, 0),
                "{:?}",
                tally.broken.example
            );
            assert!(tally.bytes > tally.messages * 1024);
        }
    });
}
