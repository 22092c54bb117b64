//! Who is at the other end of a loopback connection: the system's user that owns the socket.
//!
//! On Linux the kernel lists every TCP socket of this network namespace with its owner
//! (`/proc/net/tcp` and `tcp6`, described in proc_pid_net(5)); the client's own socket is the line
//! whose two ends are ours, turned round. Elsewhere nobody tells, and then nothing is said.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use tokio::sync::OnceCell;

/// The longest table that is read, in bytes: some hundred thousand sockets.
#[cfg(target_os = "linux")]
const TABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// One connection's other end; found out at most once, when the first credential comes over it.
#[derive(Debug, Clone)]
pub(crate) struct Peer(Arc<Ends>);

#[derive(Debug)]
struct Ends {
    /// The client's end.
    client: SocketAddr,
    /// Our end.
    door: SocketAddr,
    place: OnceCell<Option<String>>,
}

impl Peer {
    pub(crate) fn new(client: SocketAddr, door: SocketAddr) -> Peer {
        Peer(Arc::new(Ends { client, door, place: OnceCell::new() }))
    }

    /// Where the other end is, such as “user 1000”; nothing when that cannot be told.
    pub(crate) async fn place(&self) -> Option<String> {
        let ends = self.0.clone();
        let find = async move {
            // The table can be long, and the kernel makes it while it is read.
            let found = tokio::task::spawn_blocking(move || owner(ends.client, ends.door)).await;
            found.ok().flatten().map(|uid| format!("user {uid}"))
        };
        self.0.place.get_or_init(|| find).await.clone()
    }
}

/// The user that owns the client's socket.
#[cfg(target_os = "linux")]
fn owner(client: SocketAddr, door: SocketAddr) -> Option<u32> {
    use std::io::Read;
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().find_map(|path| {
        let mut table = String::new();
        let file = std::fs::File::open(path).ok()?;
        file.take(TABLE_BYTES_MAX).read_to_string(&mut table).ok()?;
        owner_in(&table, client, door)
    })
}

#[cfg(not(target_os = "linux"))]
fn owner(_client: SocketAddr, _door: SocketAddr) -> Option<u32> {
    None
}

/// The owner of the socket from `client` to `door`, in a table as the kernel prints it.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "only Linux has such a table"))]
fn owner_in(table: &str, client: SocketAddr, door: SocketAddr) -> Option<u32> {
    table.lines().skip(1).find_map(|line| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, remote) = (end(columns.next()?)?, end(columns.next()?)?);
        // State, queues, timer and retransmissions lie between; then a timeout.
        let (uid, inode) = (columns.nth(4)?, columns.nth(1)?);
        let same = local == plain(client) && remote == plain(door);
        // A socket that nobody holds any more has no inode and is listed as the root user's.
        (same && inode != "0").then(|| uid.parse().ok()).flatten()
    })
}

/// `0100007F:0FB4`: the address as words in the machine's own byte order, and the port.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let mut bytes = [0; 16];
            for at in 0..4 {
                bytes[at * 4..at * 4 + 4].copy_from_slice(&word(at)?);
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(plain(SocketAddr::new(ip, port)))
}

/// The same end in one form: an IPv4 address that is written as IPv6 is an IPv4 address.
fn plain(end: SocketAddr) -> SocketAddr {
    SocketAddr::new(end.ip().to_canonical(), end.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As captured on a little-endian machine: a listener, both ends of a connection of user 1000,
    /// two that are closing and have no owner any more, one of user 0, and one half closed.
    #[cfg(target_endian = "little")]
    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     
   0: 0100007F:0FB4 00000000:0000 0A 00000000:00000000 00:00000000 00000000   501        0 41240 1 0000000000000000 100 0 0 10 0                     
   1: 0100007F:0FB4 0100007F:A2F6 01 00000000:00000000 00:00000000 00000000   501        0 41244 1 0000000000000000 20 4 30 10 -1                    
   2: 0100007F:A2F6 0100007F:0FB4 01 00000000:00000000 00:00000000 00000000  1000        0 41243 1 0000000000000000 20 4 0 10 -1                     
   3: 0100007F:A2F8 0100007F:0FB4 06 00000000:00000000 03:00001761 00000000     0        0 0 3 0000000000000000                                      
   4: 0100007F:A2FA 0100007F:0FB4 04 00000000:00000000 00:00000000 00000000     0        0 0 1 0000000000000000                                      
   5: 0100007F:A2FC 0100007F:0FB4 01 00000000:00000000 00:00000000 00000000     0        0 41299 1 0000000000000000 20 4 0 10 -1                     
   6: 0100007F:A2FE 0100007F:0FB4 05 00000000:00000000 00:00000000 00000000  1000        0 41301 1 0000000000000000 20 4 0 10 -1                     
";

    #[cfg(target_endian = "little")]
    const TABLE6: &str = "\
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000001000000:D431 00000000000000000000000001000000:0FB4 01 00000000:00000000 00:00000000 00000000  1001        0 77001 1 0000000000000000 20 4 0 10 -1
   1: 0000000000000000FFFF00000100007F:D432 0000000000000000FFFF00000100007F:0FB4 01 00000000:00000000 00:00000000 00000000  1002        0 77002 1 0000000000000000 20 4 0 10 -1
";

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_client_is_the_line_turned_round() {
        let door = at("127.0.0.1:4020");
        let found = |table, client: &str, door| owner_in(table, at(client), door);
        assert_eq!(found(TABLE, "127.0.0.1:41718", door), Some(1000));
        assert_eq!(found(TABLE, "127.0.0.1:41724", door), Some(0), "the root user’s own");
        assert_eq!(
            found(TABLE, "127.0.0.1:41726", door),
            Some(1000),
            "it still waits for its answer"
        );
        assert_eq!(found(TABLE, "127.0.0.1:41720", door), None, "nobody holds it any more");
        assert_eq!(found(TABLE, "127.0.0.1:41722", door), None, "nobody holds it any more");
        assert_eq!(found(TABLE, "127.0.0.1:9", door), None);
        assert_eq!(found(TABLE, "127.0.0.1:41718", at("127.0.0.1:4021")), None);
        assert_eq!(found(TABLE6, "[::1]:54321", at("[::1]:4020")), Some(1001));
        assert_eq!(found(TABLE6, "127.0.0.1:54322", door), Some(1002), "IPv4 written as IPv6");
    }

    #[test]
    fn other_tables_say_nothing() {
        let (client, door) = (at("127.0.0.1:1"), at("127.0.0.1:2"));
        for table in
            ["", "\n", "a\nb c d", "h\n 0: zz:1 0100007F:2 01", "h\n 0: 01:1 02:2 01 a b c d"]
        {
            assert_eq!(owner_in(table, client, door), None, "{table:?}");
        }
        assert_eq!(end("0100007F"), None);
        assert_eq!(end("€€€00:1"), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn our_own_connection_is_ours() {
        use std::os::unix::fs::MetadataExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let door = listener.local_addr().expect("an address");
        let client = tokio::net::TcpStream::connect(door).await.expect("connects");
        let (_server, from) = listener.accept().await.expect("a connection");
        let own = std::fs::metadata("/proc/self").expect("this process").uid();
        let peer = Peer::new(from, door);
        assert_eq!(peer.place().await, Some(format!("user {own}")));
        drop(client);
        assert_eq!(peer.place().await, Some(format!("user {own}")), "asked once, remembered");
        let stranger = Peer::new(from, at("127.0.0.1:1"));
        assert_eq!(stranger.place().await, None);
    }
}
