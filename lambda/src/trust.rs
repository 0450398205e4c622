//! The certificate authorities that a function trusts for AWS.

use std::fs;

use aws_smithy_http_client::tls::TrustStore;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::environment::{Environment, InvalidVariable};

/// The certificate authorities of AWS's own endpoints. Reading the system's instead (145 on the machine of the measurement)
/// takes 12 of the 17 million instructions of the receiver's start.
const AMAZON_TRUST_SERVICES: &[u8] = include_bytes!("amazon_trust_services.pem");

/// Prefixes of regions whose endpoints may use other authorities: China and the isolated regions.
const OTHER_AUTHORITIES: [&str; 4] = ["cn-", "us-iso", "eu-iso", "eusc-"];

/// Returns Amazon's own authorities, or those in the file that `AWS_CA_BUNDLE` names, as with the AWS CLI. In regions where
/// Amazon's may not be enough, it returns all authorities that the system trusts.
///
/// # Errors
/// Fails when the file of `AWS_CA_BUNDLE` has no certificates or cannot be read.
pub(crate) fn trusted(environment: &Environment) -> Result<TrustStore, InvalidVariable> {
    let bundle = environment.read_if_set("AWS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt", |path| {
        let pem = fs::read(path).map_err(|error| format!("the file cannot be read ({error})"))?;
        check(&pem).map(|()| pem)
    })?;
    let region = environment.get("AWS_REGION").unwrap_or_default();
    Ok(match bundle {
        Some(pem) => TrustStore::empty().with_pem_certificate(pem),
        None if OTHER_AUTHORITIES.iter().any(|prefix| region.starts_with(prefix)) => {
            TrustStore::empty().with_native_roots(true)
        }
        None => TrustStore::empty().with_pem_certificate(AMAZON_TRUST_SERVICES),
    })
}

/// Checks the certificates for faults on which the SDK would panic.
fn check(pem: &[u8]) -> Result<(), String> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| format!("the file is not PEM ({error})"))?;
        roots.add(certificate).map_err(|error| format!("the file contains an unusable certificate ({error})"))?;
    }
    if roots.is_empty() { Err("the file contains no certificate".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_bundle(name: &str, pem: &[u8]) -> Result<TrustStore, String> {
        let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
        fs::write(&path, pem).unwrap();
        let trusted = trusted(&Environment::from([("AWS_CA_BUNDLE", path.to_str().unwrap())]));
        fs::remove_file(path).unwrap();
        trusted.map_err(|error| error.to_string())
    }

    #[test]
    fn amazons_authorities_are_all_there() {
        assert_eq!(check(AMAZON_TRUST_SERVICES), Ok(()));
        assert_eq!(CertificateDer::pem_slice_iter(AMAZON_TRUST_SERVICES).count(), 5);
    }

    #[test]
    fn in_regions_that_may_not_use_amazons_authorities_the_systems_are_trusted() {
        let of = |region: &str| format!("{:?}", trusted(&Environment::from([("AWS_REGION", region)])).unwrap());
        let systems = format!("{:?}", TrustStore::empty().with_native_roots(true));
        for (region, is_systems) in
            [("eu-west-1", false), ("us-gov-west-1", false), ("cn-north-1", true), ("us-isob-east-1", true)]
        {
            assert_eq!(of(region) == systems, is_systems, "{region}");
        }
    }

    #[test]
    fn a_bundle_takes_the_place_of_all_others() {
        let trusted = of_bundle("good", AMAZON_TRUST_SERVICES).unwrap();
        let expected = TrustStore::empty().with_pem_certificate(AMAZON_TRUST_SERVICES);
        assert_eq!(format!("{trusted:?}"), format!("{expected:?}"));
    }

    #[test]
    fn an_unusable_bundle_is_refused_with_its_fault() {
        let unusable = b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        for (name, pem, fault) in [
            ("empty", &b""[..], "the file contains no certificate"),
            ("cut", b"-----BEGIN CERTIFICATE-----\naGVsbG8=\n", "the file is not PEM"),
            ("unusable", unusable, "the file contains an unusable certificate"),
        ] {
            let message = of_bundle(name, pem).unwrap_err();
            assert!(message.starts_with(&format!("environment variable AWS_CA_BUNDLE: {fault}")), "{message}");
        }
        let missing = trusted(&Environment::from([("AWS_CA_BUNDLE", "/no/such/file")])).unwrap_err().to_string();
        assert!(missing.contains("AWS_CA_BUNDLE: the file cannot be read (No such file"), "{missing}");
    }
}
