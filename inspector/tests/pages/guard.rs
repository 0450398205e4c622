use inspector::{ForwardedAddress, Inspector, PageToken, Source};

/// The answer under an address that is not known.
const UNKNOWN_HOST: &str = "\
These pages are not served under the address in your browser. If you forward their port, start them with that address:

  cargo hooks inspect --address http://localhost:8080
  cargo hooks dev --address http://localhost:8080
";

use super::visitor::{Answer, Visitor};
use crate::world::World;

/// Asserts that a request was refused with this status, and that the answer has no room for stored data.
fn assert_refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{why}: {answer:?}");
    assert!(answer.body.len() < 40 || answer.body == UNKNOWN_HOST, "{why}: {answer:?}");
}

#[tokio::test]
async fn nothing_is_shown_without_the_token() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let Visitor { token, .. } = &visitor;
    assert!(token.len() == 32 && token.bytes().all(|byte| byte.is_ascii_hexdigit()), "{token}");
    let other = format!("{}{}", if token.starts_with('0') { '1' } else { '0' }, &token[1..]);
    for path in [
        "/".to_owned(),
        String::from("/index.html"),
        format!("/{other}/"),
        format!("/{}/", &token[..31]),
        format!("/{token}0/"),
        format!("/{}/", token.to_uppercase().replace("0", "O")),
        format!("//{token}/"),
        format!("/./{token}/"),
        format!("/x/../{token}/"),
        format!("/%2F{token}/"),
        format!("/{other}/..%2f{token}/"),
        format!("/?{token}"),
        format!("/inspector.css?{token}"),
        format!("/{}/", token.chars().map(|c| format!("%{:02x}", u32::from(c))).collect::<String>()),
    ] {
        let answer = visitor.send(&format!("GET {path} HTTP/1.1"), &[visitor.host()], "").await;
        assert_refused(&answer, 404, &path);
    }
    for path in [format!("/{token}/../../etc/passwd"), format!("/{token}/assets/..%2f..%2fCargo.toml")] {
        let answer = visitor.send(&format!("GET {path} HTTP/1.1"), &[visitor.host()], "").await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.body.contains("This page does not exist."), "{path}: {answer:?}");
    }
    let slash = visitor.send(&format!("GET /{token} HTTP/1.1"), &[visitor.host()], "").await;
    assert_eq!((slash.status, slash.header("location")), (308, Some(format!("{token}/").as_str())));
}

#[tokio::test]
async fn another_host_is_refused_though_it_has_the_token() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    let Visitor { token, port, .. } = &visitor;
    let line = format!("GET /{token}/ HTTP/1.1");
    for headers in [
        vec!["Host: attacker.example".to_owned()],
        vec![format!("Host: attacker.example:{port}")],
        vec!["Host: 127.0.0.1".to_owned()],
        vec!["Host: 127.0.0.1:1".to_owned()],
        vec![format!("Host: 127.0.0.1:{port}.attacker.example")],
        vec![format!("Host: localhost.attacker.example:{port}")],
        vec![format!("Host: 127.0.0.2:{port}")],
        vec![format!("Host: [::1]:{port}")],
        vec![format!("Host: 0.0.0.0:{port}")],
        vec!["Host:".to_owned()],
        vec![visitor.host(), "Host: attacker.example".to_owned()],
        vec![format!("X-Forwarded-Host: 127.0.0.1:{port}"), "Host: attacker.example".to_owned()],
    ] {
        let answer = visitor.send(&line, &headers, "").await;
        let is_unknown = (answer.status, answer.body.as_str()) == (403, UNKNOWN_HOST);
        assert!(is_unknown || (answer.status, answer.body.is_empty()) == (400, true), "{headers:?} {answer:?}");
    }
    let none = visitor.send(&format!("GET /{token}/ HTTP/1.0"), &[], "").await;
    assert_refused(&none, 403, "no host");
    let absolute = format!("GET http://attacker.example/{token}/ HTTP/1.1");
    let answer = visitor.send(&absolute, &["Host: attacker.example".to_owned()], "").await;
    assert_refused(&answer, 403, "an absolute target");
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(visitor.send(&line, &[format!("Host: {host}:{port}")], "").await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn nothing_is_done_for_a_page_of_somebody_else() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    let Visitor { token, port, .. } = &visitor;
    let post = async |action: &str, origin: Option<&str>, host: &str| {
        let body = "sample=package";
        let form = "Content-Type: application/x-www-form-urlencoded".to_owned();
        let length = format!("Content-Length: {}", body.len());
        let mut headers = vec![format!("Host: {host}:{port}"), form, length];
        headers.extend(origin.map(|origin| format!("Origin: {origin}")));
        visitor.send(&format!("POST /{token}/{action} HTTP/1.1"), &headers, body).await
    };
    let own = format!("http://127.0.0.1:{port}");
    for action in ["send", "sync", "raw", "retry", "registration", ""] {
        for origin in [
            None,
            Some("null"),
            Some(""),
            Some("https://attacker.example"),
            Some("http://127.0.0.1"),
            Some("http://127.0.0.1:1"),
            Some(format!("https://127.0.0.1:{port}").as_str()),
            Some(format!("{own}.attacker.example").as_str()),
            Some(format!("{own}/").as_str()),
            Some(format!("http://localhost:{port}").as_str()),
        ] {
            assert_refused(&post(action, origin, "127.0.0.1").await, 403, &format!("{action} {origin:?}"));
        }
    }
    assert_eq!(*world.done.lock().unwrap(), [""; 0], "nothing was done");
    for (action, page) in [("send", "./"), ("sync", "registration")] {
        let done = post(action, Some(&own), "127.0.0.1").await;
        assert_eq!((done.status, done.header("location")), (303, Some(page)));
    }
    assert_eq!(*world.done.lock().unwrap(), ["package", "sync"]);
    let named = format!("http://localhost:{port}");
    assert_eq!(post("send", Some(&named), "localhost").await.status, 303);
    assert_eq!(post("", Some(&own), "127.0.0.1").await.status, 405);
    let other = visitor.send(&format!("PUT /{token}/send HTTP/1.1"), &[visitor.host()], "").await;
    assert_refused(&other, 403, "PUT");
}

