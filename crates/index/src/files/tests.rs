//! The store: whole files, true files, and room for them.

use super::*;
use crate::{
    Kind, ProjectPage,
    testing::{Reply, Server, files, page_of},
};

async fn listed(client: &Client) -> Arc<ProjectPage> {
    client.project(&"six".parse().unwrap()).await.unwrap()
}

async fn server_of(
    digest: Option<Sha256>,
    answer: impl Fn(usize) -> Reply + Send + Sync + 'static,
) -> (Server, Arc<std::sync::atomic::AtomicUsize>) {
    let fetched = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = fetched.clone();
    let server = Server::start(move |asked| match asked.path.as_str() {
        "/simple/six/" => Reply::json(page_of("six", &[("six-1.0.tar.gz", digest, None)])),
        _ => answer(counter.fetch_add(1, Ordering::SeqCst)),
    })
    .await;
    (server, fetched)
}

#[tokio::test]
async fn a_file_is_fetched_once() {
    let folder = tempfile::tempdir().unwrap();
    let (server, fetched) =
        server_of(Some(Sha256::of(b"content")), |_| Reply::Whole(200, vec![], b"content".to_vec())).await;
    let (client, store) = (server.client(), files(folder.path()));
    let page = listed(&client).await;
    let (one, other) =
        tokio::join!(store.fetch(&client, &page.files[0]), store.fetch(&client, &page.files[0]));
    assert_eq!(fs::read(one.unwrap().path()).unwrap(), b"content");
    assert_eq!(other.unwrap().size(), 7);
    assert_eq!(fetched.load(Ordering::SeqCst), 1);
    // Another process's store on the same folder has it too.
    assert!(files(folder.path()).lease(Sha256::of(b"content")).is_some());
    assert_eq!(fs::read_dir(folder.path().join("files/partial")).unwrap().count(), 0);
}

#[tokio::test]
async fn half_a_file_is_tried_again_and_then_lost() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Some(Sha256::of(b"content"));
    let (server, fetched) = server_of(digest, |number| match number {
        0 => Reply::Half(b"content".to_vec()),
        _ => Reply::Whole(200, vec![], b"content".to_vec()),
    })
    .await;
    let (client, store) = (server.client(), files(folder.path()));
    store.fetch(&client, &listed(&client).await.files[0]).await.unwrap();
    assert_eq!(fetched.load(Ordering::SeqCst), 2);

    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server_of(digest, |_| Reply::Half(b"content".to_vec())).await;
    let (client, store) = (server.client(), files(folder.path()));
    let error = store.fetch(&client, &listed(&client).await.files[0]).await.unwrap_err();
    assert!(matches!(error, Error::Lost { .. }), "{error}");
    assert_eq!((store.stored(), fs::read_dir(folder.path().join("files/partial")).unwrap().count()), (0, 0));
}

#[tokio::test]
async fn another_hash_gone_and_too_large() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Some(Sha256::of(b"content"));
    let (server, fetched) = server_of(digest, |_| Reply::Whole(200, vec![], b"c0ntent".to_vec())).await;
    let (client, store) = (server.client(), files(folder.path()));
    let error = store.fetch(&client, &listed(&client).await.files[0]).await.unwrap_err();
    assert!(matches!(error, Error::HashMismatch { .. }) && error.kind() == Kind::Farm, "{error}");
    assert_eq!(fetched.load(Ordering::SeqCst), 2);

    let (server, _) = server_of(digest, |_| Reply::status(404)).await;
    let client = server.client();
    let error = store.fetch(&client, &listed(&client).await.files[0]).await.unwrap_err();
    assert!(matches!(error, Error::FileGone { status: 404, .. }), "{error}");

    let (server, _) = server_of(digest, |_| Reply::Whole(200, vec![], vec![0; (1 << 20) + 1])).await;
    let client = server.client();
    let error = store.fetch(&client, &listed(&client).await.files[0]).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");
}

