//! Which addresses may be reached for an agent: the public internet, and what the owner lists.

use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, PoisonError, RwLock};
use url::{Host, Url};

/// The most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 16;

/// A host and a port, as in `127.0.0.1:4021`, `nas.local:80` or `[::1]:8545`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl HostPort {
    /// The host: a name in lower case or an address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    pub fn port(&self) -> u16 {
        self.port
    }

    fn of(url: &Url) -> Option<HostPort> {
        let host = match url.host()? {
            Host::Domain(name) => name.to_owned(),
            Host::Ipv4(address) => address.to_string(),
            Host::Ipv6(address) => address.to_string(),
        };
        Some(HostPort { host, port: url.port_or_known_default()? })
    }
}

/// A text that is no host with a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("write a host and a port, such as 127.0.0.1:4021 or [::1]:4021")]
pub struct HostPortError;

impl FromStr for HostPort {
    type Err = HostPortError;

    fn from_str(text: &str) -> Result<HostPort, HostPortError> {
        let (host, port) = text.rsplit_once(':').ok_or(HostPortError)?;
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port: u16 = port.parse().map_err(|_| HostPortError)?;
        if !digits || port == 0 || host.is_empty() || host.len() > 255 {
            return Err(HostPortError);
        }
        // Written and compared exactly as the URL of a request would be.
        if host.chars().any(|c| c.is_whitespace() || c.is_control() || "/\\?#@%".contains(c)) {
            return Err(HostPortError);
        }
        let url = Url::parse(&format!("http://{host}:{port}/")).map_err(|_| HostPortError)?;
        HostPort::of(&url).ok_or(HostPortError)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Finds the addresses of a name.
pub trait Lookup: Send + Sync + 'static {
    /// Looks a name up once.
    ///
    /// # Errors
    /// When the name is unknown or the resolver cannot be asked.
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's own resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, name: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let name = name.to_owned();
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// An address that agents may not reach.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{host} leads to {address}, which is not on the public internet")]
pub struct AddressRefusal {
    /// The host as asked for.
    pub host: String,
    /// The first address that was refused.
    pub address: IpAddr,
}

/// Vets where requests go. Clones share one list of allowed local hosts.
///
/// A name is looked up once per connection, every address found is vetted, and the connection goes
/// to those addresses and no others: a name that changes its mind in between gains nothing.
#[derive(Clone)]
pub struct AddressGuard {
    allowed: Arc<RwLock<BTreeSet<HostPort>>>,
    lookup: Arc<dyn Lookup>,
}

impl fmt::Debug for AddressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressGuard").field("allowed", &self.allowed()).finish_non_exhaustive()
    }
}

impl Default for AddressGuard {
    fn default() -> Self {
        AddressGuard::new(SystemLookup)
    }
}

impl AddressGuard {
    /// Makes a guard that allows the public internet only, with names found by `lookup`.
    pub fn new(lookup: impl Lookup) -> AddressGuard {
        AddressGuard { allowed: Arc::default(), lookup: Arc::new(lookup) }
    }

    /// Lists a host and port that agents may reach wherever it leads; true if it was not listed.
    pub fn allow(&self, host: HostPort) -> bool {
        self.allowed.write().unwrap_or_else(PoisonError::into_inner).insert(host)
    }

    /// Takes a host and port off the list, from the next connection on; true if it was listed.
    pub fn disallow(&self, host: &HostPort) -> bool {
        self.allowed.write().unwrap_or_else(PoisonError::into_inner).remove(host)
    }