#[tokio::test]
async fn behind_a_forwarded_port_only_the_named_address_is_accepted_too() {
    const ADDRESS: &str = "https://name-9010.app.github.dev";
    let world = World::start().await;
    let visitor = Visitor::through(world.source(), ADDRESS).await;
    let Visitor { token, port, .. } = &visitor;
    let get = format!("GET /{token}/ HTTP/1.1");
    let own = format!("127.0.0.1:{port}");
    for host in ["name-9010.app.github.dev", &own, &format!("localhost:{port}")] {
        assert_eq!(visitor.send(&get, &[format!("Host: {host}")], "").await.status, 200, "{host}");
    }
    for host in [
        "other-9010.app.github.dev",
        "app.github.dev",
        "x.name-9010.app.github.dev",
        "name-9010.app.github.dev.attacker.example",
        "name-9010.app.github.dev:443",
        "localhost:8080",
        "127.0.0.1",
    ] {
        assert_refused(&visitor.send(&get, &[format!("Host: {host}")], "").await, 403, host);
    }
    let without = visitor.send("GET / HTTP/1.1", &["Host: name-9010.app.github.dev".to_owned()], "").await;
    assert_refused(&without, 404, "the address without the token");

    let post = async |host: &str, origin: &str| {
        let form = "Content-Type: application/x-www-form-urlencoded".to_owned();
        let headers = [format!("Host: {host}"), format!("Origin: {origin}"), form, "Content-Length: 14".to_owned()];
        visitor.send(&format!("POST /{token}/send HTTP/1.1"), &headers, "sample=package").await
    };
    for (host, origin) in [
        ("name-9010.app.github.dev", "http://name-9010.app.github.dev"),
        ("name-9010.app.github.dev", "https://other-9010.app.github.dev"),
        ("name-9010.app.github.dev", "null"),
        ("name-9010.app.github.dev", &format!("http://{own}")),
        (&own, "https://name-9010.app.github.dev.attacker.example"),
        (&own, "https://attacker.example"),
        (&own, "https://name-9010.app.github.dev/"),
    ] {
        assert_refused(&post(host, origin).await, 403, &format!("{host} {origin}"));
    }
    assert_eq!(*world.done.lock().unwrap(), [""; 0], "nothing was done");
    // A forwarder may leave the host as it is, or replace it by ours.
    for (host, origin) in
        [("name-9010.app.github.dev", ADDRESS), (own.as_str(), ADDRESS), (own.as_str(), &format!("http://{own}"))]
    {
        assert_eq!(post(host, origin).await.status, 303, "{host} {origin}");
    }
}

