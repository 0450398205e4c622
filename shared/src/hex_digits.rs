use std::fmt;

/// Writes 32 bytes as 64 lower-case hexadecimal digits.
pub(crate) fn write(f: &mut fmt::Formatter<'_>, bytes: &[u8; 32]) -> fmt::Result {
    f.write_str(&hex::encode(bytes))
}

/// Reads 64 lower-case hexadecimal digits. Each value has one spelling, because table keys are made of it.
pub(crate) fn read(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let upper_case = text.bytes().any(|digit| digit.is_ascii_uppercase());
    (!upper_case && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}
