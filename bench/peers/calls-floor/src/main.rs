//! The minimum of a Rust function on Lambda that calls services: the runtime, and constant requests over connections that stay open.

use std::{
    collections::{HashMap, hash_map::Entry},
    env, fs,
    sync::Arc,
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Uri, body::Bytes, client::conn::http1::SendRequest};
use hyper_util::rt::TokioIo;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Mutex,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};

/// A request of every event.
#[derive(Deserialize)]
struct Call {
    url: String,
    headers: HashMap<String, String>,
    body: Value,
}

/// An open connection.
type Connection = SendRequest<Full<Bytes>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let calls: &Vec<Call> = &serde_json::from_str(&env::var("CALLS")?)?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(&fs::read(env::var("AWS_CA_BUNDLE")?)?) {
        roots.add(root?)?;
    }
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let tls = &TlsConnector::from(Arc::new(tls));
    let connections = &Mutex::new(HashMap::new());
    let handle = async |_: LambdaEvent<Value>| {
        let mut connections = connections.lock().await;
        for call in calls {
            send(call, tls, &mut connections).await?;
        }
        Ok::<_, Error>(json!({ "batchItemFailures": [] }))
    };
    lambda_runtime::run(service_fn(handle)).await
}

/// Sends a request, and reads the answer to its end.
async fn send(call: &Call, tls: &TlsConnector, open: &mut HashMap<String, Connection>) -> Result<(), Error> {
    let url: Uri = call.url.parse()?;
    let (host, authority) = (url.host().unwrap_or_default(), url.authority().ok_or("a URL names no host")?);
    let connection = match open.entry(authority.to_string()) {
        Entry::Occupied(open) => open.into_mut(),
        Entry::Vacant(free) => {
            let stream = TcpStream::connect((host, url.port_u16().unwrap_or(443))).await?;
            stream.set_nodelay(true)?;
            free.insert(if url.scheme_str() == Some("https") {
                connect(tls.connect(ServerName::try_from(host.to_owned())?, stream).await?).await?
            } else {
                connect(stream).await?
            })
        }
    };
    let mut request = Request::post(url.path()).header("host", authority.as_str());
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    connection.ready().await?;
    let answer = connection.send_request(request.body(Full::new(call.body.to_string().into()))?).await?;
    if !answer.status().is_success() {
        return Err(format!("{} answers {}", call.url, answer.status()).into());
    }
    answer.into_body().collect().await?;
    Ok(())
}

/// Sets up HTTP on a stream.
async fn connect(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection, Error> {
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}
