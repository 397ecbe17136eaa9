//! Asks an address server which name servers there are (`TopAddressing` in Java): one GET of a page that holds them with
//! `;` between. It may say anything: what it may take is bounded in time and in bytes, and an answer that is none leaves
//! everything as it was.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::config::peers_in;
use crate::net::Net;

/// How often it is asked.
pub const EVERY: Duration = Duration::from_mins(2);
/// How long an answer may take, connection and all.
const LIMIT: Duration = Duration::from_secs(3);
/// The longest header of an answer.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// The longest list.
const BODY_BYTES_MAX: usize = 16 << 10;
/// The port of one that is named without.
const PORT: u16 = 8080;

/// Where an address server is, and what it is asked for.
#[derive(Clone)]
pub struct AddressServer {
    net: Arc<dyn Net>,
    host: String,
    path: String,
}

impl AddressServer {
    /// The address server of a domain, `host` or `host:port`, and its page of this name.
    #[must_use]
    pub fn new(net: Arc<dyn Net>, domain: &str, page: &str) -> Self {
        let host = if domain.contains(':') {
            domain.to_owned()
        } else {
            format!("{domain}:{PORT}")
        };
        let path = format!("/rocketmq/{page}");
        Self { net, host, path }
    }

    /// The same, asked for the page of a unit.
    #[must_use]
    pub fn of_unit(mut self, unit: &str) -> Self {
        self.path = format!("{}-{unit}?nofix=1", self.path);
        self
    }

    /// The page that is asked for.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}{}", self.host, self.path)
    }

    /// The name servers, as `host:port`: one at least.
    ///
    /// # Errors
    /// When it does not answer in time, or its answer is no such list.
    pub async fn ask(&self) -> Result<Vec<String>> {
        let Ok(answer) = tokio::time::timeout(LIMIT, self.get()).await else {
            bail!("no answer within {} s", LIMIT.as_secs());
        };
        let text = String::from_utf8(answer?)?;
        // Java reads one line.
        let known = peers_in(text.trim().lines().next().unwrap_or_default());
        known
            .filter(|known| !known.is_empty())
            .context("its answer is no list of host:port with ; between them")
    }

    async fn get(&self) -> Result<Vec<u8>> {
        let addresses = self.net.resolve(&self.host).await?;
        let address = *addresses.first().context("its name has no address")?;
        let stream = TokioIo::new(self.net.connect(address).await?);
        let builder = http1::Builder::new().max_buf_size(HEADER_BYTES_MAX).handshake(stream);
        let (mut sender, connection) = builder.await?;
        let request = Request::get(&self.path)
            .header(header::HOST, &self.host)
            .body(String::new())?;
        let mut answer = pin!(async move {
            let answer = sender.send_request(request).await?;
            ensure!(answer.status() == StatusCode::OK, "it answers {}", answer.status());
            Ok(to_bytes(Body::new(answer.into_body()), BODY_BYTES_MAX).await?.to_vec())
        });
        tokio::select! {
            biased;
            answer = &mut answer => answer,
            // What it had said before it closed the connection is there to be read.
            _ = connection => answer.await,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::net::TcpNet;

    /// What is said of an address server that answers everything with these bytes, and what it was asked.
    async fn asked(answer: &'static str) -> (Result<Vec<String>>, String) {
        let mut listener = TcpNet.bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let domain = listener.local_addr().unwrap().to_string();
        let serving = async move {
            let mut stream = listener.accept().await.unwrap().into_stream().unwrap();
            let mut request = vec![0; 1024];
            let mut length = 0;
            while !request[..length].ends_with(b"\r\n\r\n") {
                length += stream.read(&mut request[length..]).await.unwrap();
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            request.truncate(length);
            String::from_utf8(request).unwrap()
        };
        let server = AddressServer::new(Arc::new(TcpNet), &domain, "nsaddr");
        futures_util::future::join(server.ask(), serving).await
    }

    #[actix::test]
    async fn the_first_line_of_the_page_is_the_list() {
        let (known, request) = asked("HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n10.0.0.1:9876; ns:9877\r\n").await;
        assert_eq!(known.unwrap(), ["10.0.0.1:9876", "ns:9877"]);
        assert!(request.starts_with("GET /rocketmq/nsaddr HTTP/1.1\r\n"), "{request}");
        // One that closes the connection instead of giving a length.
        let (known, _) = asked("HTTP/1.0 200 OK\r\n\r\nns:9876").await;
        assert_eq!(known.unwrap(), ["ns:9876"]);
    }

    #[actix::test]
    async fn an_answer_that_is_no_list_is_an_error() {
        for answer in [
            "HTTP/1.1 404 Not Found\r\nContent-Length: 7\r\n\r\nns:9876",
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\nns:9876",
            "SSH-2.0-nothing of the kind\r\n\r\n",
        ] {
            assert!(asked(answer).await.0.is_err(), "{answer}");
        }
    }

    #[test]
    fn a_domain_without_port_has_8080() {
        let url = |domain: &str| AddressServer::new(Arc::new(TcpNet), domain, "nsaddr").url();
        assert_eq!(url("jmenv.tbsite.net"), "http://jmenv.tbsite.net:8080/rocketmq/nsaddr");
        assert_eq!(url("here:80"), "http://here:80/rocketmq/nsaddr");
    }
}
