use lambda_http::{Request, RequestExt, http::Method, request::RequestContext};

/// A call of the webhook, before anybody knows whose.
pub(crate) struct Call {
    /// The last part of the path, where the token has to be; empty when it is missing.
    pub(crate) presented_token: String,
    /// The caller's address as the gateway saw it, not as a header has it; `None` when the gateway gives none that can be
    /// read.
    pub(crate) source_ip: Option<std::net::IpAddr>,
    /// The gateway's id of the request.
    pub(crate) request_id: String,
    /// The body as received, base64 undone.
    pub(crate) body: Vec<u8>,
}

/// A request that is not for the webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Misrouted {
    /// Another path than `/webhook/<token>`.
    OtherPath,
    /// The right path, but not POST.
    OtherMethod,
}

/// Recognises `POST /webhook/<token>`, with or without the stage in front.
pub(crate) fn route(request: Request) -> Result<Call, Misrouted> {
    let presented_token = token_of(request.raw_http_path()).ok_or(Misrouted::OtherPath)?.to_owned();
    if request.method() != Method::POST {
        return Err(Misrouted::OtherMethod);
    }
    let (source_ip, request_id) = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => (&context.identity.source_ip, &context.request_id),
        Some(RequestContext::ApiGatewayV2(context)) => (&context.http.source_ip, &context.request_id),
        _ => (&None, &None),
    };
    let source_ip = source_ip.as_deref().and_then(|address| address.parse().ok());
    let request_id = request_id.clone().unwrap_or_default();
    Ok(Call { presented_token, source_ip, request_id, body: request.into_body().to_vec() })
}

/// What stands where the token has to stand, in the path of a webhook call; `None` in any other path.
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
    use super::token_of;

    #[test]
    fn the_token_is_the_part_after_webhook_with_or_without_a_stage() {
        for path in ["/webhook/t", "/v1/webhook/t", "/webhook/t/", "/v1/webhook/t/"] {
            assert_eq!(token_of(path), Some("t"), "{path}");
        }
        for path in ["/webhook", "/webhook/", "/v1/webhook"] {
            assert_eq!(token_of(path), Some(""), "{path}");
        }
        for path in ["", "/", "webhook/t", "/webhooks/t", "/v1/v2/webhook/t", "/webhook/t/u/v", "/health"] {
            assert_eq!(token_of(path), None, "{path}");
        }
    }
}
