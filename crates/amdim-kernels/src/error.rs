//! What can go wrong before the first product.

use thiserror::Error;

use crate::Kernel;

/// Why a kernel or a pool of threads can't be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KernelError {
    /// A kernel's name that is none.
    #[error("there is no kernel {name:?}; expected amx, avx512, avx2, neon or portable")]
    Unknown {
        /// The name given.
        name: String,
    },
    /// A kernel that this processor can't run.
    #[error("this processor can't run the kernel {kernel}; the best it has is {}", Kernel::best())]
    Unsupported {
        /// The kernel asked for.
        kernel: Kernel,
    },
    /// A pool without a thread.
    #[error("expected at least 1 thread, got 0")]
    NoThreads,
    /// The system gave no more threads.
    #[error("the system could not start a thread: {message}")]
    Threads {
        /// What the system said.
        message: String,
    },
}
