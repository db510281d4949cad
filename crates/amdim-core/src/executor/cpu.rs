//! The `amdim-cpu` executor behind the common trait: hand-written forward and backward, for f32, f64, and maps kept as
//! bf16.

use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use amdim_cpu::{CpuError, CpuNetwork};
use amdim_kernels::{Bf16, KERNEL_VARIABLE, Kernel, KernelError, Pool, Real, Stored, WideBf16};
use amdim_network::Network;
use candle_core::{CpuStorage, DType, Device, InplaceOp1, Layout, Storage, Tensor, TensorId, Var};

use super::{Executor, Pass, Precision};
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
    /// bf16 where the processor multiplies it fast ...
    Half(Typed<Bf16>),
    /// ... and elsewhere.
    WideHalf(Typed<WideBf16>),
    Double(Typed<f64>),
}

impl CpuExecutor {
    /// An executor with `threads` threads (at least 1) for tensors of type `dtype` (f32 or f64), with maps kept in
    /// `precision` (f32 tensors only; f64 ones stay f64). It takes its memory at the first pass.
    ///
    /// # Errors
    /// [`Error::InvalidArgument`] for zero threads, another type, or a kernel that this processor doesn't have.
    pub fn new(network: Arc<Network>, dtype: DType, precision: Precision, threads: usize) -> Result<Self> {
        let (kernel, pool) = (Kernel::selected()?, Arc::new(Pool::new(threads)?));
        let engine = match (dtype, precision) {
            (DType::F32, Precision::Bf16) if kernel.has_fast_bf16() => {
                Engine::Half(Typed::new(&network, kernel, pool))
            }
            (DType::F32, Precision::Bf16) => Engine::WideHalf(Typed::new(&network, kernel, pool)),
            (DType::F32, _) => Engine::Single(Typed::new(&network, kernel, pool)),
            (DType::F64, _) => Engine::Double(Typed::new(&network, kernel, pool)),
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

    fn infer(
        &mut self,
        parameters: &Tensor,
        running: &Tensor,
        images: &Tensor,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>> {
        match &mut self.engine {
            Engine::Single(engine) => engine.infer(parameters, running, images, wanted),
            Engine::Half(engine) => engine.infer(parameters, running, images, wanted),
            Engine::WideHalf(engine) => engine.infer(parameters, running, images, wanted),
            Engine::Double(engine) => engine.infer(parameters, running, images, wanted),
        }
    }

    fn forward(&mut self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass> {
        match &mut self.engine {
            Engine::Single(engine) => engine.forward(parameters, running, images),
            Engine::Half(engine) => engine.forward(parameters, running, images),
            Engine::WideHalf(engine) => engine.forward(parameters, running, images),
            Engine::Double(engine) => engine.forward(parameters, running, images),
        }
    }

    fn freeze_statistics(&mut self, frozen: bool) {
        match &self.engine {
            Engine::Single(engine) => lock(&engine.shared).frozen = frozen,
            Engine::Half(engine) => lock(&engine.shared).frozen = frozen,
            Engine::WideHalf(engine) => lock(&engine.shared).frozen = frozen,
            Engine::Double(engine) => lock(&engine.shared).frozen = frozen,
        }
    }
}

/// An element type that both candle and `amdim-cpu` know.
pub(crate) trait Element: Real + candle_core::WithDType {
    fn slice(storage: &CpuStorage) -> Option<&[Self]>;
    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]>;
}

impl Element for f32 {
    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }

    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F32(values) = storage { Some(values) } else { None }
    }
}

impl Element for f64 {
    fn slice(storage: &CpuStorage) -> Option<&[Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }

    fn slice_mut(storage: &mut CpuStorage) -> Option<&mut [Self]> {
        if let CpuStorage::F64(values) = storage { Some(values) } else { None }
    }
}

/// The engine of one kind of maps, shared with the passes that are open.
struct Typed<S: Stored> {
    network: Arc<Network>,
    shared: Arc<Mutex<Shared<S>>>,
}

struct Shared<S: Stored> {
    /// Made at the first pass.
    engine: Option<CpuNetwork<S>>,
    /// The parameters that the engine holds, and what [`CHANGES`] was then: they need not be packed again.
    loaded: Option<(TensorId, u64)>,
    kernel: Kernel,
    pool: Arc<Pool>,
    free_slots: Vec<usize>,
    frozen: bool,
}

/// A slot of the engine; given back when dropped, whether or not backward ran.
struct Slot<S: Stored> {
    shared: Arc<Mutex<Shared<S>>>,
    index: usize,
}

impl<S: Stored> Drop for Slot<S> {
    fn drop(&mut self) {
        lock(&self.shared).free_slots.push(self.index);
    }
}

/// A panic in a kernel leaves only scratch buffers behind, which the next pass overwrites.
fn lock<S: Stored>(shared: &Mutex<Shared<S>>) -> MutexGuard<'_, Shared<S>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Stored<Real: Element>> Shared<S> {
    /// The engine with these parameters.
    fn engine(&mut self, network: &Arc<Network>, parameters: &Tensor) -> Result<&mut CpuNetwork<S>> {
        let engine = match &mut self.engine {
            Some(engine) => engine,
            empty => empty.insert(CpuNetwork::new(
                Arc::clone(network),
                self.kernel,
                Arc::clone(&self.pool),
                OPEN_PASSES,
            )?),
        };
        engine.freeze_statistics(self.frozen);
        let these = (parameters.id(), CHANGES.load(Ordering::Relaxed));
        if self.loaded != Some(these) {
            self.loaded = None;
            with_slice(parameters, |parameters| Ok(engine.set_parameters(parameters)?))?;
            self.loaded = Some(these);
        }
        Ok(engine)
    }
}

