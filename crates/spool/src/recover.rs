//! Opening what an earlier run left: every frame is checked, an unfinished tail is cut off, anything else
//! that is wrong is refused.

use std::{
    collections::BTreeMap,
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use bytes::Bytes;

use crate::{
    SpoolError,
    accounts::Accounts,
    disk::Disk,
    format::{
        Bad, Chain,
        frame::{self, FrameHeader, Packer},
        payload,
        segment::{self, HeaderError, SegmentHeader},
    },
    shared::Begin,
    spool,
    writer::{Active, CreateError, create},
};

/// What opening the spool found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Frames in the files.
    pub frames: u64,
    /// Records in them.
    pub records: u64,
    /// The file whose unfinished tail was cut off, and the offset of the cut.
    pub cut: Option<(PathBuf, u64)>,
    /// How many bytes were cut. They were never acknowledged, unless the disk damaged the very last frame.
    pub cut_bytes: u64,
}

pub(crate) struct Recovered {
    pub(crate) report: Recovery,
    accounts: Accounts,
    /// Base address and number of each segment.
    segments: BTreeMap<u64, u64>,
    last: Option<Segment>,
    /// Behind the last frame that has records.
    records_end: u64,
}

/// A checked segment.
struct Segment {
    header: SegmentHeader,
    /// Length of the header and the first frame.
    first_len: u64,
    /// Length up to the last good frame.
    len: u64,
    chain: Chain,
}

pub(crate) fn recover(disk: &dyn Disk, dir: &Path) -> Result<Recovered, SpoolError> {
    let (numbers, unborn) = spool::list(dir)?;
    let mut recovered = Recovered {
        report: Recovery::default(),
        accounts: Accounts::default(),
        segments: BTreeMap::new(),
        last: None,
        records_end: 0,
    };
    for (index, number) in numbers.iter().enumerate() {
        let path = segment::path(dir, *number);
        if index > 0 && numbers[index - 1] + 1 != *number {
            let missing = segment::path(dir, numbers[index - 1] + 1);
            return Err(SpoolError::MissingSegment { missing, next: path });
        }
        let is_last = index + 1 == numbers.len();
        let segment = recovered.check(disk, &path, *number, is_last)?;
        recovered.segments.insert(segment.header.base, *number);
        recovered.last = Some(segment);
    }
    for path in unborn {
        disk.remove(&path).map_err(SpoolError::io("delete", path))?;
    }
    Ok(recovered)
}

impl Recovered {
    fn check(&mut self, disk: &dyn Disk, path: &Path, number: u64, is_last: bool) -> Result<Segment, SpoolError> {
        let file = File::open(path).map_err(SpoolError::io("open", path))?;
        let file_len = file.metadata().map_err(SpoolError::io("read", path))?.len();
        let header = read_header(&file, path)?;
        if header.number != number {
            let what = format!("it says that it is segment {}", header.number);
            return Err(SpoolError::damaged(path, 0, what));
        }
        if let Some(before) = &self.last
            && (header.base != before.header.base + before.len || header.previous != before.chain)
        {
            return Err(SpoolError::damaged(path, 0, "it does not continue the segment before it"));
        }
        let header_len = segment::HEADER_LEN as u64;
        let mut segment = Segment { header, first_len: header_len, len: header_len, chain: header.previous };
        // The first frame restates all that the segments before it said, so only the last segment's frames
        // have to be read for what they say.
        if is_last {
            self.accounts = Accounts::default();
        }
        let mut frames_here = 0;
        while segment.len < file_len {
            let offset = segment.len;
            let checked = check_frame(&file, &segment, file_len);
            let checked = checked.map_err(SpoolError::io("read", path))?;
            let (frame, stored, chain) = match checked {
                Ok(checked) => checked,
                Err(bad) => {
                    let next =
                        next_frame(&file, &header, offset + 1, file_len).map_err(SpoolError::io("read", path))?;
                    if let Some(next) = next {
                        let what = format!("{}, and another frame follows at byte {next}", bad.0);
                        return Err(SpoolError::damaged(path, offset, what));
                    }
                    if !is_last || frames_here == 0 {
                        return Err(SpoolError::damaged(path, offset, bad.0));
                    }
                    self.cut(disk, path, offset, file_len, &bad)?;
                    break;
                }
            };
            if is_last {
                let read = frame.unpack(stored).and_then(|payload| payload::decode(&payload));
                let replayed = read.and_then(|payload| self.accounts.replay(&payload));
                replayed.map_err(|bad| SpoolError::damaged(path, offset, bad.0))?;
            }
            segment.len += frame.frame_len();
            segment.chain = chain;
            if frames_here == 0 {
                segment.first_len = segment.len;
            }
            if frame.records > 0 {
                self.records_end = header.base + segment.len;
            }
            frames_here += 1;
            self.report.frames += 1;
            self.report.records += u64::from(frame.records);
        }
        if frames_here == 0 {
            return Err(SpoolError::damaged(path, segment.len, "its first frame is missing"));
        }
        Ok(segment)
    }

