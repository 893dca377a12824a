//! The console: a single-page application of files, which are in the binary or in a folder.
//!
//! Its files are for everybody, since the log-in page is one of them; what it shows comes from the API. Whatever path is
//! no file and no part of the API is a page of it, and so gets `index.html`.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Redirect, Response},
};
use flate2::read::GzDecoder;

use crate::{App, Problem, auth::blocking, guard, page};

/// Everything is a file of this server; nothing inline, nothing from elsewhere.
const CSP: &str = "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const INDEX: &str = "index.html";
/// Files whose names change with their content.
const HASHED: &str = "assets/";
/// No file of a folder is larger.
const MAX_FILE: u64 = 32 << 20;

/// Where the console is.
#[derive(Clone, Debug, Default)]
pub enum Console {
    /// There is none; the pages of [`page`] are all there is to see.
    #[default]
    Absent,
    /// In the binary.
    Embedded(&'static [Asset]),
    /// In a folder, which is looked at with every request.
    Folder(PathBuf),
}

/// A file of the console in the binary.
#[derive(Clone, Copy, Debug)]
pub struct Asset {
    /// Its path, without a slash at the beginning.
    pub path: &'static str,
    /// Its bytes are compressed with gzip.
    pub gzip: bool,
    /// Its bytes.
    pub bytes: &'static [u8],
}

impl Console {
    /// What is in the binary: nothing, or a whole console.
    pub fn embedded(assets: &'static [Asset]) -> Self {
        if assets.is_empty() { Console::Absent } else { Console::Embedded(assets) }
    }

    /// What is in a folder.
    ///
    /// # Errors
    /// There is no `index.html` in it.
    pub fn folder(dir: &Path) -> Result<Self, String> {
        match dir.join(INDEX).is_file() {
            true => Ok(Console::Folder(dir.to_owned())),
            false => Err(format!("{} has no {INDEX}: build the console first", dir.display())),
        }
    }

    /// True if there is none.
    pub fn is_absent(&self) -> bool {
        matches!(self, Console::Absent)
    }

    /// A file by its path. May block.
    fn file(&self, path: &str) -> Option<File> {
        match self {
            Console::Absent => None,
            Console::Embedded(assets) => {
                let asset = assets.iter().find(|asset| asset.path == path)?;
                Some(File { gzip: asset.gzip, bytes: asset.bytes.into() })
            }
            Console::Folder(dir) => read_below(dir, path),
        }
    }
}

struct File {
    gzip: bool,
    bytes: std::borrow::Cow<'static, [u8]>,
}

/// A file below a folder, never one outside: neither by `..` nor by a link; and none that is hidden.
fn read_below(dir: &Path, path: &str) -> Option<File> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fine = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
    if !path.split('/').all(fine) {
        return None;
    }
    let (dir, file) = (fs::canonicalize(dir).ok()?, fs::canonicalize(dir.join(path)).ok()?);
    if !file.starts_with(&dir) || !file.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    let read = fs::File::open(&file).and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 <= MAX_FILE => Some(File { gzip: false, bytes: bytes.into() }),
        Ok(_) => {
            tracing::warn!(file = %file.display(), "a file of the console is larger than {MAX_FILE} bytes");
            None
        }
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "a file of the console cannot be read");
            None
        }
    }
}

/// What is at a path that no route has.
pub(crate) async fn fallback(
    State(app): State<Arc<App>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = uri.path().to_owned();
    let is_page = guard::is_page(&uri) && matches!(method, Method::GET | Method::HEAD);
    if !is_page {
        return Err(guard::not_found(&uri));
    }
    if app.console.is_absent() || path.starts_with("/plain/") {
        return match page::instead_of(&uri) {
            Some(plain) => Ok(Redirect::to(&plain).into_response()),
            None => Err(guard::not_found(&uri)),
        };
    }
    let not_found = guard::not_found(&uri);
    blocking(move || {
        let path = path.trim_start_matches('/');
        let (path, file) = match app.console.file(path) {
            Some(file) => (path, file),
            // A page must not be taken for a script that an older page asks for.
            None if path.starts_with(HASHED) => return Err(not_found),
            None => match app.console.file(INDEX) {
                Some(index) => (INDEX, index),
                None => return Err(Problem::new(StatusCode::NOT_FOUND, "the console's folder has no index.html")),
            },
        };
        answer(path, file, &headers)
    })
    .await
}

fn answer(path: &str, file: File, asked: &HeaderMap) -> Result<Response, Problem> {
    // Weak: it is the same for the compressed form.
    let etag = format!("W/\"{}\"", &blake3::hash(&file.bytes).to_hex()[..32]);
    let text = |name| asked.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = text(header::IF_NONE_MATCH).split(',').any(|tag| tag.trim() == etag);
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let takes_gzip = accepts_gzip(text(header::ACCEPT_ENCODING));
        let (bytes, encoding) = match (file.gzip, takes_gzip) {
            (false, _) => (file.bytes.into_owned(), None),
            (true, true) => (file.bytes.into_owned(), Some(HeaderValue::from_static("gzip"))),
            (true, false) => {
                let mut plain = Vec::new();
                GzDecoder::new(&*file.bytes).read_to_end(&mut plain).map_err(|error| Problem::internal(&error))?;
                (plain, None)
            }
        };
        let mut response = Body::from(bytes).into_response();
        if let Some(encoding) = encoding {
            response.headers_mut().insert(header::CONTENT_ENCODING, encoding);
        }
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(path)));
        response
    };
    let cache = if path.starts_with(HASHED) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    headers.insert(header::ETAG, HeaderValue::try_from(etag).map_err(|error| Problem::internal(&error))?);
    Ok(response)
}

/// RFC 9110 §12.5.3, as far as one encoding is concerned.
fn accepts_gzip(accepted: &str) -> bool {
    let refused = |quality: &str| quality.trim().strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0));
    accepted.split(',').any(|coding| {
        let (name, quality) = coding.split_once(';').unwrap_or((coding, ""));
        name.trim().eq_ignore_ascii_case("gzip") && !refused(quality)
    })
}

fn media_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webp" => "image/webp",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_gzip() {
        for (accepted, takes) in [
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("gzip; q=0.0, br", false),
            ("", false),
            ("identity", false),
            ("xgzip", false),
        ] {
            assert_eq!(accepts_gzip(accepted), takes, "{accepted}");
        }
    }
}
