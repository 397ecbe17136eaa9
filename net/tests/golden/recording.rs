//! Loads the recorded frames; their format stands in `testdata/frames/README.md`.

use std::fmt;

use bytes::Bytes;
use cuemq_net::code::RequestCode;

const FILES: [(&str, &str); 3] = [
    ("4.3.0", include_str!("../testdata/frames/4.3.0.txt")),
    ("4.9.8", include_str!("../testdata/frames/4.9.8.txt")),
    ("5.3.3", include_str!("../testdata/frames/5.3.3.txt")),
];

/// One frame and where it comes from.
pub(crate) struct Recorded {
    pub(crate) release: &'static str,
    pub(crate) scenario: &'static str,
    /// The request that this answers, if it is a response and its request was recorded.
    pub(crate) asked: Option<RequestCode>,
    pub(crate) code: i32,
    pub(crate) frame: Bytes,
}

impl fmt::Display for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.release, self.scenario, self.code)
    }
}

/// All recorded frames.
pub(crate) fn all() -> impl Iterator<Item = Recorded> {
    FILES
        .into_iter()
        .flat_map(|(release, lines)| lines.lines().map(move |line| read(release, line)))
}

fn read(release: &'static str, line: &'static str) -> Recorded {
    let words: Vec<_> = line.split(' ').collect();
    let [scenario, _, asked, code, hex] = words[..] else {
        panic!("not five words: {line}")
    };
    let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    Recorded {
        release,
        scenario,
        asked: asked.parse().ok().map(RequestCode),
        code: code.parse().unwrap(),
        frame: (0..hex.len()).step_by(2).map(digits).collect(),
    }
}
