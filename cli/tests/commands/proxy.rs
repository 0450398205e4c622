//! Servers that are reached through a proxy, and whose certificate a private authority has signed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use emulators::endpoint::Endpoint;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    program::{hooks, run},
    webhook::{stack::CREDENTIALS, world::World as WithSync},
    world::{SIGNING_SECRET, World},
};

/// A proxy for HTTPS that answers for `localhost` and `aws.test` itself, and hands the requests to a server without TLS.
struct Proxy {
    url: String,
    /// File with the authority.
    authority: PathBuf,
    /// The hosts that it was asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(folder: &Path, server: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["localhost", "aws.test"].map(str::to_owned)).unwrap();
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &issuer).unwrap().der().clone();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![leaf], key.serialize_der().try_into().unwrap()).unwrap();
        let authority = folder.join("authority.pem");
        let pem = STANDARD.encode(issuer.der());
        fs::write(&authority, format!("-----BEGIN CERTIFICATE-----\n{pem}\n-----END CERTIFICATE-----\n")).unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (acceptor, asked) = (TlsAcceptor::from(Arc::new(config)), Arc::<Mutex<Vec<String>>>::default());
        let server = server.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        let asked_here = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, acceptor.clone(), server.clone(), Arc::clone(&asked_here)));
            }
        });
        Self { url, authority, asked }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("HTTPS_PROXY", &self.url), ("SSL_CERT_FILE", self.authority.to_str().unwrap())]
    }
}

async fn serve(connection: TcpStream, acceptor: TlsAcceptor, server: String, asked: Arc<Mutex<Vec<String>>>) {
    let mut connection = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(connection.read_line(&mut head).await.unwrap(), 0, "{head}");
    }
    let host = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap();
    asked.lock().unwrap().push(host.to_owned());
    connection.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    // A client that does not trust the authority ends the connection.
    if let Ok(mut connection) = acceptor.accept(connection).await {
        let mut server = TcpStream::connect(server).await.unwrap();
        let _ = copy_bidirectional(&mut connection, &mut server).await;
    }
}

#[tokio::test]
async fn aws_is_reached_through_a_proxy_by_its_certificate_from_a_private_authority() {
    let world = WithSync::start("proxy-aws").await;
    let proxy = Proxy::start(&world.project, &world.aws).await;
    let get = async |environment: &[(&str, &str)]| {
        let aws = [("AWS_ENDPOINT_URL", "https://aws.test"), ("AWS_MAX_ATTEMPTS", "1")];
        world.webhook_of_stack(&["get", "--stack", "hooks"], &[&CREDENTIALS[..], &aws, environment].concat()).await
    };
    let got = get(&proxy.environment()).await;
    assert_eq!((got.code, got.stderr.as_str()), (3, ""), "nothing is registered");
    let not_trusted = get(&proxy.environment()[..1]).await;
    assert!(not_trusted.code == 1 && not_trusted.stderr.contains("\nfix: export SSL_CERT_FILE="), "{not_trusted:?}");
    assert!(proxy.asked.lock().unwrap().iter().all(|host| host == "aws.test:443"));
}

#[tokio::test]
async fn events_are_posted_through_a_proxy_by_a_certificate_from_a_private_authority() {
    let world = World::start("proxy-posts").await;
    world.fill().await;
    let endpoint = Endpoint::start(SIGNING_SECRET).await.unwrap();
    let proxy = Proxy::start(&world.project, &endpoint.url()).await;
    let (url, id, home) = ("https://localhost/events", world.id(50).to_string(), world.project.to_str().unwrap());
    world.forward_to(url);
    fs::write(world.project.join("event.json"), "{}").unwrap();
    let [through, trusting] = proxy.environment();
    for arguments in
        [&["send", "event.json", "--url", url][..], &["replay", &id, "--to", url, "--restart"], &["forward", "test"]]
    {
        let post = async |environment: &[(&str, &str)]| {
            let before = endpoint.received().len();
            let ended = run(hooks(&world.project, arguments, &[environment, &[("HOME", home)]].concat())).await;
            (ended.code, endpoint.received().len() - before, ended.stdout + &ended.stderr)
        };
        let (code, posted, said) = post(&[through, trusting]).await;
        assert_eq!((code, posted), (0, 1), "{said}");
        let (code, posted, said) = post(&[through]).await;
        assert!(code == 1 && posted == 0 && said.contains("invalid peer certificate"), "{said}");
        assert!(arguments == ["forward", "test"] || said.contains("\nfix: export SSL_CERT_FILE="), "{said}");
        for direct in [&[trusting][..], &[through, trusting, ("NO_PROXY", "localhost")]] {
            let (code, posted, said) = post(direct).await;
            assert_eq!((code, posted), (1, 0), "{said}");
        }
    }
    assert_eq!(*proxy.asked.lock().unwrap(), ["localhost:443"; 6], "twice for each command");
}
