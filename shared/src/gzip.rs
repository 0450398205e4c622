use std::{borrow::Cow, io::Read};

use flate2::bufread::GzDecoder;

use crate::undecodable::Undecodable;

/// The first bytes of every gzip stream (RFC 1952). No JSON text begins with them.
const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Maximum length of a decompressed body, in bytes: 256 KB, as for an uncompressed one.
const LONGEST: usize = 256 * 1024;

/// Maximum number of members in a gzip stream. A body of 256 KB can hold 13,000 empty ones, and each costs the set-up of a
/// decompressor.
const MOST_MEMBERS: usize = 16;

/// Returns a body without its gzip compression, or unchanged when it is not compressed.
///
/// The bytes decide, not a header: a sender or a proxy may name a coding that the body does not have, or omit it.
///
/// # Errors
/// [`Undecodable::Gzip`] when the stream is damaged, cut off, followed by other bytes or made of more than 16 members;
/// [`Undecodable::GzipTooLarge`] when it holds more than 256 KB. Decompression stops at that size.
pub fn gunzip(body: &[u8]) -> Result<Cow<'_, [u8]>, Undecodable> {
    if !body.starts_with(&MAGIC) {
        return Ok(Cow::Borrowed(body));
    }
    let (mut rest, mut plain) = (body, Vec::new());
    for _ in 0..MOST_MEMBERS {
        let mut member = GzDecoder::new(rest);
        let left = LONGEST + 1 - plain.len();
        member.by_ref().take(left as u64).read_to_end(&mut plain).map_err(|_| Undecodable::Gzip)?;
        if plain.len() > LONGEST {
            return Err(Undecodable::GzipTooLarge);
        }
        rest = member.into_inner();
        if rest.is_empty() {
            return Ok(Cow::Owned(plain));
        }
    }
    Err(Undecodable::Gzip)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_stream_of_one_or_more_members_is_decompressed() {
        let one = gzip(b"{}");
        assert_eq!(gunzip(&one).unwrap(), &b"{}"[..]);
        let members = [gzip(b"{\"a\""), gzip(b""), gzip(b":1}")].concat();
        assert_eq!(gunzip(&members).unwrap(), &b"{\"a\":1}"[..]);
        let most = gzip(b"").repeat(MOST_MEMBERS);
        assert_eq!(gunzip(&most).unwrap(), &b""[..]);
    }

    #[test]
    fn a_damaged_or_cut_stream_and_one_with_other_bytes_after_it_are_refused() {
        let good = gzip(b"{\"event\":\"whatsapp\"}");
        for cut in 2..good.len() {
            assert_eq!(gunzip(&good[..cut]), Err(Undecodable::Gzip), "{cut}");
        }
        let mut wrong_checksum = good.clone();
        let at = good.len() - 8;
        wrong_checksum[at] ^= 1;
        for bad in [wrong_checksum, [&good[..], b"x"].concat(), [&good[..], &[0]].concat(), MAGIC.to_vec()] {
            assert_eq!(gunzip(&bad), Err(Undecodable::Gzip));
        }
        let too_many = gzip(b"").repeat(MOST_MEMBERS + 1);
        assert_eq!(gunzip(&too_many), Err(Undecodable::Gzip));
    }

    #[test]
    fn up_to_256_kb_come_out_and_a_bomb_is_refused_with_no_more_decompressed() {
        let longest = vec![b' '; LONGEST];
        let one = gzip(&longest);
        assert_eq!(gunzip(&one).unwrap(), &longest[..]);
        let halves = [gzip(&longest[..LONGEST / 2]), gzip(&longest[LONGEST / 2..])].concat();
        assert_eq!(gunzip(&halves).unwrap(), &longest[..]);
        let one_more = [&halves[..], &gzip(b" ")].concat();
        assert_eq!(gunzip(&one_more), Err(Undecodable::GzipTooLarge));
        let bomb = gzip(&vec![0; 200 * 1024 * 1024]);
        assert!(bomb.len() < LONGEST);
        assert_eq!(gunzip(&bomb), Err(Undecodable::GzipTooLarge));
    }

    proptest! {
        #[test]
        fn compressed_bytes_are_restored_and_no_bytes_do_harm(plain: Vec<u8>, other: Vec<u8>) {
            let compressed = gzip(&plain);
            prop_assert_eq!(gunzip(&compressed).unwrap(), &plain[..]);
            let begins_as_gzip = [&MAGIC[..], &other].concat();
            prop_assert!(gunzip(&begins_as_gzip).is_err());
            if !other.starts_with(&MAGIC) {
                prop_assert_eq!(gunzip(&other).unwrap(), &other[..]);
            }
        }
    }
}
