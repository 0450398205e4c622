//! The target of a command: the local run, or a deployed stack.

use std::{env, time::Duration};

use anyhow::{Context, Result, anyhow};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_sqs::types::QueueAttributeName;
use aws_smithy_http_client::{
    Builder, Connector,
    proxy::ProxyConfig,
    tls::{Provider, rustls_provider::CryptoMode},
};
use clap::{Args, error::ErrorKind};
use outbound::StoredSecret;
use serde_json::Value;
use shared::{SourceIps, WebhookUrl, text::quoted};
use store::{ForwardRecords, Reader, RegistrationLedger, Settings};

use crate::{
    aws_error::AwsError,
    faults::{Fault, Part},
    handing_on::{EndpointSettings, EventBus, Forwarding},
    local_functions::LocalFunctions,
    project::{Project, Run},
};

/// Maximum time of an invocation, longer than the function's own timeout of 120 s.
const INVOCATION: Duration = Duration::from_secs(130);

/// Maximum time of one attempt of any other request.
const REQUEST: Duration = Duration::from_secs(10);

/// The arguments that name the target.
#[derive(Args, Clone, Default)]
pub struct TargetArgs {
    /// Name of a deployed stack. Default: the local run that `cargo hooks dev` has started.
    #[arg(long, global = true, value_name = "NAME")]
    stack: Option<String>,
    /// Region of the stack. Default: AWS_REGION, or the profile's region.
    #[arg(long, global = true)]
    region: Option<String>,
    /// AWS CLI profile with the credentials. Default: the environment's, such as AWS_PROFILE.
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

/// The parts of a local run or a stack that the commands use.
pub struct Target {
    /// The arguments that named it.
    pub choice: TargetArgs,
    /// The webhook with its token, of a local run only: the token of a stack stays in Secrets Manager.
    pub webhook: Option<WebhookUrl>,
    /// The webhook's address, without the token.
    pub address: String,
    /// The base URL of the partner API.
    pub partner_api: String,
    /// The registration and its ledger.
    pub ledger: RegistrationLedger,
    /// The deliveries and states, without their secrets.
    pub reader: Reader,
    /// The secrets of a stack's account; `None` for a local run.
    pub secrets: Option<AccountSecrets>,
    /// The client for its tables.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// The names of its tables, and the settings for recording deliveries.
    pub settings: Settings,
    /// True when SyncMode is observe: sync registers our URL only on request.
    pub observes: bool,
    /// True when it sets the webhooks of lines.
    pub keeps_lines: bool,
    /// The addresses that the provider may call from, as its configuration has them; `None` when it has none.
    allowed_source_ips: Option<String>,
    /// The queues with deliveries that could not be recorded.
    pub queues: Queues,
    /// `None` for a local run without a publisher.
    event_bus: Option<EventBus>,
    /// `None` without an endpoint.
    forwarding: Option<Forwarding>,
    sync: Sync,
}

/// The secrets of an account in a region.
pub struct AccountSecrets {
    /// The client for them.
    pub client: aws_sdk_secretsmanager::Client,
    /// The account and the region, for people.
    pub place: String,
}

/// The queues with deliveries that could not be recorded.
pub struct Queues {
    /// The client for the queues.
    pub sqs: aws_sdk_sqs::Client,
    /// Address of the queue from which redrive records deliveries.
    pub fallback: String,
    /// Address of the queue with deliveries that redrive could not record either.
    pub dead_letter: String,
}

impl Queues {
    /// Returns the approximate number of messages in a queue, those in work included.
    ///
    /// # Errors
    /// Fails when SQS refuses, or does not answer.
    pub async fn waiting(&self, queue: &str) -> Result<u64, AwsError> {
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let get = self.sqs.get_queue_attributes().queue_url(queue).set_attribute_names(Some(counts.to_vec()));
        let answer = get.send().await.map_err(|error| AwsError::of("the queue", &error))?;
        let count = |name| answer.attributes().and_then(|attributes| attributes.get(name)?.parse::<u64>().ok());
        Ok(counts.iter().filter_map(count).sum())
    }
}

/// The function sync.
enum Sync {
    Local(LocalFunctions),
    Deployed { lambda: aws_sdk_lambda::Client, name: String },
}

impl Target {
    /// Finds the local run or the stack.
    ///
    /// # Errors
    /// Fails when no local run is up, or the stack cannot be found.
    pub async fn find(choice: TargetArgs) -> Result<Self> {
        match choice.stack() {
            None => Self::of_local_run(Project::find()?.running("--stack")?),
            Some(stack) => Self::of_stack(&Stack::reach(stack, &choice).await?, &choice),
        }
    }

