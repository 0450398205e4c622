use emulators::partner::{Call, Fault};
use serde_json::{Value, json};

use crate::{program::Ended, webhook::world::World, world::objects};

const KEY: &str = "listed-key-123";

fn line(number: &str) -> Value {
    json!({ "create_time": 1_735_811_185, "whatsapp": number, "apiKey": KEY, "display_name": "Client" })
}

async fn hooks(world: &World, arguments: &[&str]) -> Ended {
    let ended = world.hooks(arguments).await;
    assert!(!format!("{ended:?}").contains(KEY), "{ended:?}");
    ended
}

#[tokio::test]
async fn clients_are_imported_and_a_missed_event_is_found() {
    let world = World::start("inventory").await;
    world.partner.list(Call::Lines, [line("972501234567")]);
    let planned = hooks(&world, &["inventory", "--plan"]).await;
    assert!(planned.code == 3 && planned.stdout.contains("outcome   would_update\n"), "{planned:?}");
    let imported = hooks(&world, &["inventory"]).await;
    assert!(imported.code == 0 && imported.stdout.contains("imported  1\n"), "{imported:?}");
    let planned = hooks(&world, &["inventory", "--plan"]).await;
    assert!(planned.code == 0 && planned.stdout.contains("outcome   up_to_date\n"), "{planned:?}");

    world.partner.list(Call::Lines, [line("972501234567"), line("972507654321")]);
    let found = hooks(&world, &["inventory", "--output", "json"]).await;
    let report = &objects(&found.stdout)[0];
    let found = (found.code, &report["outcome"], &report["missed"][0]["entity"]);
    assert_eq!(found, (0, &json!("updated"), &json!("whatsapp#972507654321")));
}

#[tokio::test]
async fn a_list_that_is_not_complete_is_named_and_is_a_failure() {
    let world = World::start("inventory-incomplete").await;
    world.partner.list(Call::Lines, [line("972501234567")]);
    world.partner.next(Call::Lines, Fault::CutOff);
    let ended = hooks(&world, &["inventory"]).await;
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (1, "error: not everything could be compared; the report says why\n")
    );
    assert!(ended.stdout.contains("outcome   incomplete\n"), "{}", ended.stdout);
}

#[tokio::test]
async fn clients_that_do_not_finish_onboarding_are_listed() {
    let world = World::start("stuck").await;
    let none = hooks(&world, &["lines", "--stuck"]).await;
    assert_eq!((none.code, none.stdout.as_str()), (0, "No client is stuck.\n"));

    let link = |reference: &str, status: i32| {
        json!({
            "create_time": 1_739_874_663, "whatsapp": "972571234567", "coexistence": 1, "business_name": "Client",
            "reference": reference, "status": status,
        })
    };
    world.partner.list(Call::OnboardingLinks, [link("client-7", 0), link("client-8", 1), link("client-9", 0)]);
    let stuck = hooks(&world, &["lines", "--stuck", "--output", "json"]).await;
    let references: Vec<Value> = objects(&stuck.stdout).into_iter().map(|stuck| stuck["reference"].clone()).collect();
    assert_eq!((stuck.code, references), (3, vec![json!("client-7"), json!("client-9")]));
    let stuck = hooks(&world, &["lines", "--stuck", "--reference", "client-9"]).await;
    assert!(stuck.code == 3 && stuck.stdout.contains("onboarding not finished"), "{stuck:?}");
    assert!(!stuck.stdout.contains("client-7") && !stuck.stdout.contains("97257"), "{}", stuck.stdout);

    // A report has at most 1,000 of them.
    world.partner.list(Call::OnboardingLinks, (0..1_002).map(|n| link(&format!("client-{n}"), 0)));
    let stuck = hooks(&world, &["lines", "--stuck"]).await;
    assert!(stuck.code == 3 && stuck.stdout.ends_with("and 2 more that are stuck\n"), "{}", stuck.stdout);
    for (reference, code) in [("client-999", 3), ("client-1000", 1)] {
        let stuck = hooks(&world, &["lines", "--stuck", "--reference", reference]).await;
        assert_eq!(stuck.code, code, "{stuck:?}");
        let fault = "error: the report has only 1000 of the 1002 that are stuck, so it is not known whether one of the others is meant";
        assert_eq!(stuck.stderr.contains(fault), code == 1, "{stuck:?}");
        assert!(!stuck.stdout.contains("No client"), "{stuck:?}");
    }

    world.partner.next(Call::OnboardingLinks, Fault::CutOff);
    let ended = hooks(&world, &["lines", "--stuck"]).await;
    assert!(ended.code == 1 && ended.stderr.contains("are not complete"), "{ended:?}");
}
