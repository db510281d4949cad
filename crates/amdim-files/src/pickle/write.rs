//! Writing a pickle of a dictionary of tensors and plain values.

use super::objects::Global;
use crate::tensor::Element;

/// Writes protocol 2, opcode by opcode. Nothing is memoised: repeated names cost some bytes and no reader minds.
#[derive(Debug)]
pub struct PickleWriter {
    bytes: Vec<u8>,
}

impl Default for PickleWriter {
    fn default() -> Self {
        Self { bytes: vec![0x80, 2] }
    }
}

impl PickleWriter {
    /// The finished pickle.
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(b'.');
        self.bytes
    }

    /// A dictionary; `fill` writes keys and values in turn.
    pub fn dict(&mut self, fill: impl FnOnce(&mut Self)) {
        self.bytes.push(b'}');
        self.items(fill);
    }

    /// An `OrderedDict`; `fill` writes keys and values in turn.
    pub fn ordered_dict(&mut self, fill: impl FnOnce(&mut Self)) {
        self.empty_ordered_dict();
        self.items(fill);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.bytes.push(b'X');
        self.bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// An integer.
    pub fn int(&mut self, value: i64) {
        self.bytes.extend_from_slice(&[0x8a, 8]);
        self.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// A number.
    pub fn float(&mut self, value: f64) {
        self.bytes.push(b'G');
        self.bytes.extend_from_slice(&value.to_be_bytes());
    }

    /// A truth value.
    pub fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0x88 } else { 0x89 });
    }

    /// A contiguous tensor on the processor, which is the whole of the storage `key`.
    pub fn tensor(&mut self, key: &str, element: Element, shape: &[usize]) {
        self.global(Global::RebuildTensor);
        self.bytes.push(b'(');
        self.bytes.push(b'(');
        self.text("storage");
        self.global(Global::Storage(element));
        self.text(key);
        self.text("cpu");
        self.int(shape.iter().product::<usize>() as i64);
        self.bytes.extend_from_slice(b"tQ");
        self.int(0);
        self.sizes(shape);
        let strides: Vec<usize> = (1..=shape.len()).map(|from| shape[from..].iter().product()).collect();
        self.sizes(&strides);
        self.bool(false);
        self.empty_ordered_dict();
        self.bytes.extend_from_slice(b"tR");
    }

    fn items(&mut self, fill: impl FnOnce(&mut Self)) {
        self.bytes.push(b'(');
        fill(self);
        self.bytes.push(b'u');
    }

    fn empty_ordered_dict(&mut self) {
        self.global(Global::OrderedDict);
        self.bytes.extend_from_slice(b")R");
    }

    fn sizes(&mut self, sizes: &[usize]) {
        self.bytes.push(b'(');
        for &size in sizes {
            self.int(size as i64);
        }
        self.bytes.push(b't');
    }

    fn global(&mut self, global: Global) {
        let (module, name) = global.name();
        self.bytes.extend_from_slice(format!("c{module}\n{name}\n").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pickle::{Object, parse};

    #[test]
    fn what_is_written_is_read() {
        let mut writer = PickleWriter::default();
        writer.dict(|w| {
            w.text("model");
            w.ordered_dict(|w| {
                w.text("weight");
                w.tensor("7", Element::F32, &[2, 3, 4]);
            });
            w.text("clip");
            w.float(20.0);
            w.text("norm");
            w.bool(true);
            w.text("step");
            w.int(-5);
        });
        let bytes = writer.finish();
        let (pickle, end) = parse(&bytes, 0).unwrap();
        assert_eq!(end, bytes.len());
        let root = pickle.root();
        let weight = pickle.entry(pickle.entry(root, "model").unwrap(), "weight").unwrap();
        let Object::Tensor(tensor) = pickle.get(weight) else { panic!() };
        assert_eq!(
            (tensor.storage.key.as_str(), tensor.storage.element, tensor.storage.len),
            ("7", Element::F32, 24)
        );
        assert_eq!(
            (tensor.view.offset, &tensor.view.shape[..], &tensor.view.strides[..]),
            (0, &[2, 3, 4][..], &[12, 4, 1][..])
        );
        for (key, value) in
            [("clip", Object::Float(20.0)), ("norm", Object::Bool(true)), ("step", Object::Int(-5))]
        {
            assert_eq!(pickle.get(pickle.entry(root, key).unwrap()), &value);
        }
    }
}
