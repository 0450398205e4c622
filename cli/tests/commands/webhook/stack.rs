use std::{
    fs,
    time::{Duration, SystemTime},
};

use fixtures::{API_KEY, LINE, fingerprint_key, received, settings, update};
use shared::{QueuedDelivery, Received, TokenCheck};
use store::{Delivery, Recorder};
use tokio::{net::TcpListener, time::timeout};

use super::world::{FOREIGN, OURS, World};
use crate::program::{self, hooks, project};

/// The exit code of `get` before anything was registered.
const NOT_REGISTERED: i32 = 3;

/// The environment of a person who may use the stack.
pub const CREDENTIALS: [(&str, &str); 3] =
    [("AWS_ACCESS_KEY_ID", "local"), ("AWS_SECRET_ACCESS_KEY", "local"), ("AWS_REGION", "eu-west-1")];

#[tokio::test]
async fn a_deployed_stack_is_found_by_its_name() {
    let world = World::start("stack").await;
    let hooks = async |action| world.webhook_of_stack(&[action, "--stack", "hooks"], &CREDENTIALS).await;
    assert_eq!(hooks("sync").await.code, 0);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    world.partner.register(Some(FOREIGN));
    assert_eq!(hooks("plan").await.code, 3);
    assert_eq!(world.webhook_of_stack(&["set", "--yes", "--stack", "hooks"], &CREDENTIALS).await.code, 0);
    assert_eq!(world.partner.registered().as_deref(), Some(OURS));
    let options_first = ["--stack", "hooks", "--output", "json", "get", "--region", "eu-west-1"];
    assert_eq!(world.webhook_of_stack(&options_first, &CREDENTIALS[..2]).await.code, 0);
    let status = hooks("status").await;
    assert!(status.stdout.starts_with("registered  https://hooks.example.com/v1/webhook/***2b72, ours since "));

    world.secrets.put("partner", "{}");
    let failed = hooks("get").await;
    assert_eq!((failed.code, failed.stdout.as_str()), (1, ""));
    assert!(
        failed.stderr.starts_with("error: SecretUnusable: the secret partner (PARTNER_SECRET_ID) does not contain"),
        "{}",
        failed.stderr
    );
}

/// Records a delivery received now, and returns it.
async fn record(world: &World, body: &[u8]) -> Received {
    let received = received(SystemTime::now().into(), body);
    let recorder = Recorder::new(world.dynamodb.client(), settings());
    recorder.record(&Delivery::decode(&received, &fingerprint_key())).await.unwrap();
    received
}

