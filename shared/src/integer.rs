use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// Maximum number of digits: the precision of a DynamoDB number.
const MAX_DIGITS: usize = 38;

/// A whole number of at most 38 digits, in decimal, without leading zeros.
///
/// The meaning of most of the provider's codes is not documented, so any code is kept unchanged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Integer(String);

impl Integer {
    /// Reads decimal digits with an optional sign; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = split_sign(text);
        is_digits(digits).then(|| Self::of(sign, digits, 0))?
    }

    /// Reads a decimal number that may have a fraction and an exponent, such as `523.0` or `5.23e2`; `None` when it is not whole.
    ///
    /// Reads it exactly, digit by digit: binary floating point would change numbers of more than 15 digits.
    pub fn from_decimal(text: &str) -> Option<Self> {
        let (sign, number) = split_sign(text);
        let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let (exponent_sign, exponent) = split_sign(exponent);
        if ![whole, fraction, exponent].into_iter().all(is_digits) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.is_empty() && whole.bytes().all(|digit| digit == b'0') {
            return Some(Self("0".to_owned()));
        }
        // An exponent that does not fit 64 bits moves the point further than any body has digits.
        let exponent: i64 = format!("{exponent_sign}{exponent}").parse().ok()?;
        let zeros = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Self::of(sign, &format!("{whole}{fraction}"), zeros)
    }

    /// Returns the number in decimal.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the number with zeros appended to its digits. A negative count cuts off digits, which must be zeros.
    fn of(sign: &str, digits: &str, zeros: i64) -> Option<Self> {
        let digits = digits.trim_start_matches('0');
        if zeros < 0 {
            let end = digits.len().checked_sub(usize::try_from(zeros.unsigned_abs()).ok()?)?;
            let (kept, cut) = digits.split_at_checked(end)?;
            return cut.bytes().all(|digit| digit == b'0').then(|| Self::of(sign, kept, 0))?;
        }
        let zeros = usize::try_from(zeros).ok()?;
        match digits {
            "" => Some(Self("0".to_owned())),
            digits if digits.len().checked_add(zeros)? > MAX_DIGITS => None,
            digits => Some(Self(format!("{sign}{digits}{}", "0".repeat(zeros)))),
        }
    }
}

/// Splits off the sign; that of a positive number is empty.
fn split_sign(text: &str) -> (&str, &str) {
    match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit())
}

impl fmt::Display for Integer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Integer {
    /// Serializes a number of at most 64 bits as a number, and a longer one as a text, because most programs would round it.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.parse::<i64>() {
            Ok(number) => serializer.serialize_i64(number),
            Err(_) => serializer.serialize_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a whole number, or a text with one")]
        enum Written {
            Number(i64),
            Text(String),
        }

        match Written::deserialize(deserializer)? {
            Written::Number(number) => Ok(Self(number.to_string())),
            Written::Text(text) => Self::parse(&text).ok_or_else(|| Error::custom("not a whole number")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_keep_every_digit_and_lose_only_leading_zeros() {
        for (text, value) in [("7", "7"), ("-07", "-7"), ("+7", "7"), ("0", "0"), ("-0", "0"), ("00", "0")] {
            assert_eq!(Integer::parse(text).unwrap().as_str(), value);
            assert_eq!(Integer::from_decimal(text).unwrap().as_str(), value);
        }
        let longest = "9".repeat(38);
        assert_eq!(Integer::parse(&longest).unwrap().as_str(), longest);
        for text in ["", "-", "+-1", "1.0", "1e3", "0x1", " 1", &"9".repeat(39)] {
            assert_eq!(Integer::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_number_is_the_same_however_it_is_written() {
        let one_and_37_zeros = format!("1{}", "0".repeat(37));
        let far_behind_the_point = format!("0.{}1e200001", "0".repeat(200_000));
        for (text, value) in [
            ("523.0", "523"),
            ("5.23e2", "523"),
            ("52300E-2", "523"),
            ("-5.230e+2", "-523"),
            ("9.72500000001E11", "972500000001"),
            ("0.5e1", "5"),
            ("0e999999999999999999999", "0"),
            ("-0.00e-7", "0"),
            ("1e37", &one_and_37_zeros),
            ("9007199254740993.0", "9007199254740993"),
            (&far_behind_the_point, "1"),
        ] {
            assert_eq!(
                Integer::from_decimal(text).map(|integer| integer.to_string()).as_deref(),
                Some(value),
                "{text}"
            );
        }
    }

    #[test]
    fn other_numbers_are_not_rounded_and_those_too_long_are_not_written_out() {
        for text in [
            "523.5",
            "1e-1",
            "5.23e1",
            "1e38",
            "1e999999999",
            "1e9223372036854775807",
            "1e99999999999999999999",
            "1e-99999999999999999999",
            "0.1e-9223372036854775808",
            ".5",
            "5.",
            "1e",
            "e1",
            "1.e1",
            "1e1.0",
            "",
            "NaN",
        ] {
            assert_eq!(Integer::from_decimal(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn moving_the_point_keeps_the_number(number: i64, places in 0_usize..40) {
            let digits = format!("{:0>40}", number.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - places);
            let sign = if number < 0 { "-" } else { "" };
            let text = format!("{sign}{whole}.{fraction}0e{places}");
            prop_assert_eq!(Integer::from_decimal(&text), Integer::parse(&number.to_string()));
        }
    }
}
