//! A certificate authority for one run, and what it has signed: the certificate of `localhost`.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};

/// Where Linux distributions keep the roots that programs trust; the first is Debian's, the second Amazon Linux's.
const SYSTEM_ROOTS: [&str; 2] = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];

/// The authority. Its key is forgotten as soon as it has signed.
pub struct Authority {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// Makes one, and a certificate of `localhost` signed by it.
    ///
    /// # Errors
    /// When there is no randomness to be had.
    pub fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "the authority of one run of bench-functions");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(["localhost".to_owned()])?;
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.use_authority_key_identifier_extension = true;
        let leaf = params.signed_by(&key, &issuer)?;
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let server = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key)?;
        Ok(Self { certificate: issuer.der().clone(), server: Arc::new(server) })
    }

    /// What ends TLS for a server.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// What begins TLS for a client that trusts this authority alone.
    ///
    /// # Errors
    /// When its own certificate is none.
    pub fn connector(&self) -> Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        Ok(TlsConnector::from(Arc::new(config)))
    }

    /// Writes its certificate into a file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, self.pem()).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Writes its certificate into a file, behind the system's own: a bundle of the size that programs read on Lambda.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_with_system_roots(&self, file: &Path) -> Result<()> {
        let mut bundle = SYSTEM_ROOTS.iter().find_map(|roots| fs::read_to_string(roots).ok()).unwrap_or_default();
        bundle.push_str(&self.pem());
        fs::write(file, bundle).with_context(|| format!("{} cannot be written", file.display()))
    }

    fn pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        let mut pem = "-----BEGIN CERTIFICATE-----\n".to_owned();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, others) = rest.split_at(rest.len().min(64));
            pem.push_str(line);
            pem.push('\n');
            rest = others;
        }
        pem + "-----END CERTIFICATE-----\n"
    }
}
