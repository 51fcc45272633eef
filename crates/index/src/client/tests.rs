//! The client against a server that behaves badly.

use super::*;
use crate::{
    Credentials, Kind,
    testing::{Reply, Server, client_of, page_of, patience, patient_client, wheel_of},
};

fn six() -> ProjectName {
    "six".parse().unwrap()
}

fn page() -> Reply {
    Reply::json(page_of("six", &[("six-1.0.tar.gz", Some(Sha256::of(b"x")), None)]))
}

#[tokio::test]
async fn no_such_project_is_an_answer() {
    let server = Server::start(|_| Reply::status(404)).await;
    let client = server.client();
    for _ in 0..2 {
        let error = client.project(&six()).await.unwrap_err();
        assert!(matches!(error, Error::ProjectNotFound(_)), "{error}");
        assert_eq!(error.kind(), Kind::Absent);
    }
    // Frozen: asked once.
    assert_eq!(server.asked(), ["GET /simple/six/"]);
}

#[tokio::test]
async fn a_stumbling_index_is_tried_again() {
    let server = Server::start(|asked| match asked.number {
        0 => Reply::status(500),
        1 => Reply::Whole(429, vec![("Retry-After", "0".into())], Vec::new()),
        _ => page(),
    })
    .await;
    let found = server.client().project(&six()).await.unwrap();
    assert_eq!(found.files.len(), 1);
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn a_lost_index_is_the_farms_error() {
    for reply in [Reply::status(503), Reply::Silence, Reply::Half(vec![b'x'; 100])] {
        let is_silent = matches!(reply, Reply::Silence);
        let server = Server::start(move |_| reply.clone()).await;
        // The silent server is silent however long one waits: the short time decides nothing else.
        let silence = if is_silent { Duration::from_millis(50) } else { patience().silence };
        let client = patient_client(server.configuration(), None, Patience { silence, ..patience() });
        let error = client.project(&six()).await.unwrap_err();
        assert!(matches!(error, Error::Lost { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Farm);
        assert!(is_silent || server.asked().len() == 3);
    }
    let server = Server::start(|_| page()).await;
    let client = server.client();
    drop(server);
    tokio::task::yield_now().await;
    assert_eq!(client.project(&six()).await.unwrap_err().kind(), Kind::Farm);
}

#[tokio::test]
async fn garbage_is_told_from_loss() {
    let server = Server::start(|_| Reply::json("{nonsense")).await;
    let error = server.client().project(&six()).await.unwrap_err();
    assert!(matches!(error, Error::Garbage { .. }), "{error}");
    let server =
        Server::start(|asked| Reply::Whole(302, vec![("Location", asked.path.clone())], vec![])).await;
    assert!(matches!(server.client().project(&six()).await.unwrap_err(), Error::Garbage { .. }));
}

#[tokio::test]
async fn redirects_move_the_base() {
    let server = Server::start(|asked| match asked.path.as_str() {
        "/simple/six/" => Reply::Whole(302, vec![("Location", "/other/place/six/".into())], vec![]),
        _ => page(),
    })
    .await;
    let found = server.client().project(&six()).await.unwrap();
    assert_eq!(found.files[0].url.path(), "/other/f/six-1.0.tar.gz");
}

#[tokio::test]
async fn html_only() {
    let body = "<html><a href='/f/six-1.0.tar.gz#sha256=00'>six-1.0.tar.gz</a></html>";
    let server = Server::start(move |_| Reply::html(body)).await;
    let found = server.client().project(&six()).await.unwrap();
    assert_eq!(found.files[0].url.path(), "/f/six-1.0.tar.gz");
}

#[tokio::test]
async fn a_private_index() {
    let server = Server::start(|asked| match asked.header("authorization") {
        // me:s3cret
        "Basic bWU6czNjcmV0" => page(),
        "" => Reply::status(401),
        _ => Reply::status(403),
    })
    .await;
    let error = server.client().project(&six()).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    assert_eq!(error.kind(), Kind::User);
    let mut configuration = server.configuration();
    configuration.indexes[0].credentials = Some(Credentials::new("me", "s3cret"));
    assert!(client_of(configuration.clone(), None).project(&six()).await.is_ok());
    configuration.indexes[0].credentials = Some(Credentials::new("me", "wr0ng"));
    let error = client_of(configuration, None).project(&six()).await.unwrap_err();
    assert!(!error.to_string().contains("wr0ng") && !format!("{error:?}").contains("wr0ng"));
}

#[tokio::test]
async fn secrets_do_not_follow_to_another_origin() {
    let other = Server::start(|asked| {
        assert_eq!(asked.header("authorization"), "");
        page()
    })
    .await;
    let to = other.url.join("six/").unwrap().to_string();
    let server = Server::start(move |_| Reply::Whole(302, vec![("Location", to.clone())], vec![])).await;
    let mut configuration = server.configuration();
    configuration.indexes[0].credentials = Some(Credentials::new("me", "s3cret"));
    assert!(client_of(configuration, None).project(&six()).await.is_ok());
}

#[tokio::test]
async fn the_first_index_that_has_it_wins() {
    let first =
        Server::start(|asked| if asked.path.contains("six") { page() } else { Reply::status(404) }).await;
    let second = Server::start(|_| Reply::json(page_of("seven", &[]))).await;
    let mut configuration = first.configuration();
    configuration.indexes.extend(second.configuration().indexes);
    let client = client_of(configuration, None);
    assert_eq!(client.project(&six()).await.unwrap().index, first.url.as_str());
    assert_eq!(client.project(&"seven".parse().unwrap()).await.unwrap().index, second.url.as_str());
    assert_eq!(second.asked(), ["GET /simple/seven/"]);
}

#[tokio::test]
async fn pages_are_kept_and_asked_for_with_conditions() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked| match asked.header("if-none-match") {
        "\"one\"" => Reply::status(304),
        _ => {
            let Reply::Whole(status, mut headers, body) = page() else { unreachable!() };
            headers.push(("ETag", "\"one\"".into()));
            headers.push(("Cache-Control", "max-age=0".into()));
            Reply::Whole(status, headers, body)
        }
    })
    .await;
    let first = server.client_with(Some(folder.path())).project(&six()).await.unwrap();
    let second = server.client_with(Some(folder.path())).project(&six()).await.unwrap();
    assert_eq!(first, second);
    assert_eq!(server.asked().len(), 2);
    // Offline, the kept page is good at any age, and what is not kept is said.
    let options =
        ClientOptions { cache: Some(folder.path().into()), offline: true, ..ClientOptions::default() };
    let client = Client::new(server.configuration(), options).unwrap();
    assert_eq!(client.project(&six()).await.unwrap(), first);
    assert!(matches!(client.project(&"seven".parse().unwrap()).await.unwrap_err(), Error::Lost { .. }));
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn a_kept_page_that_is_still_right_is_believed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|asked| match asked.header("if-modified-since") {
        "Sun" => Reply::status(304),
        _ => {
            let Reply::Whole(status, mut headers, body) = page() else { unreachable!() };
            headers.push(("Last-Modified", "Sun".into()));
            Reply::Whole(status, headers, body)
        }
    })
    .await;
    let ask = || async { server.client_with(Some(folder.path())).project(&six()).await.unwrap() };
    ask().await;
    let kept = kept_page(folder.path());
    let past = std::time::SystemTime::now() - Duration::from_secs(1 << 20);
    std::fs::File::options().append(true).open(&kept).unwrap().set_modified(past).unwrap();
    for asked in [2, 2] {
        ask().await;
        assert_eq!(server.asked().len(), asked);
    }
}