    /// Takes away the unfinished tail of the last segment.
    fn cut(&mut self, disk: &dyn Disk, path: &Path, offset: u64, file_len: u64, bad: &Bad) -> Result<(), SpoolError> {
        let bytes = file_len - offset;
        tracing::warn!(file = %path.display(), offset, bytes, reason = bad.0, "cut an unfinished tail off the spool");
        let mut file = disk.open(path).map_err(SpoolError::io("open", path))?;
        file.set_len(offset).and_then(|()| file.sync_all()).map_err(SpoolError::io("cut the tail off", path))?;
        self.report.cut = Some((path.to_owned(), offset));
        self.report.cut_bytes = bytes;
        Ok(())
    }

    /// The state to begin from, and the file to append to: the last one, or a first one.
    pub(crate) fn open(self, disk: &dyn Disk, dir: &Path) -> Result<(Begin, Active), SpoolError> {
        let Recovered { accounts, mut segments, last, records_end, .. } = self;
        let active = match last {
            Some(Segment { header, first_len, len, chain }) => {
                let path = segment::path(dir, header.number);
                let file = disk.open(&path).map_err(SpoolError::io("open", path))?;
                Active { file, number: header.number, base: header.base, first_len, len, sync: header.sync, chain }
            }
            None => first(disk, dir)?,
        };
        segments.insert(active.base, active.number);
        let end = active.base + active.len;
        let active_begin = active.base + active.first_len;
        Ok((Begin { accounts, segments, end, records_end, active_begin }, active))
    }
}

fn first(disk: &dyn Disk, dir: &Path) -> Result<Active, SpoolError> {
    let header = SegmentHeader { number: 1, base: 0, sync: segment::new_sync(), previous: [0; 32] };
    let mut packer = Packer::new().map_err(SpoolError::io("start the compression for", dir))?;
    let nothing = Bytes::from_static(&[0, 0, 0]);
    let created = create(disk, dir, header, &nothing, &mut packer);
    created.map(|(active, _)| active).map_err(|error| {
        let (CreateError::NotBegun(detail) | CreateError::Unknown(detail)) = error;
        SpoolError::Io { action: "begin a spool in", path: dir.to_owned(), source: io::Error::other(detail) }
    })
}

/// A segment file's header, checked.
pub(crate) fn read_header(file: &File, path: &Path) -> Result<SegmentHeader, SpoolError> {
    let mut header = [0; segment::HEADER_LEN];
    match file.read_exact_at(&mut header, 0) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(SpoolError::damaged(path, 0, "it is shorter than a segment header"));
        }
        Err(error) => return Err(SpoolError::io("read", path)(error)),
    }
    SegmentHeader::decode(&header).map_err(|error| match error {
        HeaderError::Newer(found) => {
            SpoolError::NewerVersion { file: path.to_owned(), found, supported: segment::VERSION }
        }
        HeaderError::Bad(bad) => SpoolError::damaged(path, 0, bad.0),
    })
}

type Checked = Result<(FrameHeader, Vec<u8>, Chain), Bad>;

/// The frame at the end of `segment`, and its hash.
fn check_frame(file: &File, segment: &Segment, file_len: u64) -> io::Result<Checked> {
    let left = file_len - segment.len;
    if left < frame::HEADER_LEN as u64 {
        return Ok(Err(Bad::new("the file ends inside a frame header")));
    }
    let mut header_bytes = [0; frame::HEADER_LEN];
    file.read_exact_at(&mut header_bytes, segment.len)?;
    let address = segment.header.base + segment.len;
    let header = match FrameHeader::decode(&header_bytes, segment.header.sync, address) {
        Ok(header) => header,
        Err(bad) => return Ok(Err(bad)),
    };
    if header.previous != segment.chain {
        return Ok(Err(Bad::new("the frame does not continue the one before it")));
    }
    if header.frame_len() > left {
        return Ok(Err(Bad::new("the file ends inside a frame")));
    }
    let mut stored = vec![0; header.stored_len as usize];
    file.read_exact_at(&mut stored, segment.len + frame::HEADER_LEN as u64)?;
    Ok(header.check(&stored).map(|()| {
        let chain = frame::chain(&header_bytes, &stored);
        (header, stored, chain)
    }))
}

/// The offset of the first frame header at or behind `from`. A frame is written only when the one before it
/// is durable, so a header behind a bad frame says that the bad one was once good.
fn next_frame(file: &File, segment: &SegmentHeader, from: u64, file_len: u64) -> io::Result<Option<u64>> {
    let mut window = vec![0; 1 << 20];
    let mut at = from;
    while at + frame::HEADER_LEN as u64 <= file_len {
        let len = window.len().min((file_len - at) as usize);
        file.read_exact_at(&mut window[..len], at)?;
        // Headers that begin in the last bytes of this window are whole in the next one.
        let begins = len - frame::HEADER_LEN + 1;
        for start in 0..begins {
            let bytes = &window[start..start + frame::HEADER_LEN];
            if bytes[..8] != segment.sync {
                continue;
            }
            let offset = at + start as u64;
            let header = FrameHeader::decode(&crate::format::bytes_at(bytes, 0), segment.sync, segment.base + offset);
            if header.is_ok() {
                return Ok(Some(offset));
            }
        }
        at += begins as u64;
    }
    Ok(None)
}
