//! The actor that serves `/healthz`, `/metrics` and `/rocketmq/nsaddr`: an accept loop and a task for each connection, all within the actor, so
//! that they end with it. It is not restarted: nothing but a failing library can end it, and no message waits for it.
//!
//! A connection gets one answer and is closed, so that one that rests or trickles cannot hold its place for long.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, WrapFuture};
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::mpsc;

use super::rates::SAMPLE;
use super::sources::Sources;
use super::{health, scrape};
use crate::listener::BindError;
use crate::net::{Accepted, Listener, Net};
use crate::supervise::{Context, Guarded};

/// Connections that are served at the same time; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 64;
/// The longest header of a request.
const HEADER_BYTES_MAX: usize = 16 << 10;
/// How long a request's header may take.
const HEADER_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const CONNECTION_LIMIT: Duration = Duration::from_secs(30);
/// How long the listener rests when the process has no descriptor to spare.
const REST: Duration = Duration::from_millis(100);

/// What the actor works with.
pub struct HttpParts {
    /// The network.
    pub net: Arc<dyn Net>,
    /// The address to listen on; port 0 lets the kernel pick.
    pub address: SocketAddr,
    /// What is told.
    pub sources: Arc<Sources>,
    /// Is told the real address, or why there is none.
    pub bound: mpsc::UnboundedSender<Result<SocketAddr, BindError>>,
}

/// The actor.
pub struct HttpServer {
    parts: HttpParts,
}

impl HttpServer {
    /// A server that binds its address when it starts.
    #[must_use]
    pub fn new(parts: HttpParts) -> Self {
        Self { parts }
    }

    fn serve(&self, socket: Box<dyn Listener>, ctx: &mut Context<Self>) {
        let routes = Router::new()
            .route("/healthz", get(healthz))
            .route("/metrics", get(metrics))
            .route("/rocketmq/nsaddr", get(name_servers))
            // Clients of a unit ask for a page of their own.
            .route("/rocketmq/nsaddr-{unit}", get(name_servers))
            .with_state(Arc::clone(&self.parts.sources));
        ctx.spawn(accept(socket, routes).into_actor(self));
    }
}

impl Actor for HttpServer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let (net, address) = (Arc::clone(&self.parts.net), self.parts.address);
        let binding = async move {
            let socket = net.bind(address).await?;
            Ok((socket.local_addr()?, socket))
        };
        ctx.wait(binding.into_actor(self).map(move |bound, server, ctx| match bound {
            Ok((address, socket)) => {
                let _ = server.parts.bound.send(Ok(address));
                server.serve(socket, ctx);
            }
            Err(source) => {
                let error = BindError { address, source };
                let again = error.to_string();
                let _ = server.parts.bound.send(Err(error));
                ctx.fail(again);
            }
        }));
        ctx.run_interval(SAMPLE, |server, _| {
            let sources = &server.parts.sources;
            let mut rates = sources.rates.lock().unwrap_or_else(PoisonError::into_inner);
            rates.sample(&sources.traffic, sources.clock.monotonic());
        });
    }
}

async fn accept(mut socket: Box<dyn Listener>, routes: Router) {
    let mut open = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            Some(()) = open.next() => {}
            accepted = socket.accept(), if open.len() < CONNECTIONS_MAX => match accepted {
                Ok(accepted) => open.push(attend(accepted, routes.clone())),
                Err(error) => {
                    tracing::warn!(%error, "HTTP connections cannot be accepted now");
                    tokio::time::sleep(REST).await;
                }
            },
        }
    }
}

/// Serves one request, and ends in any case: in time, and alone when something panics.
async fn attend(accepted: Box<dyn Accepted>, routes: Router) {
    let served = async move {
        let stream = accepted.into_stream()?;
        let connection = http1::Builder::new()
            .keep_alive(false)
            .max_buf_size(HEADER_BYTES_MAX)
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_LIMIT)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes));
        connection.await.map_err(anyhow::Error::from)
    };
    match Guarded::new(tokio::time::timeout(CONNECTION_LIMIT, served)).await {
        Ok(Ok(Ok(()))) => {}
        Ok(Ok(Err(error))) => tracing::debug!(%error, "an HTTP connection has ended early"),
        Ok(Err(_)) => tracing::debug!("an HTTP connection took too long and was closed"),
        Err(panicked) => tracing::error!(%panicked, "an HTTP connection has failed"),
    }
}

async fn healthz(State(sources): State<Arc<Sources>>) -> Response {
    let state = health::of(&sources);
    let status = if state.is_well() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (
        status,
        [(header::CONTENT_TYPE, "application/json")],
        state.body() + "\n",
    )
        .into_response()
}

/// What an address server says: the name servers with `;` between them, and nothing else.
async fn name_servers(State(sources): State<Arc<Sources>>) -> Response {
    match sources.name_servers.get().filter(|known| !known.is_empty()) {
        Some(known) => known.join(";").into_response(),
        None => (
            StatusCode::NOT_FOUND,
            "no name server is known here: give one with -n\n",
        )
            .into_response(),
    }
}

async fn metrics(State(sources): State<Arc<Sources>>) -> Response {
    match scrape::text_of(&sources) {
        Ok(text) => ([(header::CONTENT_TYPE, scrape::CONTENT_TYPE)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
