//! Lists the files that the binary carries: those of `content/rules`, and the console's, if it was built.
//!
//! It runs no npm. What `npm run build` left in `console/dist` is taken, compressed; where nothing is, the binary has no
//! console, unless `VEDETTE_REQUIRE_CONSOLE=1` asks for one.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

fn main() -> io::Result<()> {
    // Asked at run time: a target folder that several clones share may have this script compiled in another one.
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..").canonicalize()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    rules(&root.join("content/rules"), &out)?;
    console(&root.join("console"), &out)
}

fn variable(name: &str) -> io::Result<OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo sets {name}")))
}

fn rules(content: &Path, out: &Path) -> io::Result<()> {
    let mut list = String::from("&[\n");
    for file in files_below(content)?.iter().filter(|file| file.extension().is_some_and(|ending| ending == "yml")) {
        let name = file.strip_prefix(content).map_err(io::Error::other)?;
        list.push_str(&format!("    ({:?}, include_str!({:?})),\n", name.display().to_string(), file));
    }
    list.push(']');
    fs::write(out.join("rules.rs"), list)
}

fn console(console: &Path, out: &Path) -> io::Result<()> {
    println!("cargo::rerun-if-env-changed=VEDETTE_REQUIRE_CONSOLE");
    let dist = console.join("dist");
    // An empty folder can be watched; what is not there makes Cargo run this at every build, which is what happens where
    // it cannot be made.
    if !console.is_dir() || fs::create_dir_all(&dist).is_err() {
        println!("cargo::rerun-if-changed={}", dist.display());
    }
    let is_built = dist.join("index.html").is_file();
    if !is_built && env::var_os("VEDETTE_REQUIRE_CONSOLE").is_some_and(|required| required == "1") {
        let hint = "run `npm ci && npm run build` in console/ first";
        return Err(io::Error::other(format!(
            "VEDETTE_REQUIRE_CONSOLE=1, and {} is not there: {hint}",
            dist.display()
        )));
    }
    let files = if dist.is_dir() { files_below(&dist)? } else { Vec::new() };
    let compressed = out.join("console");
    match fs::remove_dir_all(&compressed) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => fs::create_dir_all(&compressed)?,
    }
    let mut list = String::from("&[\n");
    for (number, file) in files.iter().enumerate().filter(|_| is_built) {
        let path = file.strip_prefix(&dist).map_err(io::Error::other)?.display().to_string();
        // What tools leave behind, such as Vite's manifest.
        if path.split('/').any(|part| part.starts_with('.')) {
            continue;
        }
        let bytes = fs::read(file)?;
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&bytes)?;
        let smaller = encoder.finish()?;
        let gzip = smaller.len() < bytes.len();
        let copy = compressed.join(number.to_string());
        fs::write(&copy, if gzip { smaller } else { bytes })?;
        let asset = format!("Asset {{ path: {path:?}, gzip: {gzip}, bytes: include_bytes!({copy:?}) }}");
        list.push_str(&format!("    {asset},\n"));
    }
    list.push(']');
    fs::write(out.join("console.rs"), list)
}

/// The files below a folder by name; Cargo is told to watch them.
fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
