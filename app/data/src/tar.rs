//! The regular files of a tar archive, as slices of it (POSIX.1-1988 `ustar`, with GNU's and pax' long
//! names passed over: a name cut to 100 letters is enough to tell parts apart).

/// One file.
pub(crate) struct Member<'a> {
    pub(crate) name: String,
    pub(crate) bytes: &'a [u8],
}

/// The files, up to where the archive breaks off.
pub(crate) fn members(tar: &[u8]) -> Vec<Member<'_>> {
    let mut out = Vec::new();
    let mut at = 0usize;
    while let Some(head) = tar.get(at..at.saturating_add(512)) {
        let text = |from: usize, len: usize| {
            let field = &head[from..from + len];
            String::from_utf8_lossy(&field[..field.iter().position(|b| *b == 0).unwrap_or(len)]).trim().to_owned()
        };
        let name = text(0, 100);
        let Ok(size) = usize::from_str_radix(&text(124, 12), 8) else { break };
        if name.is_empty() {
            break;
        }
        at += 512;
        let Some(bytes) = at.checked_add(size).and_then(|to| tar.get(at..to)) else { break };
        if matches!(head[156], b'0' | 0) && size > 0 {
            out.push(Member { name, bytes });
        }
        at += size.div_ceil(512) * 512;
    }
    out
}
