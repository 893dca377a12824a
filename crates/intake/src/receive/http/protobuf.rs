//! Protocol buffers as they lie in memory ([encoding](https://protobuf.dev/programming-guides/encoding/)): fields one after another,
//! nothing copied, so that a hostile message costs no more than its bytes.

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// The message is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damaged;

/// The fields of a message, in order. Groups are refused, as proto3 has none.
pub(super) struct Fields<'a>(&'a [u8]);

/// Reads a message.
pub(super) fn fields(message: &[u8]) -> Fields<'_> {
    Fields(message)
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Damaged>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Value<'a>), Damaged> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).ok().filter(|number| *number > 0).ok_or(Damaged)?;
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(*self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| Damaged)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(*self.array()?)),
            _ => return Err(Damaged),
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Damaged> {
        let mut value = 0;
        for (at, byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(Damaged)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Damaged> {
        let (array, rest) = self.0.split_first_chunk().ok_or(Damaged)?;
        self.0 = rest;
        Ok(array)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_wire_type() {
        let message = b"\x08\x96\x01\x11\x01\0\0\0\0\0\0\0\x1a\x03abc\x25\x02\0\0\0";
        let found: Result<Vec<_>, _> = fields(message).collect();
        let expected =
            [(1, Value::Varint(150)), (2, Value::Fixed64(1)), (3, Value::Bytes(b"abc")), (4, Value::Fixed32(2))];
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn damage() {
        for message in [
            &b"\x08"[..],
            b"\x1a\x05abc",
            b"\x11\x01",
            b"\x0b",
            b"\x00\x01",
            b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        ] {
            assert_eq!(fields(message).last(), Some(Err(Damaged)), "{}", message.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_ends(message in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(fields(&message).count() <= message.len());
        }
    }
}