#[tokio::test]
async fn the_events_of_a_stack_are_read_from_its_table() {
    let world = World::start("stack-events").await;
    let hooks = async |arguments: &[&str]| {
        world.hooks_of_stack(&[arguments, &["--stack", "hooks"]].concat(), &CREDENTIALS).await
    };
    let id = record(&world, br#"{"event":"builder","builderID":523}"#).await.id.to_string();
    for arguments in [&["events"][..], &["show", &id], &["state", "builder#523"], &["states", "--kind", "builder"]] {
        let shown = hooks(arguments).await;
        assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{arguments:?}");
        assert!(shown.stdout.contains("builder#523"), "{arguments:?}");
    }
}

#[tokio::test]
async fn the_sealed_table_and_the_queues_of_a_stack_are_its_own() {
    let world = World::start("stack-sealed").await;
    let hooks = async |arguments: &[&str]| {
        let ended = world.hooks_of_stack(&[arguments, &["--stack", "hooks"]].concat(), &CREDENTIALS).await;
        assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{arguments:?}");
        ended.stdout
    };
    record(&world, update(1).as_bytes()).await;
    assert_eq!(hooks(&["key", LINE, "--yes"]).await, format!("{API_KEY}\n"));
    let quarantined = record(&world, b"not JSON").await;
    let id = quarantined.id.to_string();
    for arguments in [&["quarantine", "list"][..], &["quarantine", "show", &id], &["quarantine", "retry", &id]] {
        assert!(hooks(arguments).await.contains(&id), "{arguments:?}");
    }
    let message = QueuedDelivery { received: quarantined, token: TokenCheck::Accepted }.to_message();
    let send = emulators::sqs::client(&world.sqs.url()).send_message().queue_url(world.sqs.dead_letter_queue_url());
    let message_id = send.message_body(&message).send().await.unwrap().message_id.unwrap();
    for arguments in [&["dlq", "list"][..], &["dlq", "show", &message_id], &["dlq", "redrive", &message_id]] {
        assert!(hooks(arguments).await.contains(&id), "{arguments:?}");
    }
    assert_eq!(world.sqs.queued(), [message]);
}

#[tokio::test]
async fn all_keys_go_into_the_secrets_of_the_account_after_one_confirmation() {
    let world = World::start("stack-keys").await;
    let recorder = Recorder::new(world.dynamodb.client(), settings());
    let now = SystemTime::now().into();
    for body in [update(1), update(1).replace("972501234567", "972502222222").replace(API_KEY, "second-key-0123456789")]
    {
        recorder.record(&Delivery::decode(&received(now, body.as_bytes()), &fingerprint_key())).await.unwrap();
    }
    record(&world, br#"{"event":"whatsapp","whatsapp":"972503333333"}"#).await;
    let secrets = world.secrets.url();
    let environment = [&CREDENTIALS[..], &[("AWS_ENDPOINT_URL_SECRETS_MANAGER", secrets.as_str())]].concat();
    let store = async |arguments: &[&str]| {
        let command = ["key", "--all", "--to-secrets-manager", "clients/", "--stack", "hooks"];
        world.hooks_of_stack(&[&command, arguments].concat(), &environment).await
    };
    let refused = store(&[]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (1, ""));
    let question = "error: Store the API keys of up to 3 lines and stores of the stack hooks in the account 123456789012, region eu-west-1, \
                    as the secrets clients/whatsapp/<number> and clients/store/<number>, with a new version for each secret that \
                    exists? ";
    assert!(refused.stderr.starts_with(question), "{}", refused.stderr);
    assert!(world.secrets.values("clients/whatsapp/972501234567").is_empty());

    let stored = store(&["--yes"]).await;
    assert_eq!((stored.code, stored.stdout.as_str()), (0, "2 secrets created, 0 updated.\n"), "{stored:?}");
    let current = |number: &str| world.secrets.staged(&format!("clients/whatsapp/{number}"), "AWSCURRENT");
    assert_eq!(current("972501234567").as_deref(), Some(API_KEY));
    assert_eq!(current("972502222222").as_deref(), Some("second-key-0123456789"));
    assert_eq!(current("972503333333"), None);
    let again = store(&["--yes", "--output", "json"]).await;
    assert!(again.code == 0 && !again.stdout.contains(API_KEY), "{again:?}");
    let line: serde_json::Value = serde_json::from_str(again.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(line["outcome"], "updated");

    world.secrets.schedule_deletion("clients/whatsapp/972501234567");
    let some = store(&["--yes"]).await;
    assert_eq!((some.code, some.stdout.as_str()), (1, "0 secrets created, 1 updated.\n"), "{some:?}");
    let why = "error: the secret clients/whatsapp/972501234567: InvalidRequestException: The secret is scheduled for deletion.\n\
               error: 1 of 2 secrets could not be stored; `aws secretsmanager restore-secret --secret-id NAME` restores one that is \
               scheduled for deletion\n";
    assert!(some.stderr.ends_with(why), "{}", some.stderr);
}

#[tokio::test]
async fn a_stack_of_another_project_is_refused() {
    let world = World::start("no-stack").await;
    for (stack, message) in [
        (
            "other",
            "error: there is no stack other in eu-west-1\n\
             fix: aws cloudformation list-stacks, to see its name; else sam build && sam deploy\n",
        ),
        (
            "empty",
            "error: the stack empty has no output WebhookUrl: it is not of this project, or its first deployment has not ended\n",
        ),
    ] {
        let ended = world.webhook_of_stack(&["sync", "--stack", stack], &CREDENTIALS).await;
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (1, "", message));
    }
    assert_eq!(world.partner.calls(), []);
}

#[tokio::test]
async fn region_and_credentials_come_from_where_the_aws_cli_has_them() {
    let world = World::start("credentials").await;
    let home = project("home");
    fs::create_dir_all(home.join(".aws")).unwrap();
    let process = home.join("credentials.json");
    fs::write(&process, r#"{"Version":1,"AccessKeyId":"local","SecretAccessKey":"local"}"#).unwrap();
    let config = format!(
        "[profile keys]\nregion = eu-west-1\naws_access_key_id = local\naws_secret_access_key = local\n\
         [profile process]\nregion = eu-west-1\ncredential_process = cat {}\n\
         [profile login]\nregion = eu-west-1\nlogin_session = arn:aws:iam::123456789012:user/somebody\n\
         [profile sso]\nregion = eu-west-1\nsso_session = here\nsso_account_id = 123456789012\nsso_role_name = operator\n\
         [sso-session here]\nsso_region = eu-west-1\nsso_start_url = https://here.awsapps.com/start\n",
        process.display()
    );
    fs::write(home.join(".aws/config"), config).unwrap();
    let home = [("HOME", home.to_str().unwrap()), ("PATH", "/usr/bin:/bin"), ("AWS_EC2_METADATA_DISABLED", "true")];
    let get = async |arguments: &[&str], environment: &[(&str, &str)]| {
        let arguments = [&["get", "--stack", "hooks"], arguments].concat();
        world.webhook_of_stack(&arguments, &[&home, environment].concat()).await
    };
    assert_eq!(get(&["--profile", "keys"], &[]).await.code, NOT_REGISTERED);
    assert_eq!(get(&[], &[("AWS_PROFILE", "process")]).await.code, NOT_REGISTERED);
    assert_eq!(get(&["--region", "eu-west-1"], &CREDENTIALS[..2]).await.code, NOT_REGISTERED);

    let nowhere = get(&[], &CREDENTIALS[..2]).await;
    let message = "error: the region is not known\n\
                   fix: export AWS_REGION=<region>, or give --region, or a --profile that has one\n";
    assert_eq!((nowhere.code, nowhere.stderr.as_str()), (1, message));
    let nobody = get(&[], &CREDENTIALS[2..]).await;
    let message = "error: there are no credentials for AWS\nfix: aws configure, or aws sso login\n";
    assert_eq!((nobody.code, nobody.stderr.as_str()), (1, message));
    let partner = world.partner.url();
    let metadata = [("AWS_EC2_METADATA_DISABLED", "false"), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", partner.as_str())];
    let no_role = get(&[], &[&CREDENTIALS[2..], &metadata].concat()).await;
    assert_eq!((no_role.code, no_role.stderr.as_str()), (1, message), "an address without credentials of a machine");
    let empty = project("empty-home");
    let unknown =
        get(&["--profile", "nobody"], &[&CREDENTIALS[..], &[("HOME", empty.to_str().unwrap())]].concat()).await;
    let no_profile =
        "error: there is no profile nobody in ~/.aws\nfix: aws configure list-profiles, to see the names\n";
    assert_eq!((unknown.code, unknown.stderr.as_str()), (1, no_profile), "without any profile");
    // A profile that is named counts more than the credentials in the environment.
    let not_logged_in = get(&["--profile", "sso"], &CREDENTIALS).await;
    let message =
        "error: the SSO login of the profile sso has expired or was never made\nfix: aws sso login --profile sso\n";
    assert_eq!((not_logged_in.code, not_logged_in.stderr.as_str()), (1, message));
    for environment in [&CREDENTIALS[..], &CREDENTIALS[..2]] {
        let unknown = get(&["--profile", "nobody"], environment).await;
        let message =
            "error: there is no profile nobody in ~/.aws\nfix: aws configure list-profiles, to see the names\n";
        assert_eq!((unknown.code, unknown.stderr.as_str()), (1, message));
    }
    let of_cli = get(&["--profile", "login"], &[]).await;
    assert!(of_cli.stderr.contains("those of `aws login`"), "{}", of_cli.stderr);
    assert!(
        of_cli.stderr.contains("fix: eval \"$(aws configure export-credentials --profile login "),
        "{}",
        of_cli.stderr
    );
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_waited_for_only_so_long() {
    let world = World::start("stack-silent").await;
    // Connections are accepted and never read from.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let environment = [&CREDENTIALS[..], &[("AWS_ENDPOINT_URL", &endpoint), ("AWS_MAX_ATTEMPTS", "1")]].concat();
    let mut hooks = hooks(&world.project, &["events", "--stack", "hooks"], &environment);
    hooks.kill_on_drop(true);
    let ended = timeout(Duration::from_secs(60), program::run(hooks)).await.expect("an end of its own");
    assert_eq!((ended.code, ended.stdout.as_str()), (1, ""));
    let start = "error: AWS cannot be reached in eu-west-1: ";
    assert!(ended.stderr.starts_with(start) && ended.stderr.contains("timeout"), "{}", ended.stderr);
    assert!(ended.stderr.contains("\nfix: check the network of this machine"), "{}", ended.stderr);
}

#[tokio::test]
async fn aws_is_reached_through_the_proxy_of_the_environment() {
    let world = World::start("stack-proxy").await;
    let get = async |environment: &[(&str, &str)]| {
        let nowhere = [("AWS_ENDPOINT_URL", "http://aws.invalid"), ("AWS_MAX_ATTEMPTS", "1")];
        let environment = [&CREDENTIALS[..], &nowhere, environment].concat();
        world.webhook_of_stack(&["get", "--stack", "hooks"], &environment).await
    };
    let proxy = ("HTTP_PROXY", world.aws.as_str());
    assert_eq!(get(&[proxy, ("NO_PROXY", "127.0.0.1")]).await.code, NOT_REGISTERED);
    for environment in [&[][..], &[proxy, ("NO_PROXY", "aws.invalid")]] {
        let direct = get(environment).await;
        assert_eq!(direct.code, 1, "{direct:?}");
        assert!(direct.stderr.starts_with("error: AWS cannot be reached in eu-west-1: "), "{}", direct.stderr);
        assert!(!direct.stderr.contains("dispatch failure"), "{}", direct.stderr);
    }
}
