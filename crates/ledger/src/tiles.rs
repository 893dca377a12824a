//! Where the parts of a log are, and how they are read ([C2SP tlog-tiles](https://c2sp.org/tlog-tiles)).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{Algorithm, Hash, tree};

/// Hashes in a full tile, entries in a full bundle.
pub const WIDTH: u64 = 256;
/// Levels of the tree within a tile.
const HEIGHT: u32 = 8;
/// Tiles of a tree of 2^64 leaves.
pub const MAX_LEVEL: u32 = 7;

/// The path of a number: `1234067` is `x001/x234/067`.
fn number(mut number: u64) -> String {
    let mut path = format!("{:03}", number % 1000);
    while number >= 1000 {
        number /= 1000;
        path = format!("x{:03}/{path}", number % 1000);
    }
    path
}

fn with_width(path: String, width: u64) -> String {
    if width == WIDTH { path } else { format!("{path}.p/{width}") }
}

/// Path of a tile: of level `level`, the `index`-th there, with `width` hashes.
pub fn tile_path(level: u32, index: u64, width: u64) -> String {
    with_width(format!("tile/{level}/{}", number(index)), width)
}

/// Path of a bundle of `width` entries.
pub fn bundle_path(index: u64, width: u64) -> String {
    with_width(format!("tile/entries/{}", number(index)), width)
}

/// Path of the seeds of a bundle's entries. Not part of C2SP's layout, and never to be served.
pub fn seeds_path(index: u64) -> String {
    format!("seeds/{}", number(index))
}

/// Path of what is left of the salts of a batch, given its entry, when events of it were erased. Never to be served.
pub fn erased_path(entry: u64) -> String {
    format!("erased/{}", number(entry))
}

/// How many hashes of a level there are in tiles, in a tree of `size`: those of full subtrees.
pub fn hashes_at(level: u32, size: u64) -> u64 {
    size >> (HEIGHT * level)
}

/// How wide the tile with this index is in a tree of `size`; 0 if it is not there.
pub fn width_at(level: u32, index: u64, size: u64) -> u64 {
    hashes_at(level, size).saturating_sub(index.saturating_mul(WIDTH)).min(WIDTH)
}

/// The hashes of a tile's bytes.
pub fn hashes(tile: &[u8]) -> impl ExactSizeIterator<Item = Hash> + '_ {
    tile.chunks_exact(32).map(|hash| {
        let mut array = [0; 32];
        array.copy_from_slice(hash);
        array
    })
}

/// The entries of a bundle's bytes; none if it is cut short.
pub fn entries(mut bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    while !bundle.is_empty() {
        let (len, rest) = bundle.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        bundle = rest;
    }
    Some(entries)
}

/// A bundle's bytes.
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        // Entries are checked against MAX_ENTRY_BYTES before they get here.
        bundle.extend((entry.len() as u16).to_be_bytes());
        bundle.extend(entry);
    }
    bundle
}

/// The tiles of a log in a folder, as of a size.
#[derive(Clone, Debug)]
pub struct TileFolder {
    dir: PathBuf,
    size: u64,
}

impl TileFolder {
    /// The tiles below `dir` of a tree of `size`.
    pub fn new(dir: &Path, size: u64) -> Self {
        TileFolder { dir: dir.to_owned(), size }
    }

    /// The tree's size.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// A tile's hashes. A full tile serves for a partial one that is not there any more.
    ///
    /// # Errors
    /// It is not there or not as long as it has to be.
    pub fn tile(&self, level: u32, index: u64) -> io::Result<Vec<Hash>> {
        let width = width_at(level, index, self.size);
        let bytes = self.read(|width| tile_path(level, index, width), width)?;
        if (bytes.len() as u64) < width * 32 || !bytes.len().is_multiple_of(32) {
            let path = self.dir.join(tile_path(level, index, width));
            return Err(invalid(format!("{}: {} bytes are no tile of {width}", path.display(), bytes.len())));
        }
        Ok(hashes(&bytes).take(width as usize).collect())
    }

    /// The entries of a bundle.
    ///
    /// # Errors
    /// It is not there or does not have the entries that it has to have.
    pub fn bundle(&self, index: u64) -> io::Result<Vec<Vec<u8>>> {
        let width = width_at(0, index, self.size);
        let bytes = self.read(|width| bundle_path(index, width), width)?;
        let bad = || {
            let path = self.dir.join(bundle_path(index, width));
            invalid(format!("{}: not a bundle of {width} entries", path.display()))
        };
        let entries = entries(&bytes).ok_or_else(bad)?;
        if (entries.len() as u64) < width {
            return Err(bad());
        }
        Ok(entries.into_iter().take(width as usize).map(<[u8]>::to_vec).collect())
    }

    /// An entry's bytes.
    ///
    /// # Errors
    /// As [`bundle`](Self::bundle).
    pub fn entry(&self, index: u64) -> io::Result<Vec<u8>> {
        let mut bundle = self.bundle(index / WIDTH)?;
        let at = (index % WIDTH) as usize;
        if at < bundle.len() { Ok(bundle.swap_remove(at)) } else { Err(invalid(format!("no entry {index}"))) }
    }

    fn read(&self, path: impl Fn(u64) -> String, width: u64) -> io::Result<Vec<u8>> {
        let read = |width| {
            let path = self.dir.join(path(width));
            fs::read(&path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        };
        match read(width) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && width != WIDTH => read(WIDTH).map_err(|_| error),
            bytes => bytes,
        }
    }
}

impl tree::Nodes for TileFolder {
    type Error = io::Error;

    fn node(&self, level: u32, index: u64) -> io::Result<Hash> {
        let (tile_level, within) = (level / HEIGHT, level % HEIGHT);
        let first = index << within;
        let tile = self.tile(tile_level, first / WIDTH)?;
        let start = (first % WIDTH) as usize;
        let hashes = tile.get(start..start + (1 << within));
        let hashes = hashes.ok_or_else(|| invalid(format!("no subtree of level {level} with number {index}")))?;
        Ok(tree::root(Algorithm::Sha256, hashes))
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_as_in_the_specification() {
        assert_eq!(tile_path(0, 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(tile_path(1, 0, 17), "tile/1/000.p/17");
        assert_eq!(bundle_path(273, 112), "tile/entries/273.p/112");
    }

    #[test]
    fn widths_as_in_the_specification() {
        // "A tree of size 70,000 will be represented by 273 full level 0 tiles, one partial level 0 tile of width 112, one
        // full level 1 tile, one partial level 1 tile of width 17, and one partial level 2 tile of width 1."
        let widths = |level| (0..300).map(move |index| width_at(level, index, 70_000)).filter(|width| *width > 0);
        assert_eq!(widths(0).filter(|width| *width == 256).count(), 273);
        assert_eq!(widths(0).next_back(), Some(112));
        assert_eq!(widths(1).collect::<Vec<_>>(), [256, 17]);
        assert_eq!(widths(2).collect::<Vec<_>>(), [1]);
        assert_eq!((width_at(0, 0, 256), width_at(1, 0, 256)), (256, 1));
    }
}
