//! Faults outside the program, such as in credentials, network or stack, each with the command that fixes it.

use std::{env, error::Error, fmt};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use shared::{Causes, text::quoted};

use crate::aws_error::AwsError;

/// The commands that set up credentials.
const LOGIN: &str = "aws configure, or aws sso login";

/// AWS' errors for expired credentials.
const EXPIRED: [&str; 3] = ["ExpiredToken", "ExpiredTokenException", "RequestExpired"];

/// AWS' errors for unknown credentials, or a wrong secret.
const UNKNOWN: [&str; 5] = [
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "AuthFailure",
    "IncompleteSignature",
];

/// The words of the SDK when there is no file with profiles.
const NO_PROFILES: &str = "the credential provider was not enabled";

/// The words of the SDK for a missing or expired SSO login, and the error of the SSO service for an ended one.
const NO_SSO_LOGIN: [&str; 3] = ["SSO token", ".aws/sso/cache", "UnauthorizedException"];

/// The errors for a role that a profile may not use.
const ROLE_DENIED: [&str; 2] = ["AccessDenied", "ForbiddenException"];

/// The words of the SDK for a request without an answer.
const NO_ANSWER: &str = "dispatch failure: ";

/// The words of rustls for a certificate that it does not trust.
const NOT_TRUSTED: &str = "invalid peer certificate";

/// A fault outside the program. `Display` does not include the fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The part at fault.
    pub part: Part,
    /// The fault in plain words.
    pub what: String,
    /// The command that fixes it, or the thing to do.
    pub fix: String,
}

/// A part outside the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Region,
    Profile,
    Credentials,
    Network,
    Stack,
    Tool,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Error for Fault {}

impl Fault {
    fn new(part: Part, what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { part, what: what.into(), fix: fix.into() }
    }

    /// Returns the fault of a missing region.
    pub fn no_region() -> Self {
        let fix = "export AWS_REGION=<region>, or give --region, or a --profile that has one";
        Self::new(Part::Region, "the region is not known", fix)
    }

    /// Returns the fault of a program on this machine.
    pub fn of_tool(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(Part::Tool, what, fix)
    }

    /// Returns a fault of the credentials that appears before they are sent to AWS. `profile` is the one in use, if it was named.
    pub async fn of_credentials(aws: &SdkConfig, profile: Option<&str>) -> Option<Self> {
        let Some(provider) = aws.credentials_provider() else {
            return Some(Self::new(Part::Credentials, "there are no credentials for AWS", LOGIN));
        };
        let message = Causes(&provider.provide_credentials().await.err()?).to_string();
        Some(Self::of_unusable_credentials(&message, profile))
    }

    /// Returns the fault that the SDK's message about credentials shows.
    fn of_unusable_credentials(message: &str, profile: Option<&str>) -> Self {
        let fault = |what: String, fix: String| Self::new(Part::Credentials, what, fix);
        let of_profile = profile.map(|profile| format!(" --profile {}", quoted(profile))).unwrap_or_default();
        let named = profile.map(|profile| format!(" of the profile {profile}")).unwrap_or_default();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        if let Some(profile) = profile
            && has(&["was not defined", "does not exist", NO_PROFILES])
        {
            let what = format!("there is no profile {profile} in ~/.aws");
            return Self::new(Part::Profile, what, "aws configure list-profiles, to see the names");
        }
        if has(&["credentials-login", "login_session"]) {
            let fix = format!("eval \"$(aws configure export-credentials{of_profile} --format env)\"");
            return fault(
                format!("the credentials{named} are those of `aws login`, which only the AWS CLI reads"),
                fix,
            );
        }
        if has(&NO_SSO_LOGIN) {
            return fault(
                format!("the SSO login{named} has expired or was never made"),
                format!("aws sso login{of_profile}"),
            );
        }
        // The lines after the first one list every place that was tried. The metadata of a machine in EC2 is the last one.
        if has(&["no credentials", "no providers", NO_PROFILES, "IMDS"]) {
            return fault("there are no credentials for AWS".to_owned(), LOGIN.to_owned());
        }
        let first = message.lines().next().unwrap_or_default();
        if has(&ROLE_DENIED) {
            let fix = "check the role of the profile in ~/.aws/config, and who may assume it";
            return fault(format!("the role{named} is denied: {first}"), fix.to_owned());
        }
        fault(format!("the credentials{named} cannot be read: {first}"), LOGIN.to_owned())
    }

    /// Returns the fault that the error of DescribeStacks shows.
    pub fn of_answer(stack: &str, region: &str, error: &AwsError) -> Self {
        let message = error.to_string();
        match error.code.as_deref() {
            Some(code) if EXPIRED.contains(&code) => Self::new(
                Part::Credentials,
                format!("the credentials have expired ({code})"),
                "aws sso login, or get new credentials from the same source",
            ),
            Some(code) if UNKNOWN.contains(&code) => {
                Self::new(Part::Credentials, format!("AWS does not accept the credentials ({code})"), "aws configure")
            }
            Some("AccessDenied" | "AccessDeniedException") => {
                Self::new(Part::Stack, message, "give these credentials the permission cloudformation:DescribeStacks")
            }
            Some("ValidationError") if message.contains("does not exist") => Self::new(
                Part::Stack,
                format!("there is no stack {stack} in {region}"),
                "aws cloudformation list-stacks, to see its name; else sam build && sam deploy",
            ),
            Some(_) => Self::new(
                Part::Stack,
                message,
                format!(
                    "try again in a minute; if AWS still refuses: aws cloudformation describe-stacks --stack-name {}",
                    quoted(stack)
                ),
            ),
            None => {
                let cause = message.split_once(NO_ANSWER).map_or(message.as_str(), |(_, cause)| cause);
                Self::new(Part::Network, format!("AWS cannot be reached in {region}: {cause}"), network_fix(cause))
            }
        }
    }
}

