//! Looks twice a second whether the files of TLS have changed, as Java does, and takes new ones into use for the handshakes
//! to come. What was opened with the old ones goes on.
//!
//! What two looks in a row find alike is taken, so that a file that is being written, or a certificate whose key is not there
//! yet, is left alone. What cannot be used is said once, and the old certificate stays. It blocks in reading, so it lives on
//! a thread that may.

use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, AsyncContext, Handler, Message};
use cuemq_storage::disk::Disk;

use super::material::Read;
use super::server::Side;
use crate::supervise::Context;

/// How often files are looked at.
pub const LOOK: Duration = Duration::from_millis(500);

/// Take what the files hold now, without waiting for a second look. From the program, one for each SIGHUP.
#[derive(Message, Clone, Copy, Debug)]
#[rtype(result = "()")]
pub struct TakeNow;

/// What a look found: the contents, or why there are none.
type Found = Result<Read, String>;

/// One side, and what was found of its files.
struct Watched {
    side: Arc<dyn Side>,
    /// What was last taken up, for better or worse.
    taken: Found,
    last: Found,
}

/// The actor.
pub struct Watch {
    disk: Arc<dyn Disk>,
    watched: Vec<Watched>,
}

impl Watch {
    /// Watches the files of these sides.
    #[must_use]
    pub fn new(disk: Arc<dyn Disk>, sides: &[Arc<dyn Side>]) -> Self {
        let watched = sides.iter().map(|side| Watched {
            side: Arc::clone(side),
            taken: Ok(side.in_use()),
            last: Ok(side.in_use()),
        });
        Self {
            watched: watched.collect(),
            disk,
        }
    }

    fn look(&mut self) {
        for watched in &mut self.watched {
            watched.look(self.disk.as_ref());
        }
    }
}

impl Watched {
    fn look(&mut self, disk: &dyn Disk) {
        let found = self.side.files().read(disk).map_err(|error| error.to_string());
        if found == self.last && found != self.taken {
            self.take(found.clone());
            self.taken.clone_from(&found);
        }
        self.last = found;
    }

    fn take_now(&mut self, disk: &dyn Disk) {
        // Whoever asks knows the files to be whole.
        self.last = self.side.files().read(disk).map_err(|error| error.to_string());
        self.look(disk);
    }

    fn take(&self, found: Found) {
        let name = self.side.name();
        let renewed = found.and_then(|contents| self.side.renew(contents).map_err(|error| error.to_string()));
        match renewed {
            Ok(()) => tracing::info!("the changed TLS files of {name} are in use"),
            Err(error) => tracing::error!(
                error,
                "the changed TLS files of {name} cannot be used, and what they held before stays in use: mend them, they are looked at again by themselves"
            ),
        }
    }
}

impl Actor for Watch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.run_interval(LOOK, |watch, _| watch.look());
    }
}

impl Handler<TakeNow> for Watch {
    type Result = ();

    fn handle(&mut self, _: TakeNow, _: &mut Self::Context) {
        for watched in &mut self.watched {
            watched.take_now(self.disk.as_ref());
        }
    }
}