    /// Returns a local run as a target.
    ///
    /// # Errors
    /// Fails when its facts cannot be read.
    pub fn of_local_run(run: Run) -> Result<Self> {
        let dynamodb = emulators::dynamodb::client(&run.dynamodb);
        let sqs = emulators::sqs::client(&run.sqs);
        let forward = run.handing_on.as_ref().and_then(|handing_on| handing_on.forward.as_ref());
        let forwarding = forward.map(|forward| {
            Forwarding::new(
                sqs.clone(),
                [&forward.forward_queue_url, &forward.forward_dead_letter_queue_url],
                StoredSecret::new(emulators::secrets::client(&forward.secrets_manager), &forward.forward_secret_id),
                ForwardRecords::new(dynamodb.clone(), &run.events_table),
                EndpointSettings::Known {
                    url: forward.forward_url.clone(),
                    timeout_seconds: forward.forward_timeout_seconds.clone(),
                },
            )
        });
        let event_bus = run.handing_on.as_ref().map(|handing_on| {
            EventBus::new(emulators::event_bus::client(&handing_on.event_bridge), &handing_on.event_bus_name)
        });
        Ok(Self {
            choice: TargetArgs::default(),
            webhook: Some(WebhookUrl::parse(&run.webhook).context("the URL of the webhook")?),
            address: run.address,
            partner_api: run.partner_api,
            ledger: RegistrationLedger::new(dynamodb.clone(), &run.events_table),
            reader: Reader::new(dynamodb.clone(), &run.events_table),
            secrets: None,
            dynamodb,
            settings: settings(run.events_table, run.sealed_table, &run.dedup_window_seconds, &run.retention_days)?,
            observes: false,
            keeps_lines: true,
            allowed_source_ips: Some(run.allowed_source_ips),
            queues: Queues { sqs, fallback: run.fallback_queue, dead_letter: run.dead_letter_queue },
            event_bus,
            forwarding,
            sync: Sync::Local(LocalFunctions::at(run.functions)),
        })
    }

    /// Returns a deployed stack as a target.
    ///
    /// # Errors
    /// Fails when it is not a stack of this project, or its first deployment has not ended.
    pub fn of_stack(stack: &Stack, choice: &TargetArgs) -> Result<Self> {
        let dynamodb = aws_sdk_dynamodb::Client::new(&stack.aws);
        let address = stack.output("WebhookUrl")?.to_owned();
        let events_table = stack.output("EventsTableName")?;
        let sqs = aws_sdk_sqs::Client::new(&stack.aws);
        // These outputs depend on a condition of the template.
        let forwarding = stack.output("ForwardQueueUrl").ok().map(|queue| {
            anyhow::Ok(Forwarding::new(
                sqs.clone(),
                [queue, stack.output("ForwardDeadLetterQueueUrl")?],
                StoredSecret::new(aws_sdk_secretsmanager::Client::new(&stack.aws), stack.output("ForwardSecretId")?),
                ForwardRecords::new(dynamodb.clone(), events_table),
                EndpointSettings::OfFunction {
                    lambda: stack.lambda(),
                    name: stack.output("ForwarderFunctionName")?.to_owned(),
                },
            ))
        });
        let event_bus = stack.output("EventBusName").ok();
        Ok(Self {
            choice: choice.clone(),
            webhook: None,
            address,
            partner_api: stack.parameter("PartnerApiBaseUrl")?.to_owned(),
            ledger: RegistrationLedger::new(dynamodb.clone(), events_table),
            reader: Reader::new(dynamodb.clone(), events_table),
            secrets: Some(AccountSecrets {
                client: aws_sdk_secretsmanager::Client::new(&stack.aws),
                place: stack.place(),
            }),
            dynamodb,
            settings: settings(
                events_table.to_owned(),
                stack.output("SealedTableName")?.to_owned(),
                stack.parameter("DedupWindowSeconds")?,
                stack.parameter("RetentionDays")?,
            )?,
            observes: stack.parameter("SyncMode").is_ok_and(|mode| mode == "observe"),
            // The output depends on a condition of the template. CloudFormation shows LineWebhookUrl as asterisks, even when it is empty.
            keeps_lines: stack.output("LineWebhookMode").is_ok(),
            allowed_source_ips: stack.parameter("AllowedSourceIps").ok().map(str::to_owned),
            queues: Queues {
                sqs,
                fallback: stack.output("FallbackQueueUrl")?.to_owned(),
                dead_letter: stack.output("DeadLetterQueueUrl")?.to_owned(),
            },
            event_bus: event_bus.map(|name| EventBus::new(aws_sdk_eventbridge::Client::new(&stack.aws), name)),
            forwarding: forwarding.transpose()?,
            sync: Sync::Deployed { lambda: stack.lambda(), name: stack.output("SyncFunctionName")?.to_owned() },
        })
    }

