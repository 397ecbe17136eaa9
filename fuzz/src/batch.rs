//! The body of a batch send: its entries written again are the same body, but for the fields that readers ignore.

use cuemq_net::message::batch;

/// Reads `data` as a batch until its end or its first bad entry.
pub fn run(data: &[u8]) {
    let mut written = Vec::new();
    let mut entries = batch::entries(data);
    let mut is_whole = true;
    for entry in entries.by_ref() {
        let Ok(entry) = entry else {
            is_whole = false;
            break;
        };
        let from = written.len();
        let size = batch::encode(&entry, &mut written).expect("an entry that was read fits its lengths");
        assert_eq!(size, written.len() - from);
        let read = &data[from..from + size];
        assert_eq!(&written[from + 12..], &read[12..]);
    }
    assert!(entries.next().is_none(), "nothing follows an error");
    assert_eq!(
        is_whole,
        written.len() == data.len(),
        "all is read, or what is not is an error"
    );
}