    /// The list, in order.
    pub fn allowed(&self) -> Vec<HostPort> {
        self.allowed.read().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Whether the host and port of an address are listed.
    pub(crate) fn lists(&self, url: &Url) -> bool {
        HostPort::of(url).is_some_and(|host| {
            self.allowed.read().unwrap_or_else(PoisonError::into_inner).contains(&host)
        })
    }

    /// Vets an address that is written as a number: those are connected to without a lookup.
    ///
    /// # Errors
    /// [`AddressRefusal`] unless it is public, or listed and connectable.
    pub(crate) fn vet_literal(&self, url: &Url) -> Result<(), AddressRefusal> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        let reach = if self.lists(url) { Reach::Listed } else { Reach::Public };
        match reach.admits(address) {
            true => Ok(()),
            false => Err(AddressRefusal { host: address.to_string(), address }),
        }
    }

    /// The resolver hook of the connections that go to one kind of host.
    pub(crate) fn resolver(&self, reach: Reach) -> GuardedResolver {
        GuardedResolver { lookup: Arc::clone(&self.lookup), reach }
    }
}

/// How far a connection may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The public internet.
    Public,
    /// A host and port that the owner has listed.
    Listed,
}

impl Reach {
    fn admits(self, address: IpAddr) -> bool {
        match self {
            Reach::Public => is_global(address),
            // Not destinations of a connection, whoever lists them.
            Reach::Listed => !address.is_unspecified() && !address.is_multicast(),
        }
    }
}

