//! The whole of this crate against the index that is configured on this machine. Says so loudly and passes
//! where there is none within reach.

use std::{path::PathBuf, process::Stdio};

use wheeltapper_index::{
    Client, ClientOptions, Configuration, Error, Files, FilesOptions, Limits, Proxy, ProxyOptions,
    Surroundings, Uv, Wheel, unpack,
};

#[tokio::test]
async fn six_from_the_configured_index() {
    let data = tempfile::tempdir().unwrap();
    let surroundings = Surroundings::of_process();
    let pythons = [PathBuf::from("/usr/bin/python3")];
    let found = Uv::find(&surroundings, data.path()).await;
    let program = found.as_ref().map(|uv| uv.path.as_path());
    let configuration = match Configuration::read(&surroundings, program, &pythons).await {
        Ok(configuration) => configuration,
        Err(error) => return skip(&error),
    };
    let options = ClientOptions { cache: Some(data.path().to_owned()), ..ClientOptions::default() };
    let client = Client::new(configuration, options).unwrap();
    let page = match client.project(&"six".parse().unwrap()).await {
        Ok(page) => page,
        Err(error @ (Error::Lost { .. } | Error::Refused { .. })) => return skip(&error),
        Err(error) => panic!("{error}"),
    };
    let files = Files::open(data.path(), FilesOptions::default()).unwrap();

    let sdist = files.fetch(&client, page.file("six-1.17.0.tar.gz").unwrap()).await.unwrap();
    let unpacked = unpack::sdist(sdist.path(), &data.path().join("six"), &Limits::default()).unwrap();
    assert!(unpacked.root.ends_with("six-1.17.0"));
    assert!(unpacked.files.iter().any(|file| file.path.ends_with("test_six.py")));

    let file = page.file("six-1.17.0-py2.py3-none-any.whl").unwrap();
    let metadata = client.metadata(file).await.unwrap();
    assert!(metadata.starts_with(b"Metadata-Version"));
    let wheel = files.fetch(&client, file).await.unwrap();
    let mut wheel = Wheel::open_as(wheel.path(), &file.filename, &Limits::default()).unwrap();
    assert_eq!(wheel.read_info("METADATA").unwrap().unwrap(), metadata);
    let problems = wheel.check(&page.name, file.distribution.version(), &Limits::default()).unwrap();
    assert_eq!(problems, []);

    // The pinned installer, and a resolution by it through the proxy.
    let uv = match Uv::provide(&surroundings, data.path(), &client, &files, &[]).await {
        Ok(uv) => uv,
        Err(error) => return skip(&error),
    };
    let proxy = Proxy::new(client, files, ProxyOptions::default());
    let serving = proxy.serve(std::net::TcpListener::bind("127.0.0.1:0").unwrap()).unwrap();
    let requirements = data.path().join("requirements.in");
    std::fs::write(&requirements, "requests==2.32.3\n").unwrap();
    let output = tokio::process::Command::new(&uv.path)
        .args([
            "pip",
            "compile",
            "--no-build",
            "--no-header",
            "--generate-hashes",
            "--python-version",
            "3.12",
        ])
        .args(["--cache-dir".as_ref(), data.path().join("uv").as_os_str()])
        .arg(&requirements)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("UV_DEFAULT_INDEX", serving.url())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let resolved = String::from_utf8_lossy(&output.stdout);
    assert!(resolved.contains("urllib3==") && resolved.contains("sha256:"), "{resolved}");
    let recording = serving.recording();
    assert!(recording.projects.contains_key(&"certifi".parse().unwrap()), "{recording:?}");
    assert!(recording.files.is_empty(), "metadata was enough: {recording:?}");
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn skip(reason: &dyn std::fmt::Display) {
    eprintln!("SKIPPED: no package index within reach: {reason}");
}
