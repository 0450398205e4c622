use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use thiserror::Error;

/// The list of addresses that the provider calls from, as CIDR blocks. It has at least one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceIps(Vec<IpNet>);

/// The text is not a list of CIDR blocks.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("{0:?} is not a CIDR block; separate blocks by commas, and write a single address with /32 (IPv6: /128)")]
pub struct InvalidSourceIps(String);

/// The stack's policy for a call with an accepted token from an unlisted address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnlistedSource {
    /// The delivery is held in quarantine until a person releases it.
    #[default]
    Hold,
    /// The call is refused without a check of its token.
    Refuse,
}

/// The text is not a policy for unlisted addresses.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("must be hold or refuse")]
pub struct InvalidUnlistedSource;

impl SourceIps {
    /// Returns whether an address is on the list. An IPv4-mapped IPv6 address counts as its IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
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

impl FromStr for UnlistedSource {
    type Err = InvalidUnlistedSource;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "hold" => Ok(Self::Hold),
            "refuse" => Ok(Self::Refuse),
            _ => Err(InvalidUnlistedSource),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_a_block_are_on_the_list_and_others_are_not() {
        let ips: SourceIps = "34.165.99.212/32, 10.0.0.0/8,2001:db8::/32".parse().unwrap();
        for address in ["34.165.99.212", "10.255.0.1", "2001:db8::1", "::ffff:34.165.99.212"] {
            assert!(ips.contains(address.parse().unwrap()), "{address}");
        }
        for address in ["34.165.99.213", "11.0.0.1", "2001:db9::1", "::ffff:34.165.99.213", "::1"] {
            assert!(!ips.contains(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn the_error_names_the_text_that_is_not_a_block() {
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

    #[test]
    fn unlisted_addresses_are_held_or_refused_and_held_by_default() {
        assert_eq!("hold".parse(), Ok(UnlistedSource::Hold));
        assert_eq!("refuse".parse(), Ok(UnlistedSource::Refuse));
        assert_eq!(UnlistedSource::default(), UnlistedSource::Hold);
        for text in ["", "Hold", "allow", " hold"] {
            assert_eq!(text.parse::<UnlistedSource>(), Err(InvalidUnlistedSource));
        }
    }
}