/// Returns the thing to do when a request has no answer, by its cause.
fn network_fix(cause: &str) -> &'static str {
    let has_proxy = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
        .iter()
        .any(|name| env::var_os(name).is_some_and(|value| !value.is_empty()));
    if cause.contains("certificate") || cause.contains("UnknownIssuer") {
        "export SSL_CERT_FILE=<file with the certificate authorities of your organization>"
    } else if has_proxy {
        "check HTTPS_PROXY and NO_PROXY"
    } else if cause.contains("refused") {
        "cargo hooks dev, if it is the local run that has ended; behind a proxy, export HTTPS_PROXY=http://<host>:<port>"
    } else {
        "check the network of this machine; behind a proxy, export HTTPS_PROXY=http://<host>:<port>"
    }
}

/// Returns an error as a command prints it: the fault, and on a second line its fix, if one is known.
pub fn told(error: &anyhow::Error) -> String {
    format!("error: {}", with_fix(error))
}

/// Returns an error and its fix as [`told`] does, for the end of a sentence.
pub fn with_fix(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    if let Some(fault) = error.chain().find_map(|cause| cause.downcast_ref::<Fault>()) {
        return format!("{text}\nfix: {}", fault.fix);
    }
    match text.split_once(NO_ANSWER) {
        Some((before, cause)) => format!("{before}no connection: {cause}\nfix: {}", network_fix(cause)),
        // From a post, which is not the SDK's.
        None if text.contains(NOT_TRUSTED) => format!("{text}\nfix: {}", network_fix(&text)),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn refusals_of_aws_distinguish_credentials_from_a_missing_stack() {
        for (code, part) in [
            ("ExpiredToken", Part::Credentials),
            ("InvalidClientTokenId", Part::Credentials),
            ("AccessDenied", Part::Stack),
            ("ValidationError", Part::Stack),
        ] {
            let fault = Fault::of_answer("hooks", "eu-west-1", &AwsError::new("stack hooks", code, "message"));
            assert_eq!(fault.part, part, "{code}");
        }
    }

    #[test]
    fn a_stack_that_aws_cannot_describe_now_is_not_called_missing() {
        for code in ["Throttling", "InternalFailure", "ServiceUnavailable"] {
            let fault = Fault::of_answer("hooks", "eu-west-1", &AwsError::new("stack hooks", code, "message"));
            assert!(fault.fix.starts_with("try again in a minute"), "{code}: {}", fault.fix);
        }
    }

    #[test]
    fn only_a_missing_sso_login_is_fixed_by_one() {
        let denied = "an error occurred while loading credentials: service error: unhandled error (AccessDenied): Error { code: \
                      AccessDenied, message: User: arn:aws:sts::1:assumed-role/AWSReservedSSO_operator_1/me is not authorized to \
                      perform: sts:AssumeRole }";
        let no_access = "an error occurred while loading credentials: service error: unhandled error (ForbiddenException): No access";
        for (message, fix) in [
            (
                "an error occurred while loading credentials: the SSO token has expired and cannot be refreshed",
                "aws sso login",
            ),
            (
                "an error occurred while loading credentials: failed to load the cached SSO token: not found",
                "aws sso login",
            ),
            (
                "an error occurred while loading credentials: failed to read `/home/me/.aws/sso/cache/1.json`",
                "aws sso login",
            ),
            ("an error: service error: UnauthorizedException: Session token not found or invalid", "aws sso login"),
            (denied, "check the role of the profile"),
            (no_access, "check the role of the profile"),
            ("profile `sso-admin` cannot be read", LOGIN),
        ] {
            let fault = Fault::of_unusable_credentials(message, Some("p"));
            assert!(fault.fix.starts_with(fix), "{message}: {fault:?}");
        }
    }

    #[test]
    fn an_error_is_printed_with_its_fix_and_a_lost_connection_in_plain_words() {
        let fault: anyhow::Error = Fault::no_region().into();
        let told_of = told(&fault);
        assert!(told_of.starts_with("error: the region is not known\nfix: export AWS_REGION=<region>"), "{told_of}");
        assert!(told(&Err::<(), _>(fault).context("there").unwrap_err()).contains("\nfix: export"));
        let lost = told(&anyhow!("DynamoDB: dispatch failure: io error: invalid peer certificate: UnknownIssuer"));
        let expected = "error: DynamoDB: no connection: io error: invalid peer certificate: UnknownIssuer\nfix: export SSL_CERT_FILE=";
        assert!(lost.starts_with(expected), "{lost}");
        assert_eq!(told(&anyhow!("else")), "error: else");
    }
}
