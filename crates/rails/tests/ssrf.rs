//! Nothing of the neighbourhood is reached for an agent, however its address is written or found.
//!
//! The requests are made in a network of their own, where every address there is leads to one
//! listener: it hears of every connection, and of where it was meant to go.
#![cfg(target_os = "linux")]

mod support;

use futures::future::BoxFuture;
use imprest_rails::{AddressGuard, Lookup, Options, Probe, Rails, RailsError, Request};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use support::{get, usdc};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// Set in the process that has the network of its own.
const INSIDE: &str = "IMPREST_NETWORK_OF_ITS_OWN";
/// Makes every address a local one, then becomes the test again.
const ENTER: &str = "ip link set lo up && ip route add local 0.0.0.0/0 dev lo && \
                     ip -6 route add local ::/0 dev lo && exec \"$0\" --exact \"$1\" --nocapture";
/// Somewhere on the public internet.
const PUBLIC: IpAddr = IpAddr::V4(Ipv4Addr::new(93, 184, 215, 14));

/// What is not on the public internet: first address and prefix length. Source: the IANA registries
/// of special-purpose addresses, and the multicast and reserved blocks.
const HOME_V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(169, 254, 169, 254), 32),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    (Ipv4Addr::new(255, 255, 255, 255), 32),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
];
const HOME_V6: [&str; 26] = [
    "::",
    "::1",
    "::2",
    "fe80::1",
    "fe80::ffff:ffff:ffff:ffff",
    "febf::1",
    "fec0::1",
    "feff::1",
    "fc00::1",
    "fd00::1",
    "fdff:ffff::1",
    "ff01::1",
    "ff02::1",
    "ff02::fb",
    "ff0e::1",
    "100::1",
    "100:0:0:1::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2001:2::1",
    "2001:10::1",
    "3fff::1",
    "3fff:fff::1",
    "5f00::1",
    "2002:7f00:1::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
];

fn home_v4() -> Vec<Ipv4Addr> {
    let mut all = Vec::new();
    for (first, bits) in HOME_V4 {
        let size = 1_u64 << (32 - bits);
        for at in [0, size / 2, size - 1] {
            let address = u64::from(u32::from(first)) + at;
            all.push(Ipv4Addr::from(u32::try_from(address).expect("within the block")));
        }
    }
    all.dedup();
    all
}

/// An address as people, programs and attackers write it.
fn written(address: Ipv4Addr) -> Vec<String> {
    let number = u32::from(address);
    let [a, b, c, d] = address.octets();
    let (high, low) = (number >> 16, number & 0xffff);
    let fullwidth: String = address
        .to_string()
        .chars()
        .map(|c| match c.to_digit(10) {
            Some(digit) => char::from_u32(0xff10 + digit).expect("a digit"),
            None => '。',
        })
        .collect();
    let escaped: String = address.to_string().bytes().map(|byte| format!("%{byte:02x}")).collect();
    vec![
        address.to_string(),
        format!("{address}."),
        number.to_string(),
        format!("0x{number:x}"),
        format!("0{number:o}"),
        format!("0x{a:x}.0x{b:x}.0x{c:x}.0x{d:x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("000{a:o}.0x0{b:x}.{}", u32::from(c) << 8 | u32::from(d)),
        format!("{a}.{}", number & 0x00ff_ffff),
        fullwidth,
        escaped,
        format!("[::ffff:{address}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:ffff:{high:x}:{low:x}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[::{high:x}:{low:x}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[64:ff9b:1::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[2001:0:5db8:d70e:0:0:{:x}:{:x}]", high ^ 0xffff, low ^ 0xffff),
    ]
}

/// Answers each name with the addresses that it was given, one list after the other.
#[derive(Default)]
struct Names {
    known: Mutex<BTreeMap<String, Vec<Vec<IpAddr>>>>,
    asked: AtomicUsize,
}

struct Book(Arc<Names>);

impl Lookup for Book {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let mut known = self.0.known.lock().expect("names");
        let answers = known.get_mut(name);
        let found =
            answers.map(|lists| if lists.len() > 1 { lists.remove(0) } else { lists[0].clone() });
        Box::pin(async move { found.ok_or_else(|| io::Error::other("no such name")) })
    }
}

/// Hears of every connection in this network.
struct Spy {
    port: u16,
    met: Arc<Mutex<Vec<IpAddr>>>,
}

impl Spy {
    async fn listen() -> Spy {
        let any: SocketAddr = (Ipv6Addr::UNSPECIFIED, 0).into();
        let listener = TcpListener::bind(any).await.expect("a socket");
        let port = listener.local_addr().expect("its address").port();
        let met: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
        let heard = Arc::clone(&met);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let meant = stream.local_addr().expect("where it was meant to go").ip();
                heard.lock().expect("notes").push(meant.to_canonical());
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
                });
            }
        });
        Spy { port, met }
    }

    fn met(&self) -> Vec<IpAddr> {
        std::mem::take(&mut *self.met.lock().expect("notes"))
    }
}

