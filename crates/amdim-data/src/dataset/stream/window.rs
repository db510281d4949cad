//! The part of a stream that is in memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::order::reading_order;
use super::{PieceReader, Stream};
use crate::error::Result;
use crate::loader::lock;

/// Reads the pictures of an epoch once, in the order in which they are stored, and hands them out in the order of
/// [`Stream::order`].
///
/// In memory are the encoded pictures that were read and not yet taken: as many as the shuffle's buffer, and those of
/// the batches that threads make ahead. It is a way to read, not a source of numbers: a picture that is not to come,
/// because it was taken before, is none of its business and is read by [`super::Dataset::part`].
pub(crate) struct Window {
    stream: Arc<Stream>,
    state: Mutex<State>,
}

struct State {
    /// Pieces still to be read, the next one last.
    pieces: Vec<u32>,
    /// The next picture of the first of them.
    within: u32,
    reader: Option<Box<dyn PieceReader>>,
    /// A bit a picture: whether it is still to be read.
    wanted: Vec<u64>,
    held: HashMap<u32, Result<Vec<u8>>>,
}

impl Window {
    /// A window on an epoch of which the pictures `order` are still to be visited: of an epoch that is resumed, the
    /// others are passed over, and so are pieces of which none is left.
    pub(crate) fn new(stream: Arc<Stream>, order: &[u32], seed: u64, epoch: u64) -> Self {
        let mut wanted = vec![0; stream.len().div_ceil(64)];
        for &index in order {
            wanted[index as usize / 64] |= 1 << (index % 64);
        }
        let mut pieces = reading_order(&stream.counts, seed, epoch);
        pieces.reverse();
        let state = State { pieces, within: 0, reader: None, wanted, held: HashMap::new() };
        Self { stream, state: Mutex::new(state) }
    }

    /// The bytes of a picture, after reading as far as it; none if it was taken before.
    pub(crate) fn take(&self, index: u32) -> Option<Result<Vec<u8>>> {
        let mut state = lock(&self.state);
        loop {
            if let Some(bytes) = state.held.remove(&index) {
                return Some(bytes);
            }
            if !state.is_wanted(index) {
                return None;
            }
            state.read_next(&self.stream)?;
        }
    }
}

impl State {
    fn is_wanted(&self, index: u32) -> bool {
        self.wanted[index as usize / 64] & (1 << (index % 64)) != 0
    }

    /// Reads the next picture that is wanted; none at the end.
    fn read_next(&mut self, stream: &Arc<Stream>) -> Option<()> {
        loop {
            let piece = *self.pieces.last()? as usize;
            let start = stream.starts[piece];
            let next = (start + self.within..stream.starts[piece + 1]).find(|&index| self.is_wanted(index));
            let Some(index) = next else {
                self.pieces.pop();
                self.within = 0;
                self.reader = None;
                continue;
            };
            self.wanted[index as usize / 64] &= !(1 << (index % 64));
            self.within = index - start + 1;
            let bytes = self.read(stream, piece, index - start);
            self.held.insert(index, bytes);
            return Some(());
        }
    }

    fn read(&mut self, stream: &Stream, piece: usize, within: u32) -> Result<Vec<u8>> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Arc::clone(&stream.pieces).open(piece)?,
        };
        let bytes = reader.read(within, &stream.limits)?;
        // After an error a new one is opened for the next picture.
        self.reader = Some(reader);
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::super::Pieces;
    use super::*;
    use crate::decode::Limits;
    use crate::error::DataError;

    const COUNTS: [u32; 4] = [5, 0, 7, 8];

    /// Pictures of one byte, their own number; notes what is read.
    #[derive(Default)]
    struct Numbers {
        read: Mutex<Vec<u32>>,
        opened: Mutex<Vec<usize>>,
    }

    struct NumbersReader {
        numbers: Arc<Numbers>,
        start: u32,
        next: u32,
    }

    impl Pieces for Numbers {
        fn open(self: Arc<Self>, piece: usize) -> Result<Box<dyn PieceReader>> {
            lock(&self.opened).push(piece);
            Ok(Box::new(NumbersReader { numbers: self, start: COUNTS[..piece].iter().sum(), next: 0 }))
        }

        fn name(&self, piece: usize, within: u32) -> String {
            format!("{piece}/{within}")
        }
    }

    impl PieceReader for NumbersReader {
        fn next(&self) -> u32 {
            self.next
        }

        fn read(&mut self, within: u32, _: &Limits) -> Result<Vec<u8>> {
            assert!(within >= self.next, "a piece is read forward");
            self.next = within + 1;
            let index = self.start + within;
            lock(&self.numbers.read).push(index);
            if index == 13 {
                return Err(DataError::format("13", "a bad one"));
            }
            Ok(vec![index as u8])
        }
    }

    fn stream() -> (Arc<Numbers>, Arc<Stream>) {
        let numbers = Arc::new(Numbers::default());
        let stream = Stream {
            pieces: numbers.clone(),
            counts: COUNTS.to_vec(),
            starts: super::super::order::starts(&COUNTS),
            readers: Mutex::new(vec![]),
            limits: Limits::default(),
        };
        (numbers, Arc::new(stream))
    }

    #[test]
    fn an_epoch_is_read_once_and_in_a_bounded_window() {
        let (numbers, stream) = stream();
        let order = stream.order(4, 1, 0);
        let window = Window::new(Arc::clone(&stream), &order, 1, 0);
        for &index in &order {
            match window.take(index).unwrap() {
                Ok(bytes) => assert_eq!(bytes, [index as u8]),
                Err(error) => assert_eq!((index, error.code()), (13, "AMDIM_DATA")),
            }
            assert!(lock(&window.state).held.len() < 4, "as many as the buffer, less the one taken");
        }
        let read = lock(&numbers.read).clone();
        let expected: Vec<u32> = reading_order(&COUNTS, 1, 0)
            .into_iter()
            .flat_map(|piece| stream.starts[piece as usize]..stream.starts[piece as usize + 1])
            .collect();
        assert_eq!(read, expected);
        assert!(window.take(order[0]).is_none(), "taken before");
    }

    #[test]
    fn what_a_resumed_epoch_has_visited_is_not_read_again() {
        let (numbers, stream) = stream();
        let order = stream.order(3, 1, 0);
        let window = Window::new(stream, &order[14..], 1, 0);
        for &index in &order[14..] {
            assert_eq!(window.take(index).unwrap().map_or(13, |bytes| u32::from(bytes[0])), index);
        }
        let mut read = lock(&numbers.read).clone();
        let mut left = order[14..].to_vec();
        read.sort_unstable();
        left.sort_unstable();
        assert_eq!(read, left);
        let first_piece = reading_order(&COUNTS, 1, 0)[0] as usize;
        assert!(!lock(&numbers.opened).contains(&first_piece), "a piece without pictures left stays closed");
    }

    #[test]
    fn pictures_asked_for_one_by_one_use_the_reader_that_waits_for_them() {
        let (numbers, stream) = stream();
        for index in [5, 6, 9, 12, 7, 10] {
            assert_eq!(stream.read(index).unwrap(), [index as u8]);
        }
        // The reader that stood after 9 went on to 10; 7 lay behind it and needed another.
        assert_eq!(lock(&numbers.opened).as_slice(), [2, 3, 2]);
        assert_eq!((stream.locate(4), stream.locate(5), stream.locate(19)), ((0, 4), (2, 0), (3, 7)));
        assert_eq!(stream.read(13).unwrap_err().code(), "AMDIM_DATA");
    }
}
