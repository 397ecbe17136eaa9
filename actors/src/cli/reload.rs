//! SIGHUP: the log file is opened again, files of TLS are taken up at once, and the settings are read again. What a broker
//! can change while it runs is in force then; of the rest a line says what a restart would change. A file that cannot be
//! used changes nothing.

use crate::broker::Running;
use crate::config::file::{Flags, Settings};

/// Does it.
pub(super) async fn reload(running: &Running, flags: &Flags, started: &Settings, name_server_only: bool) {
    super::logs::reopen();
    tracing::info!("a signal to read the settings again");
    let read_again = match Settings::gather(flags, name_server_only) {
        Ok(read_again) => read_again,
        Err(error) => {
            let error = super::complaint::about(&error);
            tracing::error!("the settings cannot be read again, and nothing was changed: {error}");
            return;
        }
    };
    let waiting = started.needs_restart(&read_again);
    match running.reload(read_again.config()).await {
        Ok(changed) => {
            if changed.is_empty() && waiting.is_empty() {
                tracing::info!("no setting has changed");
            }
            for difference in changed {
                tracing::info!("changed: {difference}");
            }
        }
        Err(error) => {
            tracing::error!("no setting was changed: {error}");
            return;
        }
    }
    for difference in waiting {
        tracing::warn!("needs a restart: {difference}");
    }
}
