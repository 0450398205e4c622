//! What a command is about: the local run, or a deployed stack.

use std::{error::Error, time::Duration};

use anyhow::{Context, Result, anyhow, bail};
use aws_config::{
    BehaviorVersion, Region, SdkConfig, profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig,
    retry::RetryConfig, timeout::TimeoutConfig,
};
use aws_sdk_lambda::error::ProvideErrorMetadata;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use clap::{Args, error::ErrorKind};
use serde_json::Value;
use shared::{Causes, WebhookUrl};
use store::{Reader, RegistrationLedger, Settings};

use crate::{
    call::Caller,
    project::{Project, Run},
};

/// Lets the function come to its own end before we stop waiting: its timeout is 120 s.
const INVOCATION: Duration = Duration::from_secs(130);

/// How a person names it.
#[derive(Args, Clone, Default)]
pub struct Choice {
    /// The deployed stack; else the local run that `hooks dev` has up.
    #[arg(long, global = true, value_name = "NAME")]
    stack: Option<String>,
    /// The stack's region; else that of AWS_REGION, or of the profile.
    #[arg(long, global = true)]
    region: Option<String>,
    /// The profile of the AWS CLI with the credentials; else what the environment has, such as AWS_PROFILE.
    #[arg(long, global = true, value_name = "NAME")]
    profile: Option<String>,
}

impl Choice {
    /// The stack's name; `None` for the local run.
    pub fn stack(&self) -> Option<&str> {
        self.stack.as_deref()
    }

    /// The options by which another command is about the same, each with a blank in front.
    pub fn options(&self) -> String {
        let options = [("--stack", &self.stack), ("--region", &self.region), ("--profile", &self.profile)];
        let given = options.iter().filter_map(|(option, value)| Some((option, value.as_ref()?)));
        given.map(|(option, value)| format!(" {option} {value}")).collect()
    }
}

/// What of it these commands need.
pub struct Target {
    /// How it was named.
    pub choice: Choice,
    /// The webhook with its token, of the local run alone: the token of a stack is not ours to know.
    pub webhook: Option<WebhookUrl>,
    /// The webhook's address, without the token.
    pub address: String,
    /// What stands in its table of the registration.
    pub ledger: RegistrationLedger,
    /// The deliveries and states in its table, from which the secrets are taken out.
    pub reader: Reader,
    /// Where its tables are.
    pub dynamodb: aws_sdk_dynamodb::Client,
    /// Its tables, and how deliveries are recorded there.
    pub settings: Settings,
    /// What could not be recorded.
    pub queues: Queues,
    sync: Sync,
}

/// Where deliveries wait that could not be recorded.
pub struct Queues {
    /// Where they are.
    pub sqs: aws_sdk_sqs::Client,
    /// The address of the one from which redrive records them.
    pub fallback: String,
    /// The address of the one in which they end that redrive could not record either.
    pub dead_letter: String,
}

/// The function sync.
enum Sync {
    Local(Caller),
    Deployed { lambda: aws_sdk_lambda::Client, name: String },
}

impl Target {
    /// Finds it.
    ///
    /// # Errors
    /// When no local run is up, or the stack cannot be found.
    pub async fn find(choice: Choice) -> Result<Self> {
        match &choice.stack {
            // Not by `requires`, for which both would have to be on the same side of the command's name.
            None if choice.region.is_some() || choice.profile.is_some() => {
                let message = "--region and --profile are about a deployed stack; name it with --stack\n";
                clap::Error::raw(ErrorKind::MissingRequiredArgument, message).exit()
            }
            None => Self::of_run(Project::find()?.running("--stack")?),
            Some(stack) => Self::of_stack(stack, &choice).await,
        }
    }

    /// A local run.
    ///
    /// # Errors
    /// When what it says of itself cannot be read.
    pub fn of_run(run: Run) -> Result<Self> {
        let dynamodb = local::dynamodb::client(&run.dynamodb);
        Ok(Self {
            choice: Choice::default(),
            webhook: Some(WebhookUrl::parse(&run.webhook).context("the URL of the webhook")?),
            address: run.address,
            ledger: RegistrationLedger::new(dynamodb.clone(), &run.events_table),
            reader: Reader::new(dynamodb.clone(), &run.events_table),
            dynamodb,
            settings: settings(run.events_table, run.sealed_table, &run.dedup_window_seconds, &run.retention_days)?,
            queues: Queues {
                sqs: local::sqs::client(&run.sqs),
                fallback: run.fallback_queue,
                dead_letter: run.dead_letter_queue,
            },
            sync: Sync::Local(Caller::at(run.functions)),
        })
    }

