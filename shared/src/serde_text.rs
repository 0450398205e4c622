use crate::{event_id::EventId, fingerprint::Fingerprint, timestamp::Timestamp, webhook_token::TokenHash};

/// Serializes a type as its `Display` text, and parses that text to read it back.
macro_rules! serde_as_text {
    ($($name:ty),+) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

serde_as_text!(EventId, Fingerprint, Timestamp, TokenHash);

#[cfg(test)]
mod tests {
    use serde::{Serialize, de::DeserializeOwned};
    use serde_json::{Value, json};

    use super::*;
    use crate::{entity::Entity, integer::Integer, kind::Kind};

    fn reads_back<T: Serialize + DeserializeOwned>(json: &Value) -> bool {
        serde_json::from_value::<T>(json.clone()).is_ok_and(|value| serde_json::to_value(value).unwrap() == *json)
    }

    #[test]
    fn values_are_the_texts_that_people_see_and_are_read_back_from_them() {
        assert!(reads_back::<Timestamp>(&json!("2026-11-22T09:30:00.000001Z")));
        assert!(reads_back::<EventId>(&json!("019aaaaa-0000-7000-8000-000000000000")));
        assert!(reads_back::<Fingerprint>(&json!("0a".repeat(32))));
        assert!(reads_back::<Entity>(&json!("whatsapp#972501234567")));
        for kind in ["whatsapp", "builder", "online", "partners", "package", "voice", "unnamed"] {
            assert!(reads_back::<Kind>(&json!(kind)), "{kind}");
        }
    }

    #[test]
    fn a_whole_number_is_a_number_up_to_64_bits_and_beyond_a_text() {
        for number in [json!(0), json!(-7), json!(i64::MAX), json!("9223372036854775808"), json!("9".repeat(38))] {
            assert!(reads_back::<Integer>(&number), "{number}");
        }
    }

    #[test]
    fn other_texts_are_refused_without_being_shown() {
        for json in [json!("hunter2-hunter2"), json!(7.5), json!(null)] {
            let errors = [
                serde_json::from_value::<Timestamp>(json.clone()).unwrap_err(),
                serde_json::from_value::<EventId>(json.clone()).unwrap_err(),
                serde_json::from_value::<Integer>(json).unwrap_err(),
            ];
            assert!(errors.iter().all(|error| !error.to_string().contains("hunter2")), "{errors:?}");
        }
    }
}
