//! The calls that gateways hand over, and the form in which they take an answer.
//!
//! lambda_http reads the same events, but builds a URL from the headers `X-Forwarded-Proto` and `Host`, and panics when the result is not a
//! URL. It also panics on a body that is declared as base64 but is not. A call that never reaches the receiver's code is lost. So only the
//! members that the receiver needs are read here, and none of them can make the reading fail: a member of another type counts as missing.

use std::{fmt, net::IpAddr};

use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_http::{
    Body, Response,
    aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayV2httpResponse},
};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Maximum length of a kept header, in characters.
const LONGEST_HEADER: usize = 200;

/// A call as a gateway hands it over: a REST API, an HTTP API with payloads of version 1.0 or 2.0, or a function URL.
///
/// Every JSON value can be read as one; the members that it lacks are empty.
pub struct GatewayRequest {
    pub(crate) path: String,
    /// `None` when the gateway does not say.
    pub(crate) method: Option<String>,
    /// The caller's address as the gateway saw it, not from a header.
    pub(crate) source_ip: Option<IpAddr>,
    /// The gateway's id of the request.
    pub(crate) request_id: String,
    pub(crate) content_type: Option<String>,
    pub(crate) content_encoding: Option<String>,
    /// The body as the caller sent it. A body that is declared as base64 but is not stays unchanged.
    pub(crate) body: Vec<u8>,
    version: PayloadVersion,
}

impl GatewayRequest {
    /// The version of the gateway's payloads, which decides the form of the answer.
    pub fn version(&self) -> PayloadVersion {
        self.version
    }

    /// The body as the caller sent it.
    pub fn body(&self) -> &[u8] {
        &self.body
    }
}

/// Shows neither the path, which has the token in it, nor the body.
impl fmt::Debug for GatewayRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatewayRequest")
            .field("source_ip", &self.source_ip)
            .field("request_id", &self.request_id)
            .field("size", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// A version of the gateways' payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadVersion {
    /// REST APIs, and HTTP APIs that are set to it.
    V1,
    /// HTTP APIs and function URLs.
    V2,
}

/// An answer as a gateway takes it.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum GatewayAnswer {
    /// For payloads of version 1.0.
    V1(ApiGatewayProxyResponse),
    /// For payloads of version 2.0.
    V2(ApiGatewayV2httpResponse),
}