    async fn of_stack(name: &str, choice: &Choice) -> Result<Self> {
        let aws = &aws(choice).await?;
        let described = aws_sdk_cloudformation::Client::new(aws).describe_stacks().stack_name(name).send().await;
        let described = described.map_err(|error| refused(&format!("stack {name}"), &error))?;
        let stack = described.stacks().first();
        let outputs = stack.map(|stack| stack.outputs()).unwrap_or_default();
        let parameters = stack.map(|stack| stack.parameters()).unwrap_or_default();
        let output = |key: &str| {
            let output = outputs.iter().find(|output| output.output_key() == Some(key));
            let value = output.and_then(|output| output.output_value());
            value.map(str::to_owned).with_context(|| {
                format!("the stack {name} has no output {key}: it is not of this project, or its deployment has not come to an end")
            })
        };
        let parameter = |key: &str| {
            let parameter = parameters.iter().find(|parameter| parameter.parameter_key() == Some(key));
            let value = parameter.and_then(|parameter| parameter.parameter_value());
            value.with_context(|| format!("the stack {name} has no parameter {key}: it is not of this project"))
        };
        // Carried out twice, a rotation would be two.
        let once = aws.to_builder().retry_config(RetryConfig::disabled());
        let patient = TimeoutConfig::builder().read_timeout(INVOCATION).operation_timeout(INVOCATION).build();
        let dynamodb = aws_sdk_dynamodb::Client::new(aws);
        let address = output("WebhookUrl")?;
        let events_table = output("EventsTableName")?;
        Ok(Self {
            choice: choice.clone(),
            webhook: None,
            address,
            ledger: RegistrationLedger::new(dynamodb.clone(), &events_table),
            reader: Reader::new(dynamodb.clone(), &events_table),
            dynamodb,
            settings: settings(
                events_table,
                output("SealedTableName")?,
                parameter("DedupWindowSeconds")?,
                parameter("RetentionDays")?,
            )?,
            queues: Queues {
                sqs: aws_sdk_sqs::Client::new(aws),
                fallback: output("FallbackQueueUrl")?,
                dead_letter: output("DeadLetterQueueUrl")?,
            },
            sync: Sync::Deployed {
                lambda: aws_sdk_lambda::Client::new(&once.timeout_config(patient).build()),
                name: output("SyncFunctionName")?,
            },
        })
    }

    /// Calls sync, and gives its answer as it came; [`crate::call::read_answer`] reads it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn call_sync(&self, event: &Value) -> Result<String> {
        let (lambda, name) = match &self.sync {
            Sync::Local(caller) => return caller.call("sync", event).await,
            Sync::Deployed { lambda, name } => (lambda, name),
        };
        let answer = lambda.invoke().function_name(name).payload(event.to_string().into_bytes().into()).send().await;
        let answer = answer.map_err(|error| refused(&format!("the function {name}"), &error))?;
        let payload = answer.payload().map(|payload| payload.as_ref().to_vec()).unwrap_or_default();
        Ok(String::from_utf8(payload)?)
    }
}

fn settings(events_table: String, sealed_table: String, window: &str, retention: &str) -> Result<Settings> {
    let dedup_window = Settings::parse_dedup_window(window).map_err(|fault| anyhow!("the window: {fault}"))?;
    let retention = Settings::parse_retention(retention).map_err(|fault| anyhow!("the retention: {fault}"))?;
    Ok(Settings { events_table, sealed_table, dedup_window, retention })
}

/// What AWS has said, if it has answered, else what kept it from answering.
fn refused(what: &str, error: &(impl ProvideErrorMetadata + Error + 'static)) -> anyhow::Error {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => anyhow!("{what}: {code}: {message}"),
        _ => anyhow!("{what}: {}", Causes(error)),
    }
}

/// The SDK as the AWS CLI is configured: by the environment, the files in `~/.aws`, and whatever they lead to.
#[expect(clippy::disallowed_methods, reason = "a person's credentials can be anywhere")]
async fn aws(choice: &Choice) -> Result<SdkConfig> {
    let http = Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let mut config = aws_config::defaults(BehaviorVersion::latest()).http_client(http.clone());
    if let Some(region) = &choice.region {
        config = config.region(Region::new(region.clone()));
    }
    if let Some(profile) = &choice.profile {
        // A profile that is named counts more than credentials that stand in the environment, as with the AWS CLI.
        let lookups =
            ProviderConfig::default().with_http_client(http).with_region(choice.region.clone().map(Region::new));
        let credentials = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&lookups).build();
        config = config.profile_name(profile).credentials_provider(credentials);
    }
    let config = config.load().await;
    if config.region().is_none() {
        bail!("the region is not known; give --region, set AWS_REGION, or name a profile that has one");
    }
    Ok(config)
}
