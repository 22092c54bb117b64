//! A second node of a chain: it passes on what the first one says, and can fall silent.

use crate::Obstacle;
use std::net::SocketAddr;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A node on 127.0.0.1 that has nothing to say before it is told for whom it speaks.
#[derive(Debug)]
pub struct RelayNode {
    address: SocketAddr,
    speaks_for: watch::Sender<Option<String>>,
    open: JoinHandle<()>,
}

impl RelayNode {
    /// Takes a port; whoever connects is hung up on.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn open() -> Result<RelayNode, Obstacle> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.map_err(|e| Obstacle::io("opening a node", &e))?;
        let address = listener.local_addr().map_err(|e| Obstacle::io("opening a node", &e))?;
        let (speaks_for, told) = watch::channel(None);
        let open = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, told.clone()));
            }
        });
        Ok(RelayNode { address, speaks_for, open })
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// From now on it says what the node at this address says.
    pub fn speak_for(&self, rpc_url: &str) {
        let at = rpc_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        self.speaks_for.send_replace(Some(at));
    }

    /// Hangs up on everybody, and on whoever asks from now on.
    pub fn fall_silent(&self) {
        self.speaks_for.send_replace(None);
    }
}

impl Drop for RelayNode {
    fn drop(&mut self) {
        self.open.abort();
    }
}

async fn pass_on(mut stream: TcpStream, mut told: watch::Receiver<Option<String>>) {
    let node = told.borrow_and_update().clone();
    let Some(node) = node else { return };
    let Ok(mut node) = TcpStream::connect(node).await else { return };
    tokio::select! {
        // A connection that ends is the end of it, whoever ended it.
        _ = tokio::io::copy_bidirectional(&mut stream, &mut node) => {}
        _ = told.changed() => {}
    }
}