impl<S: Stored<Real: Element>> Typed<S> {
    fn new(network: &Arc<Network>, kernel: Kernel, pool: Arc<Pool>) -> Self {
        let free_slots = (0..OPEN_PASSES).collect();
        let shared = Shared { engine: None, loaded: None, kernel, pool, free_slots, frozen: false };
        Self { network: Arc::clone(network), shared: Arc::new(Mutex::new(shared)) }
    }

    fn infer(
        &self,
        parameters: &Tensor,
        running: &Tensor,
        images: &Tensor,
        wanted: &[usize],
    ) -> Result<Vec<Tensor>> {
        let batch = batch_of(&self.network, images)?;
        let mut shared = lock(&self.shared);
        let engine = shared.engine(&self.network, parameters)?;
        let outputs = with_slice(running, |running| {
            with_slice(images, |images| Ok(engine.infer(running, images, batch, wanted)?))
        })?;
        let shapes = self.network.output_shapes();
        outputs
            .into_iter()
            .zip(wanted)
            .map(|(values, &place)| {
                let shape = shapes[place];
                Ok(Tensor::from_vec(values, (batch, shape.locations(), shape.channels), &Device::Cpu)?)
            })
            .collect()
    }

    fn forward(&self, parameters: &Tensor, running: &mut Tensor, images: &Tensor) -> Result<Pass> {
        let batch = batch_of(&self.network, images)?;
        let mut shared = lock(&self.shared);
        let index = shared
            .free_slots
            .pop()
            .ok_or_else(|| Error::internal("more passes are open than the executor keeps"))?;
        let slot = Slot { shared: Arc::clone(&self.shared), index };
        let mut moved = running.to_vec1::<S::Real>()?;
        let forward = shared.engine(&self.network, parameters).and_then(|engine| {
            with_slice(images, |images| Ok(engine.forward(index, &mut moved, images, batch)?))?;
            engine_outputs(engine, &self.network, index, batch)
        });
        drop(shared); // the slot's drop takes the lock
        let outputs = forward?;
        *running = Tensor::new(moved, &Device::Cpu)?;
        let backward = move |gradients: &[Tensor]| slot.backward(gradients);
        Ok(Pass { outputs, backward: Box::new(backward) })
    }
}

/// The maps of an open pass as tensors, which are leaves of a tape for those that need one: candle makes no leaf of
/// another tensor without a copy.
fn engine_outputs<S: Stored<Real: Element>>(
    engine: &CpuNetwork<S>,
    network: &Network,
    slot: usize,
    batch: usize,
) -> Result<Vec<Tensor>> {
    let shapes = network.output_shapes();
    let output = |(index, shape): (usize, &amdim_network::MapShape)| {
        let values: Vec<S::Real> = engine.output(slot, index).iter().map(|value| value.to_real()).collect();
        let shape = (batch, shape.locations(), shape.channels);
        Ok(Var::from_vec(values, shape, &Device::Cpu)?.into_inner())
    };
    shapes.iter().enumerate().map(output).collect()
}

impl<S: Stored<Real: Element>> Slot<S> {
    fn backward(self, output_gradients: &[Tensor]) -> Result<Tensor> {
        let mut shared = lock(&self.shared);
        let mut run = || -> Result<Vec<S::Real>> {
            let engine =
                shared.engine.as_mut().ok_or_else(|| Error::internal("backward before a forward pass"))?;
            let mut gradient = vec![S::Real::default(); engine.network().parameter_len()];
            with_all_slices(output_gradients, |flat| {
                Ok(engine.backward(self.index, flat, &mut gradient)?)
            })?;
            Ok(gradient)
        };
        let result = run();
        drop(shared); // the slot's drop takes the lock
        let gradient = result?;
        let length = gradient.len();
        Ok(Tensor::from_vec(gradient, length, &Device::Cpu)?)
    }
}

fn batch_of(network: &Network, images: &Tensor) -> Result<usize> {
    let (batch, ..) = images.dims4()?;
    let input = network.input;
    tensors::expect_shape("images", images, &[batch, input.channels, input.height, input.width])?;
    Ok(batch)
}

