//! The right edge of the tree, where it grows: what is not in full tiles yet.

use crate::{
    Algorithm, Hash,
    tiles::{self, TileFolder, WIDTH},
    tree::{self, Frontier},
};

/// A file of the log and what is to stand in it.
pub(crate) type Written = (String, Vec<u8>);

/// The tiles and the bundle that are not full, of a tree of some size.
#[derive(Clone)]
pub(crate) struct Edge {
    frontier: Frontier,
    /// By level: the hashes of the tile that is not full.
    tiles: Vec<Vec<Hash>>,
    /// The entries of the bundle that is not full.
    bundle: Vec<Vec<u8>>,
}

impl Edge {
    /// As it stands on disk.
    pub(crate) fn read(folder: &TileFolder) -> std::io::Result<Edge> {
        let size = folder.size();
        let mut read = Vec::new();
        for level in 0..=tiles::MAX_LEVEL {
            let index = tiles::hashes_at(level, size) / WIDTH;
            let is_there = tiles::width_at(level, index, size) > 0;
            read.push(if is_there { folder.tile(level, index)? } else { Vec::new() });
        }
        let bundle = if size.is_multiple_of(WIDTH) { Vec::new() } else { folder.bundle(size / WIDTH)? };
        let frontier = tree::frontier_of(Algorithm::Sha256, folder, size)?;
        Ok(Edge { frontier, tiles: read, bundle })
    }

    pub(crate) fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// Adds entries; the files that have to be written for the tree to be on disk, tiles of lower levels first.
    pub(crate) fn extend(&mut self, entries: Vec<Vec<u8>>) -> Vec<Written> {
        let mut files = Vec::new();
        let before = self.size();
        for entry in entries {
            let leaf = tree::leaf_hash(Algorithm::Sha256, &entry);
            self.frontier.push(leaf);
            self.bundle.push(entry);
            if self.bundle.len() as u64 == WIDTH {
                let index = self.size() / WIDTH - 1;
                files.push((tiles::bundle_path(index, WIDTH), self.take_bundle()));
            }
            self.push(leaf, &mut files);
        }
        let size = self.size();
        if !self.bundle.is_empty() && size > before {
            let entries = self.bundle.iter().map(Vec::as_slice);
            files.push((tiles::bundle_path(size / WIDTH, self.bundle.len() as u64), tiles::bundle(entries)));
        }
        for (level, hashes) in (0..).zip(&self.tiles) {
            if !hashes.is_empty() && tiles::hashes_at(level, size) > tiles::hashes_at(level, before) {
                let index = tiles::hashes_at(level, size) / WIDTH;
                files.push((tiles::tile_path(level, index, hashes.len() as u64), hashes.concat()));
            }
        }
        files
    }

    fn take_bundle(&mut self) -> Vec<u8> {
        let entries = std::mem::take(&mut self.bundle);
        tiles::bundle(entries.iter().map(Vec::as_slice))
    }

    /// Adds a leaf to the tiles; a tile that is full becomes a hash of the next level.
    fn push(&mut self, leaf: Hash, files: &mut Vec<Written>) {
        let mut hash = leaf;
        for (level, tile) in (0..).zip(&mut self.tiles) {
            tile.push(hash);
            if (tile.len() as u64) < WIDTH {
                return;
            }
            let index = tiles::hashes_at(level, self.frontier.size()) / WIDTH - 1;
            files.push((tiles::tile_path(level, index, WIDTH), tile.concat()));
            hash = tree::root(Algorithm::Sha256, tile);
            tile.clear();
        }
    }
}