struct Street {
    spy: Spy,
    names: Arc<Names>,
    rails: Rails,
}

impl Street {
    async fn open() -> Street {
        let names = Arc::new(Names::default());
        let guard = AddressGuard::new(Book(Arc::clone(&names)));
        let rails = Rails::new(Options::new(guard, vec![usdc()])).expect("rails");
        Street { spy: Spy::listen().await, names, rails }
    }

    fn name(&self, name: &str, answers: Vec<Vec<IpAddr>>) {
        self.names.known.lock().expect("names").insert(name.to_owned(), answers);
    }

    fn request(&self, host: &str) -> Result<Request, RailsError> {
        let url = format!("http://{host}:{}/", self.spy.port);
        Request::new("GET", &url, [], bytes::Bytes::new())
    }

    /// Asks, and says whether the guard kept the request at home.
    async fn is_refused(&self, host: &str) -> bool {
        match self.request(host) {
            Err(RailsError::BadUrl { .. }) => true,
            Err(other) => panic!("{host}: {other:?}"),
            Ok(request) => match self.rails.quote(&request).await {
                Err(RailsError::AddressRefused { .. }) => true,
                // A spelling that is no number for any reader is a name, and nobody has it.
                Err(RailsError::Unreachable { .. }) => true,
                other => panic!("{host}: {other:?}"),
            },
        }
    }
}

#[test]
fn nothing_of_the_neighbourhood_is_reached() {
    let own = std::env::current_exe().expect("this program");
    let test = "nothing_of_the_neighbourhood_is_reached";
    if std::env::var_os(INSIDE).is_none() {
        let status = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", ENTER])
            .args([own.as_os_str(), test.as_ref()])
            .env(INSIDE, "1")
            .status()
            .expect("unshare starts; it is part of util-linux, and `ip` of iproute2");
        assert!(status.success(), "in a network of its own: {status}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(inside());
}

async fn inside() {
    let street = Street::open().await;
    the_spy_hears(&street).await;

    let mut cases = 0;
    for address in home_v4() {
        for host in written(address) {
            assert!(street.is_refused(&host).await, "{host}");
            cases += 1;
        }
    }
    for address in HOME_V6 {
        assert!(street.is_refused(&format!("[{address}]")).await, "{address}");
        cases += 1;
    }
    let v6 = HOME_V6.map(|text| text.parse::<IpAddr>().expect("an address"));
    let all: Vec<IpAddr> = home_v4().into_iter().map(IpAddr::V4).chain(v6).collect();
    for (at, home) in all.iter().enumerate() {
        let name = |kind: &str| format!("{kind}{at}.example");
        street.name(&name("alone"), vec![vec![*home]]);
        street.name(&name("beside"), vec![vec![PUBLIC, *home]]);
        street.name(&name("before"), vec![vec![*home, PUBLIC]]);
        for kind in ["alone", "beside", "before"] {
            assert!(street.is_refused(&name(kind)).await, "{kind} {home}");
            cases += 1;
        }
    }
    assert_eq!(street.spy.met(), Vec::<IpAddr>::new(), "connections to the neighbourhood");

    // A name that is public once and home from then on.
    for (at, home) in all.iter().enumerate() {
        let name = format!("turncoat{at}.example");
        street.name(&name, vec![vec![PUBLIC], vec![*home]]);
        let request = street.request(&name).expect("a good request");
        let before = street.names.asked.load(Ordering::SeqCst);
        let first = street.rails.quote(&request).await;
        assert!(matches!(first, Ok(Probe::Free(_))), "{name}: {first:?}");
        assert_eq!(street.names.asked.load(Ordering::SeqCst), before + 1, "looked up once");
        assert!(street.is_refused(&name).await, "{name} {home}");
        cases += 1;
    }
    let met = street.spy.met();
    assert!(met.len() == all.len() && met.iter().all(|ip| *ip == PUBLIC), "{met:?}");
    println!("{cases} cases, no connection to the neighbourhood");
    assert!(cases >= 1_000, "{cases} cases");
}

/// What is public is reached, and what the owner lists: or the silence above would mean nothing.
async fn the_spy_hears(street: &Street) {
    let port = street.spy.port;
    for public in [PUBLIC, "2606:2800:21f:cb07::1".parse().expect("an address")] {
        let host = if public.is_ipv6() { format!("[{public}]") } else { public.to_string() };
        let answer = street.rails.quote(&get(&format!("http://{host}:{port}/"))).await;
        assert!(matches!(answer, Ok(Probe::Free(_))), "{public}: {answer:?}");
        assert_eq!(street.spy.met(), [public]);
    }
    let listed = format!("10.1.2.3:{port}").parse().expect("a host and port");
    street.rails.guard().allow(listed);
    let answer = street.rails.quote(&get(&format!("http://10.1.2.3:{port}/"))).await;
    assert!(matches!(answer, Ok(Probe::Free(_))), "{answer:?}");
    assert_eq!(street.spy.met(), ["10.1.2.3".parse::<IpAddr>().expect("an address")]);
}
