use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use thiserror::Error;

/// The addresses from which calls are taken, as CIDR blocks; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIps(Vec<IpNet>);

/// The text is no list of CIDR blocks.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a CIDR block; blocks are separated by commas, a single address is written with /32 (IPv6: /128)")]
pub struct InvalidSourceIps(String);

impl SourceIps {
    /// Whether calls from this address are taken. An IPv4 address inside an IPv6 one counts as itself.
    pub fn allow(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|block| block.contains(&address))
    }
}

impl FromStr for SourceIps {
    type Err = InvalidSourceIps;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = |block: &str| block.trim().parse().map_err(|_| InvalidSourceIps(block.trim().to_owned()));
        text.split(',').map(read).collect::<Result<_, _>>().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_a_block_are_allowed_and_others_are_not() {
        let ips: SourceIps = "34.165.99.212/32, 10.0.0.0/8,2001:db8::/32".parse().unwrap();
        for address in ["34.165.99.212", "10.255.0.1", "2001:db8::1", "::ffff:34.165.99.212"] {
            assert!(ips.allow(address.parse().unwrap()), "{address}");
        }
        for address in ["34.165.99.213", "11.0.0.1", "2001:db9::1", "::ffff:34.165.99.213", "::1"] {
            assert!(!ips.allow(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_is_no_block_is_named() {
        for (text, block) in [
            ("", ""),
            ("34.165.99.212", "34.165.99.212"),
            ("10.0.0.0/8,,", ""),
            ("10.0.0.0/33", "10.0.0.0/33"),
            ("*", "*"),
        ] {
            assert_eq!(text.parse::<SourceIps>(), Err(InvalidSourceIps(block.to_owned())));
        }
    }
}
