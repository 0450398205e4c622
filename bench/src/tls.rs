//! A certificate authority for one run, and the certificate of `localhost` that it has signed.

use std::{fs, path::Path, sync::Arc};

use anyhow::{Context, Result};
use base64::{Engine, engine::general_purpose::STANDARD};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::{
            CryptoProvider,
            ring::{cipher_suite::TLS13_AES_128_GCM_SHA256, default_provider},
        },
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
        version::TLS13,
    },
};

/// The authority. Its key is forgotten as soon as it has signed.
pub struct Authority {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

impl Authority {
    /// Creates an authority, and signs a certificate of `localhost`.
    ///
    /// # Errors
    /// Fails when the system has no random bytes.
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
        // AWS prefers this cipher suite, rustls another, with a hash for which processors have no instructions.
        let provider = CryptoProvider { cipher_suites: vec![TLS13_AES_128_GCM_SHA256], ..default_provider() };
        let server = ServerConfig::builder_with_provider(Arc::new(provider)).with_protocol_versions(&[&TLS13])?;
        let server = server.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], key)?;
        Ok(Self { certificate: issuer.der().clone(), server: Arc::new(server) })
    }

    /// Returns the acceptor of TLS for a server.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// Writes its certificate into a file.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        fs::write(file, self.pem()).with_context(|| format!("{} cannot be written", file.display()))
    }

    /// Writes its certificate into a file, after others: a bundle of the size that is read on Lambda.
    ///
    /// # Errors
    /// Fails when it cannot be written.
    pub fn write_behind(&self, others: &str, file: &Path) -> Result<()> {
        let bundle = format!("{others}{}", self.pem());
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
