//! Which granules a token is in.
//!
//! One number, then what it announces: `0` = common (in more than 40 % of the granules, so not worth telling
//! apart: treat it as being in all); `4g+1` = only in granule `g`; `4n+2` = in `n` granules, each as the
//! difference to the one before less one; `3` = a bitmap of one bit a granule, lowest first.

use crate::varint::{self, Reader};

/// True if a token in `len` of `granules` granules is not worth a list.
fn is_common(len: usize, granules: u32) -> bool {
    len > 1 && len as u64 * 5 > u64::from(granules) * 2
}

/// Appends the postings of a token in these granules (ascending).
pub(crate) fn put(out: &mut Vec<u8>, list: &[u32], granules: u32) {
    let bitmap_len = granules.div_ceil(8) as usize;
    match list {
        _ if is_common(list.len(), granules) => varint::put(out, 0),
        [one] => varint::put(out, u64::from(*one) << 2 | 1),
        _ if list.len() <= bitmap_len => {
            varint::put(out, (list.len() as u64) << 2 | 2);
            let mut next = 0;
            for &granule in list {
                varint::put(out, u64::from(granule - next));
                next = granule + 1;
            }
        }
        _ => {
            varint::put(out, 3);
            let start = out.len();
            out.resize(start + bitmap_len, 0);
            list.iter().for_each(|granule| out[start + *granule as usize / 8] |= 1 << (granule % 8));
        }
    }
}

/// Reads the next postings: the granules (ascending) into `list`.
pub(crate) fn read(reader: &mut Reader<'_>, granules: u32, list: &mut Vec<u32>) -> Option<()> {
    list.clear();
    let code = reader.u64()?;
    match (code & 3, code >> 2) {
        (0, 0) => list.extend(0..granules),
        (1, granule) => list.push(u32::try_from(granule).ok().filter(|granule| *granule < granules)?),
        (2, len) => {
            let mut next = 0u64;
            for _ in 0..len.min(u64::from(granules) + 1) {
                let granule = next.checked_add(reader.u64()?)?;
                list.push(u32::try_from(granule).ok().filter(|granule| *granule < granules)?);
                next = granule + 1;
            }
        }
        (3, 0) => {
            let bitmap = reader.bytes(granules.div_ceil(8) as usize)?;
            list.extend((0..granules).filter(|granule| bitmap[*granule as usize / 8] >> (granule % 8) & 1 == 1));
        }
        _ => return None,
    }
    Some(())
}

/// Reads over the next postings.
pub(crate) fn skip(reader: &mut Reader<'_>, granules: u32) -> Option<()> {
    let code = reader.u64()?;
    match code & 3 {
        2 => (0..code >> 2).try_for_each(|_| reader.u64().map(drop)),
        3 => reader.bytes(granules.div_ceil(8) as usize).map(drop),
        _ => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postings_survive_or_become_all() {
        let cases: [(u32, Vec<u32>); 7] = [
            (1, vec![0]),
            (32, vec![31]),
            (32, vec![0, 31]),
            (32, (0..12).map(|at| at * 2).collect()),
            (32, (0..13).collect()),
            (200, vec![3, 4, 199]),
            (200, (0..60).collect()),
        ];
        for (granules, list) in cases {
            let mut bytes = Vec::new();
            put(&mut bytes, &list, granules);
            put(&mut bytes, &[0], granules);
            let expected = if is_common(list.len(), granules) { (0..granules).collect() } else { list };
            let mut reader = Reader::new(&bytes);
            let mut skipped = reader.clone();
            let mut found = Vec::new();
            assert_eq!(read(&mut reader, granules, &mut found), Some(()));
            assert_eq!(found, expected);
            assert_eq!(skip(&mut skipped, granules), Some(()));
            assert_eq!(read(&mut skipped, granules, &mut found), Some(()));
            assert_eq!(found, [0]);
        }
        for damaged in [&[1 << 2 | 1u8][..], &[4], &[2 << 2 | 2, 0], &[3]] {
            assert_eq!(read(&mut Reader::new(damaged), 1, &mut Vec::new()), None);
        }
    }
}
