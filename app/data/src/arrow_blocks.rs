//! The blocks of an Arrow IPC file, looked at before polars reads them.
//!
//! Its reader makes room for as many values as the file says before it looks whether they are there; room that cannot be had ends the
//! program, which no error can. So numbers that cannot be are an error here. Cost: the heads of the blocks and eight bytes a buffer.
//!
//! Apache Arrow columnar format 1.5, *IPC File Format*.

use polars_arrow_format::ipc::planus::ReadAsRoot;
use polars_arrow_format::ipc::{Block, FooterRef, MessageHeaderRef, MessageRef, RecordBatchRef};

use crate::{Error, Result};

/// Magic bytes at the file's end.
const MAGIC: &[u8] = b"ARROW1";
/// What a byte holds at most unpacked: zstandard says a block of 128 KB in four bytes; LZ4 stays below 255.
const DENSEST: u64 = 32_768;
/// Rows that need no byte: columns of nothing but missing values.
const EMPTY: u64 = 1 << 24;

/// Looks at every block of `bytes`.
///
/// # Errors
/// [`Error::Format`], naming the file as `what`.
pub(crate) fn check(what: &str, bytes: &[u8]) -> Result<()> {
    look(bytes).map_err(|why| {
        Error::format(
            what,
            format!("is an Arrow file that cannot be read: {why}; it may be damaged or incomplete: fetch it again"),
        )
    })
}

type Looked<T> = std::result::Result<T, String>;

fn look(bytes: &[u8]) -> Looked<()> {
    let none = |_| "its footer is none".to_owned();
    let footer = bytes.strip_suffix(MAGIC).ok_or("it has no footer")?;
    let (rest, length) = footer.split_last_chunk::<4>().ok_or("it has no footer")?;
    let length = usize::try_from(i32::from_le_bytes(*length)).map_err(|_| "its footer has no length that can be")?;
    let footer = rest.len().checked_sub(length).map(|at| &rest[at..]).ok_or("its footer is longer than the file")?;
    let footer = FooterRef::read_as_root(footer).map_err(none)?;
    let blocks = [footer.dictionaries().map_err(none)?, footer.record_batches().map_err(none)?];
    for (at, block) in blocks.into_iter().flatten().flat_map(|b| b.iter()).enumerate() {
        look_at_block(bytes, Block::from(block)).map_err(|why| format!("{why} in its block {}", at + 1))?;
    }
    Ok(())
}

fn look_at_block(bytes: &[u8], block: Block) -> Looked<()> {
    let none = |_| "the head is none".to_owned();
    let of = |at: i64| usize::try_from(at).map_err(|_| "the place is none".to_owned());
    let (from, head) = (of(block.offset)?, of(i64::from(block.meta_data_length))?);
    let message = bytes.get(from..).ok_or("the place is behind the end of the file")?;
    let body = message.get(head..).ok_or("the head is longer than the file")?;
    // Since format 0.15 a marker stands before the length.
    let message = message.strip_prefix(&[0xff; 4]).unwrap_or(message);
    let (length, message) = message.split_first_chunk::<4>().ok_or("the head is cut off")?;
    let message = message.get(..of(i64::from(i32::from_le_bytes(*length)))?).ok_or("the head is cut off")?;
    match MessageRef::read_as_root(message).map_err(none)?.header().map_err(none)? {
        Some(MessageHeaderRef::RecordBatch(batch)) => look_at_batch(body, batch),
        Some(MessageHeaderRef::DictionaryBatch(batch)) => match batch.data().map_err(none)? {
            Some(batch) => look_at_batch(body, batch),
            None => Ok(()),
        },
        _ => Err("the head is none".into()),
    }
}

fn look_at_batch(body: &[u8], batch: RecordBatchRef<'_>) -> Looked<()> {
    let none = |_| "the head is none".to_owned();
    let is_packed = batch.compression().map_err(none)?.is_some();
    let (mut unpacked, mut largest) = (0u64, 0u64);
    for buffer in batch.buffers().map_err(none)?.into_iter().flat_map(|b| b.iter()) {
        let (at, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
        let (Ok(at), Ok(length)) = (at, length) else { return Err("a buffer has no length that can be".into()) };
        let buffer = at.checked_add(length).and_then(|end| body.get(at..end)).ok_or("a buffer is longer than the file")?;
        let length = length as u64;
        let holds = match buffer.split_first_chunk::<8>() {
            Some((head, packed)) if is_packed => match i64::from_le_bytes(*head) {
                -1 => packed.len() as u64,
                holds => u64::try_from(holds).map_err(|_| "a buffer has no length that can be")?,
            },
            None if is_packed && !buffer.is_empty() => return Err("a packed buffer has no length".into()),
            _ => length,
        };
        if holds > length.saturating_mul(DENSEST) {
            return Err("a buffer says that it holds more than it can".into());
        }
        unpacked = unpacked.saturating_add(holds);
        largest = largest.max(holds);
    }
    // The most that is kept in a byte is eight truth values.
    let most = unpacked.saturating_mul(8).max(EMPTY);
    let nodes = batch.nodes().map_err(none)?.into_iter().flat_map(|n| n.iter()).map(|n| n.length());
    if nodes.chain([batch.length().map_err(none)?]).any(|rows| u64::try_from(rows).map_or(true, |rows| rows > most)) {
        return Err("there are fewer values than the file says".into());
    }
    // Asked for as the reader does, but with an answer.
    let room = usize::try_from(largest).ok().and_then(|n| Vec::<u8>::new().try_reserve_exact(n).ok());
    room.ok_or_else(|| format!("{largest} bytes in a piece are more than this machine has room for"))
}