/// The file of the one page that is kept.
fn kept_page(cache: &Path) -> PathBuf {
    std::fs::read_dir(cache.join("pages")).unwrap().next().unwrap().unwrap().path().join("six")
}

#[tokio::test]
async fn a_fresh_page_is_believed_and_a_torn_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|_| page()).await;
    server.client_with(Some(folder.path())).project(&six()).await.unwrap();
    server.client_with(Some(folder.path())).project(&six()).await.unwrap();
    assert_eq!(server.asked().len(), 1);
    let kept = kept_page(folder.path());
    let bytes = std::fs::read(&kept).unwrap();
    std::fs::write(&kept, &bytes[..bytes.len() - 10]).unwrap();
    server.client_with(Some(folder.path())).project(&six()).await.unwrap();
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn names() {
    let server =
        Server::start(|_| Reply::json(r#"{"meta": {}, "projects": [{"name": "Six"}, {"name": "-"}]}"#)).await;
    assert_eq!(server.client().names().await.unwrap(), [six()]);
}

async fn metadata(
    bytes: Vec<u8>,
    ranges: bool,
    beside: Option<&'static str>,
) -> (Result<Bytes>, Vec<String>) {
    let digest = Sha256::of(&bytes);
    let server = Server::start(move |asked| {
        if asked.path.ends_with(".metadata") {
            return beside.map_or(Reply::status(404), |text| Reply::Whole(200, vec![], text.into()));
        }
        match asked.path.as_str() {
            "/simple/six/" => {
                let page = page_of("six", &[("six-1.0-py3-none-any.whl", Some(digest), None)]);
                Reply::json(if beside.is_some() {
                    page.replace("\"hashes\"", "\"core-metadata\":true,\"hashes\"")
                } else {
                    page
                })
            }
            _ if ranges => Reply::file(asked, &bytes),
            _ => Reply::Whole(200, vec![], bytes.clone()),
        }
    })
    .await;
    let client = server.client();
    let page = client.project(&six()).await.unwrap();
    let found = client.metadata(&page.files[0]).await;
    (found, server.asked())
}

#[tokio::test]
async fn metadata_from_wherever_it_is() {
    // Incompressible, so that the ranges are needed.
    let mut noise: Vec<u8> = Vec::new();
    while noise.len() < 300_000 {
        noise.extend_from_slice(&Sha256::of(&noise.len().to_le_bytes()).0);
    }
    let wheel = wheel_of("six", "1.0", &[("noise", &noise)]);
    let (found, asked) = metadata(wheel.clone(), true, None).await;
    assert!(found.unwrap().starts_with(b"Metadata-Version: 2.1\nName: six\n"));
    assert!(asked.len() <= 4, "{asked:?}");
    let (found, _) = metadata(wheel.clone(), false, None).await;
    assert!(found.unwrap().starts_with(b"Metadata-Version"));
    let (found, asked) = metadata(wheel.clone(), true, Some("beside")).await;
    assert_eq!(found.unwrap(), "beside");
    assert_eq!(asked.len(), 2);
    // The directory at the front, a long way from the end: more than the tail is needed.
    let many: Vec<(String, Vec<u8>)> =
        (0..3000).map(|n| (format!("module/with/a/long/name/{n}.py"), vec![])).collect();
    let many: Vec<(&str, &[u8])> =
        many.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let (found, _) = metadata(wheel_of("six", "1.0", &many), true, None).await;
    assert!(found.unwrap().starts_with(b"Metadata-Version"));
    for broken in
        [b"no wheel at all".to_vec(), wheel_of("seven", "1.0", &[]), wheel[..wheel.len() - 30].to_vec()]
    {
        let (found, _) = metadata(broken, true, None).await;
        assert_eq!(found.unwrap_err().kind(), Kind::Package);
    }
}
