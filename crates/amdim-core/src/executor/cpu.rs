//! The `amdim-cpu` executor behind the common trait: hand-written forward and backward, f32 and f64.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amdim_cpu::{CpuError, CpuNetwork};
use amdim_kernels::{KERNEL_VARIABLE, Kernel, KernelError, Pool, Real};
use amdim_network::Network;
use candle_core::{CpuStorage, DType, Device, Storage, Tensor};

use super::{Executor, Pass};
use crate::{Error, Result, tensors};

/// Passes that may be open at once: one for each view.
const OPEN_PASSES: usize = 2;

/// Runs a description on processors; see the module page.
pub struct CpuExecutor {
    network: Arc<Network>,
    engine: Engine,
}

enum Engine {
    Single(Typed<f32>),
    Double(Typed<f64>),
}

impl CpuExecutor {
    /// An executor with `threads` threads (at least 1) for tensors of type `dtype` (f32 or f64).
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for zero threads or another type.
    pub fn new(network: Arc<Network>, dtype: DType, threads: usize) -> Result<Self> {
        let engine = match dtype {
            DType::F32 => Engine::Single(Typed::new(&network, threads)?),
            DType::F64 => Engine::Double(Typed::new(&network, threads)?),
            _ => return Err(Error::argument("dtype", "f32 or f64", dtype.as_str())),
        };
        Ok(Self { network, engine })
    }
}

impl Executor for CpuExecutor {
    fn network(&self) -> &Arc<Network> {
        &self.network
    }

    fn name(&self) -> &'static str {
        "cpu"
    }

    fn infer(&mut self, parameters: &Tensor, running: &Tensor, images: &Tensor) -> Result<Vec<Tensor>> {
        match &mut self.engine {
            Engine::Single(engine) => engine.infer(parameters, running, images),
            Engine::Double(engine) => engine.infer(parameters, running, images),
        }
    }

    fn forward(&mut self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass> {
        match &mut self.engine {
            Engine::Single(engine) => engine.forward(parameters, running, images),
            Engine::Double(engine) => engine.forward(parameters, running, images),
        }
    }
}

/// An element type that both candle and `amdim-cpu` know.
trait Element: Real + candle_core::WithDType {
    fn slice(storage: &CpuStorage) -> Option<&[Self]>;
}

impl Element for f32 {
    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }
}

impl Element for f64 {
    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }
}

/// The engine of one element type, shared with the passes that are open.
struct Typed<T: Real> {
    shared: Arc<Mutex<Shared<T>>>,
}

struct Shared<T: Real> {
    engine: CpuNetwork<T>,
    free_slots: Vec<usize>,
}

/// A slot of the engine; given back when dropped, whether or not backward ran.
struct Slot<T: Real> {
    shared: Arc<Mutex<Shared<T>>>,
    index: usize,
}

impl<T: Real> Drop for Slot<T> {
    fn drop(&mut self) {
        lock(&self.shared).free_slots.push(self.index);
    }
}

