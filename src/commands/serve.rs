//! `wheeltapper serve`: the site over HTTP, on this machine unless told otherwise.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use crate::{
    exit::{Exit, Failure},
    paths::Paths,
    view,
};

/// Serves until it is stopped.
pub fn serve(paths: &Paths, site: Option<PathBuf>, listen: SocketAddr) -> Result<Exit, Failure> {
    let site = site.unwrap_or_else(|| paths.data.join("site"));
    let listener = TcpListener::bind(listen).map_err(|error| {
        Failure::new(Exit::Input, format!("{listen}: {error}"))
            .hint("choose another with --listen ADDRESS:PORT")
    })?;
    view::remark(&format!("{} on http://{}/", site.display(), listener.local_addr()?));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            served = wheeltapper_coordinator::web::serve(listener, site) => Ok(served.map(|()| Exit::Success)?),
            () = crate::farm::interrupted() => Ok(Exit::Interrupted),
        }
    })
}
