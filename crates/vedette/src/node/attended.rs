//! A node that works without receivers: what a command opens when no server runs on the folder.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::Node;
use crate::config::Config;

/// An open folder and its running pipeline.
pub struct Attended {
    /// The folder.
    pub node: Node,
    stop: Arc<AtomicBool>,
    pipeline: JoinHandle<anyhow::Result<()>>,
}

impl Attended {
    /// Opens a folder.
    ///
    /// # Errors
    /// As [`Node::open`].
    pub fn open(dir: &Path, config: &Config) -> anyhow::Result<Attended> {
        let node = Node::open(dir, config)?;
        let (mut pipeline, stop) = (node.pipeline()?, Arc::new(AtomicBool::new(false)));
        pipeline.end_imports();
        let stopping = stop.clone();
        let pipeline = thread::Builder::new().name("pipeline".into()).spawn(move || pipeline.run(&stopping))?;
        Ok(Attended { node, stop, pipeline })
    }

    /// Whether the pipeline has ended, as it does on an error only.
    pub fn has_stopped(&self) -> bool {
        self.pipeline.is_finished()
    }

    /// Waits until everything is processed and sealed.
    ///
    /// # Errors
    /// The pipeline failed.
    pub fn finish(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        self.pipeline.join().map_err(|_| anyhow::anyhow!("the pipeline panicked"))??;
        self.node.spool.close();
        Ok(())
    }
}
