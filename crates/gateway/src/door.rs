//! Opening the door: the listener, its connections and its closing.

use crate::error::DoorError;
use crate::lock::Lock;
use crate::mcp::McpDoor;
use crate::peer::Peer;
use crate::routes::router;
use crate::teller::{Doorkeeper, Teller};
use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use imprest_domain::AgentId;
use rmcp::handler::server::ServerHandler;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// How long a request's head may take to arrive; an idle connection is closed after it too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// Largest request head, in bytes.
const MAX_HEAD_BYTES: usize = 64 * 1024;
/// Most connections at once; more wait in the listener's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long requests under way may go on once the desk shuts down.
const CLOSING_GRACE: Duration = Duration::from_secs(5);
/// Pause after the system refused a connection, for example because no file handle is free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The open door.
#[derive(Debug)]
pub struct Door {
    /// Where it listens.
    pub local_addr: SocketAddr,
    /// Base address of the HTTP API, such as `http://127.0.0.1:4040`; the routes begin with `/v1`.
    pub http_url: String,
    /// Address of the MCP server, such as `http://127.0.0.1:4040/mcp`.
    pub mcp_url: String,
    listening: JoinHandle<()>,
}

impl Door {
    /// Waits until the door is shut: some seconds at most after the shutdown was asked for.
    pub async fn closed(self) {
        if let Err(error) = self.listening.await {
            tracing::error!(%error, "the agents' door did not close in order");
        }
    }
}

/// Opens the agents' door on a loopback listener and serves until `shutdown` is cancelled.
///
/// # Errors
/// [`DoorError::NotLoopback`] when other machines could reach the listener, and
/// [`DoorError::Listener`] when it has no address.
pub async fn serve<T, D>(
    listener: TcpListener,
    teller: Arc<T>,
    doorkeeper: Arc<D>,
    shutdown: CancellationToken,
) -> Result<Door, DoorError>
where
    T: Teller<Caller = AgentId>,
    D: Doorkeeper,
{
    let mcp = McpDoor::over_http(teller.clone());
    serve_with(listener, teller, doorkeeper, mcp, shutdown).await
}

/// As [`serve`], with what answers MCP: the desk's own tools, or those with others around them.
pub(crate) async fn serve_with<T, D, H>(
    listener: TcpListener,
    teller: Arc<T>,
    doorkeeper: Arc<D>,
    mcp: H,
    shutdown: CancellationToken,
) -> Result<Door, DoorError>
where
    T: Teller<Caller = AgentId>,
    D: Doorkeeper,
    H: ServerHandler + Clone,
{
    let local_addr = listener.local_addr().map_err(DoorError::Listener)?;
    if !local_addr.ip().is_loopback() {
        return Err(DoorError::NotLoopback { addr: local_addr });
    }
    // MCP's own token: it ends calls under way, so it is cancelled after the grace, not before.
    let stop = CancellationToken::new();
    let lock = Arc::new(Lock::new(doorkeeper, local_addr));
    let router = router(teller, lock, mcp, stop.clone());
    let http_url = format!("http://{local_addr}");
    tracing::info!(%local_addr, "the agents' door is open");
    Ok(Door {
        local_addr,
        mcp_url: format!("{http_url}/mcp"),
        http_url,
        listening: tokio::spawn(listen(listener, router, shutdown, stop)),
    })
}

async fn listen(
    listener: TcpListener,
    router: Router,
    shutdown: CancellationToken,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            // Forgets finished connections as they end.
            Some(_) = connections.join_next() => {}
            accepted = accept(&listener, &places) => {
                if let Some((stream, peer, place)) = accepted {
                    let router = router.clone();
                    let talk = converse(stream, peer, router, HEAD_TIMEOUT, shutdown.clone());
                    connections.spawn(async move {
                        talk.await;
                        drop(place);
                    });
                }
            }
        }
    }
    drop(listener);
    let all_done = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(CLOSING_GRACE, all_done).await.is_err() {
        tracing::warn!("agents' requests were still under way when the door closed");
    }
    stop.cancel();
    connections.shutdown().await;
}

/// The next connection, once there is a place for it; nothing when the system refused one.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, Option<Peer>, OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => {
            let peer = stream.local_addr().ok().map(|door| Peer::new(client, door));
            Some((stream, peer, place))
        }
        Err(error) => {
            tracing::warn!(%error, "the agents' door could not accept a connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// One connection, HTTP/1.1 only, to its end.
async fn converse(
    stream: TcpStream,
    peer: Option<Peer>,
    router: Router,
    head_timeout: Duration,
    shutdown: CancellationToken,
) {
    // Answers are small and someone waits for them. Failing to say so only makes them slower.
    let _ = stream.set_nodelay(true);
    let service = router.map_request(move |mut request: hyper::Request<Incoming>| {
        if let Some(peer) = &peer {
            request.extensions_mut().insert(peer.clone());
        }
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of an agent broke");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a client gets that says this and then nothing more.
    async fn after(said: &str) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let addr = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(addr).await.expect("it listens");
        let (server, _) = listener.accept().await.expect("a connection");
        client.write_all(said.as_bytes()).await.expect("it is read");
        let router = Router::new().fallback(async || "hello");
        let head_timeout = Duration::from_millis(50);
        converse(server, None, router, head_timeout, CancellationToken::new()).await;
        let mut answer = String::new();
        // A reset is as good as an end here.
        let _ = client.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn slow_and_silent_clients_are_hung_up_on() {
        for said in ["", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
            assert!(!after(said).await.contains("hello"), "{said:?} was answered");
        }
        // An idle connection is closed after its answer too.
        assert!(after("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.ends_with("hello"));
    }
}