impl PayloadVersion {
    /// Puts an answer, whose body is text, into the gateway's form.
    pub fn answer(self, response: Response<Body>) -> GatewayAnswer {
        let (parts, body) = response.into_parts();
        let (status, body) = (i64::from(parts.status.as_u16()), (!body.is_empty()).then_some(body));
        match self {
            Self::V1 => {
                let mut answer = ApiGatewayProxyResponse::default();
                (answer.status_code, answer.multi_value_headers, answer.body) = (status, parts.headers, body);
                GatewayAnswer::V1(answer)
            }
            Self::V2 => {
                let mut answer = ApiGatewayV2httpResponse::default();
                (answer.status_code, answer.headers, answer.body) = (status, parts.headers, body);
                GatewayAnswer::V2(answer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for GatewayRequest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Lenient(event) = Lenient::<Event>::deserialize(deserializer)?;
        let Event {
            path,
            raw_path,
            http_method,
            headers,
            multi_value_headers,
            request_context,
            body,
            is_base64_encoded,
        } = event.unwrap_or_default();
        let Context { request_id, identity, http } = request_context.0.unwrap_or_default();
        let version = if raw_path.0.is_some() || http.0.is_some() { PayloadVersion::V2 } else { PayloadVersion::V1 };
        let Http { method, source_ip } = http.0.unwrap_or_default();
        let source_ip = identity.0.and_then(|identity| identity.source_ip.0).or(source_ip.0);
        let (all, last) = (multi_value_headers.0.unwrap_or_default(), headers.0.unwrap_or_default());
        let body = body.0.map_or_else(Vec::new, |Bytes(body)| body);
        Ok(Self {
            path: raw_path.0.or(path.0).unwrap_or_default(),
            // cargo-lambda writes `httpMethod` as well, and always as GET.
            method: method.0.or(http_method.0),
            source_ip: source_ip.and_then(|address| address.parse().ok()),
            request_id: request_id.0.unwrap_or_default(),
            content_type: all.content_type.or(last.content_type),
            content_encoding: all.content_encoding.or(last.content_encoding),
            body: match is_base64_encoded.0 {
                Some(true) => STANDARD.decode(&body).unwrap_or(body),
                Some(false) | None => body,
            },
            version,
        })
    }
}

/// The members of an event that are read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Event {
    path: Lenient<String>,
    raw_path: Lenient<String>,
    http_method: Lenient<String>,
    headers: Lenient<Headers>,
    multi_value_headers: Lenient<Headers>,
    request_context: Lenient<Context>,
    body: Lenient<Bytes>,
    is_base64_encoded: Lenient<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Context {
    request_id: Lenient<String>,
    /// In payloads of version 1.0.
    identity: Lenient<Identity>,
    /// In payloads of version 2.0.
    http: Lenient<Http>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Identity {
    source_ip: Lenient<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Http {
    method: Lenient<String>,
    source_ip: Lenient<String>,
}

/// A value that counts as missing unless it has the right type.
struct Lenient<T>(Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(serde_json::from_str(value.get()).ok()))
    }
}

/// A JSON string as bytes: unlike a `String`, it can hold half of a surrogate pair.
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct BytesVisitor;
        impl Visitor<'_> for BytesVisitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(BytesVisitor)
    }
}

/// The headers of a call that are kept.
#[derive(Default)]
struct Headers {
    content_type: Option<String>,
    content_encoding: Option<String>,
}

/// The value of a header, or its values.
#[derive(Deserialize)]
#[serde(untagged)]
enum HeaderValue {
    One(String),
    All(Vec<String>),
}

impl HeaderValue {
    fn shortened(self) -> String {
        let value = match self {
            Self::One(value) => value,
            Self::All(values) => values.join(", "),
        };
        value.chars().take(LONGEST_HEADER).collect()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeadersVisitor;
        impl<'de> Visitor<'de> for HeadersVisitor {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Headers::default();
                while let Some(Bytes(name)) = map.next_key()? {
                    let header = if name.eq_ignore_ascii_case(b"content-type") {
                        &mut headers.content_type
                    } else if name.eq_ignore_ascii_case(b"content-encoding") {
                        &mut headers.content_encoding
                    } else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    *header = map.next_value::<Lenient<HeaderValue>>()?.0.map(HeaderValue::shortened);
                }
                Ok(headers)
            }
        }
        deserializer.deserialize_map(HeadersVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(event: &Value) -> GatewayRequest {
        serde_json::from_value(event.clone()).unwrap_or_else(|_| panic!("{event} cannot be read"))
    }

    /// Any JSON, with the names that are read among its members.
    fn any_json() -> impl Strategy<Value = Value> {
        let names = prop_oneof![
            Just("headers".to_owned()),
            Just("requestContext".to_owned()),
            Just("identity".to_owned()),
            Just("http".to_owned()),
            Just("sourceIp".to_owned()),
            Just("body".to_owned()),
            Just("isBase64Encoded".to_owned()),
            Just("Content-Encoding".to_owned()),
            any::<String>(),
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::hash_map(names.clone(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_json_value_can_be_read(event in any_json()) {
            read(&event);
        }

        #[test]
        fn a_member_of_any_type_leaves_the_others_as_they_are(value in any_json()) {
            for name in ["headers", "multiValueHeaders", "requestContext", "queryStringParameters", "httpMethod"] {
                let mut event = json!({"path": "/webhook/t", "body": "{}"});
                event[name] = value.clone();
                let request = read(&event);
                prop_assert_eq!((request.path.as_str(), &request.body[..]), ("/webhook/t", &b"{}"[..]));
            }
        }
    }

    #[test]
    fn the_body_is_what_the_caller_sent_and_a_wrong_word_about_base64_loses_nothing() {
        let body = |body: Value, is_base64_encoded: Value| {
            read(&json!({"body": body, "isBase64Encoded": is_base64_encoded})).body
        };
        assert_eq!(body(json!("{}"), json!(false)), b"{}");
        assert_eq!(body(json!("e30="), json!(true)), b"{}");
        assert_eq!(body(json!("/w=="), json!(true)), b"\xff");
        for not_base64 in ["{}", "e30", "e30=\n", "e3 0=", "e30==", "א"] {
            assert_eq!(body(json!(not_base64), json!(true)), not_base64.as_bytes(), "{not_base64}");
        }
        for empty in [json!(null), json!(""), json!({}), json!(1), json!([101])] {
            assert_eq!(body(empty, json!(true)), b"");
        }
        assert_eq!(body(json!("e30="), json!("true")), b"e30=");
        let half_a_pair = r#"{"body": "\ud800{}"}"#;
        assert!(serde_json::from_str::<GatewayRequest>(half_a_pair).unwrap().body.ends_with(b"{}"));
    }

    #[test]
    fn the_address_is_the_gateways_and_no_header_is_believed() {
        let headers = json!({"X-Forwarded-For": "34.165.99.212", "sourceIp": "34.165.99.212"});
        for context in [
            json!({"identity": {"sourceIp": "203.0.113.7"}}),
            json!({"http": {"sourceIp": "203.0.113.7", "method": "POST"}}),
        ] {
            let request = read(&json!({"requestContext": context, "headers": headers}));
            assert_eq!(request.source_ip, Some([203, 0, 113, 7].into()));
        }
        for context in [json!(null), json!({}), json!({"identity": {"sourceIp": "unknown"}}), json!({"identity": 1})] {
            assert_eq!(read(&json!({"requestContext": context, "headers": headers})).source_ip, None, "{context}");
        }
    }

    #[test]
    fn content_type_and_content_encoding_are_kept_in_any_case_and_shortened() {
        let of = |request: GatewayRequest| (request.content_type, request.content_encoding);
        let some = |text: &str| Some(text.to_owned());
        let one = json!({"headers": {"CONTENT-TYPE": "text/plain", "content-encoding": "br", "Host": 1}});
        assert_eq!(of(read(&one)), (some("text/plain"), some("br")));
        let both = json!({
            "headers": {"Content-Type": "b", "Content-Encoding": null},
            "multiValueHeaders": {"Content-Type": ["a", "b"], "Content-Encoding": ["x-gzip"]},
        });
        assert_eq!(of(read(&both)), (some("a, b"), some("x-gzip")));
        assert_eq!(of(read(&json!({"headers": {"Content-Type": 7, "Content-Encoding": {}}}))), (None, None));
        let long = read(&json!({"headers": {"Content-Type": "א".repeat(10_000)}}));
        assert_eq!(long.content_type.unwrap().chars().count(), 200);
    }

    #[test]
    fn the_answer_has_the_form_of_the_gateways_payload_version() {
        let answer = |event: Value| {
            let mut response = Response::new(Body::from("{}"));
            response
                .headers_mut()
                .insert("content-type", lambda_http::http::HeaderValue::from_static("application/json"));
            serde_json::to_value(read(&event).version().answer(response)).unwrap()
        };
        let v1 = json!({
            "statusCode": 200, "headers": {}, "multiValueHeaders": {"content-type": ["application/json"]}, "body": "{}",
            "isBase64Encoded": false,
        });
        let v2 = json!({
            "statusCode": 200, "headers": {"content-type": "application/json"}, "multiValueHeaders": {}, "body": "{}",
            "isBase64Encoded": false, "cookies": [],
        });
        assert_eq!(answer(json!({"path": "/webhook/t", "requestContext": {"identity": {}}})), v1);
        assert_eq!(answer(json!({"rawPath": "/webhook/t"})), v2);
        assert_eq!(answer(json!({"requestContext": {"http": {}}})), v2);
        let empty = serde_json::to_value(PayloadVersion::V1.answer(Response::new(Body::Empty))).unwrap();
        assert_eq!(empty.get("body"), None);
    }

    #[test]
    fn neither_the_token_nor_the_body_is_shown() {
        let request = read(&json!({"path": "/webhook/the-token", "body": "123-456-789"}));
        let shown = format!("{request:?}");
        assert!(shown.contains("size: 11") && !shown.contains("the-token") && !shown.contains("123-456"), "{shown}");
    }
}
