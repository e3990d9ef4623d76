//! `.Z` files: LZW as the UNIX program `compress` writes it. Read only; nobody writes it any more,
//! and archives of the nineties are full of it.
//!
//! Codes grow from 9 to at most 16 bits (files of 9 bits alone, which writers disagree about, are refused); with "block mode" code 256 empties the table. Whenever the
//! width changes, the writer pads to a whole group of eight codes, and so the reader skips.
//! Welch (1984), IEEE Computer 17, 8.

/// Whether bytes begin as a `.Z` file does.
pub(crate) fn is_lzw(bytes: &[u8]) -> bool {
    bytes.len() > 3 && bytes.starts_with(&[0x1f, 0x9d])
}

/// Unpack; what there is up to where the file breaks off, and in words what is wrong then.
pub(crate) fn unpack(bytes: &[u8]) -> (Vec<u8>, Option<String>) {
    let mut out = Vec::with_capacity(bytes.len() * 3);
    let flags = bytes.get(2).copied().unwrap_or(0);
    let (most, block) = (u32::from(flags & 0x1f), flags & 0x80 != 0);
    if !is_lzw(bytes) || !(10..=16).contains(&most) || flags & 0x60 != 0 {
        return (out, Some("has the head of a .Z file of a kind that is not known".into()));
    }
    let data = &bytes[3..];
    let (mut prefix, mut suffix) = (vec![0u16; 1 << most], vec![0u8; 1 << most]);
    for (s, byte) in suffix.iter_mut().zip(0..=255u8) {
        *s = byte;
    }
    let first_free = if block { 257 } else { 256 };
    let (mut width, mut next) = (9u32, first_free);
    // Bit from which the group of eight codes of this width began.
    let (mut bit, mut group) = (0usize, 0usize);
    let mut old: Option<(usize, u8)> = None;
    let mut stack = Vec::new();
    loop {
        if next == 1usize << width && width < most {
            bit = group + (bit - group).div_ceil(8 * width as usize) * 8 * width as usize;
            group = bit;
            width += 1;
        }
        if bit + width as usize > data.len() * 8 {
            return (out, None);
        }
        let mut code = 0usize;
        for i in 0..3 {
            code |= usize::from(data.get(bit / 8 + i).copied().unwrap_or(0)) << (8 * i);
        }
        code = (code >> (bit % 8)) & ((1 << width) - 1);
        bit += width as usize;
        if code == 256 && block {
            bit = group + (bit - group).div_ceil(8 * width as usize) * 8 * width as usize;
            group = bit;
            (width, next, old) = (9, first_free, None);
            continue;
        }
        let Some((before, last)) = old else {
            if code > 255 {
                return (out, Some("is damaged: its first code is none".into()));
            }
            out.push(code as u8);
            old = Some((code, code as u8));
            continue;
        };
        let mut at = code;
        if code >= next {
            if code > next {
                return (out, Some(format!("is damaged {} bytes in", bit / 8 + 3)));
            }
            // A code that this very step defines.
            stack.push(last);
            at = before;
        }
        while at > 255 {
            stack.push(suffix[at]);
            at = usize::from(prefix[at]);
        }
        let head = at as u8;
        stack.push(head);
        out.extend(stack.drain(..).rev());
        if next < 1 << most {
            (prefix[next], suffix[next]) = (before as u16, head);
            next += 1;
        }
        old = Some((code, head));
    }
}