#[tokio::test]
async fn a_tunnel_on_this_machine_has_both_of_its_names() {
    let world = World::start().await;
    for address in ["http://localhost:8080", "http://127.0.0.1:8080"] {
        let visitor = Visitor::through(world.source(), address).await;
        let post = async |host: &str, origin: &str| {
            let form = "Content-Type: application/x-www-form-urlencoded".to_owned();
            let headers = [format!("Host: {host}"), format!("Origin: {origin}"), form, "Content-Length: 14".to_owned()];
            visitor.send(&format!("POST /{}/send HTTP/1.1", visitor.token), &headers, "sample=package").await
        };
        for name in ["localhost", "127.0.0.1"] {
            let (host, origin) = (format!("{name}:8080"), format!("http://{name}:8080"));
            assert_eq!(post(&host, &origin).await.status, 303, "{address} {host}");
            assert_refused(&post(&host, "http://attacker.example:8080").await, 403, &host);
            assert_refused(&post(&format!("{name}:8081"), &origin).await, 403, &host);
            assert_refused(&post(&format!("{name}.attacker.example:8080"), &origin).await, 403, &host);
        }
    }
    let visitor = Visitor::through(world.source(), "https://name.example:8080").await;
    let get = format!("GET /{}/ HTTP/1.1", visitor.token);
    assert_refused(&visitor.send(&get, &["Host: localhost:8080".to_owned()], "").await, 403, "not named");
}

#[tokio::test]
async fn a_forwarded_address_is_an_origin_and_nothing_else() {
    for address in
        ["http://localhost:8080", "http://127.0.0.1:9010", "https://name-9010.app.github.dev", "http://[::1]:1"]
    {
        assert!(address.parse::<ForwardedAddress>().is_ok(), "{address}");
    }
    for address in [
        "",
        "localhost:8080",
        "//localhost:8080",
        "http://localhost:8080/path",
        "http://localhost:8080/?a",
        "http://localhost:8080/#a",
        "http://user@localhost:8080",
        "http://:secret@localhost:8080",
        "ftp://localhost:8080",
        "http://*",
    ] {
        assert!(address.parse::<ForwardedAddress>().is_err(), "{address}");
    }
}

#[tokio::test]
async fn a_token_keeps_its_text_and_other_texts_are_refused() {
    let world = World::start().await;
    let token = "0123456789abcdef0123456789abcdef";
    let inspector = Inspector::start(world.source(), 0, token.parse().unwrap(), |_| None).await.unwrap();
    assert_eq!(inspector.url(), format!("http://127.0.0.1:{}/{token}/", inspector.port()));
    for text in ["", &token[1..], &format!("{token}0"), &token.to_uppercase(), &format!("{token}\n"), "../etc/passwd"] {
        assert!(text.parse::<PageToken>().is_err(), "{text:?}");
    }
    let others = [PageToken::random().unwrap(), PageToken::random().unwrap()];
    assert_ne!(others[0].expose(), others[1].expose());
}

#[tokio::test]
async fn a_sample_is_one_of_those_that_are_offered_and_no_other_file() {
    let world = World::start().await;
    let visitor = Visitor::of(&world).await;
    for sample in ["..%2F..%2Ftemplate", "%2Fetc%2Fpasswd", "template.yaml"] {
        let headers = [
            visitor.host(),
            format!("Origin: http://127.0.0.1:{}", visitor.port),
            "Content-Type: application/x-www-form-urlencoded".to_owned(),
            format!("Content-Length: {}", sample.len() + 7),
        ];
        let line = format!("POST /{}/send HTTP/1.1", visitor.token);
        assert_eq!(visitor.send(&line, &headers, &format!("sample={sample}")).await.status, 303);
        assert!(visitor.page("").await.contains("There is no such sample."), "{sample}");
    }
    assert_eq!(*world.done.lock().unwrap(), [""; 0]);
}

#[tokio::test]
async fn every_answer_says_what_a_browser_may_do_with_it() {
    let world = World::start().await;
    world.fill().await;
    let visitor = Visitor::of(&world).await;
    let refused = visitor.send("GET / HTTP/1.1", &[visitor.host()], "").await;
    let mut answers = vec![refused];
    for link in ["", "states", "registration", "delivery?id=42", "nothing", "inspector.css", "inspector.js", "icon.svg"]
    {
        answers.push(visitor.get(link).await);
    }
    for answer in &answers {
        for (name, value) in [
            (
                "content-security-policy",
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                 form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
            ),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{answer:?}");
        }
        assert_eq!(answer.header("access-control-allow-origin"), None);
        for inline in ["<style", " style=", " onclick=", "javascript:"] {
            assert!(!answer.body.contains(inline), "{inline} in {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_stack_is_only_looked_at() {
    let world = World::start().await;
    let visitor = Visitor::to(Source { stack: Some("hooks".to_owned()), actions: None, ..world.source() }).await;
    let page = visitor.page("").await;
    assert!(page.contains("stack</span> hooks") && !page.contains("method=\"post\""), "{page}");
    assert!(!visitor.page("registration").await.contains("method=\"post\""));
    for action in ["send", "sync", "raw", "retry"] {
        let headers = [visitor.host(), format!("Origin: http://127.0.0.1:{}", visitor.port)];
        let answer = visitor.send(&format!("POST /{}/{action} HTTP/1.1", visitor.token), &headers, "").await;
        assert_eq!(answer.status, 404, "{action}");
    }
}
