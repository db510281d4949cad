//! Long buffers, on large pages where the system has them: maps of hundreds of megabytes are read and written in every
//! step, and small pages cost a percent or two of it in look-ups.

/// Bytes from which a buffer gets large pages.
const LARGE: usize = 1 << 21;

/// Gives `values` the given length. Memory is only taken if the vector never was that long before; all values are then
/// the default, else those beyond the old length.
pub fn resize<T: Copy + Default>(values: &mut Vec<T>, length: usize) {
    if length > values.capacity() {
        *values = Vec::with_capacity(length);
        advise(values);
    }
    values.resize(length, T::default());
}

/// `length` default values, in memory as [`resize`] takes it.
pub fn zeros<T: Copy + Default>(length: usize) -> Vec<T> {
    let mut values = vec![];
    resize(&mut values, length);
    values
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
        let mut values: Vec<f32> = vec![];
        resize(&mut values, LARGE);
        assert!(values.iter().all(|&value| value == 0.0));
        values.fill(1.0);
        let place = values.as_ptr();
        resize(&mut values, 10);
        resize(&mut values, 20);
        assert_eq!(values.as_ptr(), place);
        assert_eq!(values, [[1.0; 10], [0.0; 10]].concat());
    }
}
