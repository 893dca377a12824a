//! Lists the files of `content/rules` so that the binary carries them.

use std::{
    env,
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    // Asked at run time: a target folder that several clones share may have this script compiled in another one.
    let content = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../content/rules").canonicalize()?;
    let mut files = Vec::new();
    collect(&content, &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&content).map_err(io::Error::other)?;
        list.push_str(&format!("    ({:?}, include_str!({:?})),\n", name.display().to_string(), file));
    }
    list.push(']');
    let out = PathBuf::from(variable("OUT_DIR")?);
    fs::write(out.join("rules.rs"), list)?;
    println!("cargo::rerun-if-changed={}", content.display());
    Ok(())
}

fn variable(name: &str) -> io::Result<OsString> {
    env::var_os(name).ok_or_else(|| io::Error::other(format!("cargo sets {name}")))
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(path);
        }
    }
    Ok(())
}
