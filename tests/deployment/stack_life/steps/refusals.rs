use crate::{progress::say, provider, world::World};

const BODY: &str = r#"{"event":"whatsapp","whatsapp":"972500000000"}"#;

/// One byte more than is taken.
const TOO_LARGE: usize = 256 * 1024 + 1;

pub async fn others_are_refused(world: &World) {
    for (what, webhook, from) in [
        ("another token", world.with_another_token(), provider::ADDRESS),
        ("another address", world.registered(), "198.51.100.7"),
        ("another address first", world.registered(), "198.51.100.7, 34.165.99.212"),
    ] {
        let answer = provider::post(&world.emulator, &webhook, from, BODY).await;
        assert_eq!((answer.status, answer.body.as_str()), (403, ""), "{what}");
        say(&format!("{what} is refused"));
    }
    let answer = world.post(vec![b'x'; TOO_LARGE]).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    say("a body that is too large is refused");
    assert!(!world.tables().all_of_events().await.contains("972500000000"), "a refused event is recorded");
}
