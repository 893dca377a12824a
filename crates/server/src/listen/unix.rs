//! The local socket: who may open the file may do everything.

use std::{
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use axum::Router;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::{
    Limits,
    connection::{Admission, serve},
};
use crate::Peer;

/// The socket's name in the data folder.
pub const SOCKET: &str = "vedette.sock";

/// Listens on a socket file (mode 0600) from now on. The future serves until `shutdown`, then removes the file.
/// Requests act as `local:<uid>`.
///
/// The caller holds the data folder's lock: a socket file that is already there was left by a server that died.
///
/// # Errors
/// If the socket cannot be made.
pub fn unix(
    path: &Path,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + 'static> {
    Ok(accept(bind(path)?, path.to_owned(), router, limits, shutdown))
}

async fn accept(
    listener: UnixListener,
    path: PathBuf,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let admission = std::sync::Arc::new(Admission::new(limits));
    let tracker = tokio_util::task::TaskTracker::new();
    // All local clients count as one address.
    let local = std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a local connection");
                tokio::time::sleep(std::time::Duration::from_millis(100)).await;
                continue;
            }
        };
        let (Ok(credentials), Some(admitted)) = (stream.peer_cred(), admission.admit(local)) else {
            tracing::warn!("a local connection was closed: too many, or the kernel does not say whose it is");
            continue;
        };
        let (router, shutdown) = (router.clone(), shutdown.clone());
        tracker.spawn(async move {
            let _admitted = admitted;
            serve(stream, router, Peer::Local { uid: credentials.uid() }, limits, shutdown).await;
        });
    }
    tracker.close();
    tracker.wait().await;
    std::fs::remove_file(path)
}

/// Binds under another name and renames, so that the file never appears with wider permissions.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let fresh = path.with_extension("new");
    for old in [path, &fresh] {
        match std::fs::remove_file(old) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    let listener = UnixListener::bind(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&fresh, path)?;
    Ok(listener)
}
