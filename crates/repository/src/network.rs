//! Names of hosts, looked up before git does: an address that leads into a private network is not connected to, whatever its
//! name, and git is held to the answer that was looked at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _};

/// Why a host is not connected to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unreachable {
    /// Nobody has that name.
    NoSuchHost,
    /// The look-up failed.
    LookUp(String),
    /// It leads into a network that is not public.
    Private,
}

/// The public addresses of a host, as git's `http.curloptResolve` takes them: `host:443:address,address`.
pub(crate) fn pinned(host: &str) -> Result<String, Unreachable> {
    let found = (host, 443).to_socket_addrs().map_err(|error| {
        let words = error.to_string();
        // The resolver's own words: the system gives no kind for them.
        if words.contains("Name or service not known") || words.contains("No address associated") {
            Unreachable::NoSuchHost
        } else {
            Unreachable::LookUp(words)
        }
    })?;
    let addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
    if addresses.is_empty() {
        return Err(Unreachable::NoSuchHost);
    }
    if !addresses.iter().all(is_public) {
        return Err(Unreachable::Private);
    }
    let shown: Vec<String> = addresses
        .iter()
        .map(|address| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        })
        .collect();
    Ok(format!("{host}:443:{}", shown.join(",")))
}

/// True when any of these names is known: where none is, no look-up says anything about another.
pub(crate) fn knows_any(hosts: &[&str]) -> bool {
    hosts.iter().any(|host| (*host, 443).to_socket_addrs().is_ok_and(|mut found| found.next().is_some()))
}

fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(*address),
        IpAddr::V6(address) => is_public_v6(*address),
    }
}

/// By the registry of special-purpose addresses (RFC 6890).
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [first, second, third, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first, second, third) == (192, 0, 0)
        || (first == 198 && (18..20).contains(&second));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // One that carries an older address is what that one is: mapped, translated (RFC 6052), 6to4.
    let carried = match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    if let Some((high, low)) = carried {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // 2000::/3 is what is given out; of it, documentation and what is not routed.
    segments[0] & 0xe000 == 0x2000
        && !(segments[0] == 0x2001 && (segments[1] < 0x200 || segments[1] == 0xdb8))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_given_out_to_the_public_is_public() {
        for private in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "192.0.0.8",
            "198.18.0.1",
            "::",
            "::1",
            "fe80::1",
            "fd00::1",
            "::ffff:127.0.0.1",
            "64:ff9b::a00:1",
            "2002:7f00:1::",
            "2001:db8::1",
            "ff02::1",
            "::7f00:1",
        ] {
            assert!(!is_public(&private.parse().unwrap()), "{private}");
        }
        for public in ["140.82.112.3", "8.8.8.8", "2606:50c0:8000::153", "::ffff:8.8.8.8"] {
            assert!(is_public(&public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn a_name_that_leads_to_this_machine_is_not_connected_to() {
        assert_eq!(pinned("localhost"), Err(Unreachable::Private));
    }
}
