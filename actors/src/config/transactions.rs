//! How open transactions are checked, as it is set.

use std::time::Duration;

/// What can be set about transactions; the defaults are RocketMQ's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransactionConfig {
    /// Whether half messages are refused (`rejectTransactionMessage`).
    pub reject: bool,
    /// How long a transaction may be open before its producer is asked (`transactionTimeOut`).
    pub timeout: Duration,
    /// How often it is looked which ones are (`transactionCheckInterval`).
    pub check_interval: Duration,
    /// How often a producer is asked before the transaction is given up (`transactionCheckMax`).
    pub check_max: u32,
}

impl Default for TransactionConfig {
    fn default() -> Self {
        Self {
            reject: false,
            timeout: Duration::from_secs(6),
            check_interval: Duration::from_secs(60),
            check_max: 15,
        }
    }
}
