//! As many open transactions as `CUEMQ_HALVES` says: sends are as quick beside them as without. `just long` has a hundred
//! thousand of them; few are here to see that it works, and nothing is judged that depends on the machine.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use cuemq_actors::testing::TestBroker;
use cuemq_net::code::{RequestCode, ResponseCode};
use cuemq_net::command::Command;

use crate::{Connection, number, send_to};

/// What is open unless `CUEMQ_HALVES` says otherwise.
const FEW: u64 = 500;
/// With so many that are open it is judged.
const MANY: u64 = 100_000;
/// Requests under way.
const WINDOW: u64 = 64;
/// A broker looks at all that is open once a minute.
const ROUND: Duration = Duration::from_secs(62);
const ROUNDS: usize = 2;

fn half(number: u64) -> Command {
    let properties = format!("UNIQ_KEY\u{1}{number:032X}\u{2}TRAN_MSG\u{1}true\u{2}PGROUP\u{1}producers\u{2}");
    send_to("Money").with_field("i", properties).with_field("f", 4)
}

fn plain(_: u64) -> Command {
    send_to("Plain").with_body(vec![b'b'; 1024])
}

/// Sends until `is_over` of the number of those that were answered; how many those are.
fn send(address: SocketAddr, message: fn(u64) -> Command, is_over: impl Fn(u64) -> bool) -> u64 {
    let mut client = Connection::to(address);
    let (mut sent, mut answered) = (0, 0);
    while !is_over(answered) {
        while sent - answered < WINDOW {
            client.send(message(sent));
            sent += 1;
        }
        let answer = client.receive();
        assert_eq!(ResponseCode(answer.code), ResponseCode::SUCCESS, "{answer:?}");
        answered += 1;
    }
    answered
}

/// Messages a second while so many transactions are open, and up to how many are in the half topic then.
fn rate(halves: u64, time: Duration) -> (f64, u64) {
    let broker = TestBroker::start();
    let address = broker.broker();
    if halves > 0 {
        send(address, half, |answered| answered >= halves);
    }
    let began = Instant::now();
    let sent = send(address, plain, |_| began.elapsed() >= time);
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = sent as f64 / began.elapsed().as_secs_f64();
    let end = Command::request(RequestCode::GET_MAX_OFFSET)
        .with_field("topic", "RMQ_SYS_TRANS_HALF_TOPIC")
        .with_field("queueId", 0);
    let end = number(&Connection::to(address).ask(end), "offset");
    broker.stop().unwrap();
    (rate, end.unsigned_abs())
}

#[test]
fn open_transactions_cost_sends_next_to_nothing() {
    let halves = std::env::var("CUEMQ_HALVES").map_or(FEW, |count| count.parse().unwrap());
    let time = if halves >= MANY {
        ROUND
    } else {
        Duration::from_millis(100)
    };
    let (mut without, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        without.push(rate(0, time).0);
        let (rate, end) = rate(halves, time);
        assert!(end >= halves, "{end} half messages");
        assert!(halves < MANY || end > halves, "nobody was asked about any");
        beside.push(rate);
    }
    let sum = |rates: &[f64]| rates.iter().sum::<f64>();
    let ratio = sum(&beside) / sum(&without);
    println!("{halves} open: sends in a second {beside:.0?} beside them, {without:.0?} without; ratio {ratio:.3}");
    assert!(halves < MANY || ratio >= 0.9, "{ratio}");
}