/// A panic in a kernel leaves only scratch buffers behind, which the next pass overwrites.
fn lock<T: Real>(shared: &Mutex<Shared<T>>) -> MutexGuard<'_, Shared<T>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Element> Typed<T> {
    fn new(network: &Arc<Network>, threads: usize) -> Result<Self> {
        let pool = Arc::new(Pool::new(threads)?);
        let engine = CpuNetwork::new(Arc::clone(network), Kernel::selected()?, pool, OPEN_PASSES)?;
        Ok(Self { shared: Arc::new(Mutex::new(Shared { engine, free_slots: (0..OPEN_PASSES).collect() })) })
    }

    fn infer(&self, parameters: &Tensor, running: &Tensor, images: &Tensor) -> Result<Vec<Tensor>> {
        let mut shared = lock(&self.shared);
        let batch = batch_of(shared.engine.network(), images)?;
        let outputs = with_slice(parameters, |parameters: &[T]| {
            with_slice(running, |running: &[T]| {
                with_slice(images, |images: &[T]| {
                    shared.engine.set_parameters(parameters)?;
                    Ok(shared.engine.infer(running, images, batch)?)
                })
            })
        })?;
        let shapes = shared.engine.network().output_shapes();
        outputs
            .into_iter()
            .zip(shapes)
            .map(|(values, shape)| {
                Ok(Tensor::from_vec(values, (batch, shape.locations(), shape.channels), &Device::Cpu)?)
            })
            .collect()
    }

    fn forward(&self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass> {
        let mut shared = lock(&self.shared);
        let batch = batch_of(shared.engine.network(), images)?;
        let index = shared
            .free_slots
            .pop()
            .ok_or_else(|| Error::internal("more passes are open than the executor keeps"))?;
        let slot = Slot { shared: Arc::clone(&self.shared), index };
        let mut moved = running.to_vec1::<T>()?;
        let forward = with_slice(parameters, |parameters: &[T]| {
            with_slice(images, |images: &[T]| {
                shared.engine.set_parameters(parameters)?;
                Ok(shared.engine.forward(index, &mut moved, images, batch)?)
            })
        });
        if let Err(error) = forward {
            drop(shared); // the slot's drop takes the lock
            return Err(error);
        }
        let shapes = shared.engine.network().output_shapes();
        let outputs: Result<Vec<Tensor>> = shapes
            .iter()
            .enumerate()
            .map(|(output, shape)| {
                let values = shared.engine.output(index, output);
                Ok(Tensor::from_slice(values, (batch, shape.locations(), shape.channels), &Device::Cpu)?)
            })
            .collect();
        drop(shared);
        *running = Tensor::new(moved, &Device::Cpu)?;
        let backward = move |gradients: &[Tensor]| slot.backward(gradients);
        Ok(Pass { outputs: outputs?, backward: Box::new(backward) })
    }
}

impl<T: Element> Slot<T> {
    fn backward(self, output_gradients: &[Tensor]) -> Result<Tensor> {
        let mut shared = lock(&self.shared);
        let mut gradient = vec![T::zero(); shared.engine.network().parameter_len()];
        let mut run = || -> Result<()> {
            let flat: Vec<Vec<T>> =
                output_gradients.iter().map(|g| Ok(g.flatten_all()?.to_vec1()?)).collect::<Result<_>>()?;
            let flat: Vec<&[T]> = flat.iter().map(Vec::as_slice).collect();
            Ok(shared.engine.backward(self.index, &flat, &mut gradient)?)
        };
        let result = run();
        drop(shared);
        result?;
        Ok(Tensor::new(gradient, &Device::Cpu)?)
    }
}

fn batch_of(network: &Network, images: &Tensor) -> Result<usize> {
    let (batch, ..) = images.dims4()?;
    let input = network.input;
    tensors::expect_shape("images", images, &[batch, input.channels, input.height, input.width])?;
    Ok(batch)
}

/// Lends the values of a tensor on the processor without a copy where they are contiguous.
fn with_slice<T: Element, R>(tensor: &Tensor, use_values: impl FnOnce(&[T]) -> Result<R>) -> Result<R> {
    let contiguous = tensor.contiguous()?;
    let (storage, layout) = contiguous.storage_and_layout();
    let Storage::Cpu(storage) = &*storage else {
        return Err(Error::internal("the cpu executor got a tensor of another device"));
    };
    let values = T::slice(storage)
        .ok_or_else(|| Error::internal("the cpu executor got a tensor of another element type"))?;
    use_values(&values[layout.start_offset()..layout.start_offset() + contiguous.elem_count()])
}

impl From<CpuError> for Error {
    fn from(error: CpuError) -> Self {
        Self::InvalidArgument {
            name: "encoder input".into(),
            expected: "sizes that fit".into(),
            actual: error.to_string(),
        }
    }
}

impl From<KernelError> for Error {
    fn from(error: KernelError) -> Self {
        let (name, expected) = match &error {
            KernelError::Unknown { .. } | KernelError::Unsupported { .. } => {
                (KERNEL_VARIABLE, "amx, avx512, avx2, neon or portable, as this processor has it")
            }
            KernelError::NoThreads | KernelError::Threads { .. } => {
                ("threads", "at least 1, as the system allows")
            }
        };
        Self::InvalidArgument { name: name.into(), expected: expected.into(), actual: error.to_string() }
    }
}
