use super::unlisted::UNLISTED;
use crate::{progress::say, provider, world::World};

const BODY: &str = r#"{"event":"whatsapp","whatsapp":"972500000000"}"#;

/// One byte more than is taken.
const TOO_LARGE: usize = 256 * 1024 + 1;

pub async fn others_are_refused(world: &World) {
    for (what, webhook, from, status) in [
        ("another token", world.with_another_token(), provider::ADDRESS, 403),
        ("another token from another address", world.with_another_token(), UNLISTED, 403),
        ("a longer path", format!("{}/more", world.registered()), provider::ADDRESS, 404),
    ] {
        let answer = provider::post(&world.emulator, &webhook, from, BODY).await;
        assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{what}");
        say(&format!("{what} is refused"));
    }
    let answer = world.post(vec![b'x'; TOO_LARGE]).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    say("a body that is too large is refused");
    assert!(!world.tables().all_of_events().await.contains("972500000000"), "a refused event is recorded");
}
