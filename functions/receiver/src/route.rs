use crate::gateway::GatewayRequest;

/// A request that is not for the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misrouted {
    /// Another path than `/webhook/<token>`.
    OtherPath,
    /// The right path, but not POST.
    OtherMethod,
}

/// Recognizes `POST /webhook/<token>`, with or without the stage in front and one slash at the end. Returns the token, which
/// is empty when the path has none.
pub(crate) fn route(request: &GatewayRequest) -> Result<&str, Misrouted> {
    let presented_token = token_of(&request.path).ok_or(Misrouted::OtherPath)?;
    match request.method.as_deref() {
        // The gateway has no route for other methods, so one that it does not name is POST.
        None | Some("POST") => Ok(presented_token),
        Some(_) => Err(Misrouted::OtherMethod),
    }
}

/// Returns the part of a webhook call's path that has to be the token; `None` for any other path.
fn token_of(path: &str) -> Option<&str> {
    let path = path.strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    match path.split('/').collect::<Vec<_>>()[..] {
        ["webhook", token] | [_, "webhook", token] => Some(token),
        ["webhook"] | [_, "webhook"] => Some(""),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_token_is_the_part_after_webhook_with_or_without_a_stage_and_one_slash_at_the_end() {
        for path in ["/webhook/t", "/v1/webhook/t", "/webhook/t/", "/v1/webhook/t/"] {
            assert_eq!(token_of(path), Some("t"), "{path}");
        }
        for path in ["/webhook", "/webhook/", "/v1/webhook", "/v1/webhook/"] {
            assert_eq!(token_of(path), Some(""), "{path}");
        }
        for path in
            ["", "/", "webhook/t", "/webhooks/t", "/v1/v2/webhook/t", "/webhook/t/u/v", "/webhook/t//", "/health"]
        {
            assert_eq!(token_of(path), None, "{path}");
        }
    }

    #[test]
    fn a_path_is_taken_as_it_is_whatever_its_percent_encoding() {
        for token in ["%", "%zz", "%2", "a%2Fb", "%F0%28", "א", "t?x=1#y"] {
            let request: GatewayRequest = serde_json::from_value(json!({"path": format!("/webhook/{token}")})).unwrap();
            assert_eq!(route(&request), Ok(token));
        }
    }

    #[test]
    fn only_post_is_for_the_webhook() {
        for (method, misrouted) in
            [("POST", None), ("GET", Some(Misrouted::OtherMethod)), ("post", Some(Misrouted::OtherMethod))]
        {
            let v1 = json!({"path": "/webhook/t", "httpMethod": method});
            let v2 = json!({"rawPath": "/webhook/t", "requestContext": {"http": {"method": method}}});
            let mut by_cargo_lambda = v2.clone();
            by_cargo_lambda["httpMethod"] = json!("GET");
            for event in [v1, v2, by_cargo_lambda] {
                let request: GatewayRequest = serde_json::from_value(event).unwrap();
                assert_eq!(route(&request).err(), misrouted, "{method}");
            }
        }
        let elsewhere: GatewayRequest = serde_json::from_value(json!({"path": "/", "httpMethod": "GET"})).unwrap();
        assert_eq!(route(&elsewhere), Err(Misrouted::OtherPath));
    }
}
