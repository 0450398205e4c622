use std::time::Duration;

use fixtures::API_KEY;
use inspector::{ForwardedAddress, Inspector, PageToken, Source};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::world::World;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// Returns the value of a header that occurs exactly once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().filter_map(|line| {
            let (header, value) = line.split_once(": ")?;
            header.eq_ignore_ascii_case(name).then_some(value)
        });
        values.next().filter(|_| values.next().is_none())
    }
}

/// A running inspector, and a client that can send it any bytes.
pub struct Visitor {
    _inspector: Inspector,
    pub port: u16,
    pub token: String,
}

impl Visitor {
    /// Of a local run.
    pub async fn of(world: &World) -> Self {
        Self::to(world.source()).await
    }

    /// Of the pages of a source.
    pub async fn to(source: Source) -> Self {
        let inspector = Inspector::start(source, 0, PageToken::random().unwrap(), |_| None).await.unwrap();
        let (address, token) = inspector.url().trim_end_matches('/').rsplit_once('/').unwrap();
        assert_eq!(address, format!("http://127.0.0.1:{}", inspector.port()));
        Self { port: inspector.port(), token: token.to_owned(), _inspector: inspector }
    }

    /// Of the pages of a source whose port is forwarded from this address.
    pub async fn through(source: Source, address: &str) -> Self {
        let forwarded: ForwardedAddress = address.parse().unwrap();
        let inspector = Inspector::start(source, 0, PageToken::random().unwrap(), |_| Some(forwarded)).await.unwrap();
        let (origin, token) = inspector.url().trim_end_matches('/').rsplit_once('/').unwrap();
        assert_eq!(origin, address);
        Self { port: inspector.port(), token: token.to_owned(), _inspector: inspector }
    }

    /// Returns the page of a relative link, which must exist and contain no secret.
    pub async fn page(&self, link: &str) -> String {
        let answer = self.get(link).await;
        assert_eq!(answer.status, 200, "{link} {answer:?}");
        answer.body
    }

    /// Returns the answer to a relative link.
    pub async fn get(&self, link: &str) -> Answer {
        let link = link.strip_prefix("./").unwrap_or(link);
        let answer = self.send(&format!("GET /{}/{link} HTTP/1.1", self.token), &[self.host()], "").await;
        for secret in [API_KEY, &self.token] {
            assert!(!answer.body.contains(secret), "{secret} is in {link}");
        }
        answer
    }

    /// The host header of a browser.
    pub fn host(&self) -> String {
        format!("Host: 127.0.0.1:{}", self.port)
    }

    /// Sends a request, as these bytes.
    pub async fn send(&self, line: &str, headers: &[String], body: &str) -> Answer {
        let mut stream = self.connect(line, headers, body).await;
        let mut answer = Vec::new();
        timeout(Duration::from_secs(60), stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    /// Sends a request, and leaves reading the answer to the caller.
    pub async fn connect(&self, line: &str, headers: &[String], body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).await.unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let request = format!("{line}\r\n{headers}Connection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }
}

/// The values of an attribute, in their order in a page.
pub fn attributes(page: &str, name: &str) -> Vec<String> {
    let start = format!(" {name}=\"");
    page.split(&start).skip(1).map(|rest| unescape(rest.split('"').next().unwrap())).collect()
}

/// Returns the text of a page without tags and repeated blanks.
pub fn text(page: &str) -> String {
    let text: String = page
        .split('<')
        .enumerate()
        .map(|(n, part)| if n == 0 { part } else { part.split_once('>').unwrap_or_default().1 })
        .collect::<Vec<_>>()
        .join(" ");
    unescape(&text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns the target of the link with this text.
pub fn link(page: &str, name: &str) -> Option<String> {
    let (before, _) = page.split_once(&format!(">{name}</a>"))?;
    let tag = before.rsplit_once("<a ")?.1;
    (!tag.contains(" hidden")).then(|| attributes(&format!(" {tag}"), "href").remove(0))
}

fn unescape(html: &str) -> String {
    [("&#38;", "&"), ("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'")]
        .iter()
        .fold(html.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
