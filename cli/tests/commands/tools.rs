use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::program::{Ended, hooks, project, run};

/// A Python whose environments have a pip that notes its arguments, fetches two files, and ends with this code.
fn python(tools: &Path, code: u8) {
    let script = format!(
        "#!/bin/sh\nmkdir -p \"$3/bin\"\n\
         printf '#!/bin/sh\\necho \"$@\" >> \"$(dirname \"$0\")/../arguments\"\\necho \"  Downloading a.whl (6.1 MB)\"\\necho \"  Downloading b.whl (6 kB)\"\\nprintf \"ERROR: wrong hash\\\\n  of a file\\\\n\" >&2\\nexit {code}\\n' > \"$3/bin/pip\"\n\
         chmod +x \"$3/bin/pip\"\n"
    );
    let file = tools.join("python3");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn the_tools_for_a_deployment_are_fetched_into_the_checkout_and_their_hashes_checked() {
    let project = project("tools");
    let tools = project.join("path");
    fs::create_dir_all(&tools).unwrap();
    let fetch = async |path: &str| -> Ended { run(hooks(&project, &["tools"], &[("PATH", path)])).await };
    let missing = fetch(tools.to_str().unwrap()).await;
    assert_eq!((missing.code, missing.stdout.as_str()), (1, ""));
    assert!(missing.stderr.contains("\nfix: install Python 3.10 or newer"), "{}", missing.stderr);

    let path = format!("{}:/usr/bin:/bin", tools.display());
    python(&tools, 1);
    let refused = fetch(&path).await;
    let message = "Fetching the SAM CLI, cargo-lambda and zig with their dependencies from PyPI. The large files:\n  a.whl (6.1 MB)\n\
                   error: pip: ERROR: wrong hash\n  of a file\n\
                   fix: cargo hooks tools, with a connection to PyPI and Python 3.10 or newer\n";
    assert_eq!((refused.code, refused.stderr.as_str()), (1, message));

    python(&tools, 0);
    let fetched = fetch(&path).await;
    assert!(fetched.code == 0 && fetched.stderr.ends_with("\n  a.whl (6.1 MB)\n"), "{}", fetched.stderr);
    let folder = project.join(".tools/deploy");
    let line = format!("  export PATH={}/bin:\"$PATH\"\n", folder.display());
    assert!(fetched.stdout.ends_with(&line), "{}", fetched.stdout);
    let arguments = fs::read_to_string(folder.join("arguments")).unwrap();
    let calls: Vec<&str> = arguments.lines().collect();
    let is_pinned = |call: &&str| call.contains("--no-deps --no-build-isolation --require-hashes --requirement ");
    assert!(calls.len() == 3 && calls.iter().all(is_pinned), "one that failed, setuptools, and the list: {arguments}");
    let requirements = fs::read_to_string(folder.join("requirements.txt")).unwrap();
    for tool in ["aws-sam-cli==", "cargo-lambda==", "ziglang=="] {
        assert!(requirements.contains(tool), "{tool}");
    }
}

#[tokio::test]
async fn the_local_run_installs_cargo_lambda_from_the_same_list_into_the_same_folder() {
    let project = project("tools-of-dev");
    let tools = project.join("path");
    fs::create_dir_all(&tools).unwrap();
    python(&tools, 1);
    for name in ["cargo", "cargo-lambda"] {
        let program = tools.join(name);
        fs::write(&program, "#!/bin/sh\necho broken >&2\nexit 1\n").unwrap();
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:/usr/bin:/bin", tools.display());
    let refused = run(hooks(&project, &["dev", "--once"], &[("PATH", &path)])).await;
    let cause = "  a.whl (6.1 MB)\npip: ERROR: wrong hash\n  of a file\nBuilding it with cargo instead, which takes a few minutes\n\
                 error: cargo: broken\nfix: install cargo-lambda by hand";
    assert!(refused.code == 1 && refused.stderr.starts_with(cause), "{}", refused.stderr);
    let folder = project.join(".tools/deploy");
    assert!(fs::read_to_string(folder.join("arguments")).unwrap().contains(" --require-hashes "));
    let requirements = fs::read_to_string(folder.join("requirements.txt")).unwrap();
    let is_it = requirements.starts_with("cargo-lambda==") && requirements.contains("--hash=sha256:");
    assert!(is_it && requirements.lines().count() == 1, "{requirements}");
}
