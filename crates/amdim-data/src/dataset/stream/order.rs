//! The order in which an epoch visits the pictures of a stream.

use amdim_random::Stream as Random;

/// An order that can be read from start to end with `buffer` pictures in memory: the pieces (shards, row groups) in a
/// shuffled order, each from its start to its end, through a buffer out of which the next picture is drawn.
///
/// It is a function of `counts`, `buffer`, `seed` and `epoch` alone, and visits each of the pictures once. With a
/// buffer of 1 the pictures of a piece keep their order; with one of all pictures every order is equally likely. This
/// is the shuffle of `WebDataset` (`shardshuffle` and `shuffle`), made a function of its seed.
///
/// # Shapes
/// `counts: [pieces]`, pictures in each piece; the result: `[pictures]`, indices in the data set
pub(crate) fn stream_order(counts: &[u32], buffer: usize, seed: u64, epoch: u64) -> Vec<u32> {
    let mut random = Random::for_order(seed, epoch);
    let pieces = piece_order(counts.len(), &mut random);
    let total: usize = counts.iter().map(|&count| count as usize).sum();
    let mut order = Vec::with_capacity(total);
    let mut held = Vec::with_capacity(buffer.min(total));
    for index in in_piece_order(counts, pieces) {
        if held.len() == buffer {
            let drawn = random.below(buffer as u64) as usize;
            order.push(std::mem::replace(&mut held[drawn], index));
        } else {
            held.push(index);
        }
    }
    random.shuffle(&mut held);
    order.append(&mut held);
    order
}

/// The order in which the pictures of an epoch are read: the same pieces as [`stream_order`], unshuffled inside.
pub(crate) fn reading_order(counts: &[u32], seed: u64, epoch: u64) -> Vec<u32> {
    piece_order(counts.len(), &mut Random::for_order(seed, epoch))
}

fn piece_order(pieces: usize, random: &mut Random) -> Vec<u32> {
    random.permutation(pieces)
}

fn in_piece_order(counts: &[u32], pieces: Vec<u32>) -> impl Iterator<Item = u32> {
    let starts = starts(counts);
    pieces.into_iter().flat_map(move |piece| starts[piece as usize]..starts[piece as usize + 1])
}

/// The first picture of each piece, and the number of all pictures.
pub(crate) fn starts(counts: &[u32]) -> Vec<u32> {
    let mut starts = Vec::with_capacity(counts.len() + 1);
    let mut next = 0;
    starts.push(next);
    for count in counts {
        next += count;
        starts.push(next);
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [u32; 4] = [5, 0, 7, 8];

    fn sorted(mut order: Vec<u32>) -> Vec<u32> {
        order.sort_unstable();
        order
    }

    #[test]
    fn each_epoch_is_a_permutation_of_its_own() {
        for buffer in [1, 2, 6, 20, 1000] {
            let first = stream_order(&COUNTS, buffer, 3, 0);
            assert_eq!(sorted(first.clone()), (0..20).collect::<Vec<_>>());
            assert_eq!(first, stream_order(&COUNTS, buffer, 3, 0));
            assert_ne!(first, stream_order(&COUNTS, buffer, 3, 1));
            assert_ne!(first, stream_order(&COUNTS, buffer, 4, 0));
        }
    }

    #[test]
    fn a_buffer_of_one_reads_pieces_from_start_to_end() {
        let order = stream_order(&COUNTS, 1, 3, 0);
        let pieces = reading_order(&COUNTS, 3, 0);
        assert_eq!(order, in_piece_order(&COUNTS, pieces).collect::<Vec<_>>());
    }

    /// When picture `order[at]` is visited, only the first `at + buffer` pictures of the stream have been read.
    #[test]
    fn no_picture_is_visited_before_the_buffer_has_reached_it() {
        let read: Vec<u32> = in_piece_order(&COUNTS, reading_order(&COUNTS, 9, 2)).collect();
        for buffer in [1, 3, 8] {
            for (at, index) in stream_order(&COUNTS, buffer, 9, 2).into_iter().enumerate() {
                let place = read.iter().position(|&other| other == index).unwrap();
                assert!(place < at + buffer, "picture {index} at {at} lies at {place}");
            }
        }
    }
}
