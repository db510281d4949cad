//! Long buffers that suit loads of whole registers.

use std::ops::{Deref, DerefMut};

/// Bytes of a cache line: loads of whole registers that begin on one touch no second one.
const LINE: usize = 64;

/// Bytes from which a buffer gets large pages.
const LARGE: usize = 1 << 21;

/// Values that begin on a cache line; long ones on large pages, where the system has them: maps of hundreds of megabytes
/// are read and written in every step, and small pages cost a percent or two of it in look-ups.
#[derive(Debug)]
pub struct Buffer<T> {
    /// The values, after a few that nobody uses.
    memory: Vec<T>,
    start: usize,
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self { memory: vec![], start: 0 }
    }
}

impl<T: Copy + Default> Buffer<T> {
    /// `length` default values.
    pub fn zeros(length: usize) -> Self {
        let mut buffer = Self::default();
        buffer.resize(length);
        buffer
    }

    /// Takes the given length. Memory is only allocated if the buffer never was that long before; all values are then
    /// the default, else those beyond the old length.
    pub fn resize(&mut self, length: usize) {
        let spare = LINE / size_of::<T>().max(1);
        if length > 0 && length + spare > self.memory.capacity() {
            self.memory = Vec::with_capacity(length + spare);
            advise(&self.memory);
            self.start = self.memory.as_ptr().align_offset(LINE).min(spare);
        }
        self.memory.resize(self.start + length, T::default());
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.memory[self.start..]
    }
}

impl<T> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.memory[self.start..]
    }
}

/// Asks for large pages, before the memory is touched for the first time.
#[cfg(target_os = "linux")]
fn advise<T>(values: &Vec<T>) {
    let bytes = values.capacity() * size_of::<T>();
    if bytes < LARGE {
        return;
    }
    // SAFETY: no argument is a pointer.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    let start = values.as_ptr() as usize;
    let (first, end) = (start.next_multiple_of(page), start + bytes);
    // SAFETY: the pages from `first` on, for whole pages before `end`, are the vector's; the advice changes no value.
    // Where the system knows no large pages it is refused, which changes nothing.
    let _ = unsafe {
        libc::madvise(first as *mut libc::c_void, (end - first) / page * page, libc::MADV_HUGEPAGE)
    };
}

#[cfg(not(target_os = "linux"))]
fn advise<T>(_: &Vec<T>) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_kept_and_new_values_are_zero() {
        let mut values = Buffer::<f32>::zeros(LARGE);
        assert!(values.len() == LARGE && values.iter().all(|&value| value == 0.0));
        values.fill(1.0);
        let place = values.as_ptr();
        assert!(place.addr().is_multiple_of(LINE));
        values.resize(10);
        values.resize(20);
        assert_eq!(values.as_ptr(), place);
        assert_eq!(values[..], [[1.0; 10], [0.0; 10]].concat());
    }

    #[test]
    fn short_ones_begin_on_a_line_too() {
        for length in 0..50 {
            let values = Buffer::<u16>::zeros(length);
            assert_eq!(values.len(), length);
            assert!(length == 0 || values.as_ptr().addr().is_multiple_of(LINE));
        }
    }
}