/// Looks names up and hands on vetted addresses only.
pub(crate) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    reach: Reach,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let looking = self.lookup.lookup(&host);
        let reach = self.reach;
        Box::pin(async move {
            let found = looking.await?;
            // One bad address spoils the name: a public name has no business listing any.
            if let Some(&address) = found.iter().find(|address| !reach.admits(**address)) {
                return Err(AddressRefusal { host, address }.into());
            }
            // Port 0 stands for the port of the request.
            let vetted: Vec<_> = found
                .into_iter()
                .take(ADDRESSES_MAX)
                .map(|address| SocketAddr::new(address, 0))
                .collect();
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

/// Whether an address is one of the public internet's, which anyone may be asked to reach.
///
/// Refuses everything the IANA special-purpose registries (RFC 6890 and its updates) mark as not
/// globally reachable, and every IPv6 form that carries an IPv4 address inside it (mapped,
/// compatible, NAT64, 6to4, Teredo), whatever that address is.
pub fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

/// IPv4 blocks that are not public: first address and prefix length.
/// Source: <https://www.iana.org/assignments/iana-ipv4-special-registry>.
const SPECIAL_V4: [([u8; 4], u32); 17] = [
    ([0, 0, 0, 0], 8),       // this network
    ([10, 0, 0, 0], 8),      // private
    ([100, 64, 0, 0], 10),   // carrier-grade NAT
    ([127, 0, 0, 0], 8),     // loopback
    ([169, 254, 0, 0], 16),  // link-local, and the metadata of clouds
    ([172, 16, 0, 0], 12),   // private
    ([192, 0, 0, 0], 24),    // protocol assignments
    ([192, 0, 2, 0], 24),    // documentation
    ([192, 31, 196, 0], 24), // AS112
    ([192, 52, 193, 0], 24), // AMT
    ([192, 88, 99, 0], 24),  // 6to4 relays
    ([192, 168, 0, 0], 16),  // private
    ([192, 175, 48, 0], 24), // AS112
    ([198, 18, 0, 0], 15),   // benchmarking
    ([198, 51, 100, 0], 24), // documentation
    ([203, 0, 113, 0], 24),  // documentation
    ([224, 0, 0, 0], 3),     // multicast, reserved, broadcast
];

/// IPv6 blocks inside 2000::/3 that are not public: first address and prefix length.
/// Source: <https://www.iana.org/assignments/iana-ipv6-special-registry>.
const SPECIAL_V6: [([u16; 8], u32); 6] = [
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocol assignments: Teredo, ORCHID, benchmarking
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48), // AS112
    ([0x3ffe, 0, 0, 0, 0, 0, 0, 0], 16), // 6bone, returned
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

fn is_global_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(first, prefix)| {
        let first = Ipv4Addr::from(*first).to_bits();
        (bits ^ first) >> (32 - prefix) == 0
    })
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    // Only 2000::/3 is assigned as global unicast; outside it lie loopback, mapped and compatible
    // IPv4, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), unique-local, site-local, link-local, multicast.
    if bits >> 125 != 0b001 {
        return false;
    }
    !SPECIAL_V6.iter().any(|(first, prefix)| {
        let first = Ipv6Addr::from(*first).to_bits();
        (bits ^ first) >> (128 - prefix) == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REFUSED: &str = "
        0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.0.0.1 10.255.255.255 100.64.0.0 100.64.0.1
        100.100.100.200 100.127.255.255 127.0.0.0 127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255
        169.254.0.0 169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255 172.16.0.0 172.16.0.1
        172.17.0.1 172.31.255.255 192.0.0.0 192.0.0.1 192.0.0.8 192.0.0.170 192.0.0.192 192.0.0.255
        192.0.2.0 192.0.2.1 192.0.2.255 192.31.196.1 192.52.193.1 192.88.99.0 192.88.99.1
        192.88.99.255 192.168.0.0 192.168.0.1 192.168.1.1 192.168.255.255 192.175.48.1 198.18.0.0
        198.18.0.1 198.19.255.255 198.51.100.0 198.51.100.7 198.51.100.255 203.0.113.0 203.0.113.9
        203.0.113.255 224.0.0.0 224.0.0.1 224.0.0.251 232.1.1.1 239.255.255.250 239.255.255.255
        240.0.0.0 240.0.0.1 250.1.2.3 255.255.255.254 255.255.255.255
        :: ::1 ::2 ::7f00:1 ::127.0.0.1 ::8.8.8.8 ::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1
        ::ffff:8.8.8.8 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 ::ffff:ffff:ffff 64:ff9b::7f00:1
        64:ff9b::8.8.8.8 64:ff9b::a9fe:a9fe 64:ff9b:1::1 64:ff9b:1:fffe::10.0.0.1 100::1 100:0:0:1::1
        200::1 400::1 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:2:0:1::1
        2001:3::1 2001:4:112::1 2001:10::1 2001:20::1 2001:2f::1 2001:30::1 2001:1ff::1
        2001:db8::1 2001:db8:ffff::1 2002:: 2002:7f00:1::1 2002:0a00:0001::1 2002:808:808::1
        2620:4f:8000::1 3ffe::1 3fff::1 3fff:fff::1 4000::1 5f00::1 8000::1 a000::1 c000::1 e000::1
        f000::1 fc00::1 fd00::1 fd00:ec2::254 fdff:ffff::1 fe00::1 fe80::1 fe80::a9fe:a9fe febf::1
        fec0::1 feff::1 ff00::1 ff01::1 ff02::1 ff02::fb ff05::2 ff0e::1
        ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

    const PUBLIC: &str = "
        1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0
        126.255.255.255 128.0.0.0 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0
        191.255.255.255 192.0.1.1 192.0.3.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
        198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
        2000::1 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2003::1 2400:cb00::1
        2606:4700:4700::1111 2620:4f:7fff::1 2620:4f:8001::1 2a00:1450:4001::1 3ffd::1 3fff:1000::1";

    #[test]
    fn only_public_addresses_are_global() {
        let read = |text: &'static str| {
            text.split_whitespace().map(|a| a.parse::<IpAddr>().expect("an address"))
        };
        assert!(read(REFUSED).count() >= 100);
        for address in read(REFUSED) {
            assert!(!is_global(address), "{address} was let through");
        }
        for address in read(PUBLIC) {
            assert!(is_global(address), "{address} was refused");
        }
    }

    #[test]
    fn hosts_are_read_as_urls_write_them() {
        for (text, shown) in [
            ("127.0.0.1:4021", "127.0.0.1:4021"),
            ("LocalHost:80", "localhost:80"),
            ("[::1]:8545", "[::1]:8545"),
            ("[0:0::1]:443", "[::1]:443"),
            ("0x7f.1:443", "127.0.0.1:443"),
            ("nas.local:80", "nas.local:80"),
        ] {
            assert_eq!(text.parse::<HostPort>().map(|h| h.to_string()), Ok(shown.into()));
        }
        for bad in [
            "",
            ":",
            "a",
            "a:",
            ":80",
            "a:0",
            "a:65536",
            "a:+80",
            "a:-1",
            "::1",
            "[::1:80",
            "a/b:80",
            "u@a:80",
            "a b:80",
            "a\\b:80",
            "http://a:80",
            "a:80:80",
            "a?b:80",
            "a%2e:80",
        ] {
            assert!(bad.parse::<HostPort>().is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn numbers_in_disguise_are_vetted() {
        let guard = AddressGuard::default();
        let vet = |url: &str| guard.vet_literal(&Url::parse(url).expect("a URL"));
        for bad in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://127.0.0.1./",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://2130706433/",
            "http://0/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://①②⑦.0.0.1/",
            "http://127。0。0。1/",
            "http://%31%32%37.0.0.1/",
        ] {
            assert!(vet(bad).is_err(), "{bad} was let through");
        }
        assert_eq!(vet("http://8.8.8.8/"), Ok(()));
        // Names are vetted when they are resolved.
        assert_eq!(vet("http://localhost/"), Ok(()));
    }

    #[test]
    fn a_listed_host_is_listed_with_its_port() {
        let guard = AddressGuard::default();
        let vet = |url: &str| guard.vet_literal(&Url::parse(url).expect("a URL"));
        let shop: HostPort = "127.0.0.1:4021".parse().expect("a host");
        assert!(guard.clone().allow(shop.clone()));
        assert!(!guard.allow(shop.clone()));
        assert_eq!(vet("http://127.0.0.1:4021/"), Ok(()));
        assert_eq!(vet("http://0x7f.1:4021/"), Ok(()));
        assert!(vet("http://127.0.0.1:4022/").is_err());
        assert!(vet("http://127.0.0.2:4021/").is_err());
        assert!(guard.disallow(&shop));
        assert!(vet("http://127.0.0.1:4021/").is_err());
        guard.allow("0.0.0.0:80".parse().expect("a host"));
        assert!(vet("http://0.0.0.0/").is_err());
    }

    struct Fixed(Vec<IpAddr>);

    impl Lookup for Fixed {
        fn lookup(&self, _: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
            let found = self.0.clone();
            Box::pin(async move { Ok(found) })
        }
    }

    #[tokio::test]
    async fn one_private_address_spoils_a_name() {
        let public: IpAddr = "8.8.8.8".parse().expect("an address");
        let private: IpAddr = "10.0.0.1".parse().expect("an address");
        for (found, good) in [
            (vec![public], true),
            (vec![private], false),
            (vec![public, private], false),
            (vec![public; 40], true),
        ] {
            let guard = AddressGuard::new(Fixed(found.clone()));
            let name = "shop.example".parse().expect("a name");
            let result = guard.resolver(Reach::Public).resolve(name).await;
            assert_eq!(result.is_ok(), good, "{found:?}");
            if let Ok(addresses) = result {
                assert!(addresses.count() <= ADDRESSES_MAX);
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_in_disguise_is_global(v4 in any::<u32>()) {
            let v4 = Ipv4Addr::from_bits(v4);
            prop_assert!(!is_global(v4.to_ipv6_mapped().into()));
            prop_assert!(!is_global(v4.to_ipv6_compatible().into()));
            let known_private = v4.is_private() || v4.is_loopback() || v4.is_link_local()
                || v4.is_multicast() || v4.is_broadcast() || v4.is_documentation()
                || v4.is_unspecified();
            prop_assert!(!(known_private && is_global(v4.into())));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,80}") {
            let _ = text.parse::<HostPort>();
        }
    }
}
