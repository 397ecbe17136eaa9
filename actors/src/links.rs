//! Connections to name servers, by their names, each made when it is first needed and kept until it ends or its name server
//! is left (`NettyRemotingClient` in Java, as far as a broker uses it).

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use cuemq_net::transport::call::{Caller, Settings, over};
use cuemq_storage::hash::Map;
use tokio::sync::{Mutex, Notify};

use crate::net::Net;
use crate::tls;
use crate::tls::server::TlsClient;

/// How long a name server may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The connections.
pub struct Links {
    net: Arc<dyn Net>,
    tls: Option<Arc<TlsClient>>,
    by_name: RefCell<Map<String, Rc<Link>>>,
    lost: Notify,
}

/// The connection to one name server. Its lock is held while it is made, so that those who need it together share it: of two
/// by which a broker registers, the one that ends first could take the broker with it.
type Link = Mutex<Option<Caller>>;

impl Links {
    /// None yet; with TLS where `tls` is given.
    #[must_use]
    pub fn new(net: Arc<dyn Net>, tls: Option<Arc<TlsClient>>) -> Rc<Self> {
        Rc::new(Self {
            net,
            tls,
            by_name: RefCell::default(),
            lost: Notify::new(),
        })
    }

    /// Closes all but those to these.
    pub fn keep(&self, servers: &[String]) {
        self.by_name.borrow_mut().retain(|server, link| {
            let stays = servers.contains(server);
            if let (false, Ok(link)) = (stays, link.try_lock()) {
                link.as_ref().inspect(|caller| caller.close());
            }
            stays
        });
    }

    /// Waits until one of them has ended: its name server may have forgotten what it knew by it.
    pub async fn lost(&self) {
        self.lost.notified().await;
    }

    /// The connection to a name server, given as `host:port`; made where there is none.
    ///
    /// # Errors
    /// Why there is none, in words for the log.
    pub async fn caller(self: &Rc<Self>, server: &str) -> Result<Caller, String> {
        let link = Rc::clone(self.by_name.borrow_mut().entry(server.to_owned()).or_default());
        let mut kept = link.lock().await;
        if let Some(caller) = kept.as_ref().filter(|caller| !caller.is_closed()) {
            return Ok(caller.clone());
        }
        let connecting = async {
            let addresses = self.net.resolve(server).await?;
            let address = addresses.first().copied().ok_or(std::io::ErrorKind::NotFound)?;
            let stream = self.net.connect(address).await?;
            match &self.tls {
                Some(tls) => tls::stream::connect(stream, host_of(server), address, tls.config()).await,
                None => Ok(stream),
            }
        };
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| error.to_string())?,
            Err(_) => return Err(format!("no connection within {} s", CONNECT_TIMEOUT.as_secs())),
        };
        let (caller, _, driver) = over(stream, Settings::default());
        let lost = Rc::downgrade(self);
        drop(actix_rt::spawn(async move {
            if let Err(error) = driver.run().await {
                tracing::debug!(%error, "the connection to a name server has ended");
            }
            if let Some(links) = lost.upgrade() {
                links.lost.notify_one();
            }
        }));
        Ok(kept.insert(caller).clone())
    }
}

/// The host of `host:port`, an IPv6 address without its brackets.
fn host_of(server: &str) -> &str {
    let host = server.rsplit_once(':').map_or(server, |(host, _)| host);
    host.trim_start_matches('[').trim_end_matches(']')
}
