//! A stream of server-sent events, read as it arrives.
//!
//! Source: WHATWG HTML, “Server-sent events”, <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

/// Takes events off a growing buffer. Each byte is looked at once, however the bytes are cut.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// How much of the buffer has been looked at.
    seen: usize,
    /// Where the line that is being read begins.
    line: usize,
    /// The data of the event that is being read.
    data: Vec<u8>,
    /// Whether the last line ended with a carriage return, whose line feed may follow.
    after_return: bool,
}

impl Events {
    /// The data of the next whole event in everything that has arrived so far; events without data
    /// are passed over.
    pub(crate) fn next(&mut self, arrived: &[u8]) -> Option<Vec<u8>> {
        while let Some(&byte) = arrived.get(self.seen) {
            self.seen += 1;
            let is_second_half = byte == b'\n' && std::mem::take(&mut self.after_return);
            if is_second_half {
                self.line = self.seen;
                continue;
            }
            self.after_return = byte == b'\r';
            if !matches!(byte, b'\n' | b'\r') {
                continue;
            }
            let line = &arrived[self.line..self.seen - 1];
            self.line = self.seen;
            if let Some(event) = self.take(line) {
                return Some(event);
            }
        }
        None
    }

    fn take(&mut self, line: &[u8]) -> Option<Vec<u8>> {
        if line.is_empty() {
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then_some(data);
        }
        let value = match line.strip_prefix(b"data") {
            Some([]) => &[][..],
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            _ => return None,
        };
        if !self.data.is_empty() {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(events: &mut Events, arrived: &[u8]) -> Vec<String> {
        std::iter::from_fn(|| events.next(arrived))
            .map(|event| String::from_utf8_lossy(&event).into_owned())
            .collect()
    }

    #[test]
    fn events_are_told_apart() {
        for (stream, expected) in [
            ("data: a\n\ndata:b\n\n", &["a", "b"][..]),
            ("event: message\r\nid: 1\r\ndata: a\r\n\r\n", &["a"]),
            ("data: a\r\rdata: b\r\r", &["a", "b"]),
            (": hello\n\ndata: {\ndata: }\n\n", &["{\n}"]),
            ("data:  a\n\n", &[" a"]),
            ("data\n\nretry: 5\n\n\n\n", &[]),
            ("data: cut off", &[]),
            ("data: cut off\n", &[]),
            ("database: a\n\nDATA: a\n\n", &[]),
            ("", &[]),
        ] {
            assert_eq!(all(&mut Events::default(), stream.as_bytes()), expected, "{stream:?}");
        }
    }

    proptest! {
        #[test]
        fn it_reads_the_same_however_it_is_cut(
            stream in "(data: [a-c]{0,3}|[a-c:\\r\\n]{0,3}|\\r\\n|\\n){0,20}",
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = stream.as_bytes();
            let whole = all(&mut Events::default(), bytes);
            let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            ends.sort_unstable();
            ends.push(bytes.len());
            let mut events = Events::default();
            let pieces: Vec<_> =
                ends.into_iter().flat_map(|end| all(&mut events, &bytes[..end])).collect();
            prop_assert_eq!(pieces, whole);
        }
    }
}