    /// Returns the addresses that the provider may call from; `None` when there is no list.
    ///
    /// # Errors
    /// Fails when the list cannot be read.
    pub fn source_ips(&self) -> Result<Option<SourceIps>> {
        let list = self.allowed_source_ips.as_ref().map(|list| list.parse()).transpose();
        list.context("AllowedSourceIps cannot be read")
    }

    /// Returns the event bus.
    ///
    /// # Errors
    /// Fails when there is none.
    pub fn event_bus(&self) -> Result<&EventBus> {
        self.event_bus.as_ref().with_context(|| match self.choice.stack() {
            Some(stack) => format!("the stack {stack} has no event bus; deploy this version first"),
            None => "this local run has no event bus; start one with `cargo hooks dev`".to_owned(),
        })
    }

    /// Returns the forwarder's parts.
    ///
    /// # Errors
    /// Fails when forwarding is off. The message says how to turn it on.
    pub fn forwarding(&self) -> Result<&Forwarding> {
        self.forwarding.as_ref().with_context(|| match self.choice.stack() {
            Some(stack) => {
                format!("forwarding is off: the stack {stack} has no ForwardUrl; docs/handing-on.md says how to set it")
            }
            None => "forwarding is off: this local run has no forwarder; start one with `cargo hooks dev`".to_owned(),
        })
    }

    /// Calls sync. Returns its answer as it came, for [`crate::local_functions::read_answer`].
    ///
    /// # Errors
    /// Fails when it does not answer.
    pub async fn call_sync(&self, event: &Value) -> Result<String> {
        let (lambda, name) = match &self.sync {
            Sync::Local(caller) => return caller.call("sync", event).await,
            Sync::Deployed { lambda, name } => (lambda, name),
        };
        invoke(lambda, name, event).await
    }
}

impl TargetArgs {
    /// Returns the name of the stack; `None` for the local run. Ends the program with a usage error when a region or profile is given
    /// without a stack.
    pub fn stack(&self) -> Option<&str> {
        // clap's `requires` would need both on the same side of the command's name.
        if self.stack.is_none() && (self.region.is_some() || self.profile.is_some()) {
            let message = "--region and --profile need a deployed stack: name it with --stack\n";
            clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
        }
        self.stack.as_deref()
    }

    /// Returns the name of the profile in use; `None` when none is named.
    pub fn named_profile(&self) -> Option<String> {
        self.profile.clone().or_else(|| env::var("AWS_PROFILE").ok())
    }

    /// Returns the arguments that name the same target, as a shell reads them, each after a blank.
    pub fn arguments(&self) -> String {
        let arguments = [("stack", &self.stack), ("region", &self.region), ("profile", &self.profile)];
        let named =
            arguments.into_iter().filter_map(|(name, value)| Some(format!(" --{name} {}", quoted(value.as_ref()?))));
        named.collect()
    }
}

/// A deployed stack, as CloudFormation describes it.
pub struct Stack {
    name: String,
    described: aws_sdk_cloudformation::types::Stack,
    /// The SDK's configuration to reach it.
    pub aws: SdkConfig,
}

impl Stack {
    /// Finds a stack, with the region and the credentials that a person has.
    ///
    /// # Errors
    /// Fails when one of them is missing, there is no such stack, or AWS does not answer.
    pub async fn reach(name: &str, choice: &TargetArgs) -> Result<Self, Fault> {
        let aws = aws(choice).await?;
        match Fault::of_credentials(&aws, choice.named_profile().as_deref()).await {
            Some(fault) => Err(fault),
            None => Self::describe(name, &aws).await,
        }
    }

    /// Describes a stack.
    ///
    /// # Errors
    /// Fails when there is no such stack, or AWS does not answer.
    pub async fn describe(name: &str, aws: &SdkConfig) -> Result<Self, Fault> {
        let region = aws.region().map(ToString::to_string).unwrap_or_default();
        let described = aws_sdk_cloudformation::Client::new(aws).describe_stacks().stack_name(name).send().await;
        let described = described.map_err(|error| AwsError::of(&format!("stack {name}"), &error));
        let described = described.and_then(|described| {
            let stack = described.stacks.unwrap_or_default().into_iter().next();
            stack.ok_or_else(|| AwsError::new(&format!("stack {name}"), "ValidationError", "it does not exist"))
        });
        let described = described.map_err(|error| Fault::of_answer(name, &region, &error))?;
        Ok(Self { name: name.to_owned(), described, aws: aws.clone() })
    }

    /// Returns its account and region, for people.
    fn place(&self) -> String {
        match self.described.stack_id().unwrap_or_default().split(':').collect::<Vec<_>>()[..] {
            [_, _, _, region, account, ..] => format!("the account {account}, region {region}"),
            _ => "its account".to_owned(),
        }
    }

