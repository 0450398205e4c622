//! Everything that the test has started, and what it knows of the stack.

use std::sync::Arc;

use emulators::{endpoint::Endpoint, partner::Partner};

use crate::{
    emulator::Emulator,
    functions,
    progress::say,
    provider::{self, Answer},
    queues::Queues,
    secrets::Secrets,
    stack::{self, Outputs},
    tables::Tables,
    tools::Tools,
};

/// The number of lines of the emulator's log that are shown after a failure.
const LINES: usize = 40;

pub struct World {
    pub tools: Tools,
    pub emulator: Arc<Emulator>,
    pub partner: Arc<Partner>,
    /// The partner's own, which events are forwarded to.
    pub endpoint: Endpoint,
    /// Queue of a rule on the event bus.
    pub bus_consumer: String,
    pub secrets: Secrets,
    /// Of the last deployment.
    pub outputs: Outputs,
}

impl World {
    /// Builds what will be deployed, and starts what stands for AWS and for the provider.
    pub async fn start() -> Self {
        let tools = Tools::bring().await;
        say("sam build, which takes minutes when it is the first");
        stack::build(&tools).await;
        say("starting MiniStack and the stand-in for the partner API");
        let emulator = Arc::new(Emulator::start(&tools).await);
        let partner = Arc::new(Partner::start().await.unwrap());
        // It learns its secret after the deployment.
        let endpoint = Endpoint::start("").await.unwrap();
        let mut secrets = Secrets::default();
        secrets.add(Secrets::api_key());
        secrets.add(emulators::partner::CLIENT_SECRET);
        Self { tools, emulator, partner, endpoint, bus_consumer: String::new(), secrets, outputs: Outputs::new() }
    }

    /// An output of the stack.
    pub fn output(&self, name: &str) -> &str {
        self.outputs.get(name).unwrap_or_else(|| panic!("the stack has no output {name}"))
    }

    pub fn tables(&self) -> Tables {
        let client = aws_sdk_dynamodb::Client::new(&self.emulator.sdk_config());
        Tables::new(client, self.output("EventsTableName"), self.output("SealedTableName"))
    }

    pub fn queues(&self) -> Queues {
        let client = aws_sdk_sqs::Client::new(&self.emulator.sdk_config());
        Queues::new(client, self.output("FallbackQueueUrl"), self.output("DeadLetterQueueUrl"))
    }

    /// The registered URL, in which there is the token.
    pub fn registered(&self) -> String {
        self.partner.registered().expect("no webhook is registered")
    }

    /// The registered URL with a token that is not accepted in place of its own.
    pub fn with_another_token(&self) -> String {
        format!("{}/another-token-0123456789", self.output("WebhookUrl"))
    }

    /// Posts an event to the registered URL, from the provider's address.
    pub async fn post(&self, body: impl Into<Vec<u8>>) -> Answer {
        provider::post(&self.emulator, &self.registered(), provider::ADDRESS, body).await
    }

    /// After a failure: what the stack and the functions have said, without secrets.
    pub async fn print_what_happened(&self) {
        say("it has failed");
        for failure in stack::failures(&self.emulator).await {
            println!("{}", self.secrets.masked(&failure));
        }
        for (group, log) in functions::logs(&self.emulator).await {
            println!("---- {group}\n{}", self.secrets.masked(&log));
        }
        let log = self.emulator.log();
        println!("---- the end of {}\n{}", log.display(), self.secrets.masked_end(log, LINES));
    }
}
