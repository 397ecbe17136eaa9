//! Asks an address server which name servers there are (`TopAddressing`): one GET of a page whose first line holds them with
//! `;` between. It may say anything: what it may take is bounded in time and in bytes, and what is no list changes nothing.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, header};
use hyper_util::rt::TokioIo;

use super::WeakClient;
use super::name_servers::addresses_in;
use crate::network::Network;

/// How often it is asked.
const EVERY: Duration = Duration::from_mins(2);
/// How long an answer may take, connection and all.
const LIMIT: Duration = Duration::from_secs(3);
/// The longest head and the longest list, in bytes.
const BYTES_MAX: usize = 16 << 10;
/// The port of one that is named without.
const PORT: u16 = 8080;

/// Why an address server told nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoList {
    #[error("no answer within {} s", LIMIT.as_secs())]
    Silent,
    #[error("cannot connect")]
    Connect(#[from] std::io::Error),
    #[error("its answer cannot be read")]
    Http(#[from] hyper::Error),
    #[error("it answers {0}")]
    Status(StatusCode),
    #[error("its answer is no list of host:port with ; between them")]
    Other,
}

/// Where an address server is, and which page it is asked for.
#[derive(Clone)]
pub(super) struct AddressServer {
    host: String,
    path: String,
}

impl AddressServer {
    /// That of a domain, `host` or `host:port`; with the page of a unit where there is one.
    pub(super) fn new(domain: &str, unit: Option<&str>) -> Self {
        let host = if domain.contains(':') {
            domain.to_owned()
        } else {
            format!("{domain}:{PORT}")
        };
        let path = match unit {
            Some(unit) => format!("/rocketmq/nsaddr-{unit}?nofix=1"),
            None => "/rocketmq/nsaddr".to_owned(),
        };
        Self { host, path }
    }

    /// The name servers: one at least.
    pub(super) async fn ask(&self, network: &dyn Network) -> Result<Vec<String>, NoList> {
        let answer = tokio::time::timeout(LIMIT, self.get(network))
            .await
            .map_err(|_| NoList::Silent)??;
        let text = String::from_utf8(answer).map_err(|_| NoList::Other)?;
        let known = addresses_in(text.trim().lines().next().unwrap_or_default());
        let is_address = |address: &String| {
            let port = address.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
            port.is_some_and(|port| port.is_ok())
        };
        if known.is_empty() || !known.iter().all(is_address) {
            return Err(NoList::Other);
        }
        Ok(known)
    }

    async fn get(&self, network: &dyn Network) -> Result<Vec<u8>, NoList> {
        let stream = TokioIo::new(network.connect(&self.host).await?);
        let (mut sender, connection) = http1::Builder::new().max_buf_size(BYTES_MAX).handshake(stream).await?;
        let request = Request::get(&self.path)
            .header(header::HOST, &self.host)
            .body(String::new());
        let request = request.map_err(|_| NoList::Other)?;
        let mut answer = pin!(async move {
            let answer = sender.send_request(request).await?;
            match answer.status() {
                StatusCode::OK => gather(answer.into_body()).await,
                other => Err(NoList::Status(other)),
            }
        });
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // what it had said before it closed the connection is there to be read
            _ = connection => answer.await,
        }
    }
}

async fn gather(mut body: Incoming) -> Result<Vec<u8>, NoList> {
    let mut all = Vec::new();
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        if let Ok(data) = frame?.into_data() {
            all.extend_from_slice(&data);
        }
        if all.len() > BYTES_MAX {
            return Err(NoList::Other);
        }
    }
    Ok(all)
}

/// Asks again and again, as long as the client is there.
pub(super) async fn follow(client: WeakClient, server: AddressServer, network: Arc<dyn Network>) {
    loop {
        tokio::time::sleep(EVERY).await;
        let told = server.ask(network.as_ref()).await;
        let Some(client) = client.upgrade() else { return };
        match told {
            Ok(addresses) => client.shared.name_servers.replace(addresses),
            Err(error) => tracing::debug!(host = server.host, %error, "the name servers stay as they were"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{BoxFuture, Stream};
    use std::io;
    use std::net::{IpAddr, Ipv4Addr};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// An address server that answers everything with the same bytes, and what it is asked.
    struct Says(&'static str);

    impl Network for Says {
        fn connect<'a>(&'a self, address: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Stream>>> {
            assert_eq!(address, "jmenv.example:8080");
            let (ours, mut theirs) = tokio::io::duplex(1 << 16);
            let answer = self.0;
            tokio::spawn(async move {
                let mut request = vec![0; 1024];
                let length = theirs.read(&mut request).await.unwrap();
                let request = String::from_utf8_lossy(&request[..length]).into_owned();
                assert!(
                    request.starts_with("GET /rocketmq/nsaddr-u?nofix=1 HTTP/1.1\r\n"),
                    "{request}"
                );
                theirs.write_all(answer.as_bytes()).await.unwrap();
            });
            Box::pin(std::future::ready(Ok(Box::new(ours) as Box<dyn Stream>)))
        }

        fn own_address<'a>(&'a self, _toward: &'a str) -> BoxFuture<'a, IpAddr> {
            Box::pin(std::future::ready(IpAddr::V4(Ipv4Addr::LOCALHOST)))
        }
    }

    async fn told(answer: &'static str) -> Result<Vec<String>, NoList> {
        AddressServer::new("jmenv.example", Some("u")).ask(&Says(answer)).await
    }

    #[tokio::test]
    async fn the_first_line_of_the_page_is_the_list() {
        let page = "HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n10.0.0.1:9876; ns:9877\r\n";
        assert_eq!(told(page).await.unwrap(), ["10.0.0.1:9876", "ns:9877"]);
        assert_eq!(told("HTTP/1.0 200 OK\r\n\r\nns:9876").await.unwrap(), ["ns:9876"]);
    }

    #[tokio::test]
    async fn an_answer_that_is_no_list_is_an_error() {
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nns:9876",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "SSH-2.0-nothing of the kind\r\n\r\n",
        ] {
            assert!(told(answer).await.is_err(), "{answer}");
        }
    }
}