    /// Returns its status, such as `CREATE_COMPLETE`.
    pub fn status(&self) -> &str {
        self.described.stack_status().map_or("not known", |status| status.as_str())
    }

    /// Returns one of its outputs.
    ///
    /// # Errors
    /// Fails when it has none with that name.
    pub fn output(&self, key: &str) -> Result<&str> {
        let output = self.described.outputs().iter().find(|output| output.output_key() == Some(key));
        output.and_then(|output| output.output_value()).with_context(|| {
            let name = &self.name;
            format!(
                "the stack {name} has no output {key}: it is not of this project, or its first deployment has not ended"
            )
        })
    }

    /// Returns the value of one of its parameters.
    ///
    /// # Errors
    /// Fails when it has none with that name.
    pub fn parameter(&self, key: &str) -> Result<&str> {
        let parameter = self.described.parameters().iter().find(|parameter| parameter.parameter_key() == Some(key));
        let value = parameter.and_then(|parameter| parameter.parameter_value());
        value.with_context(|| format!("the stack {} has no parameter {key}: it is not of this project", self.name))
    }

    /// Returns a client that calls functions without retrying.
    pub fn lambda(&self) -> aws_sdk_lambda::Client {
        // Carried out twice, a rotation would be two.
        let once = self.aws.to_builder().retry_config(RetryConfig::disabled());
        let patient = TimeoutConfig::builder().read_timeout(INVOCATION).operation_timeout(INVOCATION).build();
        aws_sdk_lambda::Client::new(&once.timeout_config(patient).build())
    }
}

/// Calls a deployed function. Returns its answer as it came.
///
/// # Errors
/// Fails when it does not answer.
pub async fn invoke(lambda: &aws_sdk_lambda::Client, name: &str, event: &Value) -> Result<String> {
    let answer = lambda.invoke().function_name(name).payload(event.to_string().into_bytes().into()).send().await;
    let answer = answer.map_err(|error| AwsError::of(&format!("the function {name}"), &error))?;
    let payload = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
    Ok(String::from_utf8(payload)?)
}

fn settings(events_table: String, sealed_table: String, window: &str, retention: &str) -> Result<Settings> {
    let dedup_window = Settings::parse_dedup_window(window).map_err(|fault| anyhow!("the window: {fault}"))?;
    let retention = Settings::parse_retention(retention).map_err(|fault| anyhow!("the retention: {fault}"))?;
    Ok(Settings { events_table, sealed_table, dedup_window, retention })
}

/// Returns the SDK's configuration, from the same sources as the AWS CLI's: the environment, and the files in `~/.aws`. Its requests go
/// through the proxy that `HTTPS_PROXY` and `NO_PROXY` name, and trust the certificate authorities of this machine, or those in the file
/// that `SSL_CERT_FILE` names.
///
/// # Errors
/// Fails when no region is configured, or the profile does not exist.
#[expect(clippy::disallowed_methods, reason = "a person's credentials can be anywhere")]
pub async fn aws(choice: &TargetArgs) -> Result<SdkConfig, Fault> {
    let http = Builder::new().build_with_connector_fn(|settings, components| {
        let mut connector = Connector::builder();
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.proxy_config(ProxyConfig::from_env()).tls_provider(Provider::Rustls(CryptoMode::Ring)).build()
    });
    // The SDK limits the time to connect by itself, to 3 s.
    let timeouts = TimeoutConfig::builder().operation_attempt_timeout(REQUEST).build();
    let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone()).timeout_config(timeouts);
    if let Some(region) = &choice.region {
        config = config.region(Region::new(region.clone()));
    }
    if let Some(profile) = &choice.profile {
        // A named profile wins over credentials in the environment, as with the AWS CLI.
        let lookups =
            ProviderConfig::default().with_http_client(http).with_region(choice.region.clone().map(Region::new));
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&lookups).build();
        config = config.profile_name(profile).credentials_provider(credentials);
    }
    let config = config.load().await;
    if config.region().is_some() {
        return Ok(config);
    }
    // A profile that does not exist has no region either.
    let unknown_profile = match choice.named_profile() {
        Some(profile) => {
            Fault::of_credentials(&config, Some(&profile)).await.filter(|fault| fault.part == Part::Profile)
        }
        None => None,
    };
    Err(unknown_profile.unwrap_or_else(Fault::no_region))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_made_again_by_its_arguments() {
        let choice = |profile: Option<&str>| TargetArgs {
            stack: Some("hooks".to_owned()),
            region: None,
            profile: profile.map(str::to_owned),
        };
        assert_eq!(choice(None).arguments(), " --stack hooks");
        assert_eq!(choice(Some("my profile")).arguments(), " --stack hooks --profile 'my profile'");
        assert_eq!(TargetArgs::default().arguments(), "");
    }
}