/// [`with_slice`] of several tensors.
fn with_all_slices<T: Element, R>(
    tensors: &[Tensor],
    use_values: impl FnOnce(&[&[T]]) -> Result<R>,
) -> Result<R> {
    let contiguous = tensors.iter().map(Tensor::contiguous).collect::<candle_core::Result<Vec<_>>>()?;
    let opened: Vec<_> = contiguous.iter().map(Tensor::storage_and_layout).collect();
    let slices = opened.iter().map(|(storage, layout)| values_of(storage, layout));
    use_values(&slices.collect::<Result<Vec<_>>>()?)
}

/// The values of a contiguous tensor.
fn values_of<'a, T: Element>(storage: &'a Storage, layout: &Layout) -> Result<&'a [T]> {
    let Storage::Cpu(storage) = storage else {
        return Err(Error::internal("the cpu executor got a tensor of another device"));
    };
    let values = T::slice(storage)
        .ok_or_else(|| Error::internal("the cpu executor got a tensor of another element type"))?;
    Ok(&values[layout.start_offset()..layout.start_offset() + layout.shape().elem_count()])
}

/// Lends the values of a tensor on the processor without a copy where they are contiguous.
pub(crate) fn with_slice<T: Element, R>(
    tensor: &Tensor,
    use_values: impl FnOnce(&[T]) -> Result<R>,
) -> Result<R> {
    let contiguous = tensor.contiguous()?;
    let (storage, layout) = contiguous.storage_and_layout();
    use_values(values_of(&storage, layout)?)
}

/// How often values of any tensor have been changed where they are. A tensor is what it was, if its identity and this are.
static CHANGES: AtomicU64 = AtomicU64::new(0);

/// Lends the values of a contiguous tensor on the processor to be changed where they are, and with them those of every
/// tensor that shares its memory.
pub(crate) fn with_slice_mut<T: Element, R>(
    tensor: &Tensor,
    change: impl FnOnce(&mut [T]) -> Result<R>,
) -> Result<R> {
    let change = Change { function: Cell::new(Some(change)), result: Cell::new(None), element: PhantomData };
    let changed = tensor.inplace_op1(&change);
    CHANGES.fetch_add(1, Ordering::Relaxed);
    changed?;
    change.result.into_inner().unwrap_or_else(|| Err(Error::internal("an operation that was not run")))
}

/// A function of a slice as candle runs it in place, once.
struct Change<T, R, F> {
    function: Cell<Option<F>>,
    result: Cell<Option<Result<R>>>,
    element: PhantomData<T>,
}

impl<T: Element, R, F: FnOnce(&mut [T]) -> Result<R>> InplaceOp1 for Change<T, R, F> {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let place = layout.contiguous_offsets();
        let values = T::slice_mut(storage).zip(place).map(|(values, (start, end))| &mut values[start..end]);
        self.result.set(match (values, self.function.take()) {
            (Some(values), Some(function)) => Some(function(values)),
            _ => Some(Err(Error::internal("values to be changed are of another type, or not dense"))),
        });
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use amdim_network::{Builder, MapShape, Padding, Source, Window};

    use super::*;
    use crate::executor::CandleExecutor;

    /// The engine keeps packed weights from pass to pass; those that Adam moves where they are keep their identity.
    #[test]
    fn weights_that_moved_where_they_are_are_packed_again() {
        let mut builder = Builder::new(MapShape { channels: 2, height: 3, width: 3 });
        let window = Window::new(2, 1, Padding::none());
        let node = builder.convolution("conv", Source::Picture, 3, window, true, false).unwrap();
        let network = Arc::new(builder.finish(vec![node]));
        let pool = Arc::new(Pool::new(1).unwrap());
        let typed = Typed::<f64>::new(&network, Kernel::Portable, pool);
        let mut plain = CandleExecutor::new(Arc::clone(&network));
        let count = network.parameter_len();
        let parameters = Tensor::arange(0.0, count as f64, &Device::Cpu).unwrap();
        let running = Tensor::zeros(0, DType::F64, &Device::Cpu).unwrap();
        let images = Tensor::ones((2, 2, 3, 3), DType::F64, &Device::Cpu).unwrap();
        let mut seen = vec![];
        for _ in 0..2 {
            for _ in 0..2 {
                let maps = typed.infer(&parameters, &running, &images, &[0]).unwrap();
                let expected = plain.infer(&parameters, &running, &images, &[0]).unwrap();
                let [map, expected] = [maps, expected].map(|maps| tensors::to_vec(&maps[0]).unwrap());
                assert_eq!(map, expected);
                seen.push(map);
            }
            with_slice_mut(&parameters, |values: &mut [f64]| {
                for value in values {
                    *value += 1.0;
                }
                Ok(())
            })
            .unwrap();
        }
        assert!(seen[0] == seen[1] && seen[1] != seen[2] && seen[2] == seen[3]);
    }
}