#[tokio::test]
async fn without_a_promised_hash_the_first_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let (server, _) = server_of(None, |number| match number {
        0 => Reply::Whole(200, vec![], b"content".to_vec()),
        _ => Reply::Whole(200, vec![], b"changed".to_vec()),
    })
    .await;
    let (client, store) = (server.client(), files(folder.path()));
    let file = listed(&client).await.files[0].clone();
    let lease = store.fetch(&client, &file).await.unwrap();
    assert_eq!(lease.sha256(), Sha256::of(b"content"));
    let path = lease.path().to_owned();
    drop(lease);
    assert_eq!(store.fetch(&client, &file).await.unwrap().sha256(), Sha256::of(b"content"));
    fs::remove_file(path).unwrap();
    assert!(matches!(store.fetch(&client, &file).await.unwrap_err(), Error::HashMismatch { .. }));
}

#[tokio::test]
async fn damage_is_found_and_mended() {
    let folder = tempfile::tempdir().unwrap();
    let digest = Sha256::of(b"content");
    let (server, fetched) = server_of(Some(digest), |_| Reply::Whole(200, vec![], b"content".to_vec())).await;
    let (client, store) = (server.client(), files(folder.path()));
    let mut file = listed(&client).await.files[0].clone();
    file.size = Some(7);
    let damage = |bytes: &[u8]| {
        let path = store.lease(digest).unwrap().path().to_owned();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
    };
    drop(store.fetch(&client, &file).await.unwrap());
    assert!(store.verify(digest).unwrap());
    damage(b"cont");
    drop(store.fetch(&client, &file).await.unwrap());
    assert_eq!(fetched.load(Ordering::SeqCst), 2);
    damage(b"c0ntent");
    assert!(!store.verify(digest).unwrap());
    assert!(matches!(store.verify(digest), Err(Error::NotStored(_))));
    drop(store.fetch(&client, &file).await.unwrap());
    assert_eq!(fetched.load(Ordering::SeqCst), 3);
}

#[test]
fn the_least_recently_used_goes_first_and_leases_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Files::open(folder.path(), FilesOptions { limit: 1000, ..FilesOptions::default() }).unwrap();
    let insert = |byte: u8| {
        let path = folder.path().join("incoming");
        fs::write(&path, vec![byte; 400]).unwrap();
        store.insert(&path).unwrap()
    };
    let age = |lease: &Lease, seconds: u64| {
        let file = fs::File::open(lease.path()).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
    };
    let (oldest, old) = (insert(1), insert(2));
    age(&oldest, 1000);
    age(&old, 2000);
    let (held, gone) = (oldest.sha256(), old.sha256());
    drop(old);
    let newest = insert(3);
    assert!(store.lease(held).is_some(), "a leased file stays, however old");
    assert!(store.lease(gone).is_none());
    assert!(store.lease(newest.sha256()).is_some());
    assert_eq!(store.stored(), 800);
}

#[test]
fn what_killed_processes_left_is_swept() {
    let folder = tempfile::tempdir().unwrap();
    let store = files(folder.path());
    let dead = folder.path().join("files/partial/1-2-3");
    fs::write(&dead, "half").unwrap();
    let living = Incoming::new(&store.inner.root).unwrap();
    for path in [&dead, &living.path] {
        fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    let _again = files(folder.path());
    assert!(!dead.exists());
    assert!(living.path.exists());
}

/// Several stores on one folder, with room for a few files only: a lease holds whatever the others evict.
#[test]
fn many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for worker in 0..4_u8 {
            let folder = folder.path();
            scope.spawn(move || {
                let options = FilesOptions { limit: 3000, ..FilesOptions::default() };
                let store = Files::open(folder, options).unwrap();
                let incoming = folder.join(format!("incoming-{worker}"));
                for round in 0..60_u8 {
                    let content = vec![round % 12; 700];
                    fs::write(&incoming, &content).unwrap();
                    let lease = match store.insert(&incoming) {
                        Ok(lease) => lease,
                        Err(Error::NotStored(_)) => continue,
                        Err(error) => panic!("{error}"),
                    };
                    assert_eq!(fs::read(lease.path()).unwrap(), content);
                    if let Some(other) = store.lease(Sha256::of(&[round % 7; 700])) {
                        assert_eq!(fs::read(other.path()).unwrap(), [round % 7; 700]);
                    }
                    assert_eq!(fs::read(lease.path()).unwrap(), content);
                }
            });
        }
    });
    assert_eq!(fs::read_dir(folder.path().join("files/partial")).unwrap().count(), 0);
    assert!(files(folder.path()).stored() <= 12 * 700);
}
