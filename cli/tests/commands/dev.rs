use std::path::Path;

use crate::program::{hooks, run};

#[tokio::test]
async fn the_local_run_posts_to_this_machine_alone() {
    for (url, cause) in [
        ("https://example.com/s3cret", "not on this machine"),
        ("https://127.0.0.1:8080/s3cret", "not on this machine"),
        ("http://example.com/s3cret", "not https"),
        ("http://169.254.169.254/s3cret", "not https"),
        ("s3cret", "not an absolute URL"),
    ] {
        let refused = run(hooks(Path::new("/"), &["dev", "--once", "--forward", url], &[])).await;
        assert!(refused.code == 2 && refused.stdout.is_empty(), "{url}: {refused:?}");
        assert!(refused.stderr.contains(cause) && !refused.stderr.contains("s3cret"), "{}", refused.stderr);
    }
    let fails = ["dev", "--forward", "http://127.0.0.1:8080/s3cret", "--fail", "consumer"];
    let refused = run(hooks(Path::new("/"), &fails, &[])).await;
    assert!(refused.code == 2 && refused.stderr.contains("--fail consumer"), "{refused:?}");
}
